"""A chart drawn once and rendered twice: as SVG for the page, as PNG for slides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from PIL import Image, ImageDraw

from braintumor.domain import Region
from braintumor.report.fonts import picture_font

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (33, 37, 43)
MUTED: Colour = (110, 118, 129)
GRID: Colour = (228, 231, 235)
REGION_COLOURS: Mapping[Region, Colour] = {Region.WT: (46, 125, 91), Region.TC: (190, 52, 62), Region.ET: (201, 138, 4)}
"""The label colours, darkened for white paper."""

_PAPER: Colour = (255, 255, 255)
_FINER = 4
"""PNG pixels per unit while drawing; half of them are averaged away, because Pillow draws without anti-aliasing."""

_ANCHORS = {"start": "l", "middle": "m", "end": "r"}


@dataclass(frozen=True, slots=True)
class _Line:
    points: tuple[Point, ...]
    colour: Colour
    width: float
    dashed: bool


@dataclass(frozen=True, slots=True)
class _Box:
    corners: tuple[float, float, float, float]
    fill: Colour | None
    edge: Colour | None
    width: float
    hint: str


@dataclass(frozen=True, slots=True)
class _Dot:
    at: Point
    radius: float
    fill: Colour
    edge: Colour
    hint: str


@dataclass(frozen=True, slots=True)
class _Text:
    at: Point
    words: str
    size: float
    anchor: str
    bold: bool
    colour: Colour
    upright: bool


@dataclass(eq=False)
class Drawing:
    """Shapes on white paper of `width` x `height` units (CSS pixels), origin at the upper left; later ones lie on top."""

    width: float
    height: float
    title: str
    shapes: list[_Line | _Box | _Dot | _Text] = field(default_factory=list)

    def line(self, points: Sequence[Point], colour: Colour = INK, width: float = 1.0, *, dashed: bool = False) -> None:
        """A line through the points."""
        self.shapes.append(_Line(tuple(points), colour, width, dashed))

    def box(
        self,
        corners: tuple[float, float, float, float],
        *,
        fill: Colour | None = None,
        edge: Colour | None = None,
        width: float = 1.0,
        hint: str = "",
    ) -> None:
        """A rectangle (left, top, right, bottom); `hint` shows where the mouse rests."""
        self.shapes.append(_Box(corners, fill, edge, width, hint))

    def dot(self, at: Point, radius: float, fill: Colour, edge: Colour = _PAPER, hint: str = "") -> None:
        """A filled circle."""
        self.shapes.append(_Dot(at, radius, fill, edge, hint))

    def text(
        self,
        at: Point,
        words: str,
        *,
        size: float = 13,
        anchor: str = "middle",
        bold: bool = False,
        colour: Colour = INK,
        upright: bool = False,
    ) -> None:
        """Words with their middle line at `at`; `anchor` start, middle or end; `upright` runs from bottom to top."""
        self.shapes.append(_Text(at, words, size, anchor, bold, colour, upright))

    def svg(self) -> str:
        """An ``<svg>`` element that scales with its container."""
        body = "".join(_svg(shape) for shape in self.shapes)
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(self.title)}" '
            f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
        )

    def image(self) -> Image.Image:
        """The same, two pixels per unit."""
        size = (round(self.width * _FINER), round(self.height * _FINER))
        image = Image.new("RGB", size, _PAPER)
        draw = ImageDraw.Draw(image)
        for shape in self.shapes:
            _paint(image, draw, shape)
        return image.reduce(_FINER // 2)


def _svg(shape: _Line | _Box | _Dot | _Text) -> str:
    match shape:
        case _Line():
            points = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
            dashes = ' stroke-dasharray="4 4"' if shape.dashed else ""
            stroke = f'fill="none" stroke="{_hex(shape.colour)}" stroke-width="{shape.width:g}"'
            return f'<polyline points="{points}" {stroke}{dashes}/>'
        case _Box():
            left, top, right, bottom = shape.corners
            place = f'x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}" height="{bottom - top:.2f}"'
            edge = f'stroke="{_hex(shape.edge)}" stroke-width="{shape.width:g}"' if shape.edge else ""
            return f'<rect {place} fill="{_hex(shape.fill)}" {edge}>{_hint(shape.hint)}</rect>'
        case _Dot():
            place = f'cx="{shape.at[0]:.2f}" cy="{shape.at[1]:.2f}" r="{shape.radius:g}"'
            return f'<circle {place} fill="{_hex(shape.fill)}" stroke="{_hex(shape.edge)}">{_hint(shape.hint)}</circle>'
        case _Text():
            x, y = shape.at
            style = f'font-size="{shape.size:g}" text-anchor="{shape.anchor}" fill="{_hex(shape.colour)}"'
            weight = ' font-weight="600"' if shape.bold else ""
            turn = f' transform="rotate(-90 {x:.2f} {y:.2f})"' if shape.upright else ""
            return f'<text x="{x:.2f}" y="{y:.2f}" dy="0.35em" {style}{weight}{turn}>{escape(shape.words)}</text>'


def _hint(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""


def _hex(colour: Colour | None) -> str:
    return "none" if colour is None else "#{:02x}{:02x}{:02x}".format(*colour)


def _paint(image: Image.Image, draw: ImageDraw.ImageDraw, shape: _Line | _Box | _Dot | _Text) -> None:
    match shape:
        case _Line():
            _paint_line(draw, shape)
        case _Box():
            corners = [value * _FINER for value in shape.corners]
            draw.rectangle(corners, fill=shape.fill, outline=shape.edge, width=_pixels(shape.width))
        case _Dot():
            (x, y), r = shape.at, shape.radius
            corners = [value * _FINER for value in (x - r, y - r, x + r, y + r)]
            draw.ellipse(corners, fill=shape.fill, outline=shape.edge, width=_pixels(1.0))
        case _Text():
            face = picture_font(round(shape.size * _FINER), shape.bold)
            if shape.upright:
                left, top, right, bottom = (round(v) for v in draw.textbbox((0, 0), shape.words, font=face, anchor="ls"))
                label = Image.new("L", (right - left, bottom - top))
                ImageDraw.Draw(label).text((-left, -top), shape.words, font=face, anchor="ls", fill=255)
                turned = label.rotate(90, expand=True)
                corner = (round(shape.at[0] * _FINER - turned.width / 2), round(shape.at[1] * _FINER - turned.height / 2))
                image.paste(shape.colour, corner, turned)
                return
            at = (shape.at[0] * _FINER, shape.at[1] * _FINER)
            draw.text(at, shape.words, font=face, anchor=f"{_ANCHORS[shape.anchor]}m", fill=shape.colour)


def _paint_line(draw: ImageDraw.ImageDraw, line: _Line) -> None:
    points = [(x * _FINER, y * _FINER) for x, y in line.points]
    if not line.dashed:
        draw.line(points, fill=line.colour, width=_pixels(line.width), joint="curve")
        return
    for (x0, y0), (x1, y1) in pairwise(points):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        dash = 4.0 * _FINER
        for n in range(0, int(length / dash) + 1, 2):
            a, b = (min(step * dash / max(length, 1e-9), 1.0) for step in (n, n + 1))
            ends = [(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for t in (a, b)]
            draw.line(ends, fill=line.colour, width=_pixels(line.width))


def _pixels(width: float) -> int:
    return max(1, round(width * _FINER))
