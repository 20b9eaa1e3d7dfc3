"""How far a hint reaches, and where between 'surely the hint' and 'surely as it was' the border runs.

From each stroke a geodesic distance grows that is short where the images look like the marked voxels and the network finds the
label likely. Half its reach is taken for the label, half as much again is left as it was, and between the two a random walk
(Grady 2006) puts the border where the images have an edge. `python -m benchmarks.refinement` compares this with its parts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg
from skimage.graph import MCP_Geometric

from braintumor.refine.evidence import Floats

Distance = npt.NDArray[np.float64]
Spacing = tuple[float, float, float]

LEAST_MM, MOST_MM = 4.0, 22.0
"""Bounds of a hint's reach."""

ALONE_MM = 12.0
"""Reach of a hint with nothing of its label within `MOST_MM`: the label is new here."""

REACH = 2.5
"""Reach over the distance from a hint to its label. A click is put into the middle of what is wrong, which mostly borders on
what is right, so that distance is the radius of the error; the geodesic metre is longer than a straight one."""

BAND = 0.5
"""Nearer than 1 - BAND of its reach a voxel surely is what the hint says; beyond 1 + BAND it surely stays."""

UNLIKE, UNLIKELY = 4.0, 1.0
"""How much longer the way gets per standard deviation of difference in the images (to `CAP`), and where the network says no."""

CAP = 3.0
SMOOTH_MM = 0.7
"""Of the images before they are compared: less than a voxel's noise decides nothing."""

CONTRAST = 100.0
"""Random walk: beta of Grady 2006, for the mean squared difference of neighbours in standard deviations."""

_NEAR_MM = 3.0
_LEAST_EDGE = 1e-4


def reach_mm(nearest_mm: float | None) -> float:
    """Geodesic reach of a stroke, mm.

    Parameters
    ----------
    nearest_mm
        From the stroke's middle to the nearest voxel that has its label already; None if there is none within `MOST_MM`.
    """
    return ALONE_MM if nearest_mm is None else float(np.clip(REACH * nearest_mm, LEAST_MM, MOST_MM))


def smoothed(features: Floats, spacing: Spacing) -> Floats:
    """The images (n, i, j, k) without their finest noise."""
    sigma = [SMOOTH_MM / size for size in spacing]
    return np.stack([ndimage.gaussian_filter(image, sigma) for image in features])


def geodesic(
    features: Floats,
    share: Floats | None,
    marked: npt.NDArray[np.intp],
    spacing: Spacing,
    outside: npt.NDArray[np.bool_],
    limit_mm: float,
) -> Distance:
    """Length of the easiest way from a stroke to each voxel of a box, in mm of ground like the stroke's own.

    Parameters
    ----------
    features
        (n, i, j, k), smoothed.
    share
        (i, j, k) probability of the stroke's label, if known.
    marked
        (m, 3) voxels of the stroke, indices in the box.
    outside
        (i, j, k) voxels never to be reached.
    limit_mm
        Straight distance from the stroke beyond which nothing is reached: half of a cube's voxels are never visited.
    """
    like = features[(slice(None), *marked.T)]
    # A single voxel is noisy; its neighbours say what ground it lies on. A scribble's voxels are many, its median is safe.
    middle = np.median(like, axis=1) if like.shape[1] > 1 else _around(features, marked[0])
    difference = np.sqrt(np.square(features - middle[:, None, None, None]).mean(axis=0))
    cost = 1.0 + UNLIKE * np.minimum(difference, CAP)
    if share is not None:
        cost += UNLIKELY * (1.0 - share)
    unmarked = np.ones(cost.shape, bool)
    unmarked[tuple(marked.T)] = False
    away = ndimage.distance_transform_edt(unmarked, sampling=spacing)
    cost /= np.median(cost[away <= _NEAR_MM])
    cost[outside | (away > limit_mm)] = np.inf
    cost[tuple(marked.T)] = 1.0  # a marked voxel is one by definition, also outside the brain
    distance, _ = MCP_Geometric(np.asarray(cost, np.float64), sampling=spacing).find_costs(marked.tolist())
    return distance


def _around(features: Floats, voxel: npt.NDArray[np.intp]) -> Floats:
    box = tuple(slice(max(0, n - 1), n + 2) for n in voxel)
    return np.median(features[(slice(None), *box)].reshape(len(features), -1), axis=1)


def walk(features: Floats, spacing: Spacing, sure: npt.NDArray[np.int8], seeds: int) -> npt.NDArray[np.int8]:
    """Which seed each voxel's random walk is likeliest to meet first; edges of the images are hard to cross.

    Parameters
    ----------
    features
        (n, i, j, k), smoothed.
    sure
        (i, j, k) number of the seed 0 .. `seeds` - 1 that a voxel is, or -1 where that is asked.
    """
    state = sure.ravel()
    asked = np.flatnonzero(state < 0)
    if not asked.size:
        return sure
    number = np.full(state.size, -1, np.int32)
    number[asked] = np.arange(asked.size, dtype=np.int32)
    one, two, weight = _edges(features, spacing, sure < 0)
    inside = (number[one] >= 0) & (number[two] >= 0)
    i, j, w = number[one[inside]], number[two[inside]], weight[inside]
    ends, others = np.concatenate([one, two]), state[np.concatenate([two, one])]
    ends, weights = number[ends], np.concatenate([weight, weight])
    degree = np.bincount(ends[ends >= 0], weights[ends >= 0], asked.size)
    adjacency = sparse.csr_matrix((np.concatenate([w, w]), (np.concatenate([i, j]), np.concatenate([j, i]))), 2 * (asked.size,))
    inner, before = sparse.diags(degree) - adjacency, sparse.diags(1.0 / degree)
    shares = np.zeros((seeds, asked.size))
    for seed in range(1, seeds):
        meets = (ends >= 0) & (others == seed)
        border = np.bincount(ends[meets], weights[meets], asked.size)
        shares[seed] = cg(inner, border, rtol=1e-3, maxiter=300, M=before)[0]
    shares[0] = 1.0 - shares[1:].sum(axis=0)
    found = sure.copy()
    found.ravel()[asked] = shares.argmax(axis=0)
    return found


def _edges(
    features: Floats, spacing: Spacing, asked: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Distance]:
    """Face neighbours of which at least one is asked: both, numbered in C order, and how well the step conducts.

    A longer step conducts less: in thick slices the walk stays in the plane.
    """
    number = np.arange(asked.size).reshape(asked.shape)
    images = features.reshape(len(features), -1)
    ones, twos, weights = [], [], []
    for axis in range(3):
        low: list[slice] = [slice(None)] * 3
        high: list[slice] = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        wanted = asked[tuple(low)] | asked[tuple(high)]
        one, two = number[tuple(low)][wanted], number[tuple(high)][wanted]
        step = np.square(images[:, one] - images[:, two], dtype=np.float64).mean(axis=0)
        ones.append(one)
        twos.append(two)
        weights.append((np.exp(-CONTRAST * step) + _LEAST_EDGE) * (min(spacing) / spacing[axis]) ** 2)
    return np.concatenate(ones), np.concatenate(twos), np.concatenate(weights)
