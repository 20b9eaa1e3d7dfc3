"""What was imaged: ImagingStudy with its Endpoint and Encounter, the files of a NIfTI case, and a BodyStructure per lesion."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from braintumor.domain import Code, FhirError, Lesion, Report, StoredInstance, StoredSeries
from braintumor.fhir import codes
from braintumor.fhir.parts import DICOM_UID, URI, Frame, Naming, Part, Resource, clean, filled, oid, updated


def endpoint(address: str, naming: Naming) -> Part:
    """Where the images are to be had (DICOMweb, WADO-RS).

    Raises
    ------
    FhirError
        If the address is no web address, or holds a password: it will be read by everybody who reads the report.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(character.isspace() for character in address):
        raise FhirError("The DICOMweb address is no web address", remedy="Give it as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise FhirError("The DICOMweb address holds a name or password", remedy="Give it without them")
    content = {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": codes.coding(codes.WADO_RS),
        "name": "DICOMweb of the images",
        "payloadType": [codes.concept(codes.ANY_PAYLOAD)],
        "payloadMimeType": ["application/dicom"],
        "address": address,
    }
    return updated(naming, "endpoint", hashlib.sha256(address.encode()).hexdigest(), content)


def encounter(report: Report, subject: Resource, naming: Naming) -> Part:
    """The visit at which the images were made. Nobody says whether the patient was admitted, so its class is unknown."""
    date = report.study.date
    content = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": codes.coding(codes.UNKNOWN_CLASS),
        "subject": subject,
        **({"period": {"start": date.isoformat(), "end": date.isoformat()}} if date else {}),
    }
    return updated(naming, "encounter", report.study.uid, content)


def imaging_study(report: Report, subject: Resource, visit: Resource, archive: Resource | None, naming: Naming) -> Part:
    """The DICOM study with every series and instance.

    It is found again by an identifier of ours, so one that the archive's own bridge has stored is never overwritten.
    """
    study = report.study
    modalities = dict.fromkeys(clean(series.modality) or "OT" for series in study.series)
    content = {
        "resourceType": "ImagingStudy",
        "identifier": [{"system": DICOM_UID, "value": oid(study.uid)}, *accession(report, naming)],
        "status": "available",
        "modality": [_modality(modality) for modality in modalities],
        "subject": subject,
        "encounter": visit,
        "started": study.date.isoformat() if study.date else None,
        "basedOn": based_on(report, naming),
        "endpoint": [archive] if archive else [],
        "numberOfSeries": len(study.series),
        "numberOfInstances": sum(len(series.instances) for series in study.series),
        "procedureCode": [codes.concept(codes.MR_BRAIN)],
        "description": clean(study.description),
        "series": [_series(series) for series in study.series],
    }
    return updated(naming, "study", study.uid, filled(content))


def files(report: Report, subject: Resource, naming: Naming) -> Iterator[Part]:
    """One DocumentReference per file of a NIfTI case: ImagingStudy is for DICOM, and its UIDs would have to be made up."""
    for series in report.study.series:
        for instance in series.instances:
            title = clean(instance.uid) or "NIfTI file"
            content = {
                "resourceType": "DocumentReference",
                "status": "current",
                "identifier": [named_information(instance.sha256)],
                "subject": subject,
                "description": clean(series.description) or title,
                "content": [{"attachment": {"contentType": "application/octet-stream", "title": title}}],
            }
            yield updated(naming, "file", f"{instance.sha256}/{report.uid}", content)


def body_structure(frame: Frame, lesion: Lesion) -> Part:
    """Where a lesion is. The lobe is that of the whole tumour, so it is said only where there is one lesion."""
    measured = frame.report.findings.measurements
    whole = measured.regions.get("WT")
    lobe = whole.lobe if whole and len(measured.lesions) == 1 else None
    side = codes.SIDES.get(lesion.side)
    words = ", ".join(filter(None, (lesion.side, f"{lobe[0]} lobe (approximate, by atlas)" if lobe else "")))
    content = {
        "resourceType": "BodyStructure",
        "identifier": [{"system": DICOM_UID, "value": oid(lesion.tracking_uid)}],
        "active": True,
        "morphology": codes.concept(codes.NEOPLASM),
        "location": codes.concept(codes.BRAIN, text=f"Brain, {words}" if words else "Brain"),
        **({"locationQualifier": [codes.concept(side)]} if side else {}),
        "description": f"Lesion {lesion.number} ({clean(lesion.tracking_id)})",
        "patient": frame.subject,
    }
    return frame.part(f"lesion/{lesion.tracking_uid}", content, name=f"lesion {lesion.number}")


def site(side: str | None, lobe: tuple[str, float] | None) -> Resource:
    """A region's place: the lobe that holds most of it where one does, else the brain; the side in words."""
    code: Code = codes.LOBES.get(lobe[0], codes.BRAIN) if lobe else codes.BRAIN
    share = f" ({lobe[1]:.0%} by atlas)" if lobe else ""
    return codes.concept(code, text=", ".join(filter(None, (f"{code.meaning}{share}", side))))


def accession(report: Report, naming: Naming) -> list[Resource]:
    """The accession number as an identifier; nothing if there is none."""
    value = clean(report.study.accession)
    system = {"system": naming.accession} if naming.accession else {}
    return [{"type": codes.concept(codes.ACCESSION), **system, "value": value}] if value else []


def based_on(report: Report, naming: Naming) -> list[Resource]:
    """The order, by its accession number: whoever has the ServiceRequest finds it."""
    return [{"type": "ServiceRequest", "identifier": found} for found in accession(report, naming)]


def study_by_uid(uid: str) -> Resource:
    """A logical reference to an ImagingStudy that this bundle does not hold."""
    return {"type": "ImagingStudy", "identifier": {"system": DICOM_UID, "value": oid(uid)}}


def named_information(sha256: str) -> Resource:
    """A SHA-256 as identifier: a URI of RFC 6920, in the segment format that shows the digest in base64url."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
    return {"system": URI, "value": f"ni:///sha-256;{digest}"}


def _series(series: StoredSeries) -> Resource:
    listed = [_instance(instance) for instance in series.instances if instance.class_uid]
    content = {
        "uid": series.uid,
        "modality": _modality(clean(series.modality) or "OT"),
        "description": clean(series.description),
        "numberOfInstances": len(series.instances),
        "bodySite": codes.coding(codes.BRAIN),
        "instance": listed,
    }
    return filled(content)


def _instance(instance: StoredInstance) -> Resource:
    return {"uid": instance.uid, "sopClass": {"system": URI, "code": oid(instance.class_uid)}}


def _modality(value: str) -> Resource:
    return {"system": codes.SYSTEMS["DCM"], "code": value}
