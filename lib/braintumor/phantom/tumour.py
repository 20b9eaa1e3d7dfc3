"""Grows an irregular glioma in a brain: core by anisotropic front propagation, oedema along white matter, mass effect.

The front is an eikonal equation |grad T| = 1 / speed, solved by fast marching (Sethian 1996, doi:10.1073/pnas.93.4.1591);
speed follows tissue, as in the reaction-diffusion models of glioma growth (Swanson 2000, doi:10.1046/j.1365-2184.2000.00177.x).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy import ndimage

from braintumor.domain import ENHANCING, NECROTIC_CORE, OEDEMA, Grid
from braintumor.phantom.anatomy import Brain, Field, sampled, smooth_field

CORE_SHARE = 0.42
"""Volume of the tumour core in the whole tumour."""
NECROTIC_SHARE = 0.38
"""Volume of the necrotic part in the core."""
MARCH_MM = 2.0
"""Finest grid of the fronts: they are smooth, and marching is the slow step."""

_CENTRE = (0.0, 18.0, 12.0)
_toolkit: Any = SimpleITK  # its functions carry no types


@dataclass(frozen=True)
class TumourPlan:
    """Where tumours start, and how large they shall become.

    Attributes
    ----------
    seeds
        LPS+ mm; the first focus is the largest.
    volume_ml
        Of the whole tumour, all foci together.
    """

    seeds: tuple[tuple[float, float, float], ...]
    volume_ml: float

    @property
    def core_radius_mm(self) -> float:
        """Radius of a ball of the core's volume."""
        return float((3000.0 * CORE_SHARE * self.volume_ml / (4.0 * np.pi)) ** (1 / 3))

    def displacement(self, points: list[Field]) -> list[Field]:
        """Mass effect: how far, in mm, tissue now at LPS+ points was pushed away from the first seed.

        Radial, greatest (0.3 core radii) at the core's surface, falling off as the inverse of the distance, and damped
        towards the skull, which does not give way (a ball around the middle of the brain stands for it).
        """
        offset = [place - np.float32(start) for place, start in zip(points, self.seeds[0], strict=True)]
        squared = offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2
        radial = [place - np.float32(middle) for place, middle in zip(points, _CENTRE, strict=True)]
        outward = np.sqrt(radial[0] ** 2 + radial[1] ** 2 + radial[2] ** 2)
        size = 0.6 / (1 + squared / np.float32(self.core_radius_mm**2)) * np.clip((95 - outward) / 40, 0, 1)
        return [part * size for part in offset]


def grow(rng: np.random.Generator, brain: Brain, plan: TumourPlan) -> npt.NDArray[np.uint8]:
    """Labels of the grown tumour, uint8 (i, j, k) with values of `braintumor.domain.regions`.

    Volumes follow the plan and the shares above but for islands, which are left out, and as far as there is tissue to grow in.
    """
    labels = np.zeros(brain.grid.shape, np.uint8)
    if plan.volume_ml <= 0:
        return labels
    box = _region(brain.grid, plan)
    part = brain.cropped(box)
    march = _march_grid(part.grid)
    rough, fine = smooth_field(rng, march, 16.0), smooth_field(rng, march, 6.0)
    solid = part.mask & (part.fluid < 0.45)
    free, white = sampled(solid.astype(np.float32), part.grid, march), sampled(part.white, part.grid, march)
    total = round(plan.volume_ml / part.grid.voxel_ml)

    speed = np.exp(0.55 * rough + 0.2 * fine) * (0.55 + 0.45 * white)
    core = _earliest(_arrival(0.02 + speed * free**2, march, part.grid, plan), solid, round(CORE_SHARE * total))
    inside = sampled(core.astype(np.float32), part.grid, march)
    speed = np.exp(0.3 * rough + 0.1 * fine) * (0.05 + white**2)
    times = _arrival(0.01 + speed * free**2 + 50 * inside, march, part.grid, plan)
    oedema = _earliest(times, solid & ~core, total - int(core.sum()))
    _compose(labels[box], core, oedema, smooth_field(rng, part.grid, 7.0), part.grid)
    return labels


def _compose(
    labels: npt.NDArray[np.uint8], core: npt.NDArray[np.bool_], oedema: npt.NDArray[np.bool_], noise: Field, grid: Grid
) -> None:
    """Write the three labels: the core's deepest part is necrotic, its rim enhances, unevenly thick; islands are left out."""
    whole, _ = ndimage.label(core | oedema, np.ones((3, 3, 3)))
    sizes = np.bincount(whole[core], minlength=int(whole.max()) + 1)
    islands = (sizes < 0.02 * core.sum())[whole]
    depth = ndimage.distance_transform_edt(core, sampling=grid.spacing) + 1.3 * noise
    necrosis = _earliest(-depth, core, round(NECROTIC_SHARE * int(core.sum())))
    labels[oedema], labels[core], labels[necrosis] = OEDEMA.value, ENHANCING.value, NECROTIC_CORE.value
    labels[islands] = 0


def _region(grid: Grid, plan: TumourPlan) -> tuple[slice, slice, slice]:
    """The index box around all seeds in which the tumour can be."""
    reach = 2.2 * plan.core_radius_mm + 18.0
    seeds = grid.to_index(np.array(plan.seeds))
    margin = np.ceil(reach / np.array(grid.spacing))
    low = np.maximum(np.floor(seeds.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(seeds.max(axis=0) + margin) + 1, grid.shape).astype(int)
    a, b, c = (slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    return a, b, c


def _march_grid(grid: Grid) -> Grid:
    """The grid of the fronts: as `grid`, but not finer than `MARCH_MM`."""
    steps = np.maximum(grid.spacing, MARCH_MM)
    counts = np.ceil(np.array(grid.shape) * grid.spacing / steps).astype(int)
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = grid.origin
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def _arrival(speed: npt.NDArray[Any], march: Grid, grid: Grid, plan: TumourPlan) -> Field:
    """When a front that leaves the seeds reaches each voxel of `grid`, later foci starting later; float32 (i, j, k)."""
    image = _toolkit.GetImageFromArray(np.ascontiguousarray(speed.T, np.float32))
    image.SetSpacing(march.spacing)
    fronts = _toolkit.FastMarchingImageFilter()
    starts = np.clip(np.rint(march.to_index(plan.seeds)), 0, np.array(march.shape) - 1).astype(int)
    fronts.SetTrialPoints([[int(v) for v in start] for start in starts])
    fronts.SetInitialTrialValues([6.0 * n for n in range(len(starts))])
    times = np.asarray(_toolkit.GetArrayFromImage(fronts.Execute(image)).T, np.float32)
    return sampled(np.minimum(times, 1e6), march, grid)  # what no front reached holds the largest float


def _earliest(times: npt.NDArray[np.floating[Any]], allowed: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.bool_]:
    """The `count` allowed voxels with the smallest times (all of them if there are fewer); bool (i, j, k)."""
    places = np.flatnonzero(allowed)
    order = np.argsort(times.ravel()[places], kind="stable")[: max(0, count)]
    chosen = np.zeros(times.size, bool)
    chosen[places[order]] = True
    return chosen.reshape(times.shape)
