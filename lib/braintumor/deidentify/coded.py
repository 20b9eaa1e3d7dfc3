"""Coded values (PS3.3 8.8) that leave: known codes under the standard's own words, others without theirs."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts

from braintumor.deidentify.words import clean_words

FIELDS = frozenset({"CodeValue", "LongCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning"})
_SHAPES = {
    "DCM": r"\d{6}",
    "SCT": r"\d{6,18}",
    "SRT": r"[A-Z]-[0-9A-F]{4,6}",
    "UCUM": r"[A-Za-z0-9%\[\]{}./*^'\-]{1,16}",
    "LN": r"\d{1,7}-\d",
    "FMA": r"\d{1,6}",
    "RADLEX": r"RID\d{1,6}",
    "NCIt": r"C\d{1,7}",
    "99BRAINTUMOR": r"[A-Za-z0-9\-]{1,16}",
}
"""Public coding schemes and what their codes look like; no other scheme is passed on, for hospitals code what they like."""
_REMOVED = {"CodeValue": "REMOVED", "CodingSchemeDesignator": "99REMOVED", "CodeMeaning": "Removed"}


def is_code(item: Dataset) -> bool:
    """Whether a sequence item is a coded value."""
    return "CodingSchemeDesignator" in item and ("CodeValue" in item or "LongCodeValue" in item)


def cleaned_code(item: Dataset, forbidden: frozenset[str]) -> dict[str, Any]:
    """Values of `FIELDS` for the item that replaces it."""
    field = "CodeValue" if "CodeValue" in item else "LongCodeValue"
    scheme, code = str(item.CodingSchemeDesignator), str(item[field].value)
    if scheme not in _SHAPES or not re.fullmatch(_SHAPES[scheme], code):
        return dict(_REMOVED)
    written = str(item.get("CodeMeaning", "") or "")
    meaning = clean_words(written, "", forbidden)
    if meaning != written:  # some word does not belong there: the words of the scheme itself instead
        meaning = re.sub(r" \([^()]*\)$", "", _meanings(scheme).get(code, "")) or meaning
    result = {field: code, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning[:64] or code[:64]}
    version = str(item.get("CodingSchemeVersion", "") or "")
    if re.fullmatch(r"[0-9A-Za-z.\-]{1,16}", version):
        result["CodingSchemeVersion"] = version
    return result


@cache
def _meanings(scheme: str) -> dict[str, str]:
    found: dict[str, str] = {}
    keywords: dict[str, Any] = concepts.get(scheme, {})
    for codes in keywords.values():
        for code, entry in codes.items():
            found[code] = str(entry[0])
    return found
