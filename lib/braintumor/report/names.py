"""Names, dates, lists and sizes as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

DASH = "\u2013"
TIMES = "\u00d7"


def listed(words: Sequence[str]) -> str:
    """An enumeration.

    >>> listed(["T1", "T2", "FLAIR"])
    'T1, T2 and FLAIR'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def sizes(numbers: Iterable[float], digits: int = 1) -> str:
    """Extents side by side, e.g. '30.0 x 26.4' with a proper multiplication sign."""
    return f" {TIMES} ".join(f"{number:.{digits}f}" for number in numbers)


def person_name(value: str) -> str:
    """A DICOM person name (PS3.5 section 6.2.1) for reading: family name first, ideographic group in brackets.

    >>> person_name("Yamada^Tarou=山田^太郎=やまだ^たろう")
    'Yamada, Tarou (山田 太郎)'
    >>> person_name("Doe^Jane^^Dr")
    'Doe, Jane, Dr'
    """
    groups = [[part.strip() for part in group.split("^")] for group in value.split("=")]
    alphabetic = ", ".join(part for part in groups[0] if part)
    ideographic = " ".join(part for part in groups[1] if part) if len(groups) > 1 else ""
    if alphabetic and ideographic:
        return f"{alphabetic} ({ideographic})"
    return alphabetic or ideographic


def plain_date(value: str) -> str:
    """A DICOM date as ISO 8601; anything else unchanged.

    >>> plain_date("19610217")
    '1961-02-17'
    """
    found = re.fullmatch(r"(\d{4})(\d{2})(\d{2})", value.strip())
    return "-".join(found.groups()) if found else value.strip()
