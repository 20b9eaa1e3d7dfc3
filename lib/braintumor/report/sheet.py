"""An A4 page in the report's style: fonts, headings, boxes, tables, pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from fpdf.enums import MethodReturnValue, TableBordersLayout, TableCellFillMode, XPos, YPos
from fpdf.fonts import FontFace, TTFFont
from PIL import Image

from braintumor.report.figures import Picture
from braintumor.report.fonts import devanagari_font, east_asian_font, text_font
from braintumor.report.tagging import Tagged, TaggedTable

Colour = tuple[int, int, int]

MARGIN_MM = 14.0
WIDTH_MM = 210.0 - 2 * MARGIN_MM
INK: Colour = (28, 32, 38)
MUTED: Colour = (104, 112, 124)
RULE: Colour = (208, 213, 220)
TINT: Colour = (244, 246, 249)
AMBER: tuple[Colour, Colour] = (255, 243, 214), (176, 112, 0)
RED: tuple[Colour, Colour] = (253, 232, 230), (178, 32, 32)
GREEN: tuple[Colour, Colour] = (228, 244, 234), (30, 110, 70)
UNKNOWN = "?"
PIXELS_PER_MM = 10.0
"""At least: small pictures are not blown up."""

LEADING = 0.47
"""Line height in mm per point of type size: 1.33 times the size."""

FEATURES = {"tnum": True, "kern": True}
"""Of the typefaces: figures of equal width line up in tables."""

_JPEG_QUALITY = 90


class Sheet(Tagged):
    """A4 portrait, millimetres, running foot with the disclaimer and page x of y."""

    def __init__(self, foot: str, texts: Iterable[str]) -> None:
        """`texts` is everything that may hold letters beyond the text face; further fonts are loaded only where needed."""
        super().__init__()
        self.foot = foot
        self.add_font("text", "", text_font())
        self.add_font("text", "B", text_font(bold=True))
        self._known = self._letters("text")
        wanted = {ord(c) for text in texts for c in text} - self._known
        further = []
        if any(0x0900 <= letter <= 0x097F for letter in wanted):
            self.add_font("devanagari", "", devanagari_font())
            self.add_font("devanagari", "B", devanagari_font(bold=True))
            further.append("devanagari")
        if wanted - self._known - (self._letters("devanagari") if further else set()):
            self.add_font("east-asian", "", east_asian_font())  # 16 MB
            further.append("east-asian")
        for face in (one for one in self.fonts.values() if isinstance(one, TTFFont)):
            for joiner in (0x200C, 0x200D):  # else a cluster of Hindi is cut where the text face has the joiner
                face.cmap.pop(joiner, None)
        for family in further:
            self._known |= self._letters(family)
        self.set_fallback_fonts(["text", *further], exact_match=False)
        self.set_text_shaping(True, FEATURES)
        self.c_margin = 0  # text starts where boxes, rules and pictures start
        self.set_margins(MARGIN_MM, 12, MARGIN_MM)
        self.set_auto_page_break(True, margin=17)
        self.set_lang("en-GB")

    def footer(self) -> None:
        """Running foot, called by fpdf2 on every page."""
        self.set_y(-12)
        self.style(7.5, MUTED)
        self.cell(WIDTH_MM - 16, 4, self.foot)
        self.cell(16, 4, f"Page {self.page_no()} of {{nb}}")

    def drawable(self, text: str) -> str:
        """The text with every letter that no embedded font holds replaced by a question mark."""
        return "".join(c if ord(c) in self._known else UNKNOWN for c in text)

    def style(self, size: float, colour: Colour = INK, *, bold: bool = False, of: str = "") -> None:
        """Set face, size in points and colour; `of` is the text that follows, its script chooses the face."""
        hindi = "devanagari" in self.fonts and any("\u0900" <= letter <= "\u097f" for letter in of)
        self.set_font("devanagari" if hindi else "text", "B" if bold else "", size)
        # HarfBuzz guesses the script from the first letter, which may be a Latin one
        self.set_text_shaping(True, FEATURES, script="Deva" if hindi else None, language="hi" if hindi else None)
        self.set_text_color(*colour)

    def line_of(
        self, text: str, size: float, colour: Colour = INK, *, bold: bool = False, gap: float = 1.0, kind: str = "P"
    ) -> None:
        """One paragraph over the whole width, then `gap` mm; `kind` is its tag."""
        self.style(size, colour, bold=bold, of=text)
        if self.will_page_break(self._height(WIDTH_MM, text, size * LEADING)):
            self.add_page()  # a tagged paragraph stays on one page
        with self.tag(kind):
            self.multi_cell(WIDTH_MM, size * LEADING, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(gap)

    def side_by_side(
        self, texts: Sequence[str], size: float, colour: Colour = INK, *, bold: bool = False, gap: float = 1.0, kind: str = "P"
    ) -> None:
        """One paragraph per column, their first lines level; a new page if they do not fit on this one."""
        gutter = 6.0
        width = (WIDTH_MM - gutter * (len(texts) - 1)) / len(texts)
        height = 0.0
        for text in texts:
            self.style(size, colour, bold=bold, of=text)
            height = max(height, self._height(width, text, size * LEADING))
        if self.will_page_break(height):
            self.add_page()
        top = self.get_y()
        for column, text in enumerate(texts):
            self.set_xy(MARGIN_MM + column * (width + gutter), top)
            self.style(size, colour, bold=bold, of=text)
            with self.tag(kind):
                self.multi_cell(width, size * LEADING, text, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
        self.set_xy(MARGIN_MM, top + height)
        self.ln(gap)

    def heading(self, text: str, room: float = 25.0) -> None:
        """A section heading; starts a new page if less than `room` mm would follow."""
        if self.will_page_break(room):
            self.add_page()
        self.ln(2)
        self.line_of(text, 11, bold=True, gap=0.8, kind="H2")

    def box(self, titles: Sequence[str], rows: Sequence[Sequence[str]], colours: tuple[Colour, Colour]) -> None:
        """A tinted box with a coloured edge, one column per title; never split over pages unless longer than one."""
        fill, edge = colours
        gutter = 4.0
        width = (WIDTH_MM - 8 - gutter * (len(titles) - 1)) / len(titles)
        heights = []
        for row in rows:
            tallest = 0.0
            for text in row:
                self.style(8.5, of=text)
                tallest = max(tallest, self._height(width, text))
            heights.append(tallest)
        height = sum(heights) + (7 if rows else 8)
        if self.will_page_break(height + 2):
            self.add_page()
        top = self.get_y()
        self.set_fill_color(*fill)
        self.rect(MARGIN_MM, top, WIDTH_MM, height, style="F")
        self.set_fill_color(*edge)
        self.rect(MARGIN_MM, top, 1.4, height, style="F")
        y = top + 1.6
        for number, (row, tall) in enumerate(zip((titles, *rows), (4.4, *heights), strict=True)):
            for column, text in enumerate(row):
                self.set_xy(MARGIN_MM + 4 + column * (width + gutter), y)
                self.style(8.5 if number else 9.5, INK if number else edge, bold=not number, of=text)
                with self.tag("P"):
                    self.multi_cell(width, 4.2 if number else 4.4, text, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
            y += tall
        self.set_xy(MARGIN_MM, top + height)
        self.ln(2.5)

    def rows(
        self, head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], numbers: Sequence[int] = ()
    ) -> None:
        """A table with horizontal rules, `head` may be empty; the columns in `numbers` are set flush right."""
        self.style(8.5)
        self.set_draw_color(*RULE)
        self.set_fill_color(255, 255, 255)
        self.set_line_width(0.2)
        align = tuple("RIGHT" if n in numbers else "LEFT" for n in range(len(widths)))
        made = TaggedTable(
            self,
            col_widths=tuple(widths),
            text_align=align,  # type: ignore[arg-type]  # a sequence of one per column is taken too
            line_height=4.4,
            padding=(0.7, 2.4, 0.7, 0),
            width=WIDTH_MM,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            cell_fill_mode=TableCellFillMode.NONE,
            first_row_as_headings=bool(head),
            headings_style=FontFace(emphasis="BOLD", color=MUTED, size_pt=8),
        )
        for row in (head, *rows) if head else rows:
            made.row(row)
        with self.inside("Table"):
            made.render()
        self.ln(2)

    def _letters(self, family: str) -> set[int]:
        face = self.fonts[family]
        assert isinstance(face, TTFFont)  # noqa: S101  # add_font makes no other; for the type checker
        return set(face.cmap)

    def _height(self, width: float, text: str, line: float = 4.2) -> float:
        """Height in mm of a paragraph in the style that is set."""
        height = self.multi_cell(width, line, text, dry_run=True, output=MethodReturnValue.HEIGHT)
        return float(height)  # type: ignore[arg-type]  # fpdf2 types the union over all values of `output`

    def picture(self, picture: Picture, x: float, y: float, width: float) -> float:
        """Place a picture; returns its height in mm."""
        height = _height_of(picture, width)
        packed = io.BytesIO()
        Image.fromarray(picture.rgb).save(packed, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        self.image(packed, x, y, width, height, alt_text=picture.caption)
        return height

    def figure(self, picture: Picture, width: float = WIDTH_MM) -> None:
        """A picture with its caption, kept together on one page."""
        height = _height_of(picture, width)
        if self.will_page_break(height + 9):
            self.add_page()
        elif self.get_y() > self.t_margin:
            self.ln(2)
        self.picture(picture, MARGIN_MM, self.get_y(), width)
        self.set_y(self.get_y() + height + 1)
        self.line_of(picture.caption, 8, MUTED, gap=2.5)


def _height_of(picture: Picture, width: float) -> float:
    rows, columns = picture.rgb.shape[:2]
    return width * float(rows) / float(columns)
