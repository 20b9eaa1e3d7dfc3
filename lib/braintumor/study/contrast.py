"""Tells a T1 from a T1ce by their pixels, for the case that no header says which of them is which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from braintumor.domain import Image

LATTICE_MM = 3.0
CONCLUSIVE = 0.2
"""Score from which on the pixels are believed. Set on 20 real pairs (19 BraTS, one raw TCGA): 8 are told right at this level,
none wrong, and 12 stay undecided. A user who is asked loses less than one who is misled."""
_BINS = 40
_TAIL_PERCENT = 0.3
_FEWEST_POINTS = 1000

Floats = npt.NDArray[np.float64]


def enhancement(before: Image, after: Image) -> float:
    """How much `after` looks like `before` with contrast agent in it.

    Both are smoothed, sampled on one coarse lattice in patient space and divided by their median inside the head. What one
    image lets expect of the other (its median at equal intensity) is taken away, which removes differences between pulse
    sequences. Agent leaves bright outliers (vessels, mucosa, choroid plexus, tumour) and hardly any dark ones; the score is
    how lopsided the outliers are, forwards minus backwards.

    Returns
    -------
    float
        -1..1; antisymmetric apart from sampling; 0 if the two hardly overlap. See `CONCLUSIVE`.
    """
    points = _lattice(before)
    first, second = _sample(before, points), _sample(after, points)
    head = (first > _air(first)) & (second > _air(second))
    if head.sum() < _FEWEST_POINTS:
        return 0.0
    first, second = first[head] / np.median(first[head]), second[head] / np.median(second[head])
    return (_lopsided(first, second) - _lopsided(second, first)) / 2


def _lopsided(given: Floats, observed: Floats) -> float:
    """(bright - dark) / (bright + dark) of the outliers of `observed` against its median at equal `given`; -1..1."""
    edges = np.quantile(given, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, given)
    medians = np.array([np.median(observed[bins == b]) if (bins == b).any() else 0.0 for b in range(_BINS)])
    rest = observed - medians[bins]
    bright, dark = np.percentile(rest, 100 - _TAIL_PERCENT), -np.percentile(rest, _TAIL_PERCENT)
    return float((bright - dark) / (bright + dark)) if bright + dark > 0 else 0.0


def _lattice(image: Image) -> Floats:
    """LPS+ mm of points about `LATTICE_MM` apart, (n, 3)."""
    steps = [max(1, round(LATTICE_MM / s)) for s in image.grid.spacing]
    axes = [np.arange(0, n, step) for n, step in zip(image.grid.shape, steps, strict=True)]
    return image.grid.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3))


def _sample(image: Image, points: Floats) -> Floats:
    """Smoothed values at points in patient space; 0 outside the image."""
    sigma = [LATTICE_MM / 2.355 / s for s in image.grid.spacing]  # full width at half maximum = the lattice
    smooth = gaussian_filter(np.asarray(image.voxels, np.float32), sigma, truncate=2.0)
    sampled: Floats = map_coordinates(smooth, image.grid.to_index(points).T, order=1, cval=0.0, output=np.float64)
    return sampled


def _air(values: Floats) -> float:
    """A level between background and tissue."""
    return 0.15 * float(np.percentile(values, 98))
