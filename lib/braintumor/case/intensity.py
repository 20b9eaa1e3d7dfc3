"""Intensities: bias-field correction and the z-score that training and inference share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

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


def correct_bias(
    voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """Divide out the smooth shading of the receive coil (N4, Tustison et al. 2010).

    The field is estimated at about 4 mm inside the brain, where it is as smooth as at full resolution, and applied to every
    voxel.

    Parameters
    ----------
    voxels, brain
        (i, j, k), same shape; intensities must not be negative inside the brain.

    Returns
    -------
    float32 (i, j, k).
    """
    values = np.maximum(voxels, 0).astype(np.float32)
    if not brain.any():
        return values
    image, mask = (sitk.GetImageFromArray(np.ascontiguousarray(a.T)) for a in (values, brain.astype(np.uint8)))
    for each in (image, mask):
        each.SetSpacing(spacing_mm)
    shrink = [max(1, min(round(4.0 / size), n // 8)) for size, n in zip(spacing_mm, voxels.shape, strict=True)]
    filter_ = sitk.N4BiasFieldCorrectionImageFilter()
    filter_.SetMaximumNumberOfIterations([40, 40, 30])
    filter_.SetConvergenceThreshold(1e-4)
    filter_.Execute(sitk.Shrink(image, shrink) + 1e-3, sitk.Shrink(mask, shrink))
    field = sitk.GetArrayFromImage(filter_.GetLogBiasFieldAsImage(image)).T
    # Far outside the brain the spline runs away; shading beyond a factor of 10 is not physical.
    return (values / np.exp(np.clip(np.nan_to_num(field), -2.3, 2.3))).astype(np.float32)
