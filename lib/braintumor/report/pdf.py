"""The report as one PDF: what was found on the first page, then every section in all languages side by side, then how.

This module says what stands on the page, block by block, as data; ``report.typ`` says how it looks, and typst sets it: fonts,
line and page breaks, tags, PDF/A.
"""

from __future__ import annotations

import io
import json
import shutil
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timezone
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typst
from PIL import Image

from braintumor.domain import Flag, Line, Origin, Report, Section, Severity, Status, message_in
from braintumor.report.editing import edited_alone
from braintumor.report.figures import Picture
from braintumor.report.fonts import TYPEFACES, devanagari_font, east_asian_font, letters, text_font
from braintumor.report.language import Language, language_of
from braintumor.report.names import DASH, person_name, plain_date
from braintumor.report.tables import Block, audit_trail, course, key_facts, lesions, measurements, provenance, technique
from braintumor.report.trend import trend

MAX_FLAGS = 8
DETAILS = ("planes", "montage", "registration", "uncertainty")
"""Pictures of the pages after the text."""

UNKNOWN = "?"
STANDARDS: list[typst.PDFStandard] = ["a-3a", "ua-1"]
"""ISO 19005-3 for archives, ISO 14289-1 for screen readers; typst refuses what keeps to neither."""

_UNKNOWN_LETTERS = (
    f"Letters shown as {UNKNOWN} cannot be drawn with the fonts of this report; the DICOM header has the full text."
)
_TEMPLATE = Path(__file__).with_name("report.typ")
_JPEG_QUALITY = 90
_DPI = (254, 254)  # 10 pixels per millimetre, as the pictures are drawn for
_SVG_IN_OUR_FACE = '<svg font-family="Fira Sans"'
_JOINERS = "\u200c\u200d"


def render(report: Report, pictures: Sequence[Picture], *, chain_head: str = "") -> bytes:
    """Set the report on A4.

    Page 1 is to be read in a minute: patient, status, serious flags, impression, key images, numbers with their change. Then
    the text, one column per language, the course over time, planes, montage, registration and uncertainty, and provenance
    with the hashes. Fonts are embedded; the file's metadata names no patient; the same arguments give the same bytes.

    Parameters
    ----------
    report
        The patient is named on page 1 if the study came as DICOM. Every text is printed as it is. Letters that no embedded font
        holds become question marks, and the page says so. A draft says on every page that it is one.
    pictures
        Of `braintumor.report.key_images`; those given are shown.
    chain_head
        Of the chain of hashes from the images to the text, see `braintumor.report.approval`.

    Returns
    -------
    bytes
        A PDF file: PDF/A-3a and PDF/UA-1.
    """
    languages = [language_of(code) for code in report.texts]
    first, captions = languages[0], {picture.name: picture.caption for picture in pictures}
    files = {f"{picture.name}.jpg": _jpeg(picture) for picture in pictures}
    if report.findings.comparison is not None:
        captions["trend"] = "Volumes with their 95 % intervals."
        files["trend.svg"] = trend(report.findings.comparison.trend).svg().replace("<svg", _SVG_IN_OUR_FACE, 1).encode()
    page = {
        "languages": [_tag(one) for one in languages],
        "title": first.words("page-title"),
        "titles": [one.words("page-title") for one in languages],
        "subject": first.words("page-research"),
        "software": f"braintumor {report.provenance.software_version}",
        "research": first.words("page-research"),
        "draft": first.words("page-draft", version=report.version) if report.status is Status.DRAFT else "",
        "identity": _identity(report, first),
        "small-print": [_made(report, first)],
        "pictures": {Path(file).stem: {"file": file, "caption": captions[Path(file).stem]} for file in files},
        "blocks": list(_blocks(report, captions, languages, chain_head)),
    }
    return _typeset(page, files, report.provenance.created)


def _blocks(
    report: Report, pictures: Collection[str], languages: Sequence[Language], chain_head: str
) -> Iterator[Block | None]:
    first = languages[0]
    yield from _warnings(report, languages)
    yield from _section(report, languages, Section.IMPRESSION)
    yield key_facts(report, pictures, first)
    yield measurements(report, first)
    yield from _quality(report, languages)
    yield {"kind": "next-page"}
    for section in Section:
        if section is not Section.IMPRESSION:
            yield from _section(report, languages, section)
    yield from course(report, first)
    yield from lesions(report, first)
    yield from ({"kind": "figure", "title": "", "picture": name, "width": None} for name in DETAILS if name in pictures)
    yield from technique(report, first)
    yield provenance(report, first, chain_head)
    yield from audit_trail(report, first)


def _typeset(page: Mapping[str, Any], files: Mapping[str, bytes], created: datetime) -> bytes:
    """A PDF of the template, with the data in memory and the pictures in a folder that exists for one call."""
    texts = json.dumps(page, ensure_ascii=False)
    known = letters(text_font()) | letters(devanagari_font()) | {"\n"}
    further = sorted(set(texts) - known)
    if further:  # 16 MB, so only where a name needs it
        known |= letters(east_asian_font())
    data = _drawable({**page, "further-fonts": ["Noto Sans CJK JP"] if further else []}, known)
    if data["identity"] != [list(one) for one in page["identity"]]:
        data["small-print"].insert(0, _UNKNOWN_LETTERS)
    at = created if created.tzinfo else created.replace(tzinfo=UTC)
    with TemporaryDirectory(prefix="braintumor-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return typst.compile(
            Path(shutil.copy(_TEMPLATE, folder)),
            root=Path(folder),
            font_paths=_fonts(bool(further)),
            ignore_system_fonts=True,
            sys_inputs={"page": json.dumps(data)},
            pdf_standards=STANDARDS,
            timestamp=at.astimezone(timezone(at.utcoffset() or UTC.utcoffset(None))),
        )


@cache
def _fonts(east_asian: bool) -> typst.Fonts:
    folders = [text_font().parent, TYPEFACES, *([east_asian_font().parent] if east_asian else [])]
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)


def _drawable(value: Any, known: frozenset[str]) -> Any:
    """The data with every letter that no font holds, or that stands for nothing, replaced by a question mark."""
    match value:
        case str():
            return "".join(c if c in known and _is_text(c) else UNKNOWN for c in value)
        case dict():
            return {key: _drawable(one, known) for key, one in value.items()}
        case list() | tuple():
            return [_drawable(one, known) for one in value]
    return value


def _is_text(letter: str) -> bool:
    """Not a control, a mark of direction, or private: PDF/A allows none, and a name must not turn the line round."""
    return letter in _JOINERS or letter == "\n" or not unicodedata.category(letter).startswith("C")


def _tag(language: Language) -> dict[str, str | None]:
    """Language and country, as typst's `text` takes them; without a country it would keep the one around it."""
    return {"lang": language.code, "region": language.locale.territory}


def _jpeg(picture: Picture) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(picture.rgb).save(packed, "JPEG", quality=_JPEG_QUALITY, subsampling=0, dpi=_DPI)
    return packed.getvalue()


def _identity(report: Report, language: Language) -> list[tuple[str, str, int]]:
    """Labels, values and widths of the block at the top; without patient data for NIfTI, which has none."""
    say, patient = language.words, report.patient
    if report.study.kind != "dicom":
        return [(say("page-case"), report.study.uid, 100), ("", say("page-nifti"), 82)]
    identifiers = " · ".join(filter(None, (patient.patient_id, *(one.value for one in report.identifiers))))
    return [
        (say("page-patient"), person_name(patient.name) or DASH, 58),
        (say("page-patient-id"), identifiers or DASH, 48),
        (say("page-birth-date"), plain_date(patient.birth_date) or DASH, 26),
        (say("page-sex"), patient.sex or DASH, 18),
        (say("page-study-date"), report.study.date.isoformat() if report.study.date else DASH, 32),
    ]


def _made(report: Report, language: Language) -> str:
    created = report.provenance.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    return language.words("page-made", when=created, version=report.provenance.software_version)


def _warnings(report: Report, languages: Sequence[Language]) -> Iterator[Block]:
    say, approved = languages[0].words, report.approved
    if approved is None:
        tone, title = "draft", say("page-draft", version=report.version)
    else:
        when = approved.when.strftime("%Y-%m-%d %H:%M %Z").strip()
        tone, title = "final", say("page-final", version=report.version, who=approved.who, when=when)
    yield {"kind": "box", "tone": tone, "titles": [f"{title}. {say('page-research')}"], "rows": []}
    serious = [flag for flag in report.findings.flags if flag.severity is Severity.SERIOUS]
    if serious:
        titles = [one.words("page-check") for one in languages]
        yield {"kind": "box", "tone": "serious", "titles": titles, "rows": _columns(serious, languages)}


def _section(report: Report, languages: Sequence[Language], section: Section) -> Iterator[Block]:
    """Heading and lines, one column per language; lines that state the same fact stand level."""
    columns = [report.texts[one.code].sections.get(section, ()) for one in languages]
    if any(columns):
        names = [language_of(code).words("language-name") for code in edited_alone(report).get(section, ())]
        yield {
            "kind": "section",
            "lead": section is Section.IMPRESSION,
            "titles": [one.title(section) for one in languages],
            "rows": _rows(columns),
            "note": [one.words("page-edited-alone", names=one.listed(names)) for one in languages] if names else [],
        }


def _rows(columns: Sequence[Sequence[Line]]) -> list[list[str]]:
    """Lines side by side: by their place while all languages state the same things, else column by column."""
    keys = [[(line.source, line.message) for line in column] for column in columns]
    texts = [[_marked(line) for line in column] for column in columns]
    if all(key == keys[0] for key in keys):
        return [list(row) for row in zip(*texts, strict=True)]
    return [["\n".join(column) for column in texts]]


def _marked(line: Line) -> str:
    """A language model's words are marked; a person's and the templates' are not."""
    return f"{line.text} *" if line.origin is Origin.MODEL else line.text


def _columns(flags: Sequence[Flag], languages: Sequence[Language]) -> list[list[str]]:
    """A row per flag, a column per language."""
    return [[message_in(flag, one.code) for one in languages] for flag in flags]


def _quality(report: Report, languages: Sequence[Language]) -> Iterator[Block]:
    """What is less than serious; the serious is on top of the first page."""
    lesser = [flag for flag in report.findings.flags if flag.severity is not Severity.SERIOUS]
    more = len(lesser) - MAX_FLAGS
    rows = _columns(lesser[:MAX_FLAGS], languages)
    if more > 0:
        rows.append([one.words("page-more-notes", count=more) for one in languages])
    if rows:
        titles = [one.words("page-quality") for one in languages]
        yield {"kind": "section", "lead": False, "titles": titles, "rows": rows, "note": []}
