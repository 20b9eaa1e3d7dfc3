"""What an archive holds, as plain values: studies, series and the versions of their labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from braintumor.domain import AuthorKind, UnknownStudyError

IMAGE_MODALITY = "MR"
LABEL_MODALITY = "SEG"

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """One series as the archive lists it.

    Attributes
    ----------
    number
        Series Number, None where it has none.
    instances
        How many the archive says it has.
    """

    uid: str
    modality: str
    number: int | None
    description: str
    instances: int


@dataclass(frozen=True, slots=True)
class StudyEntry:
    """One study as the archive lists it.

    Attributes
    ----------
    date
        Study Date, None if absent or unusable.
    series
        By number, images and everything else.
    fingerprint
        Changes whenever an image series or instance is added or removed; labels do not change it.
    """

    uid: str
    patient_id: str = field(repr=False)
    patient_name: str = field(repr=False)
    date: date | None
    description: str
    series: tuple[SeriesEntry, ...]
    fingerprint: str

    @property
    def images(self) -> tuple[SeriesEntry, ...]:
        """The MR series."""
        return tuple(entry for entry in self.series if entry.modality == IMAGE_MODALITY)


@dataclass(frozen=True, slots=True)
class LabelVersion:
    """One segmentation object of a study.

    Attributes
    ----------
    uid
        SOP Instance UID.
    referenced_series_uid
        The series it was drawn on; empty if the object does not say.
    kind
        ``human`` as soon as a person had a hand in it (as `braintumor.export.seg.read_seg` has it).
    author
        The annotator's name, or the model's.
    version
        Of the model that made it or that the annotator started from; empty if none.
    created
        Local wall-clock time of its content, None if it does not say.
    """

    uid: str
    series_uid: str
    study_uid: str
    referenced_series_uid: str
    kind: AuthorKind
    author: str
    version: str
    created: datetime | None


def newest_human(versions: Iterable[LabelVersion]) -> LabelVersion | None:
    """The label of a study: the newest version a person made; None if there is none."""
    return next((version for version in newest_first(versions) if version.kind is AuthorKind.HUMAN), None)


def newest_first(versions: Iterable[LabelVersion]) -> tuple[LabelVersion, ...]:
    """Versions by their time, those without one last; equal times in a fixed order."""
    return tuple(sorted(versions, key=lambda version: (version.created or datetime.min, version.uid), reverse=True))


def fingerprint(series: Iterable[SeriesEntry]) -> str:
    """Of a study's images: their series and how many instances each has."""
    images = sorted((entry.uid, entry.instances) for entry in series if entry.modality == IMAGE_MODALITY)
    return hashlib.sha256(repr(images).encode()).hexdigest()


def is_uid(text: str) -> bool:
    """Whether a text has the form of a DICOM UID (PS3.5 9.1; leading zeros, which some scanners write, are let through)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def checked_uid(text: str) -> str:
    """`text`, if it is a UID; so it is safe in a path or URL.

    Raises
    ------
    UnknownStudyError
        If it is none: then the archive cannot hold anything of that name.
    """
    if not is_uid(text):
        raise UnknownStudyError("a study or series was named by something that is no DICOM UID", remedy=LIST_AGAIN)
    return text


LIST_AGAIN = "list the studies again and choose one of them"
