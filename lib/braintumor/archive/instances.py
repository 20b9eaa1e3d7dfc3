"""Instances as bytes: what was received stays as it was sent, what was made is written as a file (PS3.10)."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from braintumor.archive.entries import is_uid
from braintumor.domain import CorruptFileError

_DAMAGE = (InvalidDicomError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError)
_PIXEL_DATA = 0x7FE00010


def encoded(dataset: Dataset) -> bytes:
    """A data set as a DICOM file.

    Raises
    ------
    CorruptFileError
        If it lacks what every DICOM file has.
    """
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    except _DAMAGE as error:
        raise _unusable() from error
    return buffer.getvalue()


def decoded(source: bytes | Path, *, pixels: bool = True) -> Dataset:
    """The data set of a file, checked to have usable identifiers.

    Raises
    ------
    CorruptFileError
        If it is no DICOM file, truncated, or an identifier is missing or no UID (which also keeps it from naming a path).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes odd values, which may be patient data
            file = io.BytesIO(source) if isinstance(source, bytes) else source
            dataset = pydicom.dcmread(file, stop_before_pixels=not pixels)
        identifiers = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID, dataset.SOPClassUID)
    except _DAMAGE as error:
        raise _unusable() from error
    if not all(is_uid(str(uid)) for uid in identifiers) or (pixels and is_truncated(dataset)):
        raise _unusable()
    return dataset


def is_truncated(dataset: Dataset) -> bool:
    """Whether an image ends before or within its pixel data; a data set as it was read, nothing of it converted yet."""
    pixels: Any = dataset.get_item(_PIXEL_DATA)
    if pixels is None:
        return "Rows" in dataset and "FloatPixelData" not in dataset and "DoubleFloatPixelData" not in dataset
    length = getattr(pixels, "length", None)
    return length not in (None, 0xFFFFFFFF) and len(pixels.value or b"") < length


def _unusable() -> CorruptFileError:
    return CorruptFileError(
        "what was to be stored is no complete DICOM instance with valid identifiers",
        remedy="export or send it again from the program that made it",
    )
