"""Intensities: bias-field correction and the z-score that training and inference share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

CLIP = 5.0
"""z-scores are clipped to +-CLIP: vessels and metal must not stretch what the network sees."""


def zscore(voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """(voxels - mean) / standard deviation over the brain, clipped to +-`CLIP`, 0 outside the brain.

    Parameters
    ----------
    voxels
        (i, j, k), any numeric type.
    brain
        bool of the same shape. Where it is empty, or the image is constant, the result is all 0.

    Returns
    -------
    float32 array of the same shape and memory order.
    """
    out = np.zeros_like(voxels, dtype=np.float32)
    inside = voxels[brain].astype(np.float32)
    if inside.size == 0:
        return out
    spread = float(inside.std(dtype=np.float64))
    if spread <= 0:
        return out
    out[brain] = np.clip((inside - np.float32(inside.mean(dtype=np.float64))) / np.float32(spread), -CLIP, CLIP)
    return out
