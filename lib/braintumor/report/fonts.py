"""The report's typefaces, from installed packages and this folder: no system font, no download.

Fira Sans (OFL) for everything in Latin, Greek and Cyrillic letters; Noto Sans Devanagari (OFL) for Hindi; Noto Sans CJK (OFL)
for Chinese, Japanese and Korean names.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from fontTools.ttLib import TTFont
from PIL import ImageFont

TYPEFACES = Path(__file__).with_name("typefaces")
"""Faces that no package has in the form needed, see `braintumor.report._make_typefaces`."""


def text_font(bold: bool = False) -> Path:
    """File of the text face."""
    return Path(str(files("fontpkg_fira_sans") / "files" / ("FiraSans-SemiBold.ttf" if bold else "FiraSans-Regular.ttf")))


def devanagari_font(bold: bool = False) -> Path:
    """File of the face for Hindi."""
    return TYPEFACES / f"NotoSansDevanagari-{'SemiBold' if bold else 'Regular'}.ttf"


def east_asian_font() -> Path:
    """File of the face for Chinese, Japanese and Korean; 16 MB, so opened only where a name needs it."""
    return Path(str(files("noto_cjk_sans_jp_regular") / "NotoSansCJKjp-Regular.otf"))


@cache
def letters(face: Path) -> frozenset[str]:
    """Letters that a face can draw."""
    with TTFont(face, lazy=True) as opened:
        return frozenset(map(chr, opened.getBestCmap()))


@cache
def picture_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The text face for pictures, `size` in pixels."""
    return ImageFont.truetype(str(text_font(bold)), size)
