"""Pictures of frames for people: windowed, scaled, as PNG or JPEG (PS3.18 8.3.5)."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image

from braintumor.archive.folder.facts import FileFacts
from braintumor.archive.folder.frames import read_frames
from braintumor.domain import CorruptFileError


@dataclass(frozen=True, slots=True)
class Look:
    """How a frame is shown.

    Attributes
    ----------
    media_type
        ``image/png`` or ``image/jpeg``.
    window
        Centre and width in modality units; from the file, else from its values, if None.
    most
        Largest width and height in pixels; never enlarged.
    """

    media_type: str = "image/jpeg"
    window: tuple[float, float] | None = None
    most: tuple[int, int] | None = None


def render(facts: FileFacts, number: int, look: Look) -> bytes:
    """One frame as a picture.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        See `read_frames`.
    """
    data = read_frames(facts, [number], decompress=True).data[0]
    try:
        values = _values(facts, data)
        picture = Image.fromarray(values if values.ndim == 3 else _windowed(values, facts, look.window))
    except (ValueError, TypeError) as error:
        raise CorruptFileError("a frame does not have the size its header says", remedy="transfer it again") from error
    if look.most is not None:
        picture.thumbnail(look.most)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if look.media_type == "image/png" else "JPEG", **_quality(look))
    return buffer.getvalue()


def _quality(look: Look) -> dict[str, Any]:
    return {"compress_level": 1} if look.media_type == "image/png" else {"quality": 90}


def _values(facts: FileFacts, data: bytes) -> npt.NDArray[Any]:
    rows, columns, samples = (int(facts.value(k) or 1) for k in ("Rows", "Columns", "SamplesPerPixel"))
    bits = int(facts.value("BitsAllocated"))
    if bits == 1:
        return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: rows * columns].reshape(rows, columns) * 255
    kind = np.dtype(f"{'i' if facts.value('PixelRepresentation') else 'u'}{bits // 8}")
    values = np.frombuffer(data, kind)[: rows * columns * samples]
    return values.reshape((rows, columns, samples) if samples > 1 else (rows, columns))


def _windowed(stored: npt.NDArray[Any], facts: FileFacts, window: tuple[float, float] | None) -> npt.NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = ["RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"]
        header = pydicom.dcmread(facts.path, stop_before_pixels=True, specific_tags=wanted)
    values = stored * (_number(header, "RescaleSlope") or 1.0) + (_number(header, "RescaleIntercept") or 0.0)
    centre, width = window or (_number(header, "WindowCenter"), _number(header, "WindowWidth"))
    if centre is None or width is None or width <= 0:
        low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
    else:
        low, high = centre - width / 2, centre + width / 2
    scaled = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    if facts.value("PhotometricInterpretation") == "MONOCHROME1":
        scaled = 1 - scaled
    return (scaled * 255).astype(np.uint8)


def _number(header: pydicom.Dataset, keyword: str) -> float | None:
    try:
        value = header.get(keyword)
        return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
    except (TypeError, ValueError, IndexError):
        return None
