"""Makes the report's two Hindi typefaces from the variable Noto Sans Devanagari; run once, its output is in the repository.

    pip install fontpkg-noto-sans-devanagari && python -m braintumor.report._make_typefaces

Cutting a weight out of the variable font takes a second, which every report would wait for. Two changes let text be copied out
of the PDF as it was written: poppler takes the pen after a syllable's last glyph for the syllable's end, and typst cuts a
syllable in two where a sign is moved up or down. No letter looks different by more than 0.06 em. The font is under the SIL Open
Font License 1.1 without reserved names; the licence stands beside the fonts.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from statistics import mode
from typing import Any

from fontTools.otlLib.builder import buildLookup, buildMultipleSubstSubtable
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph
from fontTools.varLib import instancer

from braintumor.report.fonts import TYPEFACES

SOURCE = "NotoSansDevanagari[wdth,wght].ttf"
WEIGHTS = {"Regular": 400, "SemiBold": 600}
LEVEL = 60
"""Signs moved vertically by at most this, in thousandths of the type size, are not moved: 0.2 mm at 9 points."""

_END = "syllable.end"
_DOT, _BELOW_DOT = "uni093C.alt", ("uni0941.alt", "uni0942.alt")
_MARK = 3  # glyph class of GDEF


def main() -> None:
    """Write both weights."""
    for name, weight in WEIGHTS.items():
        font = TTFont(Path(str(files("fontpkg_noto_sans_devanagari") / "files" / SOURCE)), recalcTimestamp=False)
        made = instancer.instantiateVariableFont(font, {"wght": weight, "wdth": 100}, updateFontNames=True)
        _end_syllables(made)
        _lower_vowels(made)
        _level_signs(made)
        made.save(TYPEFACES / f"NotoSansDevanagari-{name}.ttf")


def _end_syllables(font: TTFont) -> None:
    """An empty glyph behind every sign, where the letter below ends: the sign itself ends farther left."""
    signs = {glyph for table in _attachments(font) for glyph in _coverage(table)}
    font.setGlyphOrder([*font.getGlyphOrder(), _END])
    font["glyf"][_END] = Glyph()
    font["hmtx"][_END] = (0, 0)
    font["GDEF"].table.GlyphClassDef.classDefs[_END] = _MARK
    table = font["GSUB"].table
    table.LookupList.Lookup.append(buildLookup([buildMultipleSubstSubtable({sign: [sign, _END] for sign in signs})]))
    for record in table.FeatureList.FeatureRecord:
        if record.FeatureTag == "psts":  # the last of the substitutions
            record.Feature.LookupListIndex.append(len(table.LookupList.Lookup) - 1)


def _lower_vowels(font: TTFont) -> None:
    """The vowel signs that only stand below a dot are drawn at their depth, where else they would be moved to it."""
    for table in _attachments(font):
        for sign, mark in zip(_coverage(table), _marks(table), strict=True):
            if sign in _BELOW_DOT and hasattr(table, "Mark2Array") and _DOT in table.Mark2Coverage.glyphs:
                dot = table.Mark2Array.Mark2Record[table.Mark2Coverage.glyphs.index(_DOT)]
                _lower(font, sign, dot.Mark2Anchor[mark.Class].YCoordinate - mark.MarkAnchor.YCoordinate)


def _lower(font: TTFont, sign: str, drop: int) -> None:
    glyph = font["glyf"][sign]
    glyph.coordinates.translate((0, drop))
    glyph.recalcBounds(font["glyf"])
    for table in _attachments(font):
        for name, mark in zip(_coverage(table), _marks(table), strict=True):
            mark.MarkAnchor.YCoordinate += drop * (name == sign)


def _level_signs(font: TTFont) -> None:
    """Anchors at nearly the height of their signs are put at that height."""
    for table in _attachments(font):
        on_mark = hasattr(table, "Mark2Array")
        marks = _marks(table)
        bases = table.Mark2Array.Mark2Record if on_mark else table.BaseArray.BaseRecord
        for base in bases:
            for kind, anchor in enumerate(base.Mark2Anchor if on_mark else base.BaseAnchor):
                height = mode(mark.MarkAnchor.YCoordinate for mark in marks if mark.Class == kind)
                if anchor is not None and abs(anchor.YCoordinate - height) <= LEVEL:
                    anchor.YCoordinate = height


def _attachments(font: TTFont) -> Iterator[Any]:
    """Tables that attach signs to letters or to signs (MarkToBase, MarkToMark)."""
    for lookup in font["GPOS"].table.LookupList.Lookup:
        for table in (getattr(one, "ExtSubTable", one) for one in lookup.SubTable):
            if hasattr(table, "BaseArray") or hasattr(table, "Mark2Array"):
                yield table


def _coverage(table: Any) -> list[str]:
    found: list[str] = (table.Mark1Coverage if hasattr(table, "Mark2Array") else table.MarkCoverage).glyphs
    return found


def _marks(table: Any) -> list[Any]:
    found: list[Any] = (table.Mark1Array if hasattr(table, "Mark2Array") else table.MarkArray).MarkRecord
    return found


if __name__ == "__main__":
    main()
