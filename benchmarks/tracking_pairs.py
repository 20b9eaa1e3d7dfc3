"""Pairs of visits with known answers: phantoms, and BraTS cases moved, rescaled, re-noised, their tumours grown or shrunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from braintumor.domain import Affine, Grid, MRSequence, Region, region_mask
from braintumor.measure import MIN_LESION_ML
from braintumor.phantom.anatomy import field_of_view, person, white_matter_seeds
from braintumor.phantom.mr import PhantomScene, acquire, degrade, nearest, signal
from braintumor.phantom.tumour import TumourPlan, grow
from braintumor.track.register import Scan
from braintumor.train.data import load_case

LANDMARKS = 500
POSES = 6
"""Pairs made of one patient's two moments."""

MARGIN_MM = 25.0
"""Air around the unmoved brain in the field of view; a head moved by 30 mm is cut by a few millimetres at worst."""

CLEAR_ML = 2 * MIN_LESION_ML
"""A lesion below is taken out whole: whether it is there shall not hang on the grid."""

SPACINGS = ((3.0, 3.0, 3.0), (1.5, 1.5, 1.5), (1.0, 1.0, 5.0), (2.0, 2.0, 2.0))
REAL_SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (0.9, 0.9, 5.0), (1.2, 1.2, 1.2))
_ORDERS = ((0, 1, 2), (1, 2, 0), (0, 2, 1))  # axial, sagittal, coronal
_26 = np.ones((3, 3, 3), int)
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Moment:
    """A head at one time, in its own frame: clean T1ce, brain, and lesions by their identity (0 = none)."""

    image: npt.NDArray[np.float32]
    brain: npt.NDArray[np.bool_]
    foci: Labels
    grid: Grid

    @property
    def volumes(self) -> dict[int, float]:
        """True mL of each lesion."""
        counts = np.bincount(self.foci.ravel())
        return {n: float(counts[n]) * self.grid.voxel_ml for n in range(1, len(counts)) if counts[n]}


@dataclass(frozen=True, eq=False)
class Pair:
    """Two scans, and everything that is true about them.

    Attributes
    ----------
    here, there
        Landmarks (n, 3), LPS+ mm, of the current visit and where they are in the prior.
    foci, prior_foci
        Lesions by identity on each scan's grid.
    volumes, prior_volumes
        True mL by identity, counted in the head's own frame.
    """

    name: str
    current: Scan
    prior: Scan
    here: npt.NDArray[np.float64]
    there: npt.NDArray[np.float64]
    foci: Labels
    prior_foci: Labels
    volumes: Mapping[int, float]
    prior_volumes: Mapping[int, float]


@dataclass(frozen=True, eq=False)
class _Shot:
    """How a moment is scanned."""

    grid: Grid
    noise: float
    bias: float
    motion: Affine = field(default_factory=lambda: np.eye(4))


def phantom_pairs(count: int, detail_mm: float, first_seed: int = 0) -> Iterator[Pair]:
    """`count` pairs of phantom patients with a main tumour, a satellite, and in turns a new and a vanished lesion.

    Parameters
    ----------
    detail_mm
        Of the anatomy; at 3 mm all scans have 3 mm voxels, else `SPACINGS` are mixed.
    """
    for number in range(count):
        if number % POSES == 0:
            seed = first_seed + number // POSES
            before, after = _patient(seed, detail_mm)
        rng = np.random.default_rng([seed, number, 99])
        coarse = detail_mm >= 3
        spacings = [(detail_mm,) * 3 if coarse else SPACINGS[rng.integers(len(SPACINGS))] for _ in range(2)]
        yield _pair(f"phantom {seed:02d}", before, after, spacings, rng, clear_mm=10)


def real_pairs(folder: Path, count: int) -> Iterator[Pair]:
    """Two pairs of each BraTS case of a folder in turn: as scanned, and again with the tumour's surface moved by up to 3 mm.

    Every other pair has a new lesion, or one that is gone. The first visit keeps the case's own grid.
    """
    cases = sorted(path for path in folder.iterdir() if path.is_dir())
    for number in range(count):
        place = cases[(number // 2) % len(cases)]
        rng = np.random.default_rng([number, 98])
        before = _real(place)
        millimetres = float(rng.uniform(1, 3)) * (1 if number % 2 else -1)
        after = _swollen(before, millimetres)
        if number % 4 == 1:
            after = _with_ball(after, before, rng)
        elif number % 4 == 2:
            before = _with_ball(before, after, rng)
        spacings = [before.grid.spacing, REAL_SPACINGS[rng.integers(len(REAL_SPACINGS))]]
        yield _pair(f"{place.name} {millimetres:+.1f} mm", before, after, spacings, rng, clear_mm=20, own_grid=True)


def _pair(
    name: str,
    before: Moment,
    after: Moment,
    spacings: list[tuple[float, ...]],
    rng: np.random.Generator,
    *,
    clear_mm: float,
    own_grid: bool = False,
) -> Pair:
    """Landmarks are brain at least `clear_mm` off every lesion of both visits: what is nearer is pushed by its growth."""
    shift, turn = rng.uniform(0, 30), rng.uniform(0, 30)
    shots = [
        _Shot(
            before.grid if own_grid and not n else _scanner(before, spacing, rng, 0 if own_grid else 8),
            noise=rng.uniform(0.01, 0.05),
            bias=rng.uniform(0.05, 0.25),
            motion=_motion(before, rng, shift, turn) if n else np.eye(4),
        )
        for n, spacing in enumerate(spacings)
    ]
    (prior, prior_foci), (current, foci) = _scanned(before, shots[0], rng), _scanned(after, shots[1], rng)
    free = before.brain & (before.foci == 0) & (after.foci == 0)
    far = before.brain & (ndimage.distance_transform_edt(free | ~before.brain, sampling=before.grid.spacing) > clear_mm)
    places = np.argwhere(far)
    points = before.grid.to_world(places[rng.choice(len(places), LANDMARKS)])
    grew = sum(after.volumes.values()) / sum(before.volumes.values())
    words = " ".join(f"{'x'.join(f'{s:g}' for s in spacing)}" for spacing in spacings)
    return Pair(
        f"{name}: {words} mm, {shift:.0f} mm {turn:.0f} deg, x{grew:.2f}",
        current,
        prior,
        _moved(shots[1].motion, points),
        _moved(shots[0].motion, points),
        foci,
        prior_foci,
        after.volumes,
        before.volumes,
    )


def _scanned(moment: Moment, shot: _Shot, rng: np.random.Generator) -> tuple[Scan, Labels]:
    clean = acquire(moment.image, moment.grid, shot.grid, shot.motion)
    brain = nearest(moment.brain, moment.grid, shot.grid, shot.motion)
    foci = nearest(moment.foci, moment.grid, shot.grid, shot.motion)
    sigma = shot.noise * float(np.median(moment.image[moment.brain]))
    image = degrade(clean, shot.grid, rng, bias=shot.bias, sigma=sigma, mask=brain)
    return Scan(image, brain, foci > 0), foci


def _moved(matrix: Affine, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _extent(moment: Moment) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Corners of the brain, LPS+ mm."""
    points = moment.grid.to_world(np.argwhere(moment.brain)[::50])
    return points.min(axis=0), points.max(axis=0)


def _scanner(moment: Moment, spacing: tuple[float, ...], rng: np.random.Generator, tilt_deg: float) -> Grid:
    """A tilted grid of any plane around where the head lay at first."""
    low, high = _extent(moment)
    order = _ORDERS[rng.integers(3)]
    turn = Rotation.from_euler("xyz", rng.uniform(-tilt_deg, tilt_deg, 3), degrees=True).as_matrix()
    counts = np.ceil(((high - low + 2 * MARGIN_MM)[list(order)]) / spacing).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, order] * spacing
    affine[:3, 3] = (low + high) / 2 - affine[:3, :3] @ ((counts - 1) / 2)
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def _motion(moment: Moment, rng: np.random.Generator, shift_mm: float, turn_deg: float) -> Affine:
    """A turn about a random axis through the brain's middle, then a shift in a random direction."""
    middle = sum(_extent(moment)) / 2
    axis, direction = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(np.deg2rad(turn_deg) * axis).as_matrix()
    motion[:3, 3] = middle - motion[:3, :3] @ middle + shift_mm * direction
    return motion


def _patient(seed: int, detail_mm: float) -> tuple[Moment, Moment]:
    """A phantom before and after: identity 1 the main tumour, 2 a satellite, 3 new in even seeds, 4 gone in every third."""
    rng = np.random.default_rng([seed, 97])
    main, growth = rng.uniform(15, 60), float(np.exp(rng.uniform(np.log(0.4), np.log(1.8))))
    small = rng.uniform(1.5, 4.0, 3)
    before = {1: main, 2: small[0]} | ({4: small[2]} if seed % 3 == 0 else {})
    after = {1: main * growth, 2: small[0] * rng.uniform(0.7, 2.0)} | ({3: small[1]} if seed % 2 == 0 else {})
    points, starts = white_matter_seeds(), []
    for _ in range(4):
        starts.append(points[rng.integers(len(points))])
        points = points[np.linalg.norm(points - starts[-1], axis=1) > (50 if len(starts) == 1 else 25)]
    first, second = (_phantom(seed, detail_mm, starts, volumes) for volumes in (before, after))
    return first, second


def _phantom(seed: int, detail_mm: float, starts: list[npt.NDArray[np.float64]], volumes: Mapping[int, float]) -> Moment:
    grid = field_of_view((detail_mm,) * 3)
    plans = {
        n: TumourPlan(((float(starts[n - 1][0]), float(starts[n - 1][1]), float(starts[n - 1][2])),), ml)
        for n, ml in volumes.items()
    }
    brain = person(np.random.default_rng([seed, 1]), grid, plans[1].displacement)
    labels, foci = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
    for n, plan in plans.items():
        grown = grow(np.random.default_rng([seed, 2, n]), brain, plan)
        mine = _largest((grown > 0) & (labels == 0))
        labels[mine], foci[mine] = grown[mine], n
    return Moment(signal(PhantomScene(brain, labels, None, seed), MRSequence.T1CE), brain.mask, foci, grid)


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    parts, _ = ndimage.label(mask, _26)
    return np.asarray(parts == np.bincount(parts.ravel())[1:].argmax() + 1)


def _real(folder: Path) -> Moment:
    """A BraTS case; its lesions are the components of the whole tumour that are clearly there."""
    case, truth = load_case(folder)
    image = np.asarray(case.display[MRSequence.T1CE], np.float32)
    parts, _ = ndimage.label(region_mask(truth.mask, Region.WT), _26)
    sizes = np.bincount(parts.ravel()) * truth.grid.voxel_ml
    kept = [n for n in np.argsort(-sizes) if n and sizes[n] >= 5 * CLEAR_ML]
    lookup = np.zeros(len(sizes), np.uint8)
    lookup[kept] = np.arange(1, len(kept) + 1)
    return Moment(image, case.brain, lookup[parts], case.grid)


def _swollen(moment: Moment, millimetres: float) -> Moment:
    """The tumour's surface moved outwards, and tissue around it along, less with distance and not at all at the skull."""
    spacing, mask = moment.grid.spacing, moment.foci > 0
    signed = ndimage.distance_transform_edt(~mask, sampling=spacing) - ndimage.distance_transform_edt(mask, sampling=spacing)
    smooth = ndimage.gaussian_filter(signed.astype(np.float32), [2.0 / s for s in spacing])
    normal = np.stack(np.gradient(smooth, *spacing))
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 0.3)
    inner = ndimage.distance_transform_edt(moment.brain, sampling=spacing)
    size = millimetres * np.exp(-((smooth / 8.0) ** 2)) * np.clip(inner / 8.0, 0, 1)
    index = np.indices(mask.shape, np.float32)
    for axis in range(3):
        index[axis] -= (size * normal[axis] / spacing[axis]).astype(np.float32)
    image = ndimage.map_coordinates(moment.image, index, order=1, mode="nearest") * moment.brain
    foci = ndimage.map_coordinates(moment.foci, index, order=0, mode="nearest") * moment.brain
    counts = np.bincount(foci.ravel()) * moment.grid.voxel_ml
    tiny = np.flatnonzero(counts < CLEAR_ML)
    fragments = [n for n in range(1, len(counts)) if counts[n]]
    kept = np.zeros_like(foci)
    for n in (n for n in fragments if n not in tiny):
        kept[_largest(foci == n)] = n
    return Moment(image.astype(np.float32), moment.brain, kept, moment.grid)


def _with_ball(moment: Moment, other: Moment, rng: np.random.Generator) -> Moment:
    """An enhancing ball of 4 to 8 mm radius more, well inside the brain and clear of all lesions of both moments."""
    spacing, taken = moment.grid.spacing, (moment.foci > 0) | (other.foci > 0)
    radius = float(rng.uniform(4, 8))
    apart: Any = ndimage.distance_transform_edt(~taken, sampling=spacing)
    deep: Any = ndimage.distance_transform_edt(moment.brain, sampling=spacing)
    places = np.argwhere((apart > radius + 20) & (deep > radius + 4))
    centre = moment.grid.to_world(places[rng.integers(len(places))])
    distance = np.linalg.norm(moment.grid.to_world(np.moveaxis(np.indices(taken.shape), 0, -1)) - centre, axis=-1)
    share = np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)
    bright = np.float32(np.percentile(moment.image[moment.brain], 97))
    foci = moment.foci.copy()
    foci[distance <= radius] = max(int(moment.foci.max()), int(other.foci.max())) + 1
    return Moment(moment.image * (1 - share) + bright * share, moment.brain, foci, moment.grid)
