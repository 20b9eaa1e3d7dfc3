"""The DiagnosticReport: conclusion, results, both languages for people, and the PDF."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from braintumor.domain import Report
from braintumor.fhir import codes
from braintumor.fhir.frame import Frame, issued, status
from braintumor.fhir.imaging import accession, based_on
from braintumor.fhir.narrative import impression, narrative
from braintumor.fhir.parts import URI, Part, Resource, clean, oid

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
TITLE = "Brain tumour MRI report"


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
        "text": narrative(report),
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
    return frame.part("report", {key: value for key, value in content.items() if value not in (None, "", [])})


def version(report: Report) -> str:
    """The report's number with that of its version, e.g. ``2.25.1/2``."""
    return f"{report.uid}/{report.version}"


def _conclusion(report: Report) -> Resource:
    """The impression in the language that was written first, the other languages as translations of it."""
    said = {code: impression(text) for code, text in report.texts.items() if impression(text)}
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
    return {key: value for key, value in found.items() if value is not None}
