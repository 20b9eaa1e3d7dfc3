"""Single frames of an instance, as they are stored or decompressed, read without the rest of the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from braintumor.archive.folder.facts import FileFacts
from braintumor.domain import BrainTumorError, CorruptFileError, InputNotFoundError

_MEDIA_TYPES = {
    "1.2.840.10008.1.2.4.5": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.8": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.20": "image/jphc",
    str(RLELossless): "image/dicom-rle",
}
"""By the beginning of the transfer syntax UID (PS3.18 table 8.7.3-5)."""

PLAIN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Frames:
    """Some frames of one instance.

    Attributes
    ----------
    media_type, syntax
        What the bytes are; for uncompressed ones explicit VR little endian, whatever the file is.
    data
        One per frame asked for.
    """

    media_type: str
    syntax: str
    data: tuple[bytes, ...]


def media_type(syntax: str) -> str:
    """What the frames of a transfer syntax are on the web."""
    if not UID(syntax).is_encapsulated:
        return PLAIN
    return next((found for start, found in _MEDIA_TYPES.items() if syntax.startswith(start)), PLAIN)


def read_frames(facts: FileFacts, numbers: Sequence[int], *, decompress: bool = False) -> Frames:
    """Read frames by their 1-based numbers.

    Raises
    ------
    InputNotFoundError
        If the instance has no such frame, or the file is gone.
    CorruptFileError
        If the pixel data ends early or cannot be decompressed.
    """
    if not numbers or not all(1 <= number <= facts.frames for number in numbers):
        raise InputNotFoundError(
            f"an instance has {facts.frames} frames, and others were asked for", remedy="ask for frames that it has"
        )
    stored = UID(facts.syntax)
    try:
        if stored.is_encapsulated and not decompress:
            return Frames(media_type(facts.syntax), facts.syntax, tuple(_encapsulated(facts, numbers)))
        slow = stored.is_encapsulated or stored == DeflatedExplicitVRLittleEndian
        data = _decoded(facts, numbers) if slow else _native(facts, numbers)
        return Frames(PLAIN, str(ExplicitVRLittleEndian), tuple(data))
    except FileNotFoundError as error:
        raise InputNotFoundError("an instance was removed from the folder", remedy="load the study again") from error
    except BrainTumorError:
        raise
    except Exception as error:  # decoders of several libraries have no common base
        raise _damaged() from error


def read_bulk(facts: FileFacts, where: str) -> bytes:
    """A long binary value that the metadata gives by reference.

    Parameters
    ----------
    where
        Tags (eight hexadecimal digits) and, between them, numbers of sequence items, from 1: ``00081140/2/00091001``.

    Raises
    ------
    InputNotFoundError
        If there is none, or the file is gone.
    """
    missing = InputNotFoundError("an instance has no such binary value", remedy="ask for what its metadata refers to")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset: Any = pydicom.dcmread(facts.path)
            *above, last = where.split("/")
            for tag, item in zip(above[::2], above[1::2], strict=True):
                dataset = dataset[int(tag, 16)].value[int(item) - 1]
            value = dataset[int(last, 16)].value
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise missing from error
    if not isinstance(value, bytes):
        raise missing
    return value


def _native(facts: FileFacts, numbers: Sequence[int]) -> Iterator[bytes]:
    bits = int(facts.value("BitsAllocated"))
    count = int(facts.value("Rows")) * int(facts.value("Columns")) * int(facts.value("SamplesPerPixel") or 1)
    start = facts.pixels_at + (8 if UID(facts.syntax).is_implicit_VR else 12)
    with facts.path.open("rb") as file:
        for number in numbers:
            first, last = (number - 1) * count * bits, number * count * bits
            file.seek(start + first // 8)
            data = file.read((last + 7) // 8 - first // 8)
            if len(data) < (last + 7) // 8 - first // 8:
                raise _damaged()
            if bits == 1 and (first % 8 or last % 8):  # one-bit frames follow each other without a gap
                taken = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[first % 8 :][:count]
                data = np.packbits(taken, bitorder="little").tobytes()
            if bits == 16 and UID(facts.syntax) == ExplicitVRBigEndian:
                data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
            yield data


def _encapsulated(facts: FileFacts, numbers: Sequence[int]) -> Iterator[bytes]:
    with facts.path.open("rb") as file:
        for number in numbers:
            file.seek(facts.pixels_at + 12)
            yield get_frame(file, number - 1, number_of_frames=facts.frames)


def _decoded(facts: FileFacts, numbers: Sequence[int]) -> Iterator[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(facts.path)
        for number in numbers:
            yield np.ascontiguousarray(pixel_array(dataset, index=number - 1)).tobytes()


def _damaged() -> CorruptFileError:
    return CorruptFileError("the pixel data of an instance is truncated or damaged", remedy="transfer the instance again")
