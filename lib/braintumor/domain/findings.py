"""What is known of one visit, as data: everything a report says can be traced to a field of `Findings`."""

from __future__ import annotations

import datetime  # as a module: fields called `date` hide the class where annotations are evaluated
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from braintumor.domain.case import AlignmentMethod, Author
from braintumor.domain.context import Context
from braintumor.domain.regions import Region
from braintumor.domain.result import Measurements
from braintumor.domain.study import Flag, MRSequence
from braintumor.domain.track import Assessment, Estimate, LesionState


class Direction(StrEnum):
    """Which way a volume went; MEASURABLE changes only are GROWN or SHRUNK."""

    GROWN = "grown"
    SHRUNK = "shrunk"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class SequenceUse:
    """How one sequence was used.

    Attributes
    ----------
    series_uid
        Series Instance UID, or the file's name for NIfTI.
    reason
        Why it was taken for this sequence, in plain words.
    spacing_mm
        Of the series' own voxels, i, j, k.
    method, quality, translation_mm, rotation_deg
        As in `braintumor.domain.Alignment`.
    """

    series_uid: str
    reason: str
    spacing_mm: tuple[float, float, float]
    method: AlignmentMethod
    quality: float | None
    translation_mm: float
    rotation_deg: float


@dataclass(frozen=True, slots=True)
class Technique:
    """What was used and done.

    Attributes
    ----------
    sequences
        Those that were there.
    reference
        Whose space the others were brought to.
    grid_shape, grid_spacing_mm
        Of the grid that was analysed.
    steps
        What preparation did, in order, in plain English.
    confidence
        Mean probability inside each region, 0..1, uncalibrated.
    brain_from
        Which input made the brain mask.
    """

    sequences: Mapping[MRSequence, SequenceUse]
    reference: MRSequence
    grid_shape: tuple[int, int, int]
    grid_spacing_mm: tuple[float, float, float]
    steps: tuple[str, ...]
    author: Author
    confidence: Mapping[Region, float]


@dataclass(frozen=True, slots=True)
class RegionChange:
    """One region at the prior and now; `percent` is None where the prior's volume is 0."""

    before: Estimate
    now: Estimate
    ml: Estimate
    percent: Estimate | None
    direction: Direction


@dataclass(frozen=True, slots=True)
class LesionChange:
    """What became of one lesion since the prior.

    Attributes
    ----------
    number
        In this visit's mask, 1 = largest; None when it is gone or went into another.
    before, now
        Volumes of the whole tumour, mL; `before` is None for a lesion that was not there.
    """

    name: str
    uid: str
    state: LesionState
    number: int | None
    before: Estimate | None
    now: Estimate


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """Volumes at one visit."""

    study_uid: str
    date: datetime.date | None
    volumes: Mapping[Region, Estimate]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed since the visit before, and the course so far.

    Attributes
    ----------
    prior_uid, prior_date
        The visit that is compared with; the date is None when unknown.
    days
        From the prior to this visit; None when a date is unknown.
    lesions
        Only those that were there at one of the two visits.
    response
        RANO 2.0 of this visit; None where it cannot be assessed, `not_assessed` says why.
    trend
        All visits, oldest first, this one last.
    alignment_quality, alignment_error_mm
        Of the prior onto this visit, see `braintumor.domain.VisitAlignment`.
    """

    prior_uid: str
    prior_date: datetime.date | None
    days: int | None
    regions: Mapping[Region, RegionChange]
    lesions: tuple[LesionChange, ...]
    response: Assessment | None
    not_assessed: str
    trend: tuple[TrendPoint, ...]
    alignment_quality: float | None
    alignment_error_mm: float | None


@dataclass(frozen=True, slots=True)
class Request:
    """Why the study was made, as whoever ordered it says; empty where nobody said it.

    Attributes
    ----------
    age_years, sex
        At the study's date; sex as in DICOM (``M``, ``F``, ``O``).
    reason
        The order's own words.
    """

    age_years: int | None = None
    sex: str = ""
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Findings:
    """All facts of one visit, with every quality flag raised on the way.

    Attributes
    ----------
    comparison
        None when no prior was given.
    context
        What the patient's own notes say; None when no notes were given.
    """

    study_uid: str
    study_date: datetime.date | None
    request: Request
    technique: Technique
    measurements: Measurements
    comparison: Comparison | None = None
    context: Context | None = None
    flags: tuple[Flag, ...] = ()
