"""Print ``docs/flags.md``: every quality flag with its severity, its message in each language and its arguments.

python -m braintumor.domain._make_flag_docs > docs/flags.md
"""

from __future__ import annotations

from typing import Any

from braintumor.domain.flag_table import FlagCode, Kind, Number, Numbers, OneOf

_HEAD = """# Quality flags

<!-- Made from the table in the code by `python -m braintumor.domain._make_flag_docs > docs/flags.md`; do not edit by hand. -->

What a stage is unsure of is a flag. Manifest (`result.json`), report, DICOM SR, FHIR bundle and the viewer's panel
show the flags of all stages: the most serious first, each message once. In JSON a flag has `code`, `severity`, the English
`message`, and `arguments`, from which the message can be said in another language. Files of version 0.1.0 have no `arguments`;
their messages are shown as they are.

| severity | meaning |
|---|---|
| serious | Do not rely on the result without checking. |
| warning | Look at what it names. |
| info | For the record. |

Words in brackets are arguments. Where the words depend on a key, those for the first key are shown. Where several visits are
compared, a flag of one of them also has the argument `visit` and begins with "Visit [visit]:".

| code | severity | English | Hindi | arguments |
|---|---|---|---|---|"""


def document() -> str:
    """The whole page, Markdown."""
    return "\n".join((_HEAD, *map(_row, FlagCode), ""))


def _row(code: FlagCode) -> str:
    shown = {name: _placeholder(name, kind) for name, kind in code.kinds.items()}
    arguments = ", ".join(f"`{name}`: {_what(kind)}" for name, kind in code.kinds.items()) or "none"
    return f"| `{code}` | {' or '.join(code.severities)} | {code.words(shown)} | {code.words(shown, 'hi')} | {arguments} |"


def _placeholder(name: str, kind: Kind) -> Any:
    match kind:
        case OneOf(keys=keys):
            return keys[0]
        case Numbers():
            return (f"[{name}]",)
    return f"[{name}]"


def _what(kind: Kind) -> str:
    match kind:
        case Number(digits=digits):
            return f"number, decimals: {digits}" if digits else "integer"
        case OneOf(keys=keys):
            return "one of " + ", ".join(keys)
        case Numbers():
            return "integers"
    return "words, not translated"


if __name__ == "__main__":
    print(document(), end="")
