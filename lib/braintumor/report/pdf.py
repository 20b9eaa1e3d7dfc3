"""The report as one PDF: what was found on the first page, then every section in all languages side by side, then how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from braintumor.domain import Flag, Line, Origin, Report, Section, Severity, Status, message_in
from braintumor.report.editing import edited_alone
from braintumor.report.figures import Picture
from braintumor.report.language import Language, language_of
from braintumor.report.names import DASH, person_name, plain_date
from braintumor.report.sheet import AMBER, GREEN, INK, MARGIN_MM, MUTED, RED, RULE, UNKNOWN, WIDTH_MM, Sheet
from braintumor.report.tables import audit_trail, course, key_facts, lesions, measurements, provenance, technique
from braintumor.report.tagging import Producer

MAX_FLAGS = 8
DETAILS = ("planes", "montage", "registration", "uncertainty")
"""Pictures of the pages after the text."""


def render(report: Report, pictures: Sequence[Picture], *, chain_head: str = "") -> bytes:
    """Set the report on A4.

    Page 1 is to be read in a minute: patient, status, serious flags, impression, key images, numbers with their change. Then
    the text, one column per language, the course over time, planes, montage, registration and uncertainty, and provenance
    with the hashes. Fonts are embedded; the file's metadata names no patient; the same arguments give the same bytes.

    Parameters
    ----------
    report
        The patient is named on page 1 if the study came as DICOM. Letters that no embedded font holds become question marks,
        and the page says so. A draft says on every page that it is one.
    pictures
        Of `braintumor.report.key_images`; those given are shown.
    chain_head
        Of the chain of hashes from the images to the text, see `braintumor.report.approval`.

    Returns
    -------
    bytes
        A PDF file.
    """
    languages = [language_of(code) for code in report.texts]
    first = languages[0]
    by_name = {picture.name: picture for picture in pictures}
    identity = _identity(report, first)
    sheet = Sheet(
        _foot(report, first), (*identity.values(), *_all_text(report), *(one.title(Section.FINDINGS) for one in languages))
    )
    sheet.set_creation_date(report.provenance.created)
    sheet.set_title(first.words("page-title"))
    sheet.set_subject(first.words("page-research"))
    sheet.set_creator(f"braintumor {report.provenance.software_version}")
    sheet.add_page()
    _header(sheet, report, languages, identity)
    _warnings(sheet, report, languages)
    _section(sheet, report, languages, Section.IMPRESSION, size=10.5)
    key_facts(sheet, report, by_name, first)
    measurements(sheet, report, first)
    notes = _notes(report, languages)
    on_first_page = notes and not sheet.will_page_break(14 + 5 * len(languages) * len(notes))
    if on_first_page:
        _quality(sheet, notes, languages)
    if sheet.page == 1:
        sheet.add_page()
    for section in Section:
        if section is not Section.IMPRESSION:
            _section(sheet, report, languages, section)
    course(sheet, report, first)
    lesions(sheet, report, first)
    if notes and not on_first_page:
        _quality(sheet, notes, languages)
    for name in DETAILS:
        if name in by_name:
            sheet.figure(by_name[name])
    technique(sheet, report, first)
    provenance(sheet, report, first, chain_head)
    audit_trail(sheet, report, first)
    return bytes(sheet.output(output_producer_class=Producer))


def _all_text(report: Report) -> Iterator[str]:
    for text in report.texts.values():
        for lines in text.sections.values():
            yield from (line.text for line in lines)


def _foot(report: Report, language: Language) -> str:
    if report.status is Status.DRAFT:
        return f"{language.words('page-draft', version=report.version)} · {language.words('page-research')}"
    return language.words("page-research")


def _identity(report: Report, language: Language) -> dict[str, str]:
    """Label -> value of the block at the top; without patient data for NIfTI, which has none."""
    say = language.words
    if report.study.kind != "dicom":
        return {say("page-case"): report.study.uid, "": say("page-nifti")}
    patient = report.patient
    block = {
        say("page-patient"): person_name(patient.name),
        say("page-patient-id"): " · ".join(filter(None, (patient.patient_id, *(one.value for one in report.identifiers)))),
        say("page-birth-date"): plain_date(patient.birth_date),
        say("page-sex"): patient.sex,
        say("page-study-date"): report.study.date.isoformat() if report.study.date else "",
    }
    return {label: value or DASH for label, value in block.items()}


def _header(sheet: Sheet, report: Report, languages: Sequence[Language], block: dict[str, str]) -> None:
    sheet.line_of(languages[0].words("page-title"), 16, bold=True, gap=0.5, kind="H1")
    for other in languages[1:]:
        sheet.line_of(other.words("page-title"), 10, MUTED, gap=0.8)
    widths = (58.0, 48.0, 26.0, 18.0, 32.0) if len(block) == 5 else (100.0, 82.0)
    top = sheet.get_y()
    sheet.set_draw_color(*RULE)
    sheet.set_line_width(0.3)
    sheet.line(MARGIN_MM, top, MARGIN_MM + WIDTH_MM, top)
    x, bottom = MARGIN_MM, top
    for (label, value), width in zip(block.items(), widths, strict=True):
        sheet.set_xy(x, top + 1.5)
        sheet.style(7.5, MUTED, of=label)
        sheet.cell(width, 3.6, label, new_x="LEFT", new_y="NEXT")
        sheet.style(10, INK, of=value)
        with sheet.tag("P"):
            sheet.multi_cell(width - 2, 4.6, sheet.drawable(value), align="L", new_x="LEFT", new_y="NEXT")
        x, bottom = x + width, max(bottom, sheet.get_y())
    sheet.set_xy(MARGIN_MM, bottom + 1)
    if any(sheet.drawable(value) != value for value in block.values()):
        note = f"Letters shown as {UNKNOWN} cannot be drawn with the fonts of this report; the DICOM header has the full text."
        sheet.line_of(note, 7.5, MUTED, gap=0.5)
    created = report.provenance.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    made = languages[0].words("page-made", when=created, version=report.provenance.software_version)
    sheet.line_of(made, 7.5, MUTED, gap=1.5)


def _warnings(sheet: Sheet, report: Report, languages: Sequence[Language]) -> None:
    approved, language = report.approved, languages[0]
    if approved is None:
        sheet.box([f"{language.words('page-draft', version=report.version)}. {language.words('page-research')}"], [], AMBER)
    else:
        when = approved.when.strftime("%Y-%m-%d %H:%M %Z").strip()
        words = language.words("page-final", version=report.version, who=sheet.drawable(approved.who), when=when)
        sheet.box([f"{words}. {language.words('page-research')}"], [], GREEN)
    serious = [flag for flag in report.findings.flags if flag.severity is Severity.SERIOUS]
    if serious:
        sheet.box([one.words("page-check") for one in languages], _columns(serious, languages), RED)


def _section(sheet: Sheet, report: Report, languages: Sequence[Language], section: Section, size: float = 9.0) -> None:
    """Heading and lines, one column per language; lines that state the same fact stand level."""
    columns = [report.texts[one.code].sections.get(section, ()) for one in languages]
    if not any(columns):
        return
    if sheet.will_page_break(18):
        sheet.add_page()
    sheet.ln(1.5)
    sheet.side_by_side([one.title(section) for one in languages], size + 1, bold=True, gap=0.6, kind="H2")
    for row in _rows(columns):
        sheet.side_by_side([sheet.drawable(text) for text in row], size, gap=0.7)
    alone = edited_alone(report).get(section)
    if alone:
        names = [language_of(code).words("language-name") for code in alone]
        sheet.side_by_side([one.words("page-edited-alone", names=one.listed(names)) for one in languages], 7.5, MUTED)


def _rows(columns: Sequence[Sequence[Line]]) -> Iterable[tuple[str, ...]]:
    """Lines side by side: by their place while all languages state the same things, else column by column."""
    keys = [[(line.source, line.message) for line in column] for column in columns]
    if all(key == keys[0] for key in keys):
        yield from zip(*[[_marked(line) for line in column] for column in columns], strict=True)
        return
    yield tuple("\n".join(_marked(line) for line in column) for column in columns)


def _marked(line: Line) -> str:
    """A language model's words are marked; a person's and the templates' are not."""
    return f"{line.text} *" if line.origin is Origin.MODEL else line.text


def _columns(flags: Sequence[Flag], languages: Sequence[Language]) -> list[list[str]]:
    """A row per flag, a column per language."""
    return [[message_in(flag, one.code) for one in languages] for flag in flags]


def _notes(report: Report, languages: Sequence[Language]) -> list[list[str]]:
    """What is less than serious; the serious is on top of the first page."""
    lesser = [flag for flag in report.findings.flags if flag.severity is not Severity.SERIOUS]
    more = len(lesser) - MAX_FLAGS
    rest = [[one.words("page-more-notes", count=more) for one in languages]] if more > 0 else []
    return _columns(lesser[:MAX_FLAGS], languages) + rest


def _quality(sheet: Sheet, notes: Sequence[Sequence[str]], languages: Sequence[Language]) -> None:
    if sheet.will_page_break(25):
        sheet.add_page()
    sheet.ln(2)
    sheet.side_by_side([one.words("page-quality") for one in languages], 11, bold=True, gap=0.8, kind="H2")
    for row in notes:
        sheet.side_by_side(row, 8.5, gap=0.4)
