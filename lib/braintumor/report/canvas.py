"""Drawing on slices: contours, fills, letters, scale bars, and panels set side by side (Pillow only)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from skimage.measure import find_contours

from braintumor.domain import ENHANCING, LABELS, NECROTIC_CORE, OEDEMA, Label
from braintumor.report.fonts import picture_font
from braintumor.report.views import View

Colour = tuple[int, int, int]
Point = tuple[float, float]

PAPER: Colour = (12, 14, 17)
WHITE: Colour = (245, 246, 248)
MUTED: Colour = (165, 172, 182)
TEXT_PX = 21
"""Height of text in pictures that are printed about 10 pixels to the millimetre: 6 points."""

_SMOOTH = 3  # lines are drawn this much larger and shrunk: Pillow itself draws without anti-aliasing


class Panel:
    """One slice being drawn on.

    Attributes
    ----------
    image
        RGB.
    unit
        Height of text in pixels; other distances follow it.
    """

    def __init__(self, view: View, pixels: npt.NDArray[np.uint8], unit: int = TEXT_PX) -> None:
        """`pixels` is the slice, (row, column) grey or (row, column, 3), any resolution."""
        self.view = view
        self.image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB").resize(view.size, Image.Resampling.BICUBIC)
        self.unit = unit

    def fill(self, mask: npt.NDArray[np.uint8], opacity: float) -> None:
        """Translucent label colours; `mask` is the slice of labels, (row, column)."""
        for label in LABELS:
            if (mask == label.value).any():
                shape = Image.fromarray(np.where(mask == label.value, 255, 0).astype(np.uint8))
                shape = shape.resize(self.view.size, Image.Resampling.BILINEAR).point([0] * 128 + [round(255 * opacity)] * 128)
                self.image.paste(label.rgb, (0, 0), shape)

    def contours(self, mask: npt.NDArray[np.uint8], width: float, colour: Colour | None = None) -> None:
        """Outlines of the labels, in their colours or in one; where two touch, the inner one's colour is on top."""
        inwards = (OEDEMA, ENHANCING, NECROTIC_CORE)
        strokes = [(path, colour or label.rgb) for label in inwards for path in self._outlines(mask, label)]
        self._strokes(strokes, width)

    def edges(self, edges: npt.NDArray[np.bool_], colour: Colour) -> None:
        """One-voxel-wide lines of another image, (row, column)."""
        shape = Image.fromarray(np.where(edges, 255, 0).astype(np.uint8)).resize(self.view.size, Image.Resampling.BICUBIC)
        self.image.paste(colour, (0, 0), shape)

    def measure(self, ends: npt.NDArray[np.float64], text: str) -> None:
        """A line between two volume indices (2, 3), with end ticks and its length beside its end."""
        a, b = self.view.pixels(ends)
        along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
        tick = np.array([-along[1], along[0]]) * self.unit * 0.35
        lines = [(a, b), (a - tick, a + tick), (b - tick, b + tick)]
        self._strokes([(np.array(line), (0, 0, 0)) for line in lines], 4.0)
        self._strokes([(np.array(line), WHITE) for line in lines], 1.8)
        below = a if a[1] > b[1] else b
        self.text((float(below[0]), float(below[1]) + self.unit * 0.9), text, bold=True, anchor="mm")

    def cross(self, point: npt.ArrayLike, colour: Colour = MUTED) -> None:
        """Hairlines through a volume index, open around it, to tie orthogonal views together."""
        (x, y), (width, height) = self.view.pixels(point)[0], self.view.size
        gap = self.unit * 1.2
        lines = [((0, y), (x - gap, y)), ((x + gap, y), (width, y)), ((x, 0), (x, y - gap)), ((x, y + gap), (x, height))]
        self._strokes([(np.array(line, float), colour) for line in lines], 1.0)

    def letters(self) -> None:
        """Patient directions at the four edges."""
        (width, height), pad = self.view.size, self.unit * 0.45
        left, right, top, bottom = self.view.plane.letters
        self.text((pad, height / 2), left, anchor="lm", colour=MUTED)
        self.text((width - pad, height / 2), right, anchor="rm", colour=MUTED)
        self.text((width / 2, pad), top, anchor="ma", colour=MUTED)
        self.text((width / 2, height - pad), bottom, anchor="md", colour=MUTED)

    def title(self, text: str, note: str = "") -> None:
        """Name at the upper left, a note at the upper right."""
        pad = self.unit * 0.45
        self.text((pad, pad), text, bold=True, anchor="la", size=1.15)
        self.text((self.view.size[0] - pad, pad), note, anchor="ra", colour=MUTED, size=0.85)

    def scale_bar(self, mm: float = 20.0) -> None:
        """A bar of this length at the lower right, labelled."""
        (width, height), pad = self.view.size, self.unit * 0.6
        start, y = width - pad - mm * self.view.zoom, height - pad
        ImageDraw.Draw(self.image).rectangle((start, y - 2, width - pad, y), fill=WHITE)
        self.text(((start + width - pad) / 2, y - 5), f"{mm:.0f} mm", anchor="md", size=0.8)

    def text(self, at: Point, text: str, *, anchor: str, bold: bool = False, colour: Colour = WHITE, size: float = 1.0) -> None:
        """Text with a dark outline, legible on any grey; kept inside the panel."""
        face = picture_font(max(9, round(self.unit * size)), bold)
        draw = ImageDraw.Draw(self.image)
        box = draw.textbbox(at, text, font=face, anchor=anchor)
        x = at[0] - min(0, box[0] - 2) - max(0, box[2] + 2 - self.view.size[0])
        y = at[1] - min(0, box[1] - 2) - max(0, box[3] + 2 - self.view.size[1])
        draw.text((x, y), text, font=face, anchor=anchor, fill=colour, stroke_width=max(1, self.unit // 9), stroke_fill=PAPER)

    def _outlines(self, mask: npt.NDArray[np.uint8], label: Label) -> list[npt.NDArray[np.float64]]:
        member = np.pad(mask == label.value, 1).astype(np.float32)
        scale = np.array(self.view.size, float) / mask.shape[::-1]
        return [(path[:, ::-1] - 0.5) * scale for path in find_contours(member, 0.5)]

    def _strokes(self, strokes: Iterable[tuple[npt.NDArray[np.float64], Colour]], width: float) -> None:
        """Anti-aliased lines, later ones on top; only the part of the panel they touch is enlarged."""
        for colour, group in groupby(strokes, key=lambda stroke: stroke[1]):
            paths = [path for path, _ in group]
            points = np.concatenate(paths)
            low = np.maximum(np.floor(points.min(axis=0) - width), 0).astype(int)
            high = np.minimum(np.ceil(points.max(axis=0) + width), self.view.size).astype(int)
            if (high <= low).any():
                continue  # all of it lies outside the frame
            layer = Image.new("L", tuple((high - low) * _SMOOTH))
            draw = ImageDraw.Draw(layer)
            for path in paths:
                corners = [(float(x), float(y)) for x, y in (path - low) * _SMOOTH]
                draw.line(corners, fill=255, width=round(width * _SMOOTH), joint="curve")
            self.image.paste(colour, (int(low[0]), int(low[1])), layer.reduce(_SMOOTH))


def placeholder(size: tuple[int, int], title: str, note: str) -> Image.Image:
    """An empty panel that says why it is empty."""
    image = Image.new("RGB", size, (28, 31, 36))
    draw, unit = ImageDraw.Draw(image), TEXT_PX
    draw.text((unit * 0.45, unit * 0.45), title, font=picture_font(round(unit * 1.15), bold=True), fill=MUTED)
    draw.text((size[0] / 2, size[1] / 2), note, font=picture_font(unit), fill=MUTED, anchor="mm")
    return image


def tiled(images: list[Image.Image], columns: int, gap: int = 6) -> Image.Image:
    """Images row by row, equal in size, on dark paper."""
    rows = [images[n : n + columns] for n in range(0, len(images), columns)]
    return stacked([beside(row, gap) for row in rows], gap)


def beside(images: list[Image.Image], gap: int = 6) -> Image.Image:
    """Images of (nearly) equal height in a row."""
    height = max(i.height for i in images)
    page = Image.new("RGB", (sum(i.width for i in images) + gap * (len(images) - 1), height), PAPER)
    x = 0
    for image in images:
        page.paste(0, (x, 0, x + image.width, height))
        page.paste(image, (x, (height - image.height) // 2))  # whole voxels: thick slices may fall short by a part of one
        x += image.width + gap
    return page


def stacked(images: list[Image.Image], gap: int = 6) -> Image.Image:
    """Images below each other, from the left edge, on dark paper."""
    width = max(i.width for i in images)
    page = Image.new("RGB", (width, sum(i.height for i in images) + gap * (len(images) - 1)), PAPER)
    y = 0
    for image in images:
        page.paste(image, (0, y))
        y += image.height + gap
    return page


def with_legend(image: Image.Image, entries: list[tuple[Colour, str]], note: str = "") -> Image.Image:
    """The image with a strip below: colour chips with names on the left, a note on the right."""
    unit = TEXT_PX
    page = Image.new("RGB", (image.width, image.height + round(unit * 2.4)), PAPER)
    page.paste(image, (0, 0))
    draw, x, y = ImageDraw.Draw(page), unit * 0.6, image.height + unit * 1.2
    for colour, name in entries:
        draw.rounded_rectangle((x, y - unit * 0.45, x + unit * 0.9, y + unit * 0.45), radius=2, fill=colour)
        draw.text((x + unit * 1.3, y), name, font=picture_font(unit), fill=WHITE, anchor="lm")
        x += unit * 2.6 + draw.textlength(name, font=picture_font(unit))
    draw.text((page.width - unit * 0.6, y), note, font=picture_font(unit), fill=MUTED, anchor="rm")
    return page
