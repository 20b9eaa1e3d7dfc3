"""The sentences that the check of a model's answers is measured on: what must be accepted, and what must be refused."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from braintumor.report.rewriting import kept_because
from braintumor.report.rewriting.locks import Template, cleaned, problems, template
from tests.report.rewriting.statements import STATEMENTS

FOLDER = Path(__file__).parent / "suites"
CODES = ("en", "hi")
_PLACE = re.compile(r"⟦\d+⟧")


@dataclass(frozen=True)
class Sentence:
    """What a model could answer for a template; `sort` is the message of a good one and what was done to a bad one."""

    ours: Template
    text: str
    sort: str

    @property
    def refused(self) -> tuple[str, ...]:
        """Why it does not get into a report; empty if it does."""
        said = cleaned(self.text, self.ours)
        return problems(said, self.ours) if said else ("form: it holds what does not show",)


def template_of(name: str, code: str) -> Template | None:
    """The template of a named statement; None if no model is given it."""
    return None if kept_because(STATEMENTS[name]) else template(STATEMENTS[name], code)


def templates(code: str) -> list[Template]:
    """Every template of a language that differs from the others in what a model is shown."""
    found = (template_of(name, code) for name in STATEMENTS)
    return list({(ours.message, ours.text): ours for ours in found if ours}.values())


def good(code: str, name: str) -> list[Sentence]:
    """A file of good rewordings: ``good`` (in view), ``blind`` or ``fresh``."""
    found = []
    for line in _lines(f"{name}.{code}.txt"):
        head, _, text = line.partition(": ")
        ours = template_of(head, code)
        assert ours, f"no model is given {head}"
        found.append(Sentence(ours, text, ours.message))
    return found


def written(code: str, name: str) -> tuple[list[Sentence], int]:
    """A file of attacks (``adversarial``, ``attacks`` or ``fresh-attacks``), and how many are about what no model is given.

    The facts of the statement that stand in a sentence become their placeholders, as an answer would have them; what was done
    to the others stays as words.
    """
    found, never = [], 0
    for line in _lines(f"{name}.{code}.txt"):
        head, _, text = line.partition(": ")
        key, _, sort = head.removeprefix("=").partition(" | ")
        ours = template_of(key, code)
        if ours is None:
            never += 1
        else:
            found.append(Sentence(ours, text if "⟦" in text else locked(text, ours), sort))
    return found, never


def locked(text: str, ours: Template) -> str:
    """A sentence with every fact of the template that is found in it, once, as its placeholder."""
    for number, fact in sorted(enumerate(ours.facts, start=1), key=lambda item: -len(item[1])):
        plain = re.escape(fact.replace("\u00a0", " "))
        text = re.sub(rf"(?<!\w){plain}(?![\w²])", f"⟦{number}⟧", text.replace("\u00a0", " "), count=1, flags=re.IGNORECASE)
    return text


@cache
def _words(code: str) -> Mapping[str, Any]:
    return tomllib.loads((FOLDER / "corruption.toml").read_text("utf-8"))[code]


def corrupted(sentence: Sentence) -> Iterator[Sentence]:
    """Every way in which the rules can spoil a good sentence."""
    for rule in (_placeholders, _inserted, _around, _form):
        for sort, text in rule(sentence.text, sentence.ours):
            if text != sentence.text:
                yield Sentence(sentence.ours, text, sort)


Corrupted = Iterator[tuple[str, str]]


def _placeholders(text: str, ours: Template) -> Corrupted:
    count = len(ours.facts)
    for match in _PLACE.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        yield "placeholder left out", f"{before}{after}"
        yield "placeholder twice", f"{before}{match[0]} {match[0]}{after}"
        yield "placeholder foreign", f"{before}⟦{count + 1}⟧{after}"
        yield "placeholder replaced by words", f"{before}{_words(ours.code)['region']}{after}"
        for number, _ in enumerate(ours.facts, start=1):
            if f"⟦{number}⟧" != match[0]:
                yield "placeholder replaced by another", f"{before}⟦{number}⟧{after}"
        for odd in ("[{}]", "⟦{}", "⟦⟦{}⟧⟧", "⟦{}a⟧", "⟦-{}⟧", "⟦{}⟧⟦{}⟧", "⟦0{}⟧⁻", "x⟦{}⟧", "-⟦{}⟧", "⟦{}⟧%", "⟦{}⟧\u0338"):
            yield "placeholder spoilt", f"{before}{odd.replace('{}', match[0][1:-1])}{after}"


def _inserted(text: str, ours: Template) -> Corrupted:
    """Words that change what is said, at every space of the sentence."""
    words = _words(ours.code)
    spaces = [match.start() for match in re.finditer(" ", text)] + [len(text) - 1]
    for sort, at in itertools.product(
        ("negation", "number", "direction", "doubt", "time", "degree", "subject", "diagnosis"), spaces
    ):
        for word in words[sort]:
            yield f"{sort} inserted", f"{text[:at]} {word}{text[at:]}"


def _around(text: str, ours: Template) -> Corrupted:
    words = _words(ours.code)
    body = text.rstrip(".।")
    for clause in words["clauses"]:
        yield "invented", f"{body}{clause}{text[-1]}"
    for prefix in words["prefixes"]:
        yield "prompt residue", f"{prefix}{text}"
    yield "question", f"{body}?"
    yield "question", f"{words['question']} {body}{text[-1]}"


def _form(text: str, ours: Template) -> Corrupted:
    for spoilt in (
        "**{}**",
        "- {}",
        "1. {}",
        "# {}",
        "<b>{}</b>",
        "[{}](http://example.org)",
        "`{}`",
        "~~{}~~",
        "{} {}",
        "{}\n\n{}!",
    ):
        yield "markup", spoilt.replace("{}", text)
    for character in "\u200b\u2060\ufeff\u00ad\u202e\u2066\u0000\u0007":
        yield "invisible character", text.replace("⟧", f"⟧{character}", 1)
        yield "invisible character", f"{text[:2]}{character}{text[2:]}"
    for latin, other in zip("aceiopsxyनमक", "асеіорѕхуɴⲙк", strict=True):
        if latin in _PLACE.sub("", text):
            yield "homoglyph", text.replace(latin, other, 1)
    yield "language", f"{text[:-1]} {_words('hi' if ours.code == 'en' else 'en')['region']}{text[-1]}"
    yield "much longer", f"{text[:-1]}{(' is' if ours.code == 'en' else ' है') * 40}{text[-1]}"


def exchanged(ours: Template) -> Iterator[Sentence]:
    """Our own sentence with two placeholders in each other's places."""
    for a, b in itertools.combinations(range(1, len(ours.facts) + 1), 2):
        text = ours.text.replace(f"⟦{a}⟧", "\0").replace(f"⟦{b}⟧", f"⟦{a}⟧").replace("\0", f"⟦{b}⟧")
        yield Sentence(ours, text, f"{a} and {b} exchanged")


def _lines(name: str) -> list[str]:
    text = (FOLDER / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
