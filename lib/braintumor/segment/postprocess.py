"""Class probabilities -> mask: most likely label, specks removed in 3D, and how sure each voxel is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import ENHANCING, NECROTIC_CORE, bounding_box

MIN_COMPONENT_ML = 0.1
"""Whole-tumour components smaller than this are dropped, and so little enhancement in all is not called enhancement: below
what can be told from noise at 1 mm. Experts marked no enhancement in 4 of the 19 training patients and at least 0.22 mL in the
others. Where the network finds less than half of so small a one, a true one goes; the flag lets a person decide."""


def most_likely(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """(4, i, j, k) class probabilities -> (i, j, k) network channels."""
    return values.argmax(axis=0).astype(np.uint8)


def entropy(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Entropy of the class probabilities over its maximum: 0 sure .. 1 undecided; (4, i, j, k) -> (i, j, k) float16.

    Shannon (1948), -sum p log p / log 4.
    """
    total = np.zeros(values.shape[1:], np.float32)
    for p in values:
        total -= p * np.log(np.maximum(p, 1e-12))
    return (total / np.log(len(values))).astype(np.float16)


def remove_specks(channels: npt.NDArray[np.uint8], voxel_ml: float, min_ml: float = MIN_COMPONENT_ML) -> npt.NDArray[np.uint8]:
    """Drop false islands of the whole tumour, leaving the shape of what stays untouched.

    A 26-connected component is dropped if it is smaller than `min_ml`, or if an opening by 3x3 in the axial plane
    (paper, post-processing) leaves nothing of it. An opening alone would also round off true thin parts; used as a
    marker, it only decides which components are real.

    Parameters
    ----------
    channels
        (i, j, k) network channels, 0 = background.
    """
    box = bounding_box(channels > 0, margin=1)  # the opening needs one voxel of background around what it opens
    tumour = channels[box] > 0
    parts, count = ndimage.label(tumour, structure=np.ones((3, 3, 3), bool))
    if count == 0:
        return channels
    large = np.bincount(parts.ravel(), minlength=count + 1) * voxel_ml >= min_ml
    opened = ndimage.binary_opening(tumour, structure=np.ones((3, 3, 1), bool))
    solid = np.zeros(count + 1, bool)
    solid[np.unique(parts[opened])] = True
    keep = large & solid
    keep[0] = False
    kept = channels.copy()
    kept[box][~keep[parts]] = 0
    return kept


def without_faint_enhancement(
    channels: npt.NDArray[np.uint8], voxel_ml: float, min_ml: float = MIN_COMPONENT_ML
) -> tuple[npt.NDArray[np.uint8], float]:
    """Count enhancing tumour as non-enhancing core where all of it together is less than `min_ml`.

    A tumour enhances or it does not, and a few voxels at a vessel would say that it does. Small islands beside larger ones
    stay, because a new nodule matters however small it is.

    Parameters
    ----------
    channels
        (i, j, k) network channels, 0 = background; not changed.

    Returns
    -------
    The channels, and the millilitres that were counted otherwise: 0 if none were.
    """
    enhancing = channels == ENHANCING.channel
    faint_ml = float(np.count_nonzero(enhancing) * voxel_ml)
    if not 0 < faint_ml < min_ml:
        return channels, 0.0
    return np.where(enhancing, np.uint8(NECROTIC_CORE.channel), channels), faint_ml
