"""The segmentation as an ImagingSelection, which only FHIR R5 has; offered beside the R4 bundle, never inside it."""

from __future__ import annotations

from braintumor.domain import LABELS, FhirError, Report, StoredSeries
from braintumor.fhir import codes
from braintumor.fhir.parts import DICOM_UID, URI, Naming, Resource, clean, instant, oid
from braintumor.fhir.patient import patient, subject

SEGMENTATION_STORAGE = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
"""Segmentation Storage and Label Map Segmentation Storage (PS3.4 B.5)."""


def imaging_selection(report: Report, *, naming: Naming | None = None) -> Resource:
    """Which instances of the study the report rests on, as a FHIR **R5** resource.

    The segmentation object with all its segments where the study has one, else the series whose space was measured in. The
    subject is named by its identifier, because the resource stands alone.

    Raises
    ------
    FhirError
        If the report is about NIfTI, which has no instances to select.
    """
    if report.study.kind != "dicom":
        raise FhirError("A NIfTI case has no DICOM instances to select", remedy="Use the R4 bundle alone")
    naming = naming or Naming()
    series = _chosen(report)
    segmented = series.modality == "SEG"
    instances = [
        {
            "uid": instance.uid,
            "sopClass": {"system": URI, "code": oid(instance.class_uid)},
            **({"subset": [str(label.segment) for label in LABELS]} if segmented else {}),
        }
        for instance in series.instances
        if not segmented or instance.class_uid in SEGMENTATION_STORAGE
    ]
    return {
        "resourceType": "ImagingSelection",
        "identifier": [{"system": naming.system("selection"), "value": f"{report.uid}/{series.uid}"}],
        "status": "available",
        "subject": _subject(report, naming),
        "issued": instant(report.provenance.created),
        "code": codes.concept(codes.NEOPLASM if segmented else codes.BRAIN),
        "derivedFrom": [{"type": "ImagingStudy", "identifier": {"system": DICOM_UID, "value": oid(report.study.uid)}}],
        "studyUid": report.study.uid,
        "seriesUid": series.uid,
        "bodySite": {"concept": codes.concept(codes.BRAIN)},
        "instance": instances,
    }


def _chosen(report: Report) -> StoredSeries:
    """The SEG series, else the reference's; a study always has that one."""
    for series in report.study.series:
        if series.modality == "SEG":
            return series
    reference = report.findings.technique.reference
    found = [series for series in report.study.series if series.sequence is reference]
    if not found:
        raise FhirError("The report names no series that was measured", remedy="Report this")
    return found[0]


def _subject(report: Report, naming: Naming) -> Resource:
    who = patient(report, naming)
    if who is None:
        return subject(report, None, naming)
    first = who.resource["identifier"][0]
    return {"type": "Patient", "identifier": {key: clean(first[key]) for key in ("system", "value") if key in first}}
