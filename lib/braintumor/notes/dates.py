"""Dates as people write them, with every way they can be read: 03/04/2024 is two dates until somebody says which."""

from __future__ import annotations

import re
from datetime import date

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {m: n for n, m in enumerate(_MONTH_NAMES, start=1)}
_HINDI_DIGITS = str.maketrans("०१२३४५६७८९", "0123456789")
_ISO = re.compile(r"(?<!\d)(\d{4})[-./_]?(\d{2})[-./_]?(\d{2})(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,2})[-./](\d{1,2})[-./](\d{4}|\d{2})(?!\d)")
_DAY_MONTH = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[-\s./]*([a-z]{3})[a-z]*\.?[-\s.,/]*(\d{4}|\d{2})(?!\d)", re.IGNORECASE
)
_MONTH_DAY = re.compile(r"\b([a-z]{3})[a-z]*\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?!\d)", re.IGNORECASE)
_LABELLED = re.compile(
    r"(?:^|[|;\t]|[ ]{2})[ \t]*(?:(?:date(?:\s+of\s+(?:visit|clinic|letter|report|note|admission|discharge))?|"
    r"(?:visit|clinic|note|report|letter)\s+date|दिनांक|तारीख)\s?[:\uff1a]|(?:dated|seen\s+on)\s?:?\s)\s*(?P<date>[^\n|;]{6,30})",
    re.IGNORECASE | re.MULTILINE,
)
_HEAD = 1500


def readings(words: str) -> frozenset[date]:
    """Every day that the first date in these words may mean; empty if there is none."""
    words = words.translate(_HINDI_DIGITS)
    if found := _ISO.search(words):
        return _days([(found[1], found[2], found[3])])
    if found := _NUMBERS.search(words):
        return _days([(found[3], found[2], found[1]), (found[3], found[1], found[2])])
    if found := _DAY_MONTH.search(words):
        return _days([(found[3], _MONTHS.get(found[2].casefold(), 0), found[1])])
    if found := _MONTH_DAY.search(words):
        return _days([(found[3], _MONTHS.get(found[1].casefold(), 0), found[2])])
    return frozenset()


def written_on(name: str, text: str) -> date | None:
    """When a note was written: by its file's name, else by a line such as ``Date: 3 May 2024`` near its beginning.

    None where it does not say, or where the day can be read in two ways.
    """
    for words in (name, *(found["date"] for found in _LABELLED.finditer(text[:_HEAD]))):
        days = readings(words)
        if len(days) == 1:
            return next(iter(days))
    return None


def _days(choices: list[tuple[str | int, str | int, str | int]]) -> frozenset[date]:
    found = set()
    for year, month, day in choices:
        whole = [int(year)] if len(str(year)) == 4 else [1900 + int(year), 2000 + int(year)]
        for full in whole:
            try:
                found.add(date(full, int(month), int(day)))
            except ValueError:  # no such day, so not what was meant
                continue
    return frozenset(found)
