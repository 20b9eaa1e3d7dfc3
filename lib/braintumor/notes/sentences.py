"""Cuts notes into sentences without changing a character: each is a span of the text, and together they cover it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LONGEST = 500
"""Characters; longer ones are cut at a space. The embedding model reads 256 word pieces and would ignore the rest."""

_ABBREVIATION_WORDS = """
dr drs mr mrs ms prof st sr jr pt pts gr no nos fig figs vs approx ca cf resp incl esp ref refs tel ext dept hosp univ
e.g eg i.e ie viz etc al a.m p.m am pm hx rx dx tx fx sx h/o c/o s/p w/o y.o yrs wks mths hrs min mins sec tab tabs cap caps
inj susp inf wt ht bp temp sat sats jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sun डॉ श्री
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_WORDS.split())

_DOSING_WORDS = "b.d bd o.d od t.d.s tds q.d.s qds q.d q.i.d t.i.d b.i.d p.o i.v i.m s.c p.r.n prn mg ml kg cm mm gy mcg"
_DOSING = frozenset(_DOSING_WORDS.split())
"""Stand inside a sentence and at its end: they end it if a word follows that is capitalised like the first of a sentence."""

_OPENING = "([\"'\u201c\u2018"
_CLOSING = r"[\"'\u201d\u2019)\]]*+"
_END = re.compile(
    # possessive, and beginning only where a run begins: a note of a million dots must not take their square in steps
    rf"(?<![.!?\u2026])[.!?\u2026]++{_CLOSING}(?=\s)|[\u0964\u0965]++{_CLOSING}|(?<=[\u0900-\u097f])\s?\|(?=\s|$)"
)
_TERMINAL = tuple(".!?:;\u2026\u0964\u0965")
_MONTH = re.compile(r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
_GRADED = re.compile(r"(?:grade|type|stage|who|class|phase|nerve)\s+[IVX]$", re.IGNORECASE)
_BULLET = re.compile(
    r"(?:[-*\u2022\u25cf\u25aa\u25e6\u2023\u2013\u2014\u00b7]|\(?(?:\d{1,2}|[\u0966-\u096f]{1,2}|[a-z]|[ivx]{1,4})[.)])\s+\S"
)
_DANGLING_WORDS = """
no not without of for with the a an and or to in by on at from is was are were has had be denies evidence than then due
after before
"""
_DANGLING = frozenset(_DANGLING_WORDS.split())
"""A line that ends so goes on in the next, however short: "No evidence of" belongs to what there is no evidence of."""

_LABEL = re.compile(r"[A-Z\u0900-\u097f][^:.!?\n]{0,40}:\s")

_MARKED_HEADING = re.compile(r"#{1,6}\s+\S.*|\*\*[^*]{1,80}\*\*:?|__[^_]{1,80}__:?")
_COLON_HEADING = re.compile(r"[^:.!?\u0964]{1,60}[:\uff1a]")
_KNOWN_HEADING = re.compile(
    r"(?:(?:past|previous|current|presenting|present|family|social|drug|medical|surgical|oncological|treatment|clinical|final|"
    r"admission|discharge|operative|post-?operative|and|&|of|the|/)\s+)*"
    r"(?:history|complaints?|medications?|medicines|drugs|allerg(?:y|ies)|diagnos[ie]s|histology|pathology|histopathology|surgery|"
    r"procedures?|operation|radiotherapy|chemotherapy|treatment|symptoms|examination|investigations|imaging|impression|assessment|"
    r"plan|summary|findings|follow-?up|comorbidities|background|course)(?:\s+(?:on|at|in)\s+\w+)?",
    re.IGNORECASE,
)
_LONGEST_HEADING = 120
_WRAPPED_LOWER, _WRAPPED = 40, 55
"""A line at least this long may go on in the next: with a small letter, or with any."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A span of a text.

    Attributes
    ----------
    start, end
        ``text[start:end]`` is the sentence, without white space around it.
    paragraph
        Number of the run of lines it stands in; blank lines and headings begin a new one.
    heading
        Text of the heading it stands under, '' if there is none; in Markdown it reaches to the next, else over one paragraph.
    is_heading
        Whether it is itself a heading, which says nothing about a patient.
    """

    start: int
    end: int
    paragraph: int
    heading: str = field(default="", repr=False)
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    words: str


def split(text: str, heading: str = "") -> tuple[Sentence, ...]:
    """The sentences of a text, in order; they do not overlap and leave out nothing but white space.

    Parameters
    ----------
    heading
        In force at the beginning of the text, such as the last one of the page before.
    """
    found: list[Sentence] = []
    for number, paragraph in enumerate(_paragraphs(text)):
        if len(paragraph) == 1 and _is_heading(paragraph[0].words):
            line = paragraph[0]
            found.append(Sentence(line.start, line.end, number, heading, is_heading=True))
            heading = line.words
        else:
            for start, end in _units(paragraph):
                found += [Sentence(s, e, number, heading) for s, e in _cut(text, start, end)]
            if not _MARKED_HEADING.fullmatch(heading):
                heading = ""  # where headings are not marked as such, nothing says that the next paragraph is still under it
    return tuple(found)


def _lines(text: str) -> Iterator[_Line | None]:
    # None stands for a blank line
    at = 0
    for raw in text.splitlines(keepends=True):
        words = raw.strip()
        start = at + len(raw) - len(raw.lstrip())
        yield _Line(start, start + len(words), words) if words else None
        at += len(raw)


def _paragraphs(text: str) -> Iterator[list[_Line]]:
    paragraph: list[_Line] = []
    for line in _lines(text):
        alone = line is None or _is_heading(line.words)
        if alone and paragraph:
            yield paragraph
            paragraph = []
        if line is not None:
            if alone:
                yield [line]
            else:
                paragraph.append(line)
    if paragraph:
        yield paragraph


def _is_heading(line: str) -> bool:
    if len(line) > _LONGEST_HEADING:
        return False
    bare = line.strip("#*_=- \t:").strip()
    if not any(c.isalpha() for c in bare):
        return False
    return bool(_MARKED_HEADING.fullmatch(line) or _COLON_HEADING.fullmatch(line) or _KNOWN_HEADING.fullmatch(bare))


def _units(paragraph: list[_Line]) -> Iterator[tuple[int, int]]:
    # lines that were one line before an editor or a page broke them; each bullet, label and short line stands alone
    widest = max(len(line.words) for line in paragraph)
    start, before = paragraph[0].start, paragraph[0]
    for line in paragraph[1:]:
        if not _continues(before.words, line.words, widest):
            yield start, before.end
            start = line.start
        before = line
    yield start, before.end


def _continues(before: str, line: str, widest: int) -> bool:
    if _BULLET.match(line) or _LABEL.match(line) or before.endswith((":", ";", "\u0964", "\u0965")):
        return False
    if before.endswith(",") or _last_word(before) in _ABBREVIATIONS or before.rsplit(maxsplit=1)[-1].casefold() in _DANGLING:
        return True
    if line[0].islower():
        return len(before) >= _WRAPPED_LOWER
    if before.endswith(_TERMINAL):
        return False
    # a line was broken where the next word did not fit; a tenth is allowed for letters of different width
    return len(before) >= _WRAPPED and len(before) + 1 + len(line.split(maxsplit=1)[0]) > 0.9 * widest


def _last_word(words: str) -> str:
    last = words.rsplit(maxsplit=1)[-1]
    return last.strip(_OPENING).rstrip(".").casefold() if last.endswith(".") else ""


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for mark in _END.finditer(text, start, end):
        if mark.end() < end and _ends(text, at, mark, end):
            yield from _pieces(text, at, mark.end())
            at = mark.end()
            while at < end and text[at].isspace():
                at += 1
    if at < end:
        yield from _pieces(text, at, end)


def _ends(text: str, start: int, mark: re.Match[str], end: int) -> bool:
    """Whether the sentence that began at `start` ends with this punctuation."""
    if mark.group()[0] != ".":
        return mark.group()[0] not in "!?\u2026" or not _next(text, mark.end(), end)[:1].islower()
    following = _next(text, mark.end(), end)
    if following[:1].islower():
        return False
    if mark.group() != ".":
        return True
    before = text[max(start, mark.start() - 40) : mark.start()]
    word = before.rsplit(maxsplit=1)[-1].strip(_OPENING).casefold() if before.strip() else ""
    if word in _DOSING:
        return following[:1].isupper() and following[1:2].islower()
    if word in _ABBREVIATIONS:
        return False
    if word.isdigit():
        # "1. Dexamethasone" begins an item, "12. March" is a date
        return not (mark.start() - len(word) <= start or _MONTH.match(following))
    return not (len(word) == 1 and word.isalpha()) or bool(_GRADED.search(before))


def _next(text: str, at: int, end: int) -> str:
    return text[at : min(end, at + 40)].lstrip().lstrip(_OPENING)


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST:
        cut = next((at for at in range(start + LONGEST, start + LONGEST // 2, -1) if text[at].isspace()), start + LONGEST)
        stop = cut
        while text[stop - 1].isspace():
            stop -= 1
        yield start, stop
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end
