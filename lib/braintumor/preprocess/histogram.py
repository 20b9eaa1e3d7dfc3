"""Histogram matching: each sequence's intensities bent so that their percentiles lie where those of the training cases do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import MRSequence

Landmarks = npt.NDArray[np.float64]

PERCENTILES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)
"""Ends and deciles of the intensities inside the brain, as Nyul et al. (2000, IEEE TMI 19:143) found best."""

STANDARD = Path(__file__).with_name("landmarks.json")
"""The training cases' mean landmarks; `braintumor.preprocess._make_landmarks` writes it."""


def landmarks(voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_]) -> Landmarks:
    """The intensities at `PERCENTILES` inside the brain; all 0 where it is empty."""
    inside = voxels[brain]
    return np.percentile(inside, PERCENTILES) if inside.size else np.zeros(len(PERCENTILES))


def learn(images: Iterable[Landmarks]) -> Landmarks:
    """Mean landmarks of images after their ends were brought to 0 and 1 (Nyul and Udupa 1999, MRM 42:1072).

    Images without contrast are left out.

    Raises
    ------
    ValueError
        If none has any.
    """
    scaled = [(image - image[0]) / (image[-1] - image[0]) for image in images if image[-1] > image[0]]
    if not scaled:
        raise ValueError("landmarks need at least one image that is not constant")
    return np.mean(scaled, axis=0)


def match(voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_], standard: Landmarks) -> npt.NDArray[np.float32]:
    """Intensities mapped piecewise linearly, the image's own landmarks onto the standard's.

    Parameters
    ----------
    voxels, brain
        (i, j, k), same shape.
    standard
        Values at `PERCENTILES`, ascending.

    Returns
    -------
    float32 of the same shape. The order of intensities is kept; beyond the ends the slope of the whole range goes on, so that
    bright rims stay brighter. An image that is constant inside the brain is given back as it is.
    """
    own = landmarks(voxels, brain)
    # Images of few grey levels have equal landmarks: the middle of their targets stands for each.
    levels, where = np.unique(own, return_inverse=True)
    if levels.size < 2:
        return np.asarray(voxels, np.float32)
    targets = np.bincount(where, weights=standard) / np.bincount(where)
    slope = (targets[-1] - targets[0]) / (levels[-1] - levels[0])
    values = np.asarray(voxels, np.float64)
    mapped = np.interp(values, levels, targets)
    mapped += slope * (np.minimum(values - levels[0], 0.0) + np.maximum(values - levels[-1], 0.0))
    return mapped.astype(np.float32)


@cache
def standard() -> Mapping[MRSequence, Landmarks]:
    """The landmarks that come with the package, per sequence."""
    stored = json.loads(STANDARD.read_text(encoding="utf-8"))["landmarks"]
    return {MRSequence(name): np.array(values, np.float64) for name, values in stored.items()}
