"""What a sentence has to look like before its words are read: one plain sentence, in the script of its language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from braintumor.report.verify.lexicon import Lexicon
from braintumor.report.verify.problems import Kind, Problem
from braintumor.report.verify.reading import QUOTES, Reading, Sort

MAX_SENTENCES = 2
_MARKS = frozenset(".,;:()'-\u2013\u2014%\u00b0\u00d7\u0964") | frozenset(QUOTES)
_STOPS = frozenset(".\u0964")
_JOINERS = "\u200c\u200d"
_ADDRESS = re.compile(r"https?:|www\.|\b[\w-]+\.(?:com|org|net|in|io)\b|@", re.IGNORECASE)


def check_characters(text: str) -> tuple[Problem, ...]:
    """Nothing invisible, no line breaks, no address; before anything else looks at the text."""
    if not text.strip():
        return (Problem(Kind.STRUCTURE, "the sentence is empty"),)
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" and character not in _JOINERS:
            return (Problem(Kind.STRUCTURE, f"it holds a line break or an invisible character (U+{ord(character):04X})"),)
        if category in ("Zl", "Zp"):
            return (Problem(Kind.STRUCTURE, "it holds a line break"),)
    return ()


def check_form(theirs: Reading, ours: Reading) -> Iterator[Problem]:
    """Length, number of sentences, marks; `ours` is the measure."""
    marks = [item.text for item in theirs.items if item.sort is Sort.MARK]
    odd = sorted(set(marks) - _MARKS - {item.text for item in ours.items if item.sort is Sort.MARK})
    if odd:
        yield Problem(Kind.STRUCTURE, f"it holds {' '.join(odd)}, which a plain sentence does not")
    if marks.count("(") != marks.count(")"):
        yield Problem(Kind.STRUCTURE, "a bracket is not closed")
    parts = sum(a.text in _STOPS and b.text not in _STOPS for a, b in zip(theirs.items, theirs.items[1:], strict=False))
    if parts + 1 > MAX_SENTENCES:
        yield Problem(Kind.STRUCTURE, f"it is {parts + 1} sentences; {MAX_SENTENCES} are the most")
    if len(theirs.tokens) > 2 * len(ours.tokens) + 14:
        yield Problem(Kind.STRUCTURE, "it is much longer than our sentence")
    if theirs.items and theirs.items[0].sort is Sort.MARK and theirs.items[0].text not in QUOTES + "(":
        yield Problem(Kind.STRUCTURE, "it starts like an item of a list")
    if len(theirs.items) > 1 and theirs.items[0].sort is Sort.NUMBER and theirs.items[1].text in (".", ")"):
        yield Problem(Kind.STRUCTURE, "it starts like an item of a list")
    between = zip(theirs.items, theirs.items[1:], theirs.items[2:], strict=False)
    if any(a.sort is c.sort is Sort.NUMBER and b.text in "-\u2013\u2014/" for a, b, c in between):
        yield Problem(Kind.STRUCTURE, "two numbers are joined by a dash, which can mean a range")


def check_address(text: str) -> tuple[Problem, ...]:
    """No link, outside of quoted words."""
    return (Problem(Kind.STRUCTURE, "it holds an address"),) if _ADDRESS.search(text) else ()


def is_foreign(word: str, lexicon: Lexicon) -> bool:
    """Whether a word has a letter of another script than its language's."""
    letters = (c for c in word if c.isalpha())
    return any(unicodedata.name(c, "?").split()[0] not in lexicon.scripts for c in letters)
