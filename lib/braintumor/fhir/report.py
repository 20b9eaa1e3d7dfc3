"""The DiagnosticReport: conclusion, results, both languages for people, and the PDF."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from braintumor.domain import Flag, Report, ReportText, Section, Status
from braintumor.fhir import codes
from braintumor.fhir.imaging import accession, based_on
from braintumor.fhir.parts import URI, Frame, Part, Resource, clean, filled, issued, oid, status
from braintumor.report.language import language_of, languages

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
TITLE = "Brain tumour MRI report"
NOTICE = "Research use only. Not a medical device."
RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"})
"""Languages that are written from right to left; their block says so (R4 2.5.7.1 allows ``dir``)."""


def diagnostic_report(frame: Frame, results: Sequence[Part], *, pdf: bytes | None) -> Part:
    """The report.

    It carries no conclusionCode: nothing here is a diagnosis that a person coded, and the RANO category is a measurement aid
    with an Observation of its own. It is found again by an identifier for all its versions; a second one names the version.
    """
    report = frame.report
    approved = report.approved
    content: Resource = {
        "resourceType": "DiagnosticReport",
        "language": next(iter(report.texts), None),
        "text": _narrative(report),
        "identifier": [
            {"system": URI, "value": oid(report.uid)},
            {"use": "secondary", "system": frame.naming.system("report-version"), "value": version(report)},
            *accession(report, frame.naming),
        ],
        "basedOn": based_on(report, frame.naming),
        "status": status(report),
        "category": [codes.concept(codes.RADIOLOGY)],
        "code": codes.concept(codes.MR_BRAIN, text=TITLE),
        **frame.common,
        "effectiveDateTime": report.study.date.isoformat() if report.study.date else None,
        "issued": issued(report),
        "resultsInterpreter": [{"type": "Practitioner", "display": clean(approved.who)}]
        if approved and clean(approved.who)
        else [],
        "result": [result.reference for result in results],
        "imagingStudy": list(frame.sources) if report.study.kind == "dicom" else [],
        **_conclusion(report),
        "presentedForm": [_attachment(report, pdf)] if pdf is not None else [],
    }
    return frame.part("report", filled(content))


def version(report: Report) -> str:
    """The report's number with that of its version, e.g. ``2.25.1/2``."""
    return f"{report.uid}/{report.version}"


def _conclusion(report: Report) -> Resource:
    """The impression in the language that was written first, the other languages as translations of it."""
    said = {code: _impression(text) for code, text in report.texts.items() if _impression(text)}
    if not said:
        return {}
    first, *others = said.items()
    translations = [
        {"url": TRANSLATION, "extension": [{"url": "lang", "valueCode": code}, {"url": "content", "valueString": words}]}
        for code, words in others
    ]
    return {"conclusion": first[1], **({"_conclusion": {"extension": translations}} if translations else {})}


def _attachment(report: Report, pdf: bytes) -> Resource:
    """The PDF. R4 wants SHA-1 as its hash (base64); it guards against accidents only, the signature inside guards the rest."""
    digest = hashlib.sha1(pdf, usedforsecurity=False).digest()
    found = {
        "contentType": "application/pdf",
        "language": next(iter(report.texts), None),
        "data": base64.b64encode(pdf).decode(),
        "size": len(pdf),
        "hash": base64.b64encode(digest).decode(),
        "title": f"{TITLE}, version {report.version}",
        "creation": issued(report),
    }
    return filled(found)


def _narrative(report: Report) -> Resource:
    """A Narrative with all sections in all languages, quality flags last.

    The status is ``additional``: the person's text says more than the coded part of the resource holds.
    """
    said = "".join(_language(text) for text in report.texts.values())
    first = next(iter(report.texts), "en")
    draft = "<p><b>DRAFT. Not approved by a person.</b></p>" if report.status is Status.DRAFT else ""
    flags = _flags(report.findings.flags)
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" lang="{_code(first)}" xml:lang="{_code(first)}">'
    body = f'<div lang="en" xml:lang="en"><p>{NOTICE}</p>{draft}</div>{said}{flags}'
    return {"status": "additional", "div": f"{head}{body}</div>"}


def _impression(text: ReportText) -> str:
    """The lines of the impression; '' if there are none."""
    return "\n".join(filter(None, (clean(line.text) for line in text.sections.get(Section.IMPRESSION, ()))))


def _language(text: ReportText) -> str:
    speaker = language_of(text.language) if text.language in languages() else language_of("en")
    sections = []
    for section in Section:
        lines = [clean(line.text) for line in text.sections.get(section, ())]
        if any(lines):
            said = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
            sections.append(f"<h3>{escape(speaker.title(section))}</h3>{said}")
    code = _code(text.language)
    direction = ' dir="rtl"' if code.partition("-")[0] in RIGHT_TO_LEFT else ""
    return f'<div lang="{code}" xml:lang="{code}"{direction}>{"".join(sections)}</div>' if sections else ""


def _flags(flags: tuple[Flag, ...]) -> str:
    """What the software was unsure of; in English, as `Flag.message` is."""
    if not flags:
        return ""
    rows = "".join(f"<li><b>{flag.severity.upper()}</b> {escape(clean(f'{flag.code}: {flag.message}'))}</li>" for flag in flags)
    return f'<div lang="en" xml:lang="en"><h3>Quality flags</h3><ul>{rows}</ul></div>'


def _code(language: str) -> str:
    """A language code that is safe inside an attribute."""
    return "".join(c for c in language if c.isascii() and (c.isalnum() or c == "-")) or "und"
