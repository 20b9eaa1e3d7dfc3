"""Makes the report's two Hindi typefaces from the variable Noto Sans Devanagari; run once, its output is in the repository.

    pip install fontpkg-noto-sans-devanagari && python -m braintumor.report._make_typefaces

Cutting a weight out of the variable font takes a second, which every report would wait for. The font is under the SIL Open
Font License 1.1 without reserved names; the licence stands beside the fonts.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

from braintumor.report.fonts import TYPEFACES

SOURCE = "NotoSansDevanagari[wdth,wght].ttf"
WEIGHTS = {"Regular": 400, "SemiBold": 600}


def main() -> None:
    """Write both weights."""
    for name, weight in WEIGHTS.items():
        font = TTFont(Path(str(files("fontpkg_noto_sans_devanagari") / "files" / SOURCE)), recalcTimestamp=False)
        made = instancer.instantiateVariableFont(font, {"wght": weight, "wdth": 100}, updateFontNames=True)
        made.save(TYPEFACES / f"NotoSansDevanagari-{name}.ttf")


if __name__ == "__main__":
    main()
