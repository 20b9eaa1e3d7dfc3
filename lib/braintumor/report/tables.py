"""The parts of the PDF that are numbers, as data for ``report.typ``: region cards, tables, the course over time, provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

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
from braintumor.report.language import Language
from braintumor.report.names import DASH, TIMES, sizes
from braintumor.report.statements import MAX_LESIONS, REGION_KEYS, Term

Block = dict[str, Any]
"""A part of the page; its `kind` names the function of ``report.typ`` that draws it."""

_ARROWS = {Direction.GROWN: "\u2191", Direction.SHRUNK: "\u2193", Direction.UNCHANGED: "="}


def note(title: str, lines: Sequence[str], asides: Sequence[str] = ()) -> Block:
    """Short lines under a heading (none if ''); the `asides` are set back."""
    return {"kind": "text", "title": title, "lines": [*lines], "asides": [*asides]}


def _table(title: str, head: Sequence[str], rows: Sequence[Any], widths: Sequence[int], numbers: Iterable[int] = ()) -> Block:
    """A table; the columns in `numbers` are set flush right."""
    return {"kind": "table", "title": title, "head": head, "rows": rows, "widths": widths, "numbers": [*numbers]}


def key_facts(report: Report, pictures: Collection[str], language: Language) -> Block:
    """The names of the pictures beside the three volumes, less large where a comparison or a serious warning takes room."""
    findings = report.findings
    crowded = findings.comparison is not None or any(flag.severity is Severity.SERIOUS for flag in findings.flags)
    changes = findings.comparison.regions if findings.comparison else {}
    cards = [_card(one, findings.measurements.regions.get(one.value), changes.get(one), language) for one in Region]
    shown = [name for name in ("sequences", "diameters") if name in pictures]
    return {"kind": "facts", "crowded": crowded, "cards": cards, "pictures": shown}


def _card(region: Region, found: RegionMeasurement | None, change: RegionChange | None, language: Language) -> Block:
    extents = ""
    if found is not None and found.diameters is not None:
        place = f", {_side(found, language)}" if found.side else ""
        extents = f"{language.with_unit(_extents(found.diameters, language), 'mm')}{place}"
    return {
        "colour": "#{:02x}{:02x}{:02x}".format(*region_colour(region)),
        "name": f"{_region(region, language)} ({region.value})",
        "volume": _volume(found, language),
        "change": "" if change is None else f"{_ARROWS[change.direction]} {_change(change, language)}",
        "extents": extents,
    }


def measurements(report: Report, language: Language) -> Block:
    """All regions; with a prior, its volumes, the change and its 95 % interval instead of what else was measured."""
    say, regions = language.words, report.findings.measurements.regions
    keys = [key for key in REGION_KEYS if key in regions]
    comparison, diameters = report.findings.comparison, f"{say('page-diameters')} mm"
    if comparison is None:
        head = [say("page-region"), "mL", "Simpson mL", diameters, "mm²", "3D mm", say("page-place")]
        rows = [(*_region_row(key, regions[key], language), _place(regions[key], language)) for key in keys]
        return _table(say("page-measurements"), head, rows, (46, 12, 20, 26, 14, 14, 50), range(1, 6))
    columns = ("page-prior", "page-now", "page-change")
    head = [say("page-region"), *(f"{say(name)} mL" for name in columns), say("page-interval"), "%", diameters]
    rows = [_change_row(key, regions[key], comparison, language) for key in keys]
    return _table(say("page-measurements"), head, rows, (50, 20, 20, 22, 30, 14, 26), range(1, 7))


def _region_row(key: str, region: RegionMeasurement, language: Language) -> tuple[str, ...]:
    found, extent = region.diameters, region.max_diameter_3d_mm
    return (
        _region(key, language),
        language.number(region.volume_ml, 1),
        language.number(region.simpson_ml, 1),
        DASH if found is None else _extents(found, language),
        DASH if found is None else language.number(found.product_mm2),
        DASH if extent is None else language.number(extent, 1),
    )


def _change_row(key: str, found: RegionMeasurement, comparison: Comparison, language: Language) -> tuple[str, ...]:
    name = _region(key, language)
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


def course(report: Report, language: Language) -> Iterator[Block]:
    """Volumes over all visits and RANO, for a follow-up."""
    comparison = report.findings.comparison
    if comparison is None:
        return
    yield {"kind": "figure", "title": language.words("page-trend"), "picture": "trend", "width": 130}
    response, rano = comparison.response, language.words("page-rano")
    if response is None:
        yield note("", [f"{rano}: {comparison.not_assessed}."])
    else:
        missing = [f"Not given: {one}." for one in response.missing]
        yield note(rano, [response.rule], [*missing, *response.caveats, response.notice])


def lesions(report: Report, language: Language) -> Iterator[Block]:
    """The largest lesions."""
    found = report.findings.measurements.lesions
    if not found:
        return
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
    diameters = f"{language.words('page-diameters')} mm"
    head = ("No.", "WT mL", "TC mL", "ET mL", diameters, "mm²", "Slice", language.words("page-place"))
    title = f"{language.words('page-lesions')} ({len(found)})"
    yield _table(title, head, rows, (10, 18, 18, 18, 40, 24, 16, 38), range(1, 7))
    if len(found) > MAX_LESIONS:
        rest = len(found) - MAX_LESIONS
        yield note("", [], [f"{rest} smaller lesions are not listed here; result.json has all of them."])


def technique(report: Report, language: Language) -> Iterator[Block]:
    """How each sequence was recognised and brought onto the grid, and the steps of preparation."""
    found, rows = report.findings.technique, []
    for channel in MRSequence:
        use = found.sequences.get(channel)
        if use is None:
            rows.append((channel.title, "not available", DASH, DASH, DASH, DASH))
            continue
        moved = f"{use.translation_mm:.1f} mm, {use.rotation_deg:.1f}°" if use.method is AlignmentMethod.RIGID else DASH
        quality = DASH if use.quality is None else f"{use.quality:.3f}"
        rows.append((channel.title, use.reason or DASH, sizes(use.spacing_mm, 2), use.method, moved, quality))
    head = ("Sequence", "Recognised by", "Voxel mm", "Alignment", "Moved by", "NMI")
    yield _table(language.words("section-technique"), head, rows, (18, 62, 34, 26, 28, 14), range(5, 6))
    size, spacing = sizes(found.grid_shape, 0), sizes(found.grid_spacing_mm, 2)
    steps = " ".join(f"{_capital(step).rstrip('.')}." for step in found.steps)
    yield note("", [f"Analysis grid: {size} voxels of {spacing} mm. {steps}"])


def provenance(report: Report, language: Language, chain_head: str = "") -> Block:
    """What was used to make the numbers, with the hashes that prove it."""
    facts = report.provenance
    files = sum(len(series.instances) for series in report.study.series if series.sequence)
    rows = [
        ("Software", f"braintumor {facts.software_version}"),
        ("Mask by", f"{facts.model} {facts.model_version}".strip() or DASH),
        ("Weights SHA-256", facts.weights_checksum or DASH),
        ("Engine", facts.engine or DASH),
        ("Input", f"{files} files, {'DICOM' if report.study.kind is StudyKind.DICOM else 'NIfTI'}"),
        ("Input SHA-256", facts.input_sha256),
        *((f"\u2003{series.sequence.title}", _digest(series)) for series in report.study.series if series.sequence),
        ("Mask SHA-256", facts.mask_sha256),
        ("Report", f"{report.uid}, version {report.version}"),
        *([("Chain of hashes", chain_head)] if chain_head else []),
        ("Created", facts.created.isoformat(timespec="seconds")),
    ]
    return _table(language.words("page-provenance"), ("Item", "Value"), rows, (34, 148))


def audit_trail(report: Report, language: Language) -> Iterator[Block]:
    """Who did what with the report, where more was done than making it."""
    if len(report.audit) > 1:
        rows = [(one.when.strftime("%Y-%m-%d %H:%M"), one.action.value, one.who, one.detail) for one in report.audit]
        yield _table(language.words("page-audit"), ("When", "Action", "By", "Detail"), rows, (28, 22, 42, 90))


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


def _region(key: str, language: Language) -> str:
    return _capital(language.term(Term("region", key)))


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
