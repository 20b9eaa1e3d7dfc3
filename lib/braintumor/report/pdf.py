"""The report as one PDF: what was found on the first page, how and how sure on the next."""

from __future__ import annotations

from collections.abc import Sequence

from braintumor.labels import LABELS, Region
from braintumor.nouns import Case, Diameters, Findings, Flag, Measurements, RegionMeasurement, Segmentation, Severity, Study
from braintumor.nouns import Sequence as Channel
from braintumor.report.facts import ReportFacts
from braintumor.report.figures import Picture
from braintumor.report.findings import DISCLAIMER, NAMES
from braintumor.report.names import DASH, TIMES, person_name, plain_date, sizes
from braintumor.report.sheet import (
    AMBER,
    INK,
    MARGIN_MM,
    MUTED,
    PIXELS_PER_MM,
    RED,
    RULE,
    TINT,
    UNKNOWN,
    WIDTH_MM,
    Colour,
    Sheet,
)

TITLE = "Brain tumour MRI: segmentation and measurements"
MAX_LESIONS = 6
MAX_FLAGS = 8
_GAP_MM = 4.0
_LEFT_MM = 95.0


def render(
    study: Study,
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    findings: Findings,
    pictures: Sequence[Picture],
    facts: ReportFacts,
) -> bytes:
    """Set the report on A4.

    Page 1 is to be read in a minute: patient, disclaimer, serious flags, key images, numbers. Then planes, montage,
    registration and uncertainty pictures, technique, limits and provenance. Fonts are embedded; the file's metadata names no
    patient; the same arguments give the same bytes.

    Parameters
    ----------
    study
        The patient is named on page 1 if the study came as DICOM. Letters that no embedded font holds become question marks,
        and the page says so.
    segmentation
        On the grid of `case`.
    pictures
        Of `braintumor.report.key_images`; those given are shown.

    Returns
    -------
    bytes
        A PDF file.
    """
    by_name = {picture.name: picture for picture in pictures}
    sheet = Sheet(DISCLAIMER, _identity(study, case).values())
    sheet.set_creation_date(facts.created)
    sheet.set_title(TITLE)
    sheet.set_subject(DISCLAIMER)
    sheet.set_creator(f"braintumor {facts.software_version}")
    sheet.add_page()
    _header(sheet, study, case, facts)
    _warnings(sheet, segmentation, findings)
    _key_facts(sheet, measurements, by_name)
    _tables(sheet, measurements)
    _quality(sheet, findings)
    for name in ("planes", "montage", "registration", "uncertainty"):
        if name in by_name:
            sheet.figure(by_name[name])
    _technique(sheet, study, case, findings)
    _paragraphs(sheet, "Limits", findings, "limitations")
    _provenance(sheet, study, facts)
    return bytes(sheet.output())


def _identity(study: Study, case: Case) -> dict[str, str]:
    """Label -> value of the block at the top; without patient data for NIfTI, which has none."""
    if study.kind != "dicom":
        return {"Case": case.case_id, "Input": "NIfTI, without patient data"}
    patient = study.patient
    block = {
        "Patient": person_name(patient.name),
        "Patient ID": patient.patient_id,
        "Birth date": plain_date(patient.birth_date),
        "Sex": patient.sex,
        "Study date": study.study_date.isoformat() if study.study_date else "",
    }
    return {label: value or DASH for label, value in block.items()}


def _header(sheet: Sheet, study: Study, case: Case, facts: ReportFacts) -> None:
    sheet.line_of(TITLE, 16, bold=True, gap=1.5)
    block = _identity(study, case)
    widths = (66.0, 40.0, 26.0, 18.0, 32.0) if len(block) == 5 else (100.0, 82.0)
    top = sheet.get_y()
    sheet.set_draw_color(*RULE)
    sheet.set_line_width(0.3)
    sheet.line(MARGIN_MM, top, MARGIN_MM + WIDTH_MM, top)
    x, bottom = MARGIN_MM, top
    for (label, value), width in zip(block.items(), widths, strict=True):
        sheet.set_xy(x, top + 1.5)
        sheet.style(7.5, MUTED)
        sheet.cell(width, 3.6, label, new_x="LEFT", new_y="NEXT")
        sheet.style(10, bold=False)
        sheet.multi_cell(width - 2, 4.6, sheet.drawable(value), align="L", new_x="LEFT", new_y="NEXT")
        x, bottom = x + width, max(bottom, sheet.get_y())
    sheet.set_xy(MARGIN_MM, bottom + 1)
    if any(sheet.drawable(value) != value for value in block.values()):
        note = f"Letters shown as {UNKNOWN} cannot be drawn with the fonts of this report; the DICOM header has the full text."
        sheet.line_of(note, 7.5, MUTED, gap=0.5)
    created = facts.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    sheet.line_of(f"Report made {created} by braintumor {facts.software_version}", 7.5, MUTED, gap=1.5)


def _warnings(sheet: Sheet, segmentation: Segmentation, findings: Findings) -> None:
    by_model = segmentation.author.kind == "model"
    reviewed = "Not reviewed by a physician." if by_model else "Contours drawn or corrected by a person."
    sheet.box(f"Research use only {DASH} not a medical device. {reviewed}", [], AMBER)
    serious = [flag.message for flag in findings.flags if flag.severity is Severity.SERIOUS]
    if serious:
        sheet.box("Check before relying on the result", serious, RED)


def _key_facts(sheet: Sheet, measurements: Measurements, pictures: dict[str, Picture]) -> None:
    """Key image on the left, the three volumes and the diameters on the right."""
    top, bottom = sheet.get_y(), sheet.get_y()
    if "sequences" in pictures:
        picture = pictures["sequences"]
        bottom = top + sheet.picture(picture, MARGIN_MM, top, _LEFT_MM)
        sheet.set_xy(MARGIN_MM, bottom + 1)
        sheet.style(7.5, MUTED)
        sheet.multi_cell(_LEFT_MM, 3.6, picture.caption, align="L", new_x="LMARGIN", new_y="NEXT")
        bottom = sheet.get_y()
    x, width, y = MARGIN_MM + _LEFT_MM + _GAP_MM, WIDTH_MM - _LEFT_MM - _GAP_MM, top
    for region in Region:
        _card(sheet, x, y, width, region, measurements.regions.get(region.value))
        y += 20.5
    if "diameters" in pictures:
        picture = pictures["diameters"]
        y += sheet.picture(picture, x, y, min(width, picture.rgb.shape[1] / PIXELS_PER_MM)) + 1
        sheet.set_xy(x, y)
        sheet.style(7.5, MUTED)
        sheet.multi_cell(width, 3.6, picture.caption, align="L", new_x="LMARGIN", new_y="NEXT")
        y = sheet.get_y()
    sheet.set_xy(MARGIN_MM, max(y, bottom))


def _card(sheet: Sheet, x: float, y: float, width: float, region: Region, found: RegionMeasurement | None) -> None:
    sheet.set_fill_color(*TINT)
    sheet.rect(x, y, width, 18.5, style="F")
    sheet.set_fill_color(*_colour(region))
    sheet.rect(x, y, 1.6, 18.5, style="F")
    sheet.set_xy(x + 4, y + 1.6)
    sheet.style(8.5, MUTED)
    sheet.cell(width - 6, 4, f"{NAMES[region.value]} ({region.value})", new_x="LEFT", new_y="NEXT")
    volume = DASH if found is None else f"{found.volume_ml:.1f} mL" if found.volume_ml > 0 else "none segmented"
    sheet.style(17, INK, bold=True)
    sheet.cell(width - 6, 7.6, volume, new_x="LEFT", new_y="NEXT")
    sheet.style(8.5, MUTED)
    if found is not None and found.diameters is not None:
        side = f", {found.side}" if found.side else ""
        sheet.cell(width - 6, 4, f"{_extents(found.diameters)} mm{side}")


def _tables(sheet: Sheet, measurements: Measurements) -> None:
    sheet.heading("Measurements", 45)
    keys = [k for k in dict.fromkeys((*(r.value for r in Region), *(m.short for m in LABELS))) if k in measurements.regions]
    head = ("Region", "mL", "Simpson mL", f"Longest {TIMES} perp. mm", "Product mm²", "3D extent mm", "Side", "Lobe")
    rows = [_region_row(NAMES[key], measurements.regions[key]) for key in keys]
    sheet.rows(head, rows, (47, 12, 19, 28, 20, 21, 12, 23), numbers=(1, 2, 3, 4, 5))
    lesions = measurements.lesions
    if not lesions:
        return
    sheet.heading(f"Lesions ({len(lesions)})")
    rows = [
        (
            str(lesion.number),
            *(f"{lesion.volume_ml.get(r.value, 0.0):.1f}" for r in Region),
            _extents(lesion.diameters),
            f"{lesion.diameters.product_mm2:.0f}",
            str(lesion.diameters.slice_index + 1),
            lesion.side,
        )
        for lesion in lesions[:MAX_LESIONS]
    ]
    head = ("No.", "WT mL", "TC mL", "ET mL", f"Longest {TIMES} perpendicular mm", "Product mm²", "Slice", "Side")
    sheet.rows(head, rows, (10, 18, 18, 18, 46, 24, 16, 32), numbers=(1, 2, 3, 4, 5, 6))
    if len(lesions) > MAX_LESIONS:
        rest = len(lesions) - MAX_LESIONS
        sheet.line_of(f"{rest} smaller lesions are not listed here; result.json has all of them.", 8, MUTED)


def _region_row(name: str, region: RegionMeasurement) -> tuple[str, ...]:
    diameters = region.diameters
    return (
        name,
        f"{region.volume_ml:.1f}",
        f"{region.simpson_ml:.1f}",
        DASH if diameters is None else _extents(diameters),
        DASH if diameters is None else f"{diameters.product_mm2:.0f}",
        DASH if region.max_diameter_3d_mm is None else f"{region.max_diameter_3d_mm:.1f}",
        region.side or DASH,
        DASH if region.lobe is None else f"{region.lobe[0]} {region.lobe[1]:.0%}",
    )


def _quality(sheet: Sheet, findings: Findings) -> None:
    lesser = [_flag_line(flag) for flag in findings.flags if flag.severity is not Severity.SERIOUS]
    if lesser:
        sheet.heading("Quality notes")
        for text in lesser[:MAX_FLAGS]:
            sheet.line_of(text, 8.5, gap=0.4)
        if len(lesser) > MAX_FLAGS:
            sheet.line_of(f"{len(lesser) - MAX_FLAGS} more notes are in result.json.", 8, MUTED)


def _flag_line(flag: Flag) -> str:
    return f"{'Please check' if flag.severity is Severity.WARNING else 'Note'}: {flag.message}"


def _technique(sheet: Sheet, study: Study, case: Case, findings: Findings) -> None:
    sheet.heading("Technique", 60)
    rows = []
    for channel in Channel:
        alignment, series = case.alignment.get(channel), study.series.get(channel)
        if alignment is None or series is None:
            rows.append((channel.title, "not available", DASH, DASH, DASH, DASH))
            continue
        moved = f"{alignment.translation_mm:.1f} mm, {alignment.rotation_deg:.1f}°" if alignment.method == "rigid" else DASH
        quality = DASH if alignment.quality is None else f"{alignment.quality:.3f}"
        reason = series.evidence.reasons[0] if series.evidence.reasons else DASH
        spacing = sizes(series.image.grid.spacing, 2)
        rows.append((channel.title, sheet.drawable(reason), spacing, alignment.method, moved, quality))
    head = ("Sequence", "Recognised by", "Voxel mm", "Alignment", "Moved by", "NMI")
    sheet.rows(head, rows, (18, 62, 34, 26, 30, 12), numbers=(5,))
    said = [f for f in findings.section("quality") if not f.source.endswith(".quality")]  # those figures are in the table
    for paragraph in (findings.section("technique"), said):
        if paragraph:
            sheet.line_of(sheet.drawable(" ".join(finding.text for finding in paragraph)), 8.5, gap=1.2)


def _paragraphs(sheet: Sheet, title: str, findings: Findings, section: str) -> None:
    sheet.heading(title)
    for finding in findings.section(section):
        sheet.line_of(finding.text, 8.5, gap=0.2)


def _provenance(sheet: Sheet, study: Study, facts: ReportFacts) -> None:
    sheet.heading("Provenance", 40)
    files = sum(len(series.instances) for series in study.series.values())
    rows = [
        ("Software", f"braintumor {facts.software_version}"),
        ("Mask by", f"{facts.model} {facts.model_version}".strip() or DASH),
        ("Weights SHA-256", facts.weights_checksum or DASH),
        ("Engine", facts.engine or DASH),
        ("Input", f"{files} files, {study.kind.upper() if study.kind == 'dicom' else 'NIfTI'}"),
        ("Input SHA-256", facts.input_digest),
        ("Created", facts.created.isoformat(timespec="seconds")),
    ]
    sheet.rows((), [tuple(map(sheet.drawable, row)) for row in rows], (34, 148))


def _extents(diameters: Diameters) -> str:
    return sizes((diameters.longest_mm, diameters.perpendicular_mm))


def _colour(region: Region) -> Colour:
    """Of the label that the region adds to the next smaller one."""
    return min((label for label in LABELS if region in label.regions), key=lambda label: len(label.regions)).rgb
