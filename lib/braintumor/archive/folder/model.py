"""The DICOM JSON model (PS3.18 annex F) of data sets, fast enough for a series of hundreds of slices."""

from __future__ import annotations

import json
from typing import Any

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

Element = dict[str, Any]
"""One attribute: ``{"vr": ..., "Value": [...]}``."""

INLINE_BYTES = 1024
"""Binary values longer than this are left out of metadata and offered by reference."""

_BINARY = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
_CHARACTER_SET = 0x00080005
_UTF_8 = '{"vr":"CS","Value":["ISO_IR 192"]}'

_Key = tuple[int, str | None, bytes, str]


class JsonModel:
    """Converts data sets to JSON text; equal elements, which most of a series' are, are converted once.

    Use one object per series: it remembers every value it has met.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, str] = {}
        self._parsed: dict[str, Element] = {}
        self._names: dict[int, str] = {}

    def members(self, dataset: Dataset, where: str) -> list[str]:
        """One ``"GGGGEEEE":{...}`` per attribute, in tag order, without pixels and group lengths.

        Parameters
        ----------
        where
            Address below which the bulk data of this data set is found, ending in a slash.
        """
        character_set = repr(dataset.get("SpecificCharacterSet", ""))
        return [
            f'"{self._name(tag)}":{self._text(dataset, tag, where, character_set)}'
            for tag in sorted(dataset.keys(), key=int)
            if tag & 0xFFFF
        ]

    def element(self, dataset: Dataset, tag: BaseTag) -> Element:
        """One attribute as Python values, not to be changed: equal ones are one object."""
        text = self._text(dataset, tag, "", repr(dataset.get("SpecificCharacterSet", "")))
        if text not in self._parsed:
            self._parsed[text] = json.loads(text)
        return self._parsed[text]

    def _name(self, tag: int) -> str:
        name = self._names.get(tag)
        if name is None:
            name = self._names[tag] = f"{tag:08X}"
        return name

    def _text(self, dataset: Dataset, tag: BaseTag, where: str, character_set: str) -> str:
        if tag == _CHARACTER_SET:
            return _UTF_8  # JSON is UTF-8, whatever the file is (PS3.18 F.2)
        raw = dataset.get_item(tag)
        key = _key(dataset, raw, character_set)
        known = None if key is None else self._known.get(key)
        if known is not None:
            return known
        text = self._converted(dataset, tag, where + self._name(tag))
        if key is not None and '"BulkDataURI"' not in text:
            self._known[key] = text
        return text

    def _converted(self, dataset: Dataset, tag: BaseTag, where: str) -> str:
        vr = "UN"
        try:
            element = dataset[tag]
            vr = element.VR
            if vr == "SQ":
                items = (",".join(self.members(item, f"{where}/{n}/")) for n, item in enumerate(element.value, start=1))
                return f'{{"vr":"SQ","Value":[{",".join(f"{{{item}}}" for item in items)}]}}'
            if vr in _BINARY and len(element.value or b"") > INLINE_BYTES:
                return json.dumps({"vr": vr, "BulkDataURI": where})
            return _dumps(element)
        except Exception:  # noqa: BLE001  one unreadable value of one scanner must not hide a series; it is shown as empty
            return json.dumps({"vr": vr})


def _dumps(element: DataElement) -> str:
    return json.dumps(element.to_json_dict(None, INLINE_BYTES), allow_nan=False, separators=(",", ":"))


def _key(dataset: Dataset, raw: DataElement | RawDataElement | None, character_set: str) -> _Key | None:
    """What decides the JSON of an element; None if that is not known before it is converted."""
    if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes):
        return None
    tag = int(raw.tag)
    if tag & 0x10000:  # private: what it means is said elsewhere in the data set
        owner = dataset.get_item((tag >> 16, (tag & 0xFFFF) >> 8))
        character_set += repr(getattr(owner, "value", None))
    return tag, raw.VR, raw.value, character_set
