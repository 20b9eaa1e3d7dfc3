"""Stored pixels of DICOM files as float32 values: verified, decoded, and rescaled slice by slice."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from braintumor.domain import CorruptFileError, Instance, UnusableImageError, Voxels
from braintumor.study.index import DECODING_ERRORS, Header
from braintumor.study.stack import SlicePlane

Floats = npt.NDArray[np.float32]


def read_planes(planes: Seq[SlicePlane], shape: tuple[int, int, int], done: Callable[[], None] = lambda: None) -> Floats:
    """Values of a stack.

    Parameters
    ----------
    planes
        In k order.
    shape
        (columns, rows, slices).
    done
        Called after each file.

    Returns
    -------
    ndarray
        float32 (i, j, k), a transposed view of slices stored one after the other.

    Raises
    ------
    CorruptFileError
        If a file changed since it was indexed, or its pixels cannot be decoded.
    UnusableImageError
        If the values are not finite, or all the same.
    """
    columns, rows, slices = shape
    values = np.empty((slices, rows, columns), np.float32)
    waiting: dict[int, list[int]] = {}
    for k, plane in enumerate(planes):
        waiting.setdefault(id(plane.header), []).append(k)
    for ks in waiting.values():
        header = planes[ks[0]].header
        stored = _stored(header, (rows, columns))
        for k in ks:
            plane = planes[k]
            # Rescale per slice, in float: Philips MR gives each slice its own slope (PS3.3 C.11.1).
            values[k] = stored[plane.frame - 1]
            if plane.slope != 1.0:
                values[k] *= np.float32(plane.slope)
            if plane.intercept:
                values[k] += np.float32(plane.intercept)
        done()
    refuse_unusable(values, f"the series of {planes[0].name}", planes[0].header.instance.path)
    return values.transpose(2, 1, 0)


def read_verified(instance: Instance) -> bytes:
    """The bytes of a file, which must still be those that were hashed on arrival.

    Raises
    ------
    CorruptFileError
        If they changed or cannot be read.
    """
    try:
        data = instance.path.read_bytes()
    except OSError as error:
        raise CorruptFileError(
            f"{instance.path.name} can no longer be read: {error.strerror}", remedy="start again", path=instance.path
        ) from error
    if hashlib.sha256(data).hexdigest() != instance.sha256:
        raise CorruptFileError(
            f"{instance.path.name} changed while it was being read (SHA-256 differs)",
            remedy="wait until the transfer is complete and start again",
            path=instance.path,
        )
    return data


def refuse_unusable(values: Voxels, what: str, path: Path) -> None:
    """Raise `UnusableImageError` if an image holds NaN or infinite values, or a single value only."""
    low, high = float(values.min()), float(values.max())  # NaN spreads through both
    if not np.isfinite(low + high):
        raise UnusableImageError(f"{what} holds values that are not finite numbers", remedy="export it again", path=path)
    if low == high:
        raise UnusableImageError(
            f"{what} is empty: every voxel is {low:g}", remedy="leave it out or export it again", path=path
        )


def _stored(header: Header, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Stored numbers of one file, (frames, rows, columns)."""
    data = read_verified(header.instance)
    try:
        frames = int(header.dataset.get("NumberOfFrames") or 1)
        found = _native(header, data, (frames, *size))
        if found is None:
            found = pixel_array(pydicom.dcmread(io.BytesIO(data)), raw=True).reshape(frames, *size)
    except DECODING_ERRORS as error:
        raise CorruptFileError(
            f"the pixels of {header.name} cannot be decoded, or contradict its header",
            remedy="transfer the file again, or export it uncompressed",
            path=header.instance.path,
        ) from error
    return found


def _native(header: Header, data: bytes, shape: tuple[int, int, int]) -> npt.NDArray[Any] | None:
    """A view of uncompressed unsigned or full-width 16-bit pixels in the file's bytes; None for everything less plain."""
    dataset = header.dataset
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    if header.pixel_length < 0 or dataset.BitsAllocated != 16 or (signed and bits != 16) or dataset.HighBit != bits - 1:
        return None
    order = "<" if UID(dataset.file_meta.TransferSyntaxUID).is_little_endian else ">"
    count = shape[0] * shape[1] * shape[2]
    if header.pixel_length < 2 * count:
        raise ValueError("fewer pixels than the header says")
    stored = np.frombuffer(data, f"{order}{'i' if signed else 'u'}2", count, header.pixel_offset).reshape(shape)
    # The bits above Bits Stored may hold an overlay in old files (retired in PS3.5 8.1.2) and are no part of the value.
    return stored if bits == 16 else stored & np.uint16((1 << bits) - 1)
