"""Whose notes these are: compares explicit lines such as ``MRN: 123`` with the patient of the study."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum

from braintumor.domain import Patient
from braintumor.notes.dates import readings

_GAP = r"[ \t]{0,3}"
_LABELS = (
    rf"(?P<id>patient{_GAP}(?:id|no|number|identifier)|m\.?r\.?n|medical{_GAP}record{_GAP}(?:no|number)|uhid|"
    rf"hospital{_GAP}(?:no|number|id)|cr{_GAP}no|ip{_GAP}no|रोगी{_GAP}आईडी|मरीज{_GAP}आईडी|पंजीकरण{_GAP}(?:संख्या|सं))"
    rf"|(?P<birth>d\.?o\.?b|date{_GAP}of{_GAP}birth|birth{_GAP}date|जन्म{_GAP}तिथि|जन्म{_GAP}तारीख)"
    rf"|(?P<named>patient(?:['\u2019]?s)?{_GAP}name|name{_GAP}of{_GAP}(?:the{_GAP})?patient|pt\.?{_GAP}name|(?:मरीज|मरीज़|रोगी){_GAP}का{_GAP}नाम)"
    r"|(?P<name>name|patient|नाम)"
)
_LINE = re.compile(
    rf"(?<!\w)(?:{_LABELS})[ \t*_.]{{0,20}}[:\uff1a=#][ \t*_]{{0,20}}(?P<value>[^\n\r|;\t]{{0,120}})", re.IGNORECASE
)
"""Every repetition has an end, so that no note makes the search slow."""

_DECORATION = " \t>*•#_-"
_FIELD_ENDS = "\n\r\v\f|;,\t"
_NEXT_LABEL = re.compile(
    r"\s\s|[(\[]|[,\s](?:mrn|uhid|d\.?o\.?b|age|sex|gender|patient|pt|id|hospital|ward|date|birth|name|cr|ip|nhs|ref|address|phone|"
    r"tel|आयु|उम्र|लिंग|जन्म|पंजीकरण|नाम)\b",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    r"\W*(?:redacted|anonym\w*|withheld|unknown|removed|hidden|de-?identified|x{2,}|n/?a|nil|none)?\W*", re.IGNORECASE
)
_LATIN_TITLES = ("mr", "mrs", "ms", "miss", "master", "dr", "prof", "shri", "sri", "smt", "kumari", "ku", "sir")
_TITLES = frozenset((*_LATIN_TITLES, "श्री", "श्रीमती", "डॉ", "कु"))
_CLINICIANS = frozenset(("dr", "prof", "डॉ", "consultant"))


class Whose(Enum):
    """What a note says about its patient."""

    OURS = "ours"
    ANOTHERS = "another's"
    UNSAID = "unsaid"


def whose(text: str, patient: Patient) -> Whose:
    """Compare every explicit line of a note with a patient.

    One line that differs is enough for ANOTHERS, also beside lines that agree: a file with notes of two patients is nobody's.
    Numbers under different labels may be of different registers, so they differ only if no label has the patient's number,
    or one label has two. Dates with two readings, hidden names and names in another script than the patient's prove nothing.
    """
    ids: dict[str, set[str]] = {}
    verdicts: list[bool | None] = []
    for found in _LINE.finditer(text):
        value = found["value"].strip()
        if label := found["id"]:
            number = _number(value)
            if number:
                ids.setdefault(re.sub(r"\W", "", label.casefold()), set()).add(number)
        elif found["birth"]:
            verdicts.append(_same_day(value, patient.birth_date))
        elif found["named"] or _begins_field(text[max(0, found.start() - 20) : found.start()]):
            verdicts.append(
                _same_name(value, patient.name, sure=bool(found["named"]), patient_label=_is_patient(found["name"]))
            )
    verdicts.append(_same_id(ids, _number(patient.patient_id)))
    if False in verdicts:
        return Whose.ANOTHERS
    return Whose.OURS if True in verdicts else Whose.UNSAID


def _begins_field(before: str) -> bool:
    # "Drug name:" and "the patient:" inside a sentence name nobody
    bare = before.rstrip(_DECORATION)
    return not bare or bare[-1] in _FIELD_ENDS or before.endswith(("  ", "\t"))


def _is_patient(label: str | None) -> bool:
    return (label or "").casefold() == "patient"


def _number(value: str) -> str:
    first = re.match(r"[\w./-]+", unicodedata.normalize("NFKC", value))
    plain = re.sub(r"[\W_]", "", first[0]).casefold() if first else ""
    return plain.lstrip("0") if any(c.isdigit() for c in plain) else ""


def _same_id(ids: dict[str, set[str]], ours: str) -> bool | None:
    if not ids or not ours:
        return None
    with_ours = [numbers for numbers in ids.values() if ours in numbers]
    return bool(with_ours) and all(len(numbers) == 1 for numbers in with_ours)


def _same_day(value: str, ours: str) -> bool | None:
    theirs, known = readings(value), readings(ours)
    if not theirs or not known:
        return None
    return bool(theirs & known)


def _same_name(value: str, ours: str, *, sure: bool, patient_label: bool) -> bool | None:
    value = _NEXT_LABEL.split(value, maxsplit=1)[0].strip(" .,*_")
    if _HIDDEN.fullmatch(value) or any(c.isdigit() for c in value):
        return None
    words = _words(value)
    if patient_label and not (len(words) <= 5 and all(w[:1].isupper() or not w.isascii() for w in value.split())):
        return None  # "Patient: seen with his wife"
    results = [_compare(words, known) for known in _forms(ours)]
    if True in results:
        return True
    if not sure and _titles(value) & _CLINICIANS:
        return None  # who signed, not who was seen
    return False if False in results else None


def _forms(name: str) -> Iterator[frozenset[str]]:
    # DICOM: up to three scripts, parted by "="
    for form in name.split("="):
        if words := _words(form):
            yield words


def _words(name: str) -> frozenset[str]:
    return _all_words(name) - _TITLES


def _titles(name: str) -> frozenset[str]:
    return _all_words(name) & _TITLES


def _all_words(name: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKD", name.casefold())
    # accents go, vowel signs of Indian scripts stay: they are letters there
    plain = "".join(c for c in plain if not "\u0300" <= c <= "\u036f")
    return frozenset(re.split(r"[\s,.^_'\u2019-]+", plain)) - {""}


def _compare(theirs: frozenset[str], ours: frozenset[str]) -> bool | None:
    """True: one name, perhaps with parts left out or as initials; None: cannot be compared."""
    if not theirs or not ours:
        return None
    if _latin(theirs) != _latin(ours):
        return None
    fewer, more = sorted((theirs, ours), key=len)
    common = fewer & more
    rest, other = sorted(fewer - common), sorted(more - common)
    return bool(common) and all(any(a[0] == b[0] and min(len(a), len(b)) == 1 for b in other) for a in rest)


def _latin(words: frozenset[str]) -> bool:
    return all(c < "\u0250" for word in words for c in word)
