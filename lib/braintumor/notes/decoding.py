"""Bytes of a text file to text: UTF-8, UTF-16 and UTF-32 with or without mark, else the old Windows encoding; never binary."""

from __future__ import annotations

import codecs
from collections import Counter

# longest marks first: that of UTF-32 begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = {c: None for c in [*range(32), 127, *range(128, 160)] if chr(c) not in "\t\n\v\f\r\x85"}
_REPLACED = dict.fromkeys(_CONTROL, "\ufffd")
_ONE_SCRIPT = 0.9
_HIGH_SHARE = 0.3


def decode(data: bytes) -> tuple[str, bool] | None:
    """The text, and whether its encoding had to be guessed; None if this is no text.

    A file that is cut in the middle of a character, or has a few bytes of another encoding, falls to the guess: Windows-1252,
    or Latin-1 which decodes every byte; what they make of other encodings is wrong letters and never a crash. Single control
    characters are replaced one for one, because neither JSON nor XML can carry them.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _text(_strict(data[len(mark) :], name), guessed=False)
    for name in ("utf-8", "utf-16-le", "utf-16-be"):
        found = _text(_strict(data, name), guessed=name != "utf-8")
        if found is not None and (name == "utf-8" or _in_one_script(found[0])):
            return found
    sample = data[:100_000]
    if sum(byte >= 128 for byte in sample) > _HIGH_SHARE * len(sample):
        return None  # Windows-1252 is for Latin letters, most of which are ASCII: this is something compressed
    return _text(_strict(data, "cp1252") or data.decode("latin-1"), guessed=True)


def _text(text: str | None, *, guessed: bool) -> tuple[str, bool] | None:
    return (text.translate(_REPLACED), guessed) if text is not None and _plausible(text) else None


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _plausible(text: str) -> bool:
    # text has no control characters; one in a thousand is forgiven, for printers' codes in old systems
    return len(text) - len(text.translate(_CONTROL)) <= len(text) // 1000


def _in_one_script(text: str) -> bool:
    # letters of UTF-16 read as what it is lie in one or two pages of Unicode, and words are parted; other bytes lie anywhere
    pages = Counter(ord(c) >> 8 for c in text if not c.isspace())
    usual = sum(count for _, count in pages.most_common(2))
    return usual >= _ONE_SCRIPT * pages.total() and any(c in " \n" for c in text)
