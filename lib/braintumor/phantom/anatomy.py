"""Real anatomy for phantoms: the MNI152 template of nilearn's wheel, varied from person to person.

Template: ICBM 152 nonlinear symmetric 2009a (Fonov 2011, doi:10.1016/j.neuroimage.2010.07.033); 1 mm, brain only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import Grid, InputNotFoundError

Field = npt.NDArray[np.float32]
Displacement = Callable[[list[Field]], list[Field]]

FOV_LOW = np.array([-98.0, -98.0, -72.0])
FOV_HIGH = np.array([98.0, 134.0, 116.0])
"""The template's field of view, LPS+ mm of the centres of its first and last voxel."""

CSF, GREY, WHITE = 68.0, 165.0, 222.0
"""Template values of pure tissues."""

_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True, eq=False)
class Brain:
    """One person's brain on a grid along the patient axes.

    Attributes
    ----------
    grid
        Axes along L, P, S.
    t1
        float32 (i, j, k), T1 contrast with template values (`CSF`, `GREY`, `WHITE`), 0 outside the brain.
    white
        float32 (i, j, k), share of white matter, 0..1.
    mask
        bool (i, j, k), the brain.
    """

    grid: Grid
    t1: Field
    white: Field
    mask: npt.NDArray[np.bool_]

    @property
    def fluid(self) -> Field:
        """Share of cerebrospinal fluid, 0..1, float32 (i, j, k); 0 outside the brain."""
        share = np.clip((GREY - 5 - self.t1) / (GREY - 5 - CSF), 0, 1, dtype=np.float32)
        return np.where(self.mask, share, np.float32(0))

    def cropped(self, box: tuple[slice, slice, slice]) -> Brain:
        """The part inside an index box."""
        return Brain(self.grid.cropped(box), self.t1[box], self.white[box], self.mask[box])


def field_of_view(spacing_mm: tuple[float, float, float]) -> Grid:
    """The grid of this spacing, axes L, P, S, that covers the template."""
    steps = np.array(spacing_mm)
    counts = np.rint((FOV_HIGH - FOV_LOW) / steps).astype(int) + 1
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = (FOV_LOW + FOV_HIGH) / 2 - steps * (counts - 1) / 2
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def axes_mm(grid: Grid) -> list[Field]:
    """LPS+ mm along the three axes of a grid along L, P, S; float32, shaped to broadcast over (i, j, k)."""
    places = [(grid.origin[a] + grid.affine[a, a] * np.arange(grid.shape[a])).astype(np.float32) for a in range(3)]
    return list(np.meshgrid(*places, indexing="ij", sparse=True))


def smooth_field(rng: np.random.Generator, grid: Grid, scale_mm: float) -> Field:
    """A smooth random field of mean 0 and standard deviation about 1, the same in space on any grid.

    A sum of products of cosines over the field of view, with Gaussian weights that leave structures of about `scale_mm`.

    Parameters
    ----------
    grid
        Axes along L, P, S.

    Returns
    -------
    float32 (i, j, k)
    """
    bases = []
    for axis, places in enumerate(axes_mm(grid)):
        extent = FOV_HIGH[axis] - FOV_LOW[axis]
        modes = np.arange(int(np.ceil(2 * extent / scale_mm)) + 1)
        weights = np.exp(-0.5 * (modes * scale_mm / extent) ** 2)
        weights /= np.sqrt((weights**2 * np.where(modes == 0, 1.0, 0.5)).sum())
        phases = np.pi * (places.ravel()[:, None] - FOV_LOW[axis]) / extent * modes
        bases.append((np.cos(phases) * weights).astype(np.float32))
    field = rng.standard_normal([base.shape[1] for base in bases]).astype(np.float32)
    for base in bases:  # each product turns the leading axis, of modes, into a trailing axis of places
        field = np.tensordot(field, base, axes=(0, 1))
    return field


def sampled(voxels: Field, source: Grid, target: Grid) -> Field:
    """Linear interpolation between two grids along the same axes; float32 (i, j, k) of `target`."""
    matrix = np.linalg.inv(source.affine) @ target.affine
    scale, offset = matrix.diagonal()[:3], matrix[:3, 3]
    return np.asarray(
        ndimage.affine_transform(voxels, scale, offset, output_shape=target.shape, order=1, mode="nearest"), np.float32
    )


def person(rng: np.random.Generator, grid: Grid, displacement: Displacement | None = None) -> Brain:
    """One individual: the template scaled by a few percent, bent smoothly by a few millimetres, then displaced.

    Parameters
    ----------
    rng
        Decides who it is; the same state gives the same person on any grid.
    displacement
        Maps LPS+ mm of points (three arrays that broadcast) to how far, in mm, tissue there has been moved (mass effect).

    Raises
    ------
    InputNotFoundError
        If nilearn's data files are absent.
    """
    scale = 1.0 + rng.uniform(-0.04, 0.04, 3)
    points = axes_mm(grid)
    pushed = displacement(points) if displacement is not None else [np.zeros((1, 1, 1), np.float32)] * 3
    index = np.empty((3, *grid.shape), np.float32)
    for axis in range(3):
        bend = smooth_field(rng, grid, 60.0) * np.float32(2.5)
        index[axis] = (points[axis] - bend - pushed[axis]) / np.float32(scale[axis]) - np.float32(FOV_LOW[axis])
    detail = min(grid.spacing)
    # "nearest" continues the brain stem below the template's last slice; everywhere else the border is empty.
    t1 = ndimage.map_coordinates(_template("t1", detail), index, order=1, mode="nearest")
    white = ndimage.map_coordinates(_template("wm", detail), index, order=1, mode="nearest") / np.float32(255)
    mask = t1 > 25
    return Brain(grid, np.where(mask, t1, np.float32(0)), white, mask)


@lru_cache(maxsize=1)
def white_matter_seeds() -> npt.NDArray[np.float64]:
    """LPS+ mm (n, 3): points deep in the white matter of the cerebral hemispheres, where gliomas may start."""
    white = ndimage.zoom(_template("wm", 1.0), 0.25, order=1, grid_mode=True, mode="nearest")
    points = np.argwhere(ndimage.uniform_filter(white, 3) > 175) * 4.0 + 1.5 + FOV_LOW
    lateral, height = np.abs(points[:, 0]), points[:, 2]
    return np.asarray(points[(lateral > 20) & (lateral < 44) & (height > 2) & (height < 45)], np.float64)


@lru_cache(maxsize=4)
def _template(name: str, detail_mm: float) -> Field:
    """Template ``t1`` or ``wm``, float32 on 1 mm axes L, P, S, without detail finer than `detail_mm`."""
    spec = find_spec("nilearn")  # found without importing it, which takes seconds
    folder = Path((spec.origin if spec else None) or "nilearn").parent / "datasets" / "data"
    path = folder / _FILE.format(name)
    if not path.is_file():
        raise InputNotFoundError("the MNI152 template is not there", remedy="install the package nilearn", path=path)
    image: Any = nib.load(path)
    voxels = np.asarray(image.dataobj, np.float32)[::-1, ::-1]
    if name == "t1":
        voxels = _sharpened(voxels)
    if detail_mm > 1.2:
        voxels = ndimage.gaussian_filter(voxels, 0.4 * detail_mm)
    return np.ascontiguousarray(voxels)


def _sharpened(t1: Field) -> Field:
    """The template without its blur: an average of 152 people has shallow sulci, a person has not."""
    labels, _ = ndimage.label(t1 > 0)
    mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    blurred = ndimage.gaussian_filter(t1, 1.5) / np.maximum(ndimage.gaussian_filter(mask.astype(np.float32), 1.5), 0.2)
    return np.where(mask, np.clip(t1 + 1.2 * (t1 - blurred), 45, 245), 0).astype(np.float32)
