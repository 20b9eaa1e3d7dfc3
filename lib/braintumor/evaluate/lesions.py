"""Lesion by lesion: Dice and HD95 as BraTS 2023 counts them, and F1 of detection by panoptica."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import Grid, dice
from braintumor.evaluate.surface import hd95
from braintumor.measure.lesions import MIN_LESION_ML

MERGE_MM = 3.0
"""True fragments closer than twice this are one lesion, and a predicted one this close belongs to it (BraTS 2023, glioma)."""

_ALL_26_NEIGHBOURS = np.ones((3, 3, 3), bool)

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]


def lesion_scores(predicted: Mask, truth: Mask, grid: Grid, penalty_mm: float) -> dict[str, float | None]:
    """``lesion_dice``, ``lesion_hd95`` and ``lesion_f1`` of two masks of which neither is empty.

    Dice and HD95 follow BraTS 2023 (https://www.synapse.org/Synapse:syn51156910, discussion 10357): true components whose
    dilations touch are one lesion; every predicted 26-connected component that touches the dilated lesion belongs to it;
    lesions of `MIN_LESION_ML` or less are not scored; each predicted component that belongs to none counts as a lesion with
    Dice 0 and HD95 `penalty_mm`, as does a missed lesion.

    F1 is panoptica's recognition quality (Kofler et al. 2023) over 26-connected components above `MIN_LESION_ML`, matched
    one to one by Dice.

    Parameters
    ----------
    grid
        For spacing and voxel volume; the masks may be cut out of it.
    """
    lesions = true_lesions(truth, grid.spacing)
    parts, _ = ndimage.label(predicted, _ALL_26_NEIGHBOURS)
    pairs, false = _matched(parts, lesions, grid)
    overlaps, distances = [0.0] * false, [penalty_mm] * false
    for one, other in pairs:
        overlaps.append(dice(one, other))
        distances.append(hd95(one, other, grid.spacing) if one.any() else penalty_mm)
    return {
        "lesion_dice": float(np.mean(overlaps)) if overlaps else 1.0,
        "lesion_hd95": float(np.mean(distances)) if distances else 0.0,
        "lesion_f1": _f1(parts, truth, grid),
    }


def true_lesions(truth: Mask, spacing_mm: tuple[float, float, float]) -> tuple[Labels, Labels]:
    """Lesion numbers 1..N of the dilated truth and of the truth itself: fragments whose dilations touch share one number."""
    wide, _ = ndimage.label(_dilated(truth, spacing_mm), _ALL_26_NEIGHBOURS)
    return wide, np.where(truth, wide, 0)


def _matched(parts: Labels, lesions: tuple[Labels, Labels], grid: Grid) -> tuple[list[tuple[Mask, Mask]], int]:
    """(predicted, true) mask of each lesion that counts, and the number of predicted components without a lesion."""
    wide, own = lesions
    pairs, touched = [], set[int]()
    for number, box in enumerate(ndimage.find_objects(wide), start=1):
        belonging = set(np.unique(parts[box][wide[box] == number])) - {0}
        touched |= belonging
        if np.count_nonzero(own[box] == number) * grid.voxel_ml > MIN_LESION_ML:
            pairs.append((np.isin(parts, list(belonging)), own == number))
    return pairs, int(parts.max()) - len(touched)


def _dilated(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Dilation by `MERGE_MM`: on 1 mm voxels exactly BraTS's three steps to the 18 nearest neighbours."""
    if all(abs(size - 1.0) < 1e-3 for size in spacing_mm):
        steps = round(MERGE_MM)  # ten times as fast as one step with the whole neighbourhood
        return ndimage.binary_dilation(mask, ndimage.generate_binary_structure(3, 2), steps)
    return ndimage.binary_dilation(mask, neighbourhood(spacing_mm))


def neighbourhood(spacing_mm: tuple[float, float, float]) -> Mask:
    """All offsets that three steps of 1 mm reach, each along two axes at most, on voxels of this size."""
    reach = [int(MERGE_MM / size + 1e-6) for size in spacing_mm]
    offsets = np.mgrid[tuple(slice(-n, n + 1) for n in reach)]
    mm = np.abs(offsets) * np.reshape(spacing_mm, (3, 1, 1, 1))
    return np.asarray(mm.sum(axis=0) <= 2 * MERGE_MM + 1e-6)


def _f1(parts: Labels, truth: Mask, grid: Grid) -> float:
    components, _ = ndimage.label(truth, _ALL_26_NEIGHBOURS)
    ours, theirs = _large(parts, grid), _large(components, grid)
    if not ours.any() and not theirs.any():
        return 1.0  # only specks on both sides: nothing to find, nothing made up
    if not ours.any() or not theirs.any():
        return 0.0
    found = _panoptica().evaluate(ours, theirs, result_all=False)["ungrouped"]
    return float(found.rq)


def _large(labels: Labels, grid: Grid) -> npt.NDArray[np.uint32]:
    """The components above `MIN_LESION_ML`, numbered 1..N."""
    keep = np.bincount(labels.ravel()) * grid.voxel_ml > MIN_LESION_ML
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0).astype(np.uint32)
    return numbers[labels]


@cache
def _panoptica() -> Any:
    from panoptica import InputType, Panoptica_Evaluator
    from panoptica.instance_matcher import MaxBipartiteMatching
    from panoptica.metrics import Metric
    from panoptica.utils.citation_reminder import disable_citation_reminder

    disable_citation_reminder()  # cited in the documentation and in every report
    return Panoptica_Evaluator(
        expected_input=InputType.UNMATCHED_INSTANCE,
        instance_matcher=MaxBipartiteMatching(matching_metric=Metric.DSC, matching_threshold=1e-6),
        instance_metrics=[Metric.DSC],
        global_metrics=[],
    )
