"""Descriptions reduced to the words of an MR vocabulary (Clean Descriptors, PS3.15 E.3.5)."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_PIECES = re.compile(r"([A-Za-z0-9*]+(?:\.\d+[A-Za-z]*)?|[^\x00-\x7f]+)")


_GROUPS = {
    "Manufacturer": "maker",
    "ManufacturerModelName": "maker",
    "SoftwareVersions": "maker",
    "SegmentAlgorithmName": "maker",
    "ReceiveCoilName": "coil",
    "ReceiveCoilManufacturerName": "maker",
    "TransmitCoilName": "coil",
    "TransmitCoilManufacturerName": "maker",
    "ImagedNucleus": "nucleus",
    "ResonantNucleus": "nucleus",
}
"""Words that only these attributes may keep: makers call scanners Tim, Amira or Vida, and so do parents their children."""


def clean_words(text: str, keyword: str = "", forbidden: frozenset[str] = frozenset()) -> str:
    """What may stay of a description: known words, numbers with a unit, and the separators between neighbours.

    Parameters
    ----------
    keyword
        The attribute, some of which may keep words of their own.
    forbidden
        Lower-case words that must not stay though the vocabulary has them: a patient may be called Head.

    >>> clean_words("T1_MPRAGE-SAG.iso +C John Doe 12345")
    'T1_MPRAGE-SAG.iso +C'
    """
    pieces = _PIECES.split(text)  # separator, word, separator, word, ... separator
    kept = ""
    pending = ""  # separator before the next word; one space where a word was dropped
    for n in range(1, len(pieces), 2):
        pending = pending or _before(pieces[n - 1], first=not kept)
        word = "" if pieces[n].lower() in forbidden else _allowed(pieces[n], _GROUPS.get(keyword, ""))
        if word:
            kept += (pending if kept else pending.lstrip(" _/.,;:()[]")) + word
            pending = ""
            if word.lower() == "c" and pieces[n + 1][:1] in ("+", "-"):
                kept += pieces[n + 1][0]
                pieces[n + 1] = pieces[n + 1][1:] or " "
        else:
            pending = " "
    return kept.strip()


def _before(separator: str, *, first: bool) -> str:
    """The separator as it may be written: only signs that carry no text."""
    plain = re.sub(r"[^ _/.,+\-]", " ", separator)[:3]
    return plain if first or plain else " "


def _allowed(word: str, group: str) -> str:
    if word.isascii():
        known = word.lower() in _words(group) or _pattern().fullmatch(word.lower())
        return word if known else ""
    return "".join(_phrase().findall(word))


@cache
def _content() -> dict[str, Any]:
    return dict(json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8")))


@cache
def _words(group: str) -> frozenset[str]:
    lists = _content()["words"]
    special = set(_GROUPS.values()) - {group}
    return frozenset(" ".join(words for name, words in lists.items() if name not in special).lower().split())


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p.lower()})" for p in _content()["patterns"]))


@cache
def _phrase() -> re.Pattern[str]:
    return re.compile("|".join(sorted(_content()["phrases"], key=len, reverse=True)))
