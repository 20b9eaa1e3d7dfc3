"""Dates moved by whole days, so that intervals between a patient's visits stay exact (PS3.15 E.3.6)."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_TIME = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")
_OLDEST_YEARS = 90


def shifted(value: str, vr: str, days: int) -> str:
    """A DA, TM or DT value as it may leave; empty where it is no complete, valid date or time.

    The time of day stays: what happened when within a visit (contrast agent, order of series) is what a study of MR needs
    it for, and intervals stay exact only together with it. An offset from UTC is dropped, for it names a region.
    """
    text = value.strip()
    if vr == "TM":
        return text if _TIME.fullmatch(text) else ""
    found = _DATE.match(text)
    if found is None:
        return ""
    rest = re.sub(r"[+\-]\d{4}$", "", text[found.end() :])
    if rest and (vr == "DA" or not _TIME.fullmatch(rest)):
        return ""
    try:
        moved = date(*(int(part) for part in found.groups())) + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d}{rest}" if moved.year >= 1000 else ""


def capped_age(value: str) -> str:
    """An AS value, ages above 89 years as ``090Y``: so old a person is known in a town. Empty where it is no age."""
    found = re.fullmatch(r"(\d{3})([DWMY])", value.strip())
    if found is None:
        return ""
    years = int(found[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[found[2]]
    return f"{_OLDEST_YEARS:03d}Y" if years >= _OLDEST_YEARS else found[0]
