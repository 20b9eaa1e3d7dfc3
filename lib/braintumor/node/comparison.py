"""Whether two DICOM files hold the same instance, whichever way each of them is encoded."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.pixels.utils import pixel_array

_OF_THE_ENCODING = ("PixelData", "DerivationDescription", "DerivationCodeSequence", "DataSetTrailingPadding")
"""Pixels are compared decoded; the derivation is where lossless compression leaves a note (PS3.3 C.7.6.1.1.3)."""


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two files (PS3.10) have equal pixels and equal attributes.

    Group 2 (who sent it, by which software), transfer syntax, group lengths and padding do not count. A file that cannot be
    decoded is the same as an identical one only.
    """
    if one == other:
        return True
    try:
        return _content(one) == _content(other)
    except Exception:  # noqa: BLE001  whatever pydicom and its decoders raise for damaged files
        return False


def _content(file: bytes) -> tuple[bytes, Any, bytes]:
    """Attributes in one encoding, and shape and bytes of the decoded pixels."""
    found = pydicom.dcmread(BytesIO(file))
    pixels = pixel_array(found, raw=True)
    for keyword in _OF_THE_ENCODING:
        if keyword in found:
            del found[keyword]
    return _encoded(found), pixels.shape, pixels.astype("<i4").tobytes()


def _encoded(found: Dataset) -> bytes:
    """Implicit VR little endian, lengths defined: there a private attribute has the same bytes as UN and as its own VR."""
    _give_lengths(found)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, found)
    return buffer.getvalue()


def _give_lengths(found: Dataset) -> None:
    for element in found:
        if element.VR == "SQ":
            element.is_undefined_length = False
            for item in element.value:
                item.is_undefined_length_sequence_item = False
                _give_lengths(item)
