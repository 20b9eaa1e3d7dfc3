"""What became of a tumour over visits: states of lesions, numbers with their uncertainty, how visits were aligned."""

from __future__ import annotations

import datetime  # as a module: fields called `date` hide the class where annotations are evaluated
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from braintumor.domain.geometry import Affine

AID = "Measurement aid by RANO 2.0 thresholds; not a diagnosis. The treating team decides."


class LesionState(StrEnum):
    """What became of a lesion since the visit before.

    PRESENT is said at the first visit, where there is nothing to compare with. RETURNED: gone at the visit before, and there
    earlier. MERGED is said of the lesion that goes on and of those that ended in it.
    """

    PRESENT = "present"
    NEW = "new"
    RETURNED = "returned"
    GROWN = "grown"
    SHRUNK = "shrunk"
    STABLE = "stable"
    SPLIT = "split"
    MERGED = "merged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error, both in the same unit."""

    value: float
    sigma: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - 1.96 * self.sigma

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + 1.96 * self.sigma


@dataclass(frozen=True, slots=True)
class Appearance:
    """A tracked lesion at one visit.

    Attributes
    ----------
    visit
        Index of the visit, oldest = 0.
    number
        Of the instance in that visit's mask, 1 = largest; None when the lesion is gone or ended in another.
    volume
        mL; 0 with no error when gone.
    """

    visit: int
    state: LesionState
    number: int | None
    volume: Estimate


@dataclass(frozen=True, slots=True)
class Track:
    """One lesion over all visits.

    Attributes
    ----------
    uid
        DICOM UID, the same for the lesion at every visit (Tracking UID, PS3.3 table C.8.20-4).
    name
        Tracking ID, e.g. ``Lesion 1``, numbered by first appearance, then by size.
    family
        `uid` of the oldest relative by splitting and merging; the lesion's own where it has none.
    appearances
        From the first visit that shows it on, oldest first.
    """

    uid: str
    name: str
    family: str
    appearances: tuple[Appearance, ...]

    def at(self, visit: int) -> Appearance | None:
        """What it is like at a visit; None before it appeared or after it ended."""
        return next((a for a in self.appearances if a.visit == visit), None)


@dataclass(frozen=True, eq=False)
class VisitAlignment:
    """How a prior visit was brought onto the current one.

    Attributes
    ----------
    transform
        4x4, LPS+ mm of the current visit -> LPS+ mm of the prior.
    sequence
        The sequence both were compared on.
    quality
        Local agreement of both images inside the brain without the tumour, 0 = unrelated .. 1 = identical.
    error_mm
        What landmarks are expected to miss by, see `braintumor.track.register.expected_error_mm`.
    consistency_mm
        Half the mean distance over the brain between the registrations of two halves of the data.
    translation_mm, rotation_deg
        Size of the motion that was corrected.
    """

    transform: Affine
    sequence: str
    quality: float
    error_mm: float
    consistency_mm: float
    translation_mm: float
    rotation_deg: float


class Category(StrEnum):
    """Response categories of RANO 2.0, best first."""

    CR = "CR"
    PR = "PR"
    MR = "MR"
    SD = "SD"
    PD = "PD"
    NOT_ASSESSABLE = "not assessable"


class Confirmation(StrEnum):
    """Whether the category needs a second scan, and has it."""

    CONFIRMED = "confirmed"
    PENDING = "pending"
    NOT_REQUIRED = "not required"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Assessment:
    """The category of one visit and how it came about.

    Attributes
    ----------
    category
        What this visit's numbers meet.
    standing
        What counts today: `category` once confirmed, before that the best category that stands.
    rule
        The rule that fired, one sentence.
    used
        Inputs that decided, name -> value in words.
    missing
        Inputs that were not given and could change the answer.
    caveats
        What the reader must know beside it.
    change_from_baseline, change_from_nadir
        Relative change of the sum, as a share; None where there is nothing to divide by.
    """

    date: datetime.date
    category: Category
    standing: Category
    confirmation: Confirmation
    rule: str
    used: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    change_from_baseline: float | None = None
    change_from_nadir: float | None = None
    notice: str = AID
