"""What RANO 2.0 is asked and what it answers: sizes, visits, criteria, categories; the rules are in `braintumor.track.rano`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

MEASURABLE_MM = 10.0
SLACK = 1e-9
"""Below any measurable size, above rounding: a computed -50 % must not miss its threshold by a bit."""


class Compartment(StrEnum):
    """Which part of the tumour is measured: on T1ce, or on T2/FLAIR in tumours that do not enhance."""

    ENHANCING = "enhancing"
    NON_ENHANCING = "non-enhancing"


class Measure(StrEnum):
    """What the thresholds are applied to; two-dimensional is RANO 2.0's primary measure."""

    PRODUCT = "bidimensional product"
    VOLUME = "volume"


class Clinical(StrEnum):
    """Clinical status against baseline, by the treating team."""

    IMPROVED = "improved"
    STABLE = "stable"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Relative changes, as shares: response and minor response against baseline, progression against the smallest sum."""

    response: float
    minor: float
    progression: float


THRESHOLDS: Mapping[Measure, Thresholds] = {
    Measure.PRODUCT: Thresholds(response=-0.50, minor=-0.25, progression=0.25),
    Measure.VOLUME: Thresholds(response=-0.65, minor=-0.40, progression=0.40),
}
"""RANO 2.0, 'Volumetric measurements': the volumetric figures are those a sphere has at the bidimensional ones."""


@dataclass(frozen=True, slots=True)
class LesionSize:
    """One lesion at one visit; `lesion` is its identity over all visits."""

    lesion: str
    longest_mm: float
    perpendicular_mm: float
    volume_ml: float

    @property
    def product_mm2(self) -> float:
        """Product of the two diameters."""
        return self.longest_mm * self.perpendicular_mm

    def size(self, measure: Measure) -> float:
        """mm2 or mL."""
        return self.product_mm2 if measure is Measure.PRODUCT else self.volume_ml


@dataclass(frozen=True, slots=True)
class TimePoint:
    """One visit.

    Attributes
    ----------
    lesions
        All lesions of the compartment, also tiny ones; a lesion that is gone is absent.
    steroid_mg
        Daily dexamethasone equivalent; 0 for none or physiological replacement; None when not known.
    clinical
        Against baseline; None when not known.
    leptomeningeal
        Definite leptomeningeal disease; None when nobody looked.
    """

    date: date
    lesions: tuple[LesionSize, ...] = ()
    steroid_mg: float | None = None
    clinical: Clinical | None = None
    leptomeningeal: bool | None = None


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is known of the treatment, and how to assess.

    Attributes
    ----------
    baseline
        Date of the baseline scan: after radiotherapy when newly diagnosed, before treatment when recurrent. None: the earliest
        visit is compared with, and the baseline is stated as missing.
    radiotherapy_end
        None when not known; then whether a PD needs confirmation is not known either, unless `recurrent`.
    recurrent
        Treatment of a recurrence: PD needs no confirmation (RANO 2.0).
    slice_mm
        Distance of the thickest slices measured in.
    targets
        Largest number of target lesions; None for all.
    """

    measure: Measure = Measure.PRODUCT
    compartment: Compartment = Compartment.ENHANCING
    baseline: date | None = None
    radiotherapy_end: date | None = None
    recurrent: bool = False
    confirm_progression: bool = False
    slice_mm: float = 1.0
    targets: int | None = None


def minimum_mm(slice_mm: float) -> float:
    """The diameter from which a lesion is measurable.

    >>> minimum_mm(1.0), minimum_mm(5.0), minimum_mm(6.0)
    (10.0, 10.0, 12.0)
    """
    return max(MEASURABLE_MM, 2 * slice_mm) if slice_mm > 5.0 + SLACK else MEASURABLE_MM


def measurable(lesion: LesionSize, slice_mm: float = 1.0) -> bool:
    """Whether both diameters reach `minimum_mm`."""
    return min(lesion.longest_mm, lesion.perpendicular_mm) >= minimum_mm(slice_mm) - SLACK
