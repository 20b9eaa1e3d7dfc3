"""The sentences that the verifier is measured on: what must be accepted, and what must be refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from braintumor.report.language import Language, render_statement
from braintumor.report.statements import Quantity, Statement, Term, Verbatim
from tests.report.verify.statements import STATEMENTS

FOLDER = Path(__file__).parent
CODES = ("en", "hi")


@dataclass(frozen=True)
class Sentence:
    """One sentence about a statement.

    Attributes
    ----------
    sort
        Message of the statement for valid ones; what was done to it for corrupted ones.
    held_out
        Whether it belongs to the half that nobody looked at while the lexicons were written.
    by_hand
        Whether it was written, not made by rule.
    """

    code: str
    statement: Statement
    text: str
    sort: str
    held_out: bool
    by_hand: bool = True


def in_held_out_half(written: str) -> bool:
    """By hash of what was written, so that the halves never change."""
    return hashlib.sha256(written.encode()).digest()[0] % 2 == 1


def fresh(code: str) -> Iterator[Sentence]:
    """Further ones that were written when the lexicons were finished."""
    return paraphrases(code, "fresh")


def blind(code: str) -> Iterator[Sentence]:
    """Further ones by a writer who saw neither the verifier nor the other suites."""
    return paraphrases(code, "blind")


def paraphrases(code: str, name: str = "paraphrases") -> Iterator[Sentence]:
    """Sentences that say what their statement says; those made from one pattern are all in one half."""
    for line in _lines(f"{name}.{code}.txt"):
        head, _, text = line.partition(": ")
        held_out = in_held_out_half(line)
        if head.startswith("="):
            statement = STATEMENTS[head[1:]]
            yield Sentence(code, statement, text, statement.message, held_out)
        else:
            for statement in (s for s in STATEMENTS.values() if s.message == head and _fits(s, text)):
                yield Sentence(code, statement, filled(text, statement, code), head, held_out)


def by_hand(code: str) -> Iterator[Sentence]:
    """Corrupted sentences that were written one by one."""
    for line in _lines(f"adversarial.{code}.txt"):
        head, _, text = line.partition(": ")
        name, _, sort = head.removeprefix("=").partition(" | ")
        yield Sentence(code, STATEMENTS[name], text, sort, in_held_out_half(line))


def ours(code: str) -> Iterator[Sentence]:
    """Our own sentence of every statement."""
    for statement in STATEMENTS.values():
        yield Sentence(code, statement, render_statement(statement, code), statement.message, held_out=False, by_hand=False)


def filled(pattern: str, statement: Statement, code: str) -> str:
    """A pattern with the statement's arguments, as the speaker writes them."""
    language = Language(code)
    words = {}
    for name, argument in statement.arguments.items():
        match argument:
            case Quantity():
                words[name] = language.quantity(argument)
            case Term():
                words[name] = language.term(argument)
            case Verbatim(text=text):
                words[name] = text
            case date():
                words[name] = language.date(argument)
            case tuple():
                words[name] = language.listed(language.term(term) for term in argument)
            case int():
                words[name] = language.number(argument)
    text = re.sub(r"{(\w+)}", lambda match: words[match[1]], pattern)
    return text[:1].upper() + text[1:]


def _fits(statement: Statement, pattern: str) -> bool:
    """A plural pattern does not fit a single thing; the side "both" and the like have patterns of their own."""
    count = statement.arguments.get("count")
    plural = r"were|sequences used|share|warnings|चेतावनियाँ|थे|lesions|घाव हैं|नए घाव|{count}"
    return not (count == 1 and re.search(plural, pattern))


def _lines(name: str) -> list[str]:
    text = (FOLDER / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def with_text(sentence: Sentence, text: str, sort: str) -> Sentence:
    """The same statement said otherwise."""
    return replace(sentence, text=text, sort=sort, by_hand=False)
