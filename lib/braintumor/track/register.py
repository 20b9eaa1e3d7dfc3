"""Rigid alignment of one visit's brain with another's: symmetric, robust to what changed, with its own error estimate.

The method is that of Reuter et al. 2010 (doi 10.1016/j.neuroimage.2010.07.020): both images are moved half-way, so that neither
is smoothed more than the other and swapping them inverts the answer; a Gauss-Newton search gives each voxel a robust weight, so
that tumour, cavity and shift count less the more they differ. It is started from the best of a grid of poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.linalg import expm, sqrtm
from scipy.spatial.transform import Rotation

from braintumor.domain import Affine, Grid, Image, MRSequence, RegistrationError, VisitAlignment, bounding_box, canonical
from braintumor.preprocess.grid import resample

Field = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

LEVELS_MM = (8.0, 4.0, 2.0)
"""Voxel sizes of the search; thicker slices keep their thickness."""

TURNS_DEG = (-40.0, -20.0, 0.0, 20.0, 40.0)
"""Starting turns about each axis: every pose of up to 40 degrees lies within about 17 degrees of one."""

BEST = 4
"""Number of starting poses that are followed; others are worse already."""

QUALITY_REFUSE = 0.45
"""Quality below which the alignment is refused. On phantoms (`python -m benchmarks.tracking --calibrate`): 0.86 to 0.93 when
right, 0.62 to 0.66 when 3 mm off, 0.24 to 0.28 when 6 mm off, about 0 when 12 mm off, 0.42 and 0.48 between two patients, whose
anatomy is one template bent in two ways. Two treated patients, each at two dates: 0.72 and 0.77; across them 0.27 to 0.29."""

AVOID_MM = 4.0
"""Margin around the tumours that is left out of the search and of the quality."""

_POINTS = 50_000
_SEED = 20260101
_TUKEY = 4.685
_STILL = 0.002
"""Search ends when an iteration moves the brain's outside by less than this many mm."""


@dataclass(frozen=True, eq=False)
class Scan:
    """What is registered of a visit.

    Attributes
    ----------
    image
        One sequence; the same in both visits.
    brain
        bool (i, j, k) on the image's grid.
    avoid
        bool (i, j, k): tumour and cavity; or None.
    """

    image: Image
    brain: npt.NDArray[np.bool_]
    avoid: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class _Level:
    """A scan at one voxel size: contrast without shading, its gradient, and how much each voxel counts."""

    grid: Grid
    table: npt.NDArray[np.float32]
    """(voxels, 5): intensity, its gradient per LPS mm (3), weight 0..1; in index order of the grid with a rim of zeros."""
    points: Points
    """LPS+ mm (n, 3) of voxels that count."""


def align_visits(
    current: Scan, prior: Scan, sequence: MRSequence = MRSequence.T1CE, *, degrees_of_freedom: int = 6
) -> VisitAlignment:
    """How `prior` lies relative to `current`.

    Parameters
    ----------
    sequence
        What both images are, for words.
    degrees_of_freedom
        6 rigid; 12 affine, for scanners of different scale.

    Returns
    -------
    VisitAlignment
        Its transform maps LPS+ mm of the current visit to LPS+ mm of the prior.

    Raises
    ------
    RegistrationError
        If there is no brain, or the best alignment agrees too poorly to compare lesions by it.
    """
    if not current.brain.any() or not prior.brain.any():
        raise RegistrationError(
            "One of the visits shows no brain, so the two cannot be aligned", remedy="Check the images of both visits"
        )
    pyramid = list(zip(_pyramid(current), _pyramid(prior), strict=True))
    rng = np.random.default_rng(_SEED)
    found = _start(*pyramid[0], rng)
    for n, (a, b) in enumerate(pyramid[1:], start=1):
        last = n == len(pyramid) - 1
        found = [_search(a, b, start, _generators(6), rng) for start in found]
        found = sorted(found, key=lambda matrix: -_quality(a, b, matrix))[:1] if not last else found
    fine = pyramid[-1]
    if degrees_of_freedom == 12:
        found = [_search(*fine, found[0], _generators(12), rng)]
    matrix, quality = found[0], _quality(*fine, found[0])
    if quality < QUALITY_REFUSE:
        raise RegistrationError(
            f"The visits could not be aligned on {sequence.title} (agreement {quality:.2f}, at least {QUALITY_REFUSE} is "
            "needed), so nothing is said about change",
            remedy="Check that both show the same head and the whole brain; compare them by eye",
        )
    precision = _split_half(*fine, matrix, _generators(degrees_of_freedom), rng)
    shift, turn = _motion(matrix, current)
    return VisitAlignment(matrix, sequence.value, quality, expected_error_mm(precision), precision, shift, turn)


def expected_error_mm(precision_mm: float) -> float:
    """Landmark error to expect, from the disagreement of two halves of the data.

    On twelve phantom pairs whose halves agreed within 0.06 mm the landmarks were missed by 0.15 to 0.25 mm (median of each
    pair): the part that both halves share, mass effect of a growing tumour above all, is put in as 0.25 mm.
    """
    return float(np.hypot(0.25, 2.0 * precision_mm))


def _pyramid(scan: Scan) -> list[_Level]:
    """A scan at `LEVELS_MM`, each made from the next finer one: smoothing the whole image for each took most of the time."""
    box = bounding_box(scan.brain, margin=int(np.ceil(2 * LEVELS_MM[0] / min(scan.image.grid.spacing))) + 1)
    grid = scan.image.grid.cropped(box)
    turn = canonical(grid)
    brain = turn.apply(scan.brain[box])
    counts = brain if scan.avoid is None else brain & ~_widened(turn.apply(scan.avoid[box]), turn.grid(grid))
    volumes = np.stack([brain, counts, turn.apply(scan.image.voxels[box]) * brain]).astype(np.float32)
    grid, step, levels = turn.grid(grid), 0.0, []
    for mm in reversed(LEVELS_MM):
        volumes, grid = _coarser(volumes, grid, mm, step)
        levels.append(_level(volumes, grid, mm))
        step = mm
    return levels[::-1]


def _coarser(volumes: Field, grid: Grid, mm: float, blurred_mm: float) -> tuple[Field, Grid]:
    """(n, i, j, k) volumes on voxels of about `mm`, smoothed to that size from voxels of the grid's, or of `blurred_mm`."""
    sigma = [0.42 * np.sqrt(max(0.0, mm**2 - max(step, blurred_mm) ** 2)) / step for step in grid.spacing]
    small = _coarse_grid(grid, mm)
    return np.stack([resample(Image(ndimage.gaussian_filter(volume, sigma), grid), small) for volume in volumes]), small


def _level(volumes: Field, grid: Grid, mm: float) -> _Level:
    """From brain, what counts of it, and intensity times brain (3, i, j, k)."""
    brain, counts, voxels = volumes
    flat = _bias_corrected(voxels / np.maximum(brain, 0.1), brain, grid, max(8.0, 2 * mm))
    weight = np.clip(2 * np.minimum(brain, counts) - 1, 0, 1).astype(np.float32)
    slopes = np.stack(np.gradient(flat)).reshape(3, -1)
    gradient = (np.linalg.inv(grid.affine[:3, :3]).T @ slopes).reshape(3, *grid.shape)
    features = np.pad(np.concatenate([flat[None], gradient, weight[None]]), [(0, 0), (1, 1), (1, 1), (1, 1)])
    table = np.ascontiguousarray(np.moveaxis(features, 0, -1).reshape(-1, 5), np.float32)
    return _Level(grid, table, grid.to_world(np.argwhere(weight > 0.5)))


def _widened(mask: npt.NDArray[np.bool_], grid: Grid) -> npt.NDArray[np.bool_]:
    if not mask.any():
        return mask
    box = bounding_box(mask, margin=int(np.ceil(AVOID_MM / min(grid.spacing))))
    wide = mask.copy()
    wide[box] = ndimage.distance_transform_edt(~mask[box], sampling=grid.spacing) <= AVOID_MM
    return wide


def _coarse_grid(grid: Grid, mm: float) -> Grid:
    steps = np.maximum(grid.spacing, mm)
    shape = np.maximum(2, np.ceil(np.array(grid.shape) * grid.spacing / steps)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = grid.directions * steps
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)
    affine[:3, 3] = middle - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _bias_corrected(voxels: Field, brain: Field, grid: Grid, mm: float) -> Field:
    """Intensity minus its local mean, over its local deviation: free of coil shading and of the scanner's scale."""
    sigma = [mm / step for step in grid.spacing]
    share = np.maximum(ndimage.gaussian_filter(brain, sigma), 1e-3)
    mean = ndimage.gaussian_filter(voxels * brain, sigma) / share
    apart = (voxels - mean) * brain
    deviation = np.sqrt(ndimage.gaussian_filter(apart**2, sigma) / share)
    typical = float(np.median(deviation[brain > 0.5])) if (brain > 0.5).any() else 1.0
    return np.asarray(np.clip(apart / (deviation + 0.2 * typical + 1e-6), -4, 4), np.float32)


def _start(a: _Level, b: _Level, rng: np.random.Generator) -> list[Affine]:
    """The best poses of a grid of turns about the brains' centres, each improved at this level."""
    middle_a, middle_b = a.points.mean(axis=0), b.points.mean(axis=0)
    sample = _some(a.points, 4000, rng)
    poses = []
    for angles in product(TURNS_DEG, repeat=3):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_rotvec(angles, degrees=True).as_matrix()
        pose[:3, 3] = middle_b - pose[:3, :3] @ middle_a
        poses.append((_correlation(a, b, pose, sample), pose))
    poses.sort(key=lambda scored: -scored[0])
    found = [pose for _, pose in poses[: 3 * BEST]]
    for iterations in (4, 15):  # those that come to the same place after a few steps need not both be followed
        found = [_search(a, b, pose, _generators(6), rng, iterations) for pose in found]
        found = _distinct(sorted(found, key=lambda matrix: -_quality(a, b, matrix)), a.points)[:BEST]
    return found


def _distinct(matrices: Sequence[Affine], points: Points) -> list[Affine]:
    kept: list[Affine] = []
    for matrix in matrices:
        if all(_apart_mm(matrix, other, points) > 2.0 for other in kept):
            kept.append(matrix)
    return kept


def _apart_mm(one: Affine, other: Affine, points: Points) -> float:
    """Mean distance between where two transforms take the points."""
    apart = points @ (one - other)[:3, :3].T + (one - other)[:3, 3]
    return float(np.linalg.norm(apart, axis=1).mean())


def _some(points: Points, count: int, rng: np.random.Generator) -> Points:
    return points if len(points) <= count else points[rng.choice(len(points), count, replace=False)]


def _sample(level: _Level, world: Points) -> Field:
    """(5, n): the level's features at LPS+ mm points, linear, 0 outside.

    One gather of whole rows instead of five interpolations of scipy's: a third of the time, and most of the search's.
    """
    shape = np.array(level.grid.shape)
    place = np.clip(level.grid.to_index(world) + 1, 0, shape + 1)
    base = np.minimum(place.astype(np.int64), shape)
    share = (place - base).astype(np.float32).T
    steps = np.array([(shape[1] + 2) * (shape[2] + 2), shape[2] + 2, 1])
    first, found = base @ steps, np.zeros((len(world), 5), np.float32)
    for corner in product((0, 1), repeat=3):
        x, y, z = (part if high else 1 - part for part, high in zip(share, corner, strict=True))
        found += level.table.take(first + int(steps @ corner), axis=0, mode="clip") * (x * y * z)[:, None]
    return found.T


def _moved(matrix: Affine, points: Points) -> Points:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _correlation(a: _Level, b: _Level, matrix: Affine, points: Points) -> float:
    """Weighted correlation of both images at points of `a`'s space."""
    va, wa = _sample(a, points)[[0, 4]]
    vb, wb = _sample(b, _moved(matrix, points))[[0, 4]]
    weight = (wa * wb).astype(np.float64)
    total = weight.sum()
    if total < 0.3 * wa.sum():
        return 0.0  # too little of the brains lies on each other
    va, vb = va - (va * weight).sum() / total, vb - (vb * weight).sum() / total
    scale = np.sqrt((weight * va**2).sum() * (weight * vb**2).sum())
    return float((weight * va * vb).sum() / scale) if scale > 0 else 0.0


def _quality(a: _Level, b: _Level, matrix: Affine) -> float:
    step = max(1, len(a.points) // _POINTS)
    return _correlation(a, b, matrix, a.points[::step])


def _generators(count: int) -> npt.NDArray[np.float64]:
    """(count, 4, 4): shifts in mm and turns in rad / 100 mm about the origin; 12: also scales and shears, each / 100 mm."""
    found = []
    for axis in range(3):
        shift = np.zeros((4, 4))
        shift[axis, 3] = 1.0
        found.append(shift)
    for i, j in ((1, 2), (2, 0), (0, 1)):
        turn = np.zeros((4, 4))
        turn[j, i], turn[i, j] = 0.01, -0.01
        found.append(turn)
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (2, 0), (0, 1)):
        stretch = np.zeros((4, 4))
        stretch[i, j] = stretch[j, i] = 0.01
        found.append(stretch)
    return np.stack(found[:count])


def _search(
    a: _Level, b: _Level, start: Affine, generators: npt.NDArray[np.float64], rng: np.random.Generator, iterations: int = 25
) -> Affine:
    """The matrix near `start` at which both images, moved half-way, agree best."""
    half = np.asarray(sqrtm(start).real)
    both = np.concatenate(
        [_moved(half, _some(a.points, _POINTS // 2, rng)), _moved(np.linalg.inv(half), _some(b.points, _POINTS // 2, rng))]
    )
    return _descend(a, b, start, both, generators, iterations)


def _descend(
    a: _Level, b: _Level, matrix: Affine, points: Points, generators: npt.NDArray[np.float64], iterations: int
) -> Affine:
    """Gauss-Newton on points (n, 3) of the half-way space, re-weighted by Tukey's biweight in every iteration."""
    middle = points.mean(axis=0)
    centred = np.eye(4)
    centred[:3, 3] = middle  # turning about the middle keeps shifts and turns apart
    about = centred @ generators @ np.linalg.inv(centred)
    for _ in range(iterations):
        half = np.asarray(sqrtm(matrix).real)
        back = np.linalg.inv(half)
        sa, sb = _sample(a, _moved(back, points)), _sample(b, _moved(half, points))
        weight = (sa[4] * sb[4]).astype(np.float64)
        used = weight > 0.05
        if np.count_nonzero(used) < 200:
            return matrix
        residual = (sb[0] - sa[0])[used].astype(np.float64)
        spread = 1.4826 * np.median(np.abs(residual)) + 1e-6
        weight = weight[used] * np.clip(1 - (residual / (_TUKEY * spread)) ** 2, 0, None) ** 2
        slope = 0.5 * (sb[1:4].T[used] @ half[:3, :3] + sa[1:4].T[used] @ back[:3, :3])
        homogeneous = np.column_stack([points[used], np.ones(np.count_nonzero(used))])
        jacobian = np.stack([(slope * (homogeneous @ g[:3].T)).sum(axis=1) for g in about], axis=1)
        normal = (jacobian * weight[:, None]).T @ jacobian
        normal += np.eye(len(normal)) * 1e-6 * np.trace(normal)
        step = -np.linalg.solve(normal, (jacobian * weight[:, None]).T @ residual)
        step *= min(1.0, 12.0 / max(float(np.abs(step).max()), 1e-9))  # beyond that the slope says nothing
        matrix = half @ expm(np.tensordot(step, about, axes=1)) @ half
        if np.abs(step).max() < _STILL:
            break
    return matrix


def _split_half(a: _Level, b: _Level, matrix: Affine, generators: npt.NDArray[np.float64], rng: np.random.Generator) -> float:
    """Half the mean distance, in mm over the brain, between the answers of two halves of the data: checkered 20 mm cubes."""
    half = np.asarray(sqrtm(matrix).real)
    points = _moved(half, _some(a.points, _POINTS, rng))
    odd = np.floor(points / 20.0).sum(axis=1).astype(int) % 2 == 1
    one, other = (_descend(a, b, matrix, points[part], generators, 6) for part in (odd, ~odd))
    return 0.5 * _apart_mm(one, other, a.points)


def _motion(matrix: Affine, current: Scan) -> tuple[float, float]:
    """Millimetres at the middle of the current brain's grid, and degrees."""
    grid = current.image.grid
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)
    u, _, v = np.linalg.svd(matrix[:3, :3])
    turn = float(np.degrees(Rotation.from_matrix(u @ v).magnitude()))
    return float(np.linalg.norm(_moved(matrix, middle[None])[0] - middle)), turn


def sampled(image: Image, grid: Grid, transform: Affine) -> npt.NDArray[Any]:
    """A prior image on the current visit's grid, linear, float32; 0 where it shows nothing."""
    return resample(image, grid, transform)
