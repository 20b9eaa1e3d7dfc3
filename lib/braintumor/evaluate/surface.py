"""Surface distances: HD95 and surface Dice by DeepMind's ``surface-distance`` (Nikolov et al. 2018)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]


def surface_scores(
    predicted: Mask, truth: Mask, spacing_mm: Spacing, tolerances_mm: tuple[float, ...]
) -> dict[str, float | None]:
    """``hd95`` in mm and ``surface_dice_<tolerance>mm`` of two masks of which neither is empty.

    Surface elements count by their area in mm2, so thick slices do not distort the percentile.
    """
    import surface_distance

    distances = _distances(predicted, truth, spacing_mm)
    found: dict[str, float | None] = {"hd95": float(surface_distance.compute_robust_hausdorff(distances, 95.0))}
    for mm in tolerances_mm:
        found[f"surface_dice_{mm:g}mm"] = float(surface_distance.compute_surface_dice_at_tolerance(distances, mm))
    return found


def hd95(predicted: Mask, truth: Mask, spacing_mm: Spacing) -> float:
    """95th percentile Hausdorff distance in mm of two masks of which neither is empty."""
    import surface_distance

    return float(surface_distance.compute_robust_hausdorff(_distances(predicted, truth, spacing_mm), 95.0))


def _distances(predicted: Mask, truth: Mask, spacing_mm: Spacing) -> Mapping[str, Any]:
    import surface_distance

    if not (predicted.any() and truth.any()):
        raise ValueError("surface distances need two masks that are not empty; the policy for empty regions comes before")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports from SciPy's old namespaces
        return dict(surface_distance.compute_surface_distances(truth, predicted, spacing_mm))
