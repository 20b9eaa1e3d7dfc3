"""What happens to an attribute: PS3.15 Table E.1-1 with the options chosen, and rules for attributes that it does not list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag
from pydicom.tag import BaseTag

_TABLE = Path(__file__).with_name("profile.json")


class TagAction(StrEnum):
    """What is done to a value, in the letters of PS3.15 Table E.1-1a where there is one."""

    REMOVE = "removed"  # X
    EMPTY = "emptied"  # Z
    DUMMY = "replaced"  # D
    CLEAN = "cleaned"  # C: words by the vocabulary, dates shifted, sequences item by item
    REMAP = "remapped"  # U
    KEEP = "kept"  # K


@dataclass(frozen=True, slots=True)
class DeidentifyOptions:
    """Choices of an export.

    Attributes
    ----------
    characteristics
        Retain Patient Characteristics: sex, age (90 years at most), size, weight, and what else the table says.
    device
        Retain Device Identity: serial number, station name and the like.
    deface
        Remove the face from heads that are not skull-stripped.
    margin_mm
        How far around the brain nothing is removed.
    """

    characteristics: bool = True
    device: bool = False
    deface: bool = True
    margin_mm: float = 12.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that count, the first that has an entry decides."""
        chosen = (("characteristics", self.characteristics), ("device", self.device))
        return ("dates", *(name for name, wanted in chosen if wanted), "content", "graphics", "descriptors")


CODES = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "face": ("113102", "Clean Recognizable Visual Features Option"),
    "graphics": ("113103", "Clean Graphics Option"),
    "content": ("113104", "Clean Structured Content Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "characteristics": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
}
"""Code value and meaning (DCM) of profile and options (PS3.16 CID 7050)."""

_BY_LETTER = {"X": TagAction.REMOVE, "Z": TagAction.EMPTY, "D": TagAction.DUMMY, "U": TagAction.REMAP, "U*": TagAction.REMAP}
_BY_LETTER |= {"C": TagAction.CLEAN, "K": TagAction.KEEP}
_TEXT = frozenset({"LO", "SH", "ST", "LT", "UC", "UT"})
_CLEANED = _TEXT | {"DA", "DT", "TM", "SQ", "AS"}
_BINARY = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_LEFT_OUT = frozenset({"PN", "AE", "UR"})  # a person, a machine, an address
_NEEDED_BINARY = frozenset(
    {0x7FE00010, 0x00281201, 0x00281202, 0x00281203, 0x00283006, 0x00660016, 0x00640009}
)  # pixels, palettes, look-up tables, vertices, deformation grid


@cache
def source() -> str:
    """Which edition of the table this is."""
    return str(_content()["source"])


def when_empty(tag: BaseTag) -> TagAction:
    """What becomes of text of which nothing may stay: the Basic Profile's action; a dummy where the table has no row."""
    row = _row(tag)
    return TagAction.DUMMY if row is None else _BY_LETTER[row["basic"].rsplit("/", 1)[-1]]


def action_of(tag: BaseTag, vr: str, options: DeidentifyOptions) -> TagAction:
    """What to do with an attribute.

    Where the table leaves the choice to the type of the attribute in its IOD (``X/Z``, ``X/D``, ``X/Z/D``), the last letter is
    taken: an empty value or a dummy says as little as a missing one and is valid whatever the type.

    Notes
    -----
    Rules for what the table does not list, stricter than the standard, which keeps it: private and unknown attributes, names of
    persons, application entities, addresses and opaque bytes are removed; text is cleaned, dates are shifted, UIDs are mapped.
    """
    row = _row(tag)
    if row is not None:
        return _listed(row, vr, options)
    if tag.is_private or not dictionary_has_tag(tag) or vr in _LEFT_OUT:
        return TagAction.REMOVE
    if vr in _BINARY:
        return TagAction.KEEP if int(tag) in _NEEDED_BINARY else TagAction.REMOVE
    if vr == "UI":
        return TagAction.REMAP
    return TagAction.CLEAN if vr in _CLEANED else TagAction.KEEP


def _listed(row: dict[str, str], vr: str, options: DeidentifyOptions) -> TagAction:
    basic = _BY_LETTER[row["basic"].rsplit("/", 1)[-1]]
    column = next((name for name in options.columns if name in row), None)
    action = basic if column is None else _BY_LETTER[row[column]]
    if action is TagAction.CLEAN and vr not in _CLEANED:
        action = basic  # there is no way to clean it: overlay data, application entities
    if action is TagAction.KEEP and vr in _CLEANED and (column != "device" or vr == "SQ"):
        return TagAction.CLEAN  # kept by an option, but a name typed into it is not
    if vr == "SQ" and action in (TagAction.DUMMY, TagAction.REMAP):
        return TagAction.CLEAN  # the references inside are mapped, names inside are replaced
    return action


@cache
def _content() -> dict[str, Any]:
    return dict(json.loads(_TABLE.read_text()))


def _row(tag: BaseTag) -> dict[str, str] | None:
    table = _content()["attributes"]
    digits = f"{int(tag):08x}"
    if digits in table:
        return dict(table[digits])
    if tag.group & 0xFF00 in (0x5000, 0x6000) and not tag.is_private:
        return {"basic": "X"}  # curves and overlays as a whole: without their data the rest has no meaning
    return None
