"""What the verifier knows of one language: data, read from one file per language."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from braintumor.report.language import language_of
from braintumor.report.verify.tokens import clean, fold, tokenise

FOLDER = Path(__file__).parent

Words = tuple[str, ...]
"""Words of a phrase as `Token.text`."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a statement (``mL``) and how many of it one of the written unit is: 1000 for ``L``."""

    base: str
    factor: Decimal


@dataclass(frozen=True, slots=True)
class Cue:
    """A phrase that says which number stands beside it.

    Attributes
    ----------
    roles
        Names of arguments of a statement that the number may be.
    binds
        Where the number stands: ``next`` to the right, ``prev`` to the left, ``near`` either, ``beside`` at once to the left.
    """

    roles: frozenset[str]
    binds: str


@dataclass(frozen=True)
class Lexicon:
    """One language.

    Attributes
    ----------
    scripts
        First words of the Unicode names of its letters, e.g. ``DEVANAGARI``.
    folds
        Spelling rules, applied in order before anything is read.
    phrases
        Words -> concepts that they say; none for words that say nothing of their own.
    cues
        Words -> what they say of a number beside them; several where a word has several uses.
    units
        Written unit, capitals kept -> unit.
    implied_units
        Words -> unit of a bare number that follows them ("aged 65").
    numbers
        Number words; `point` are the words for a decimal point.
    months
        Names and short names -> 1..12.
    barriers
        Words that part clauses.
    connectors
        Words between two numbers of which only the second has its unit.
    flagged
        Words that are refused for a reason of their own -> kind of problem.
    other_units
        Words that are units, of nothing that a report says.
    """

    code: str
    scripts: frozenset[str]
    folds: tuple[tuple[re.Pattern[str], str], ...]
    phrases: Mapping[Words, Words]
    cues: Mapping[Words, tuple[Cue, ...]]
    units: Mapping[Words, Unit]
    implied_units: Mapping[Words, str]
    numbers: Mapping[Words, Decimal]
    point: frozenset[str]
    months: Mapping[str, int]
    barriers: frozenset[str]
    connectors: frozenset[str]
    flagged: Mapping[str, str]
    other_units: frozenset[str]

    def words(self, text: str, *, capitals: bool = False) -> Words:
        """Plain text as words of a phrase."""
        return tuple(t.raw if capitals else t.text for t in tokenise(fold(clean(text), self.folds)))


def expand(pattern: str) -> Iterator[str]:
    """All texts of a pattern: ``[x]`` may be left out, ``(a|b)`` is one of them; they may be nested.

    >>> list(expand("(left|right) [hand] side"))
    ['left hand side', 'left side', 'right hand side', 'right side']
    """
    for choice in _choices(pattern):
        yield " ".join(choice.split())


@cache
def lexicon(code: str) -> Lexicon:
    """The lexicon of a language, its glossary included.

    Raises
    ------
    UnknownLanguageError
        If the language has no messages.
    FileNotFoundError
        If it has messages and no lexicon: a programmer's mistake.
    """
    glossary = language_of(code).glossary
    data = tomllib.loads((FOLDER / f"{code}.toml").read_text("utf-8"))
    folds = tuple((re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in data["fold"])

    def words(text: str) -> Words:
        return tuple(t.text for t in tokenise(fold(clean(text), folds)))

    terms = {f"{term.kind}:{term.key}": list(_spellings(said)) for term, said in glossary.items()}
    phrases = {words(w): () for w in _split(data["neutral"])}
    for concepts, patterns in itertools.chain(terms.items(), data["concepts"].items()):
        phrases |= {words(text): tuple(concepts.split()) for pattern in patterns for text in expand(pattern)}
    return Lexicon(
        code=code,
        scripts=frozenset(data["scripts"]),
        folds=folds,
        phrases=phrases,
        cues=_cues(data["cue"], words),
        units=dict(_units(data["unit"], folds)),
        implied_units={words(w): unit for unit, patterns in data["implied_unit"].items() for p in patterns for w in expand(p)},
        numbers={words(text): Decimal(n) for n, texts in enumerate(data["numbers"]) for text in texts.split("|")},
        point=frozenset(words(w)[0] for w in data["point"]),
        months={words(name)[0]: n for n, names in enumerate(data["months"], 1) for name in names.split()},
        barriers=frozenset(words(w)[0] for w in data["barriers"].split()),
        connectors=frozenset(words(w)[0] for w in data["connectors"].split()),
        flagged={words(w)[0]: kind for kind, text in data["flagged"].items() for w in text.split()},
        other_units=frozenset(words(w)[0] for w in data["other_units"].split()),
    )


def _choices(pattern: str) -> Iterator[str]:
    opening = re.search(r"[\[(]", pattern)
    if opening is None:
        yield pattern
        return
    start, end = opening.start(), _closing(pattern, opening.start())
    inner = _alternatives(pattern[start + 1 : end])
    for middle in [*inner, ""] if opening[0] == "[" else inner:
        for choice in _choices(middle):
            yield from (pattern[:start] + choice + rest for rest in _choices(pattern[end + 1 :]))


def _closing(pattern: str, start: int) -> int:
    depth = 0
    for at in range(start, len(pattern)):
        depth += (pattern[at] in "[(") - (pattern[at] in "])")
        if depth == 0:
            return at
    raise ValueError(f"a bracket is not closed in the pattern '{pattern}'")


def _alternatives(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[(") - (character in "])")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _spellings(term: str) -> Iterator[str]:
    """``X (Y)`` of the glossary is said as X, as Y, or as both."""
    match = re.fullmatch(r"(.+) \((.+)\)", term)
    yield from (match[1], match[2]) if match else (term,)


def _split(text: str) -> Iterator[str]:
    """Single words, and phrases with ``_`` for their spaces."""
    return (word.replace("_", " ") for word in text.split())


def _cues(entries: Iterable[Mapping[str, Any]], words: Any) -> dict[Words, tuple[Cue, ...]]:
    found: dict[Words, tuple[Cue, ...]] = {}
    for entry in entries:
        cue = Cue(frozenset(entry["roles"].split()), entry["binds"])
        for text in dict.fromkeys(t for pattern in entry["words"] for t in expand(pattern)):
            found[words(text)] = (*found.get(words(text), ()), cue)
    return found


def _units(entries: Iterable[Mapping[str, Any]], folds: Any) -> Iterator[tuple[Words, Unit]]:
    for entry in entries:
        unit = Unit(entry["base"], Decimal(str(entry.get("factor", "1"))))
        for text in dict.fromkeys(t for pattern in entry["words"] for t in expand(pattern)):
            yield tuple(t.raw for t in tokenise(fold(clean(text), folds))), unit
