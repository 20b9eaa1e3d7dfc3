"""Stored pixel values of an instance as an array, and back, uncompressed: a compressed stream has room for comments."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from braintumor.domain import CorruptFileError
from braintumor.study.index import DECODING_ERRORS

Stored = npt.NDArray[Any]


def stored_values(dataset: Dataset) -> Stored:
    """Stored values (frames, rows, columns) of a monochrome image; writable.

    Bits outside Bits Stored, in which old files keep overlays (retired in PS3.5 8.1.2), are no part of the value and are gone.

    Raises
    ------
    CorruptFileError
        If the pixels cannot be decoded.
    """
    try:
        found = np.array(pixel_array(dataset, raw=True))
        bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
        found = found.reshape(int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
        if bits == 8 * found.dtype.itemsize:
            return found
        low = found.astype(np.int64) & ((1 << bits) - 1)
        sign = 1 << (bits - 1)
        return ((low ^ sign) - sign if signed else low).astype(found.dtype)
    except DECODING_ERRORS as error:
        raise CorruptFileError("The pixels of an image cannot be decoded", remedy="Transfer the file again") from error


def native_bytes(values: Stored) -> bytes:
    """The value of Pixel Data for Explicit VR Little Endian, padded to even length."""
    data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return data + b"\0" * (len(data) % 2)
