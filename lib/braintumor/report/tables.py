"""The parts of the PDF that are numbers: region cards, tables, the course over time, technique, provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from braintumor.domain import (
    AlignmentMethod,
    Comparison,
    Diameters,
    Direction,
    MRSequence,
    Region,
    RegionChange,
    RegionMeasurement,
    Report,
    Severity,
    Side,
    StoredSeries,
    StudyKind,
    region_colour,
)
from braintumor.report.figures import Picture
from braintumor.report.language import Language
from braintumor.report.names import DASH, TIMES, sizes
from braintumor.report.sheet import INK, MARGIN_MM, MUTED, PIXELS_PER_MM, TINT, WIDTH_MM, Sheet
from braintumor.report.statements import MAX_LESIONS, REGION_KEYS, Term
from braintumor.report.trend import trend

_GAP_MM = 4.0
_LEFT_MM, _LEFT_CROWDED_MM, _DIAMETERS_CROWDED_MM = 88.0, 74.0, 62.0
"""Widths of the pictures; the smaller ones where a comparison or a serious warning takes room on the first page."""

_CARD_MM = 18.0
_ARROWS = {Direction.GROWN: "\u2191", Direction.SHRUNK: "\u2193", Direction.UNCHANGED: "="}


def key_facts(sheet: Sheet, report: Report, pictures: Mapping[str, Picture], language: Language) -> None:
    """Key image on the left, the three volumes and the diameters on the right."""
    sheet.ln(1.5)
    top = bottom = sheet.get_y()
    crowded = report.findings.comparison or any(flag.severity is Severity.SERIOUS for flag in report.findings.flags)
    left = _LEFT_CROWDED_MM if crowded else _LEFT_MM
    if "sequences" in pictures:
        bottom = _captioned(sheet, pictures["sequences"], MARGIN_MM, top, left)
    x, width, y = MARGIN_MM + left + _GAP_MM, WIDTH_MM - left - _GAP_MM, top
    changes = report.findings.comparison.regions if report.findings.comparison else {}
    for region in Region:
        found = report.findings.measurements.regions.get(region.value)
        _card(sheet, (x, y, width), region, found, changes.get(region), language)
        y += _CARD_MM + 1.5
    if "diameters" in pictures:
        picture = pictures["diameters"]
        widest = _DIAMETERS_CROWDED_MM if crowded else width
        y = _captioned(sheet, picture, x, y, min(widest, picture.rgb.shape[1] / PIXELS_PER_MM))
    sheet.set_xy(MARGIN_MM, max(y, bottom))


def _captioned(sheet: Sheet, picture: Picture, x: float, y: float, width: float) -> float:
    """A picture with its caption; returns where the page goes on, in mm."""
    y += sheet.picture(picture, x, y, width) + 1
    sheet.set_xy(x, y)
    sheet.style(7.5, MUTED)
    with sheet.tag("Caption"):
        sheet.multi_cell(width, 3.6, picture.caption, align="L", new_x="LMARGIN", new_y="NEXT")
    return float(sheet.get_y())


def _card(
    sheet: Sheet,
    place: tuple[float, float, float],
    region: Region,
    found: RegionMeasurement | None,
    change: RegionChange | None,
    language: Language,
) -> None:
    x, y, width = place
    sheet.set_fill_color(*TINT)
    sheet.rect(x, y, width, _CARD_MM, style="F")
    sheet.set_fill_color(*region_colour(region))
    sheet.rect(x, y, 1.6, _CARD_MM, style="F")
    sheet.set_xy(x + 4, y + 1.4)
    name = _capital(language.term(Term("region", region.value)))
    sheet.style(8.5, MUTED, of=name)
    sheet.cell(width - 6, 4, f"{name} ({region.value})", new_x="LEFT", new_y="NEXT")
    volume = _volume(found, language)
    sheet.style(16, INK, bold=True, of=volume)
    sheet.cell(sheet.get_string_width(volume) + 3, 7.4, volume)
    if change is not None:
        words = f"{_ARROWS[change.direction]} {_change(change, language)}"
        sheet.style(10, INK, of=words)
        sheet.cell(width - 6, 8.2, words)
    sheet.set_xy(x + 4, y + 12.6)
    sheet.style(8.5, MUTED)
    if found is not None and found.diameters is not None:
        place_words = f", {_side(found, language)}" if found.side else ""
        words = f"{language.with_unit(_extents(found.diameters, language), 'mm')}{place_words}"
        sheet.style(8.5, MUTED, of=words)
        sheet.cell(width - 6, 4, words)


def measurements(sheet: Sheet, report: Report, language: Language) -> None:
    """All regions; with a prior, its volumes, the change and its 95 % interval instead of what else was measured."""
    say, regions = language.words, report.findings.measurements.regions
    sheet.heading(say("page-measurements"), 38)
    keys = [key for key in REGION_KEYS if key in regions]
    comparison = report.findings.comparison
    if comparison is None:
        head = (say("page-region"), "mL", "Simpson mL", f"{say('page-diameters')} mm", "mm²", "3D mm", say("page-place"))
        rows = [(*_region_row(key, regions[key], language), _place(regions[key], language)) for key in keys]
        sheet.rows(head, rows, (46, 12, 19, 26, 14, 14, 51), numbers=(1, 2, 3, 4, 5))
        return
    columns = ("page-prior", "page-now", "page-change")
    names = (say("page-region"), *(f"{say(name)} mL" for name in columns), say("page-interval"), "%")
    rows = [_change_row(key, regions[key], comparison, language) for key in keys]
    sheet.rows((*names, f"{say('page-diameters')} mm"), rows, (52, 20, 20, 22, 32, 14, 22), numbers=(1, 2, 3, 4, 5, 6))


def _region_row(key: str, region: RegionMeasurement, language: Language) -> tuple[str, ...]:
    found, extent = region.diameters, region.max_diameter_3d_mm
    return (
        _capital(language.term(Term("region", key))),
        language.number(region.volume_ml, 1),
        language.number(region.simpson_ml, 1),
        DASH if found is None else _extents(found, language),
        DASH if found is None else language.number(found.product_mm2),
        DASH if extent is None else language.number(extent, 1),
    )


def _change_row(key: str, found: RegionMeasurement, comparison: Comparison, language: Language) -> tuple[str, ...]:
    name = _capital(language.term(Term("region", key)))
    extents = DASH if found.diameters is None else _extents(found.diameters, language)
    change = comparison.regions.get(Region(key)) if key in set(Region) else None
    if change is None:
        return (name, DASH, language.number(found.volume_ml, 1), DASH, DASH, DASH, extents)
    low, high = (language.number(v, 1, signed=True) for v in (change.ml.low, change.ml.high))
    return (
        name,
        language.number(change.before.value, 1),
        language.number(change.now.value, 1),
        language.number(change.ml.value, 1, signed=True),
        f"{low} … {high}",
        DASH if change.percent is None else language.number(change.percent.value, 0, signed=True),
        extents,
    )


def course(sheet: Sheet, report: Report, language: Language) -> None:
    """Volumes over all visits and RANO, for a follow-up."""
    comparison = report.findings.comparison
    if comparison is None:
        return
    sheet.heading(language.words("page-trend"), 85)
    rgb = np.asarray(trend(comparison.trend).image().convert("RGB"))
    caption = "Volumes with their 95 % intervals."
    sheet.figure(Picture("trend", caption, rgb), 130)
    response = comparison.response
    if response is None:
        reason = f"{language.words('page-rano')}: {comparison.not_assessed}."
        sheet.line_of(reason, 8.5)
        return
    sheet.heading(language.words("page-rano"))
    sheet.line_of(response.rule, 8.5, gap=0.4)
    for words in (*(f"Not given: {missing}." for missing in response.missing), *response.caveats, response.notice):
        sheet.line_of(words, 8.5, MUTED, gap=0.3)


def lesions(sheet: Sheet, report: Report, language: Language) -> None:
    """The largest lesions."""
    found = report.findings.measurements.lesions
    if not found:
        return
    sheet.heading(f"{language.words('page-lesions')} ({len(found)})")
    rows = [
        (
            str(lesion.number),
            *(language.number(lesion.volume_ml.get(r.value, 0.0), 1) for r in Region),
            _extents(lesion.diameters, language),
            language.number(lesion.diameters.product_mm2),
            str(lesion.diameters.slice_index + 1),
            language.term(Term("side", lesion.side)),
        )
        for lesion in found[:MAX_LESIONS]
    ]
    head = ("No.", "WT mL", "TC mL", "ET mL", f"{language.words('page-diameters')} mm", "mm²", "Slice")
    widths = (10, 18, 18, 18, 46, 24, 16, 32)
    sheet.rows((*head, language.words("page-place")), rows, widths, numbers=(1, 2, 3, 4, 5, 6))
    if len(found) > MAX_LESIONS:
        rest = len(found) - MAX_LESIONS
        sheet.line_of(f"{rest} smaller lesions are not listed here; result.json has all of them.", 8, MUTED)


def technique(sheet: Sheet, report: Report, language: Language) -> None:
    """How each sequence was recognised and brought onto the grid, and the steps of preparation."""
    sheet.heading(language.words("section-technique"), 60)
    rows = []
    for channel in MRSequence:
        use = report.findings.technique.sequences.get(channel)
        if use is None:
            rows.append((channel.title, "not available", DASH, DASH, DASH, DASH))
            continue
        moved = f"{use.translation_mm:.1f} mm, {use.rotation_deg:.1f}°" if use.method is AlignmentMethod.RIGID else DASH
        quality = DASH if use.quality is None else f"{use.quality:.3f}"
        rows.append((channel.title, sheet.drawable(use.reason) or DASH, sizes(use.spacing_mm, 2), use.method, moved, quality))
    head = ("Sequence", "Recognised by", "Voxel mm", "Alignment", "Moved by", "NMI")
    sheet.rows(head, rows, (18, 62, 34, 26, 30, 12), numbers=(5,))
    found = report.findings.technique
    size, spacing = sizes(found.grid_shape, 0), sizes(found.grid_spacing_mm, 2)
    steps = " ".join(f"{_capital(step).rstrip('.')}." for step in found.steps)
    sheet.line_of(sheet.drawable(f"Analysis grid: {size} voxels of {spacing} mm. {steps}"), 8.5, gap=1.2)


def provenance(sheet: Sheet, report: Report, language: Language, chain_head: str = "") -> None:
    """What was used to make the numbers, with the hashes that prove it."""
    sheet.heading(language.words("page-provenance"), 40)
    facts = report.provenance
    files = sum(len(series.instances) for series in report.study.series if series.sequence)
    rows = [
        ("Software", f"braintumor {facts.software_version}"),
        ("Mask by", f"{facts.model} {facts.model_version}".strip() or DASH),
        ("Weights SHA-256", facts.weights_checksum or DASH),
        ("Engine", facts.engine or DASH),
        ("Input", f"{files} files, {'DICOM' if report.study.kind is StudyKind.DICOM else 'NIfTI'}"),
        ("Input SHA-256", facts.input_sha256),
        *((f"  {series.sequence.title}", _digest(series)) for series in report.study.series if series.sequence),
        ("Mask SHA-256", facts.mask_sha256),
        ("Report", f"{report.uid}, version {report.version}"),
        *([("Chain of hashes", chain_head)] if chain_head else []),
        ("Created", facts.created.isoformat(timespec="seconds")),
    ]
    sheet.rows((), [tuple(map(sheet.drawable, row)) for row in rows], (34, 148))


def audit_trail(sheet: Sheet, report: Report, language: Language) -> None:
    """Who did what with the report, where more was done than making it."""
    if len(report.audit) < 2:
        return
    sheet.heading(language.words("page-audit"), 30)
    rows = [
        (entry.when.strftime("%Y-%m-%d %H:%M"), entry.action.value, sheet.drawable(entry.who), sheet.drawable(entry.detail))
        for entry in report.audit
    ]
    sheet.rows((), rows, (28, 22, 42, 90))


def _digest(series: StoredSeries) -> str:
    """SHA-256 over the sorted SHA-256 of a series' files."""
    return hashlib.sha256("\n".join(sorted(i.sha256 for i in series.instances)).encode()).hexdigest()


def _volume(found: RegionMeasurement | None, language: Language) -> str:
    if found is None:
        return DASH
    return language.with_unit(language.number(found.volume_ml, 1), "mL") if found.volume_ml else language.words("page-none")


def _change(change: RegionChange, language: Language) -> str:
    ml = language.with_unit(language.number(change.ml.value, 1, signed=True), "mL")
    if change.percent is None:
        return ml
    percent = language.number(change.percent.value, 0, signed=True)
    return f"{ml} ({language.with_unit(percent, 'percent')})"


def _place(region: RegionMeasurement, language: Language) -> str:
    if region.side is None:
        return DASH
    side = _side(region, language)
    if region.lobe is None:
        return side
    share = language.with_unit(language.number(100 * region.lobe[1]), "percent")
    return f"{side}, {language.term(Term('lobe', region.lobe[0]))} {share}"


def _side(region: RegionMeasurement, language: Language) -> str:
    return language.term(Term("side", region.side or Side.UNKNOWN))


def _extents(diameters: Diameters, language: Language) -> str:
    longest, perpendicular = (language.number(v, 1) for v in (diameters.longest_mm, diameters.perpendicular_mm))
    return f"{longest} {TIMES} {perpendicular}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
