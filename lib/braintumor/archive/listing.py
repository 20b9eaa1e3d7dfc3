"""Asks a DICOMweb client (a PACS' or a folder's) what there is, and turns its answers into entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Protocol

from pydicom.datadict import tag_for_keyword
from pydicom.uid import SegmentationStorage

from braintumor.archive.entries import (
    IMAGE_MODALITY,
    LABEL_MODALITY,
    LabelVersion,
    SeriesEntry,
    StudyEntry,
    fingerprint,
    is_uid,
)
from braintumor.domain import LABELS, AuthorKind

PAGE = 500
"""Answers asked for at a time; many archives give no more than some hundreds at once."""

SEGMENTATIONS = (str(SegmentationStorage), "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage and Label Map Segmentation Storage; pydicom 3.0 does not know the second."""

_AUTOMATIC = "AUTOMATIC"

Answer = Mapping[str, Any]


class Client(Protocol):
    """What the store asks of a DICOMweb client; `dicomweb_client.DICOMwebClient` and `FolderClient` have it."""

    def search_for_studies(self, **how: Any) -> list[dict[str, Any]]: ...  # noqa: D102
    def search_for_series(self, study_instance_uid: str | None = None, **how: Any) -> list[dict[str, Any]]: ...  # noqa: D102
    def search_for_instances(  # noqa: D102
        self, study_instance_uid: str | None = None, series_instance_uid: str | None = None, **how: Any
    ) -> list[dict[str, Any]]: ...
    def retrieve_instance_metadata(  # noqa: D102
        self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
    ) -> dict[str, Any]: ...


def value(item: Answer, keyword: str) -> Any:
    """First value of an attribute of a DICOM JSON object, None if it is absent or empty."""
    return next(iter((item.get(f"{tag_for_keyword(keyword):08X}") or {}).get("Value") or ()), None)


def text(item: Answer, keyword: str) -> str:
    """The same as text; a person's name in its first representation."""
    found = value(item, keyword)
    if isinstance(found, Mapping):
        found = next((part for part in found.values() if part), "")
    return "" if found is None else str(found).strip()


def find_studies(client: Client, **filters: str) -> list[Answer]:
    """Every study that matches, page by page.

    Some archives ignore the offset, some give smaller pages than asked for: it ends where a page brings nothing new.
    """
    found: dict[str, Answer] = {}
    asked = 0
    while True:
        page = client.search_for_studies(
            search_filters=filters, limit=PAGE, offset=asked, fields=["StudyDescription", "NumberOfStudyRelatedInstances"]
        )
        new = {uid: answer for answer in page if is_uid(uid := text(answer, "StudyInstanceUID")) and uid not in found}
        found |= new
        asked += len(page)
        if not new:
            return list(found.values())


def find_study(client: Client, study_uid: str) -> Answer | None:
    """The study of this UID, None if there is none."""
    answers = client.search_for_studies(
        search_filters={"StudyInstanceUID": study_uid}, fields=["StudyDescription", "NumberOfStudyRelatedInstances"]
    )
    return next((found for found in answers if text(found, "StudyInstanceUID") == study_uid), None)


def find_series(client: Client, study_uid: str) -> tuple[SeriesEntry, ...]:
    """The series of a study by number; counted instance by instance where the archive does not say how many there are."""
    answers = client.search_for_series(study_uid, fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"])
    found = [_series(client, study_uid, answer) for answer in answers if is_uid(text(answer, "SeriesInstanceUID"))]
    return tuple(sorted(found, key=lambda entry: (entry.number is None, entry.number or 0, entry.uid)))


def study_entry(answer: Answer, series: tuple[SeriesEntry, ...]) -> StudyEntry:
    """A study from its answer and its series."""
    return StudyEntry(
        uid=text(answer, "StudyInstanceUID"),
        patient_id=text(answer, "PatientID"),
        patient_name=text(answer, "PatientName"),
        date=_date(text(answer, "StudyDate")),
        description=text(answer, "StudyDescription"),
        series=series,
        fingerprint=fingerprint(series),
    )


def find_labels(client: Client, study_uid: str, known: dict[str, LabelVersion | None]) -> list[LabelVersion]:
    """Every segmentation object of a study that has a label of ours; others (followed lesions, other organs) are no versions.

    The content of a SOP instance never changes, so those in `known` are not read; None stands for one that is no version.
    """
    found = []
    series = client.search_for_series(study_uid, search_filters={"Modality": LABEL_MODALITY})
    for series_uid in (text(answer, "SeriesInstanceUID") for answer in series if text(answer, "Modality") == LABEL_MODALITY):
        for answer in client.search_for_instances(study_uid, series_uid):
            uid = text(answer, "SOPInstanceUID")
            if uid not in known:
                header = client.retrieve_instance_metadata(study_uid, series_uid, uid)
                shows = text(header, "SOPClassUID") in SEGMENTATIONS and is_uid(uid) and any(map(_is_ours, _segments(header)))
                known[uid] = label_version(header) if shows else None
            version = known[uid]
            if version is not None:
                found.append(version)
    return found


def label_version(header: Answer) -> LabelVersion:
    """Who made a segmentation object, when, from what, as its header says."""
    segments = _segments(header)
    first = next((item for item in segments if _is_ours(item)), segments[0] if segments else {})
    model = text(first, "SegmentAlgorithmType") == _AUTOMATIC
    algorithm = next(iter(_items(first, "SegmentationAlgorithmIdentificationSequence")), {})
    source = next(iter(_items(header, "ReferencedSeriesSequence")), {})
    return LabelVersion(
        uid=text(header, "SOPInstanceUID"),
        series_uid=text(header, "SeriesInstanceUID"),
        study_uid=text(header, "StudyInstanceUID"),
        referenced_series_uid=text(source, "SeriesInstanceUID"),
        kind=AuthorKind.MODEL if model else AuthorKind.HUMAN,
        author=text(first, "SegmentAlgorithmName") if model else text(header, "ContentCreatorName").rstrip("^"),
        version=text(algorithm, "AlgorithmVersion"),
        created=_created(header),
    )


def _series(client: Client, study_uid: str, answer: Answer) -> SeriesEntry:
    uid, modality = text(answer, "SeriesInstanceUID"), text(answer, "Modality")
    count, number = value(answer, "NumberOfSeriesRelatedInstances"), text(answer, "SeriesNumber")
    if count is None and modality == IMAGE_MODALITY:
        count = len(client.search_for_instances(study_uid, uid))
    numbered = int(number) if number.lstrip("-").isdigit() else None
    return SeriesEntry(uid, modality, numbered, text(answer, "SeriesDescription"), int(count or 0))


def _items(item: Answer, keyword: str) -> Sequence[Answer]:
    return (item.get(f"{tag_for_keyword(keyword):08X}") or {}).get("Value") or ()


def _segments(header: Answer) -> list[Answer]:
    """All but a labelmap's background."""
    return [item for item in _items(header, "SegmentSequence") if value(item, "SegmentNumber") != 0]


def _is_ours(segment: Answer) -> bool:
    """Whether a segment is one of the label table's, by its code or its name."""
    code = text(next(iter(_items(segment, "SegmentedPropertyTypeCodeSequence")), {}), "CodeValue")
    name = text(segment, "SegmentLabel").casefold()
    return any(code == label.code.value or name in (label.name.casefold(), label.short.casefold()) for label in LABELS)


def _created(header: Answer) -> datetime | None:
    for day, clock in (
        ("ContentDate", "ContentTime"),
        ("SeriesDate", "SeriesTime"),
        ("InstanceCreationDate", "InstanceCreationTime"),
    ):
        found = _date(text(header, day))
        if found is not None:
            digits = text(header, clock).partition(".")
            whole, fraction = digits[0].ljust(6, "0")[:6], digits[2].ljust(6, "0")[:6]
            with suppress(ValueError):
                return datetime.strptime(f"{found:%Y%m%d}{whole}{fraction}", "%Y%m%d%H%M%S%f")
            return datetime(found.year, found.month, found.day)
    return None


def _date(digits: str) -> date | None:
    with suppress(ValueError):
        return datetime.strptime(digits.replace(".", ""), "%Y%m%d").date()
    return None
