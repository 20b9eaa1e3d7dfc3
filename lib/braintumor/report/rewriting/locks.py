"""Sentences whose facts are locked: what a model is shown instead of them, and whether it left them where they mean the same.

A model gets "The ⟦1⟧ has ⟦2⟧ and ⟦3⟧." and may change the words between the placeholders, within a reviewed list. Each
placeholder holds its own role ("45.2 mL by voxel count", "from 30.4 mL to 45.2 mL"), so that another order says the same.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from braintumor.report.language import language_of
from braintumor.report.statements import Statement

_MARK = re.compile(r"⟦([+~=]?)(.*?)⟧", re.DOTALL)
_PLACE = re.compile(r"⟦(\d{1,2})⟧")
_PIECE = re.compile("(\\(?)(.*?)(['\u2019]s)?([,;:.)।]{0,2})")
_JOINERS = re.compile("(?<=[\u0900-\u097f])[\u200c\u200d](?=[\u0900-\u097f])")
_QUOTES = {'"': '"', "“": "”", "'": "'", "«": "»"}
_STOPS = ".।"
_MORE_WORDS = 12
"""Words that an answer may have beyond those of our own sentence."""


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence with placeholders.

    Attributes
    ----------
    text
        As a model is shown it: ``⟦1⟧`` and so on, in the order of our own sentence.
    kinds
        Of each placeholder: the mark that opens it, see `Language.marked`.
    facts
        What the placeholders hold; never sent.
    """

    message: str
    code: str
    text: str
    kinds: tuple[str, ...]
    facts: tuple[str, ...] = field(repr=False)

    def filled(self, text: str) -> str:
        """A sentence with the facts in their places."""
        said = _PLACE.sub(lambda match: self.facts[int(match[1]) - 1], text)
        return said[:1].upper() + said[1:]


def template(statement: Statement, code: str) -> Template | None:
    """A statement's sentence with its facts locked; None where the language has no locks for it, or no linking words."""
    marked = language_of(code).marked(statement)
    found = _MARK.findall(marked)
    if not found or not _path(code).is_file():
        return None
    numbers = iter(range(1, len(found) + 1))
    text = _MARK.sub(lambda _: f"⟦{next(numbers)}⟧", marked)
    return Template(statement.message, code, text, tuple(kind for kind, _ in found), tuple(fact for _, fact in found))


def cleaned(answer: str, ours: Template) -> str:
    """An answer as one line with our own stop, without quotation marks; '' where it holds a character that does not show."""
    text = _JOINERS.sub("", " ".join(unicodedata.normalize("NFC", answer).split()))
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    text = re.sub(r" +([,;:.।])", r"\1", text.rstrip(" .।|"))
    return text + ours.text[-1] if text and text.isprintable() else ""


def problems(text: str, ours: Template) -> tuple[str, ...]:
    """Why a cleaned answer may not stand for our template; empty if it may.

    Each starts with its sort: ``placeholder``, ``order``, ``word`` or ``form``.
    """
    found = tuple(_placeholders(text, ours))
    return found or (*_order(text, ours), *_form(text, ours), *_words(text, ours))


def linking_words(code: str) -> str:
    """The words that may link the facts of every message, for a prompt."""
    return " ".join(sorted(_lists(code)["words"]))


def _placeholders(text: str, ours: Template) -> Iterator[str]:
    said = [int(number) for number in _PLACE.findall(text)]
    for number in range(1, len(ours.facts) + 1):
        if said.count(number) != 1:
            yield f"placeholder: ⟦{number}⟧ is there {said.count(number)} times instead of once"
    if any(number > len(ours.facts) or number == 0 for number in said):
        yield "placeholder: there is one that the sentence does not have"


def _order(text: str, ours: Template) -> Iterator[str]:
    said = [int(number) for number in _PLACE.findall(text)]
    kinds, lists = dict(enumerate(ours.kinds, start=1)), _lists(ours.code)
    thing = 0
    for number, kind in kinds.items():
        if kind == "":
            thing = number
        elif kind == "+" and thing and said.index(thing) > said.index(number):
            yield f"order: ⟦{number}⟧ says something of ⟦{thing}⟧ and has to follow it"
    for words, free in (("articles", {""}), ("genitives", {"", "+", "="})):
        bound = _beside(text, lists[words], "{} \\(?⟦(\\d+)⟧") - _beside(ours.text, lists[words], "{} \\(?⟦(\\d+)⟧")
        yield from (f"order: no article or genitive belongs before ⟦{n}⟧" for n in sorted(bound) if kinds[n] not in free)
    owned = _beside(text, lists["after"], "⟦(\\d+)⟧,? {}(?!\\S)")
    yield from (f"order: no genitive belongs after ⟦{n}⟧" for n in sorted(owned) if kinds[n] == "~")
    for a, between, b in zip(said, _PLACE.split(text)[2::2], said[1:], strict=False):
        if (
            kinds[a] == kinds[b] == "+"
            and not re.search(r"[,;:(]", between)
            and not lists["joins"] & set(between.casefold().split())
        ):
            yield f"order: ⟦{a}⟧ and ⟦{b}⟧ are two facts and have to be joined by a comma or 'and'"


def _beside(text: str, words: frozenset[str], pattern: str) -> set[int]:
    """Placeholders next to one of the words."""
    either = f"(?<!\\S)(?:{'|'.join(sorted(words))})"
    return {int(number) for number in re.findall(pattern.replace("{}", either), text, re.IGNORECASE)} if words else set()


def _form(text: str, ours: Template) -> Iterator[str]:
    stops = [place for place, character in enumerate(text) if character in _STOPS]
    if stops != [len(text) - 1]:
        yield "form: it has to be one sentence, with its stop at the end"
    if re.search(r"\([^)]*(\(|$)|^[^(]*\)|\)[^(]*\)", text):
        yield "form: a bracket is not closed"
    if len(text.split()) > len(ours.text.split()) + _MORE_WORDS:
        yield "form: it is much longer than our sentence"


def _words(text: str, ours: Template) -> Iterator[str]:
    known = _lists(ours.code)["words"] | {_PIECE.fullmatch(piece)[2] for piece in ours.text.casefold().split()}  # type: ignore[index]
    free = _extra(ours.message, ours.code).sub("", text.casefold())
    for piece in free.split():
        match = _PIECE.fullmatch(piece)
        word = match[2] if match else piece
        if word and not _PLACE.fullmatch(word) and word not in known:
            yield f"word: '{word[:40]}' is no linking word"


@cache
def _lists(code: str) -> Mapping[str, frozenset[str]]:
    data = _file(code)
    return {name: frozenset(data[name].split()) for name in ("words", "articles", "genitives", "after", "joins")}


@cache
def _file(code: str) -> Mapping[str, Any]:
    return tomllib.loads(unicodedata.normalize("NFC", _path(code).read_text("utf-8")))


def _path(code: str) -> Path:
    return Path(__file__).parent / f"linking.{code}.toml"


@cache
def _extra(message: str, code: str) -> re.Pattern[str]:
    """Further words that a message may have, the longest first."""
    rows = _file(code)["only"].items()
    found = {pattern for starts, patterns in rows if message.startswith(tuple(starts.split()) or "") for pattern in patterns}
    return re.compile(rf"(?<![^\s(])(?:{'|'.join(sorted(found, key=len, reverse=True))})(?=[\s,;:.)।]|$)")
