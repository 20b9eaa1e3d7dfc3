"""The table of metrics, the policy for empty regions, and the scores of one mask against one truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import EmptyPolicy, Grid, Region, bounding_box, dice, region_mask
from braintumor.evaluate.lesions import MERGE_MM, lesion_scores
from braintumor.evaluate.surface import surface_scores

Mask = npt.NDArray[np.bool_]

TOLERANCES_MM = (1.0, 2.0)
"""Surface Dice counts surfaces closer than these as the same: one and two voxels of BraTS."""

HD95_PENALTY_MM = 373.13
"""HD95 where one mask is empty: the diagonal of BraTS's 240x240x155 mm volume (Bakas et al. 2018)."""

LESION_PENALTY_MM = 374.0
"""HD95 of a lesion that was missed or made up (BraTS 2023)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    Attributes
    ----------
    key
        Column of ``cases.csv``.
    title, unit, meaning
        For people; `unit` is empty for a fraction.
    digits
        Shown after the point.
    best, worst
        What an empty truth earns under `EmptyPolicy.BRATS`, if the prediction is empty too, and if it is not. None: the value
        is undefined there under every policy.
    always
        Whether the value is defined whatever is empty, so that no policy touches it.
    """

    key: str
    title: str
    unit: str
    digits: int
    best: float | None
    worst: float | None
    meaning: str
    always: bool = False


METRICS: tuple[Metric, ...] = (
    Metric("dice", "Dice", "", 3, 1.0, 0.0, "2TP / (2TP + FP + FN), voxels"),
    Metric("iou", "IoU", "", 3, 1.0, 0.0, "TP / (TP + FP + FN), the Jaccard index"),
    Metric("precision", "Precision", "", 3, 1.0, 0.0, "TP / (TP + FP)"),
    Metric("recall", "Recall", "", 3, 1.0, 0.0, "TP / (TP + FN), the sensitivity"),
    Metric(
        "specificity", "Specificity", "", 4, None, None, "TN / (TN + FP) over the whole volume, so always near 1", always=True
    ),
    Metric("hd95", "HD95", "mm", 1, 0.0, HD95_PENALTY_MM, "95th percentile of surface distances, the larger direction"),
    *(
        Metric(f"surface_dice_{mm:g}mm", f"Surface Dice {mm:g} mm", "", 3, 1.0, 0.0, f"Share of both surfaces within {mm:g} mm")
        for mm in TOLERANCES_MM
    ),
    Metric("volume_error_ml", "Volume error", "mL", 1, None, None, "Predicted minus true volume", always=True),
    Metric("volume_error_percent", "Volume error", "%", 1, None, None, "The same, of the true volume"),
    Metric("lesion_dice", "Lesion Dice", "", 3, 1.0, 0.0, "Mean Dice over true and false lesions, as in BraTS 2023"),
    Metric(
        "lesion_hd95", "Lesion HD95", "mm", 1, 0.0, LESION_PENALTY_MM, "Mean HD95 over true and false lesions, as in BraTS 2023"
    ),
    Metric("lesion_f1", "Lesion F1", "", 3, 1.0, 0.0, "F1 of finding lesions, matched one to one (recognition quality)"),
)
"""Overlap, surfaces, volume, lesions; TP, FP, FN and TN count voxels."""

CALIBRATION: tuple[Metric, ...] = (
    Metric("brier", "Brier", "", 4, None, None, "Mean squared error of the region's probability", always=True),
    Metric("ece", "ECE", "", 4, None, None, "Expected calibration error of the region's probability, 15 bins", always=True),
)
"""Where probabilities are there."""


EMPTY_MEANING = {
    EmptyPolicy.BRATS: (
        "Where the expert marked nothing, an empty prediction earns the best value (Dice 1, HD95 0 mm) and any predicted voxel "
        f"the worst (Dice 0, HD95 {HD95_PENALTY_MM} mm), as in the BraTS challenges."
    ),
    EmptyPolicy.EXCLUDE: (
        "Cases where the expert marked nothing are left out of a region's figures, whatever was predicted; only specificity "
        "and the volume error in mL still count them."
    ),
}
"""Each policy in one sentence for the report."""


Scores = dict[str, float | None]


def score(
    predicted: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], grid: Grid, policy: EmptyPolicy = EmptyPolicy.BRATS
) -> dict[Region, Scores]:
    """All `METRICS` of a mask, per region, with the volumes ``truth_ml`` and ``predicted_ml``.

    Parameters
    ----------
    predicted, truth
        (i, j, k) with `Label.value`, both on `grid`.

    Returns
    -------
    dict
        None where a value is undefined or excluded; never NaN or infinity.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if not predicted.shape == truth.shape == grid.shape:
        raise ValueError(f"masks must have the grid's shape {grid.shape}, not {predicted.shape} and {truth.shape}")
    # Distances and components need only the part that holds tumour; the margin keeps dilated lesions apart or together.
    box = bounding_box((predicted > 0) | (truth > 0), margin=_margin(grid))
    return {
        region: _region(region_mask(predicted[box], region), region_mask(truth[box], region), grid, predicted.size, policy)
        for region in Region
    }


def _region(predicted: Mask, truth: Mask, grid: Grid, voxels: int, policy: EmptyPolicy) -> Scores:
    tp = int(np.count_nonzero(predicted & truth))
    marked, made = int(np.count_nonzero(truth)), int(np.count_nonzero(predicted))
    false = made - tp
    found: Scores = {
        "truth_ml": marked * grid.voxel_ml,
        "predicted_ml": made * grid.voxel_ml,
        "specificity": _share(voxels - marked - false, voxels - marked),
        "volume_error_ml": (made - marked) * grid.voxel_ml,
    }
    if marked and made:
        found |= {
            "dice": dice(predicted, truth),
            "iou": tp / (made + marked - tp),
            "precision": tp / made,
            "recall": tp / marked,
            "volume_error_percent": 100 * (made - marked) / marked,
            **surface_scores(predicted, truth, grid.spacing, TOLERANCES_MM),
            **lesion_scores(predicted, truth, grid, LESION_PENALTY_MM),
        }
    else:
        found |= {m.key: _by_policy(m, policy, bool(marked), bool(made)) for m in METRICS if not m.always}
        if marked:
            found["volume_error_percent"] = -100.0
    return found


def _by_policy(metric: Metric, policy: EmptyPolicy, marked: bool, made: bool) -> float | None:
    """The value where at least one of both masks is empty."""
    if marked:
        return metric.worst
    if policy is EmptyPolicy.EXCLUDE:
        return None
    return metric.worst if made else metric.best


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _margin(grid: Grid) -> int:
    return 1 + int(np.ceil(MERGE_MM / min(grid.spacing)))


def as_row(scores: Scores, keys: tuple[str, ...]) -> dict[str, Any]:
    """Scores as text for a table: six significant digits, empty where undefined."""
    return {key: "" if (value := scores.get(key)) is None else f"{value:.6g}" for key in keys}
