"""Text burnt into the pixels of an MR slice: found by its strokes, in lines, and blanked where it stands beside the head.

No reading, no model: a glyph is a small, bright, sharply bordered component of at least the thickness of a line, and text is
three or more glyphs of one height beside each other. What it finds and misses is measured by `benchmarks.deidentification`.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Box = tuple[int, int, int, int]
"""First row, first column, last row + 1, last column + 1."""

_GLYPH_PIXELS = (4, 48)
"""Smallest and largest height of a glyph."""
_FEWEST_GLYPHS = 3
_BRIGHT = 0.5
"""Strokes are at least this share of the brightest beside the head."""
_PEAK, _EVEN = 0.9, 0.3
"""At least this share of the strokes is at least this bright against the brightest."""
_DARK = 0.25
_FEWEST_PIXELS = 24
_HEAD_LEVEL = 0.12
_HEAD_SHARE, _BODY_SHARE = 0.02, 0.3
"""Smallest body that counts as head: share of the slice, and of its largest body; large letters merge into smaller ones."""
_BORDER = 2


@dataclass(frozen=True, slots=True)
class BurntText:
    """What stands in a slice.

    Attributes
    ----------
    boxes
        Lines of text beside the head.
    on_head
        Whether text stands on the head, where it cannot be blanked without touching tissue.
    """

    boxes: tuple[Box, ...]
    on_head: bool


def find_text(values: npt.NDArray[Any]) -> BurntText:
    """Look for lines of text in one slice (rows, columns) of stored values."""
    image = np.asarray(values, np.float32)
    image = image - np.percentile(image, 1)
    if image.max() <= 0:
        return BurntText((), on_head=False)
    head = _head(image)
    outside = np.where(head, 0, image)
    beside = _written(outside, float(outside.max()))
    # On tissue only a plateau tells strokes from anatomy: many pixels of exactly the largest value, which no scan has.
    plateau = image >= image.max()
    over = _lines(_glyphs(plateau)) if _FEWEST_PIXELS < plateau.sum() < 0.2 * plateau.size else ()
    on_head = any(head[box[0] : box[2], box[1] : box[3]].any() for box in over)
    beside = (*beside, *(box for box in over if not head[box[0] : box[2], box[1] : box[3]].any()))
    # A line that ends near the head may go on over it, where the rest of the name would stay.
    return BurntText(beside, on_head or any(_touches(box, head) for box in beside))


def _written(image: npt.NDArray[np.float32], top: float) -> tuple[Box, ...]:
    """Lines whose strokes are of one brightness on a dark ground, as drawn; vessels and fat are of many."""
    if top <= 0:
        return ()
    found = []
    for box in _lines(_glyphs(image >= _BRIGHT * top)):
        region = image[box[0] : box[2], box[1] : box[3]]
        strokes, peaks = region >= _BRIGHT * top, region >= _PEAK * top
        even = np.count_nonzero(peaks) >= _EVEN * np.count_nonzero(strokes)
        # the peaks stand all along the line, not in one bright spot
        columns = np.flatnonzero(peaks.any(axis=0))
        spread = columns.size > 0 and np.diff(columns, prepend=0, append=region.shape[1]).max() <= 2 * region.shape[0]
        if even and spread and np.median(region[~strokes]) <= _DARK * top:
            found.append(box)
    return tuple(found)


def blank(values: npt.NDArray[Any], boxes: Seq[Box], background: float) -> int:
    """Write the background over boxes of one slice, in place; returns the number of pixels that changed."""
    changed = 0
    for top, left, bottom, right in boxes:
        region = values[max(0, top - _BORDER) : bottom + _BORDER, max(0, left - _BORDER) : right + _BORDER]
        changed += int(np.count_nonzero(region != background))
        region[...] = background
    return changed


def _head(image: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """The large bright bodies of a slice, their holes filled, strokes of text not among them."""
    level = _HEAD_LEVEL * float(np.percentile(image, 99))
    thick = ndimage.binary_opening(ndimage.uniform_filter(image, 3) > max(level, 1e-6), iterations=4)
    labels, count = ndimage.label(thick)
    if not count:
        return np.zeros(image.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0  # the background
    body = np.isin(labels, np.flatnonzero(sizes >= max(_HEAD_SHARE * image.size, _BODY_SHARE * sizes.max())))
    filled: npt.NDArray[np.bool_] = ndimage.binary_dilation(ndimage.binary_fill_holes(body), iterations=4)
    return filled


def _touches(box: Box, head: npt.NDArray[np.bool_]) -> bool:
    """Whether the head begins within two glyphs of a line of text; a glyph may be missing where it meets the head."""
    top, left, bottom, right = box
    reach = 2 * (bottom - top)
    return bool(head[top:bottom, max(0, left - reach) : right + reach].any())


def _glyphs(strokes: npt.NDArray[np.bool_]) -> list[Box]:
    labels, _ = ndimage.label(strokes, np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = place
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not _GLYPH_PIXELS[0] <= height <= _GLYPH_PIXELS[1] or width > 12 * height:
            continue
        area = int(np.count_nonzero(labels[place] == number))
        if area >= _GLYPH_PIXELS[0]:
            found.append((rows.start, columns.start, rows.stop, columns.stop))
    return found


def _lines(glyphs: Seq[Box]) -> tuple[Box, ...]:
    """Boxes around three or more glyphs of like height that stand on one line with small gaps."""
    waiting = sorted(glyphs, key=lambda box: box[1])
    lines = []
    while waiting:
        line = [waiting.pop(0)]
        for box in list(waiting):
            if _follows(line[-1], box):
                line.append(box)
                waiting.remove(box)
        width = line[-1][3] - line[0][1]
        height = max(box[2] for box in line) - min(box[0] for box in line)
        if (len(line) >= _FEWEST_GLYPHS or (len(line) >= 2 and width > 4 * height)) and width > 1.5 * height:
            lines.append((min(b[0] for b in line), line[0][1], max(b[2] for b in line), max(b[3] for b in line)))
    return tuple(lines)


def _follows(one: Box, other: Box) -> bool:
    height = max(one[2] - one[0], other[2] - other[0])
    low = min(one[2] - one[0], other[2] - other[0])
    overlap = min(one[2], other[2]) - max(one[0], other[0])
    return overlap >= 0.5 * low and low >= 0.4 * height and 0 <= other[1] - one[3] + 1 <= 1.5 * height + 1
