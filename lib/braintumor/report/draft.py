"""The first version of a report: the facts of a run, worded by our templates in every language asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from braintumor import __version__
from braintumor.domain import (
    Action,
    Entry,
    Findings,
    Identifier,
    KeyImage,
    MRSequence,
    Provenance,
    Report,
    Segmentation,
    Series,
    Status,
    StoredInstance,
    StoredSeries,
    Study,
    StudyKind,
    StudyReference,
)
from braintumor.report.language import write_text

LANGUAGES = ("en", "hi")
"""Written unless others are asked for."""

SOFTWARE = "braintumor"
"""Who words a draft, in its audit trail."""

_STUDY_TAGS = ("AccessionNumber", "StudyDescription", "StudyTime", "SOPClassUID")


def provenance_of(study: Study, segmentation: Segmentation, created: datetime) -> Provenance:
    """Where the numbers of one run of the installed software come from."""
    hashes = sorted(instance.sha256 for series in study.series.values() for instance in series.instances)
    author = segmentation.author
    return Provenance(
        created=created,
        software_version=__version__,
        model=author.name,
        model_version=author.version,
        weights_checksum=author.checksum,
        engine=author.engine,
        input_sha256=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        mask_sha256=hashlib.sha256(np.ascontiguousarray(segmentation.mask).data).hexdigest(),
    )


def draft(
    study: Study,
    findings: Findings,
    provenance: Provenance,
    *,
    uid: str,
    pictures: Iterable[KeyImage] = (),
    languages: Iterable[str] = LANGUAGES,
    identifiers: Iterable[Identifier] = (),
    derived: Iterable[StoredSeries] = (),
) -> Report:
    """Version 1 of a report.

    Parameters
    ----------
    uid
        DICOM UID of the report over all its versions.
    languages
        The first is that of the page's headings.
    identifiers
        Of the patient, beside the Patient ID.
    derived
        Series that were made of the study: SEG, SR.

    Raises
    ------
    UnknownLanguageError
        If a language has no file of messages.
    """
    return Report(
        uid=uid,
        version=1,
        status=Status.DRAFT,
        patient=study.patient,
        identifiers=tuple(identifiers),
        study=_reference(study, tuple(derived)),
        findings=findings,
        provenance=provenance,
        texts={code: write_text(findings, code) for code in languages},
        pictures=tuple(pictures),
        audit=(Entry(provenance.created, Action.MADE, f"{SOFTWARE} {provenance.software_version}"),),
    )


def accession_of(study: Study) -> str:
    """The study's accession number; '' where it has none."""
    return _header(study.reference).get("AccessionNumber", "") if study.kind is StudyKind.DICOM else ""


def _reference(study: Study, derived: tuple[StoredSeries, ...]) -> StudyReference:
    header = _header(study.reference) if study.kind is StudyKind.DICOM else {}
    return StudyReference(
        uid=study.uid,
        kind=study.kind,
        date=study.study_date,
        time=_iso_time(header.get("StudyTime", "")),
        accession=header.get("AccessionNumber", ""),
        description=header.get("StudyDescription", ""),
        series=(*(_series(sequence, series, study.kind) for sequence, series in study.series.items()), *derived),
    )


def _series(sequence: MRSequence, series: Series, kind: StudyKind) -> StoredSeries:
    class_uid = _header(series).get("SOPClassUID", "") if kind == "dicom" else ""
    instances = tuple(StoredInstance(i.uid, class_uid, i.sha256) for i in series.instances)
    return StoredSeries(series.uid, "MR", str(series.attributes.get("description", "")), sequence, instances)


def _header(series: Series) -> Mapping[str, str]:
    """A few attributes of the first file; empty where it is gone: the report does not fail for its study's description."""
    path: Path = series.instances[0].path
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=[*_STUDY_TAGS, "SpecificCharacterSet"])
    except (OSError, InvalidDicomError):
        return {}
    return {tag: str(header.get(tag) or "").strip() for tag in _STUDY_TAGS}


def _iso_time(value: str) -> str:
    """A DICOM time (HHMMSS.ffffff, PS3.5 6.2) as ISO 8601; '' where it is none."""
    digits = value.split(".")[0]
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:6]}" if len(digits) == 6 and digits.isdigit() else ""
