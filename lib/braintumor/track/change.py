"""How much a lesion or region changed, with the uncertainty of every number; less than it is no measurable change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import Estimate, Grid, bounding_box

EDGE_SHARE = 0.05
"""Common displacement of a mask's whole surface, as a share of the voxel's mean size, that two delineations of one thing may
differ by where no map of the mask's own uncertainty says more. A choice: no two readers have been compared here."""

UNSURE_SHARE = 0.25
"""Standard error of the volume as a share of the volume that is expected to be on the wrong side by the uncertainty map: 1 if
all those voxels err together, near 0 if each errs by itself. A choice, not yet measured."""

BAND_MM = 3.0
"""How far from a mask's surface the uncertainty map counts; doubts elsewhere are about other things."""

_CERTAIN = 1.96
NO_CHANGE = "no measurable change"


@dataclass(frozen=True, slots=True)
class Change:
    """From an earlier volume to a later one.

    Attributes
    ----------
    ml
        Later minus earlier.
    percent
        Of the earlier volume; None where that is 0.
    measurable
        Whether the difference exceeds 1.96 times its standard error.
    rate_per_day
        Exponential growth rate ln(V2 / V1) / days; None where undefined, `undefined` says why.
    doubling_days
        ln 2 / rate, negative for halving; None where undefined or where the change is not measurable.
    undefined
        Why a rate or doubling time is not given; empty if both are.
    """

    ml: Estimate
    percent: Estimate | None
    measurable: bool
    rate_per_day: Estimate | None
    doubling_days: float | None
    undefined: str = ""

    @property
    def words(self) -> str:
        """``grown``, ``shrunk`` or ``no measurable change``."""
        return NO_CHANGE if not self.measurable else "grown" if self.ml.value > 0 else "shrunk"


def volume_of(mask: npt.NDArray[np.bool_], grid: Grid, uncertainty: npt.NDArray[Any] | None = None) -> Estimate:
    """Volume in mL by voxel count, with its standard error.

    The error has two independent parts. Voxels at the surface (those with a 6-neighbour on the other side, half of them inside)
    are cut at random by the true surface: a uniform error of one voxel each, variance 1/12. And the surface as a whole may be
    drawn too far in or out: by `EDGE_SHARE` of the voxel's mean size, or where the mask comes with a map of its uncertainty, by
    `UNSURE_SHARE` of the volume expected on the wrong side within `BAND_MM` of the surface.

    Parameters
    ----------
    mask
        bool (i, j, k) on `grid`.
    uncertainty
        Entropy of the class probabilities divided by its maximum, same shape; or None.
    """
    count = int(np.count_nonzero(mask))
    if count == 0:
        return Estimate(0.0, 0.0)
    box = bounding_box(mask, margin=math.ceil(BAND_MM / min(grid.spacing)) + 1)
    part = np.pad(mask[box], 1)
    faces = _faces_mm2(part, grid)
    shell = int(np.count_nonzero(part & ~ndimage.binary_erosion(part)))
    sampling = math.sqrt(shell / 12) * grid.voxel_ml
    if uncertainty is None:
        common = EDGE_SHARE * grid.voxel_ml ** (1 / 3) * 10 * faces / 1000
    else:
        common = UNSURE_SHARE * _misplaced_ml(part[1:-1, 1:-1, 1:-1], uncertainty[box], grid)
    return Estimate(count * grid.voxel_ml, math.hypot(sampling, common))


def _faces_mm2(mask: npt.NDArray[np.bool_], grid: Grid) -> float:
    """Surface in mm2 of a padded mask: voxel faces times 2/3, their mean excess over a smooth surface (Crofton)."""
    total = 0.0
    for axis in range(3):
        others = [size for n, size in enumerate(grid.spacing) if n != axis]
        total += int(np.count_nonzero(np.diff(mask, axis=axis))) * others[0] * others[1]
    return total * 2 / 3


def _misplaced_ml(mask: npt.NDArray[np.bool_], uncertainty: npt.NDArray[Any], grid: Grid) -> float:
    """Volume near the surface expected on the wrong side of it: the smaller of two probabilities with that entropy."""
    inside = ndimage.distance_transform_edt(mask, sampling=grid.spacing)
    outside = ndimage.distance_transform_edt(~mask, sampling=grid.spacing)
    band = np.maximum(inside, outside) <= BAND_MM
    p = np.linspace(0.0, 0.5, 200)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = np.nan_to_num(-(p * np.log(p) + (1 - p) * np.log(1 - p)))
    # the map's maximum belongs to four equal classes; two equal ones reach half of it
    wrong = np.interp(uncertainty[band].astype(np.float64) * math.log(4), entropy, p)
    return float(wrong.sum()) * grid.voxel_ml


def measurable_change(before: Estimate, after: Estimate) -> bool:
    """Whether two volumes differ by more than 1.96 standard errors of their difference."""
    return abs(after.value - before.value) > _CERTAIN * math.hypot(before.sigma, after.sigma)


def change_between(before: Estimate, after: Estimate, days: int | None) -> Change:
    """The change from one volume (mL) to a later one, `days` afterwards; None days where a date is missing.

    >>> c = change_between(Estimate(10, 0.1), Estimate(20, 0.1), 100)
    >>> c.ml.value, round(c.percent.value), round(c.doubling_days)
    (10, 100, 100)
    """
    ml = Estimate(after.value - before.value, math.hypot(before.sigma, after.sigma))
    measurable = measurable_change(before, after)
    percent = None
    if before.value > 0:
        sigma = 100 * math.hypot(after.sigma / before.value, after.value * before.sigma / before.value**2)
        percent = Estimate(100 * ml.value / before.value, sigma)
    undefined = _why_undefined(before, after, days)
    if undefined or days is None:
        return Change(ml, percent, measurable, None, None, undefined)
    rate = math.log(after.value / before.value) / days
    sigma = math.hypot(before.sigma / before.value, after.sigma / after.value) / days
    if not measurable:
        return Change(ml, percent, measurable, Estimate(rate, sigma), None, NO_CHANGE)
    return Change(ml, percent, measurable, Estimate(rate, sigma), math.log(2) / rate, "")


def _why_undefined(before: Estimate, after: Estimate, days: int | None) -> str:
    if days is None:
        return "a date is missing"
    if days <= 0:
        return "both visits have the same date"
    if before.value == 0 and after.value == 0:
        return "empty at both visits"
    if before.value == 0:
        return "empty at the earlier visit"
    return "empty at the later visit" if after.value == 0 else ""


def days_between(earlier: date | None, later: date | None) -> int | None:
    """Days, or None where a date is missing."""
    return None if earlier is None or later is None else (later - earlier).days


def extent_of_resection(preoperative: Estimate, postoperative: Estimate) -> Estimate | None:
    """Per cent of the volume before surgery that is gone after it; None where there was nothing.

    Negative where there is more after than before, which is said and not cut off.

    >>> extent_of_resection(Estimate(40, 0), Estimate(2, 0)).value
    95.0
    """
    if preoperative.value <= 0:
        return None
    change = change_between(preoperative, postoperative, None)
    assert change.percent is not None  # noqa: S101  the earlier volume is not 0
    return Estimate(-change.percent.value, change.percent.sigma)
