"""A report as one transaction that can be sent twice: Patient is created only if unknown, everything else made or updated."""

from __future__ import annotations

from braintumor.domain import Report
from braintumor.fhir.course import changes, quality, response
from braintumor.fhir.imaging import body_structure, encounter, files, imaging_study
from braintumor.fhir.imaging import endpoint as endpoint_part
from braintumor.fhir.observations import measured, panel
from braintumor.fhir.parts import BASE_SYSTEM, Frame, Naming, Part, Resource, issued
from braintumor.fhir.patient import patient, subject
from braintumor.fhir.provenance import device, provenance
from braintumor.fhir.report import diagnostic_report


def bundle(
    report: Report,
    *,
    pdf: bytes | None = None,
    endpoint: str = "",
    base_system: str = BASE_SYSTEM,
    patient_system: str = "",
    accession_system: str = "",
) -> Resource:
    """The report as a FHIR R4 transaction.

    Every reference inside is a ``urn:uuid:`` that follows from the identifier of its resource: the same report gives the same
    bundle, and a new version of it updates what the one before stored.

    Parameters
    ----------
    pdf
        The report as PDF, to be embedded.
    endpoint
        DICOMweb address of the images, told to whoever reads the report; none if ''.
    base_system
        Prefix of our own identifier systems. One installation keeps one: another one would store everything again.
    patient_system, accession_system
        Who issued Patient ID and accession number, as the FHIR server knows them.

    Raises
    ------
    FinalReportError
        If it is a draft of a report that was final before.
    FhirError
        If `endpoint` is no web address, or holds a password.
    """
    naming = Naming(base_system, patient_system, accession_system)
    parts = list(_parts(report, naming, endpoint, pdf))
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": issued(report),
        "entry": [part.entry() for part in parts],
    }


def _parts(report: Report, naming: Naming, address: str, pdf: bytes | None) -> list[Part]:
    who = patient(report, naming)
    about = subject(report, who, naming)
    software = device(report, naming)
    first = [*([who] if who else []), software]
    if report.study.kind == "dicom":
        visit = encounter(report, about, naming)
        archive = [endpoint_part(address, naming)] if address else []
        study = imaging_study(report, about, visit.reference, archive[0].reference if archive else None, naming)
        imaging = [visit, *archive, study]
        frame = Frame(report, naming, about, visit.reference, (study.reference,), software.reference)
    else:
        imaging = list(files(report, about, naming))
        frame = Frame(report, naming, about, None, tuple(source.reference for source in imaging), software.reference)
    return [*first, *imaging, *_said(frame, pdf)]


def _said(frame: Frame, pdf: bytes | None) -> list[Part]:
    """What belongs to the report alone."""
    lesions = {lesion.number: body_structure(frame, lesion) for lesion in frame.report.findings.measurements.lesions}
    members = [*measured(frame, lesions), *changes(frame, lesions)]
    category = response(frame)
    results = [panel(frame, members), *([category] if category else []), quality(frame)]
    document = diagnostic_report(frame, results, pdf=pdf)
    observations = [*results, *members]
    origin = provenance(frame, [document, *observations])
    return [*lesions.values(), *observations, document, origin]
