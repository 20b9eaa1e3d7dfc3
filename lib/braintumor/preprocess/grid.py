"""The grid a case lives on, and moving voxels between grids with SimpleITK."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from braintumor.domain import Affine, Grid, Image, canonical

SPACING_MM = 1.0
"""What the network was trained at, in plane."""

_CLOSE = 0.02


def case_grid(reference: Grid) -> Grid:
    """The grid for a case whose reference series has this grid.

    The reference's own voxels in LPS order, untouched, where all spacings are within 2 % of 1 mm. Otherwise the same field
    of view at 1 mm in i and j; along k the reference's spacing where it is 1 mm or more (the network is 2D, so thick
    slices stay slices), else 1 mm.
    """
    ordered = canonical(reference).grid(reference)
    if all(abs(size - SPACING_MM) <= _CLOSE for size in ordered.spacing):
        return ordered
    wanted = np.array([SPACING_MM, SPACING_MM, max(SPACING_MM, ordered.spacing[2])])
    extent = np.array(ordered.shape) * ordered.spacing
    shape = np.maximum(1, np.rint(extent / wanted)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = ordered.directions * wanted
    # The fields of view share their centre, so the first voxel's centre follows from both sizes.
    centre = ordered.to_world((np.array(ordered.shape) - 1) / 2)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


class _SingleThread:
    """How many callers want SimpleITK on one thread, and the number of threads to give back after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
                sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(self._before)


single_thread = _SingleThread()
"""Context in which SimpleITK's iterative methods repeat exactly, on every machine. Their own SetNumberOfThreads does not
reach the filters inside them: transforms then differed by 0.006 mm from run to run."""


def to_sitk(voxels: npt.NDArray[Any], grid: Grid) -> sitk.Image:
    """(i, j, k) voxels as a SimpleITK image in LPS+ mm; float32 unless already a type it knows."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))  # SimpleITK wants [k, j, i]
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.directions.ravel().tolist())
    return image


def from_sitk(image: sitk.Image) -> npt.NDArray[Any]:
    """SimpleITK image -> (i, j, k) voxels, Fortran order."""
    return sitk.GetArrayFromImage(image).T


def to_transform(matrix: Affine) -> sitk.AffineTransform:
    """4x4 in LPS+ mm -> the SimpleITK transform that maps the same points."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(np.asarray(matrix)[:3, :3].ravel().tolist())
    transform.SetTranslation(np.asarray(matrix)[:3, 3].tolist())
    return transform


def resample(image: Image, grid: Grid, transform: Affine | None = None) -> npt.NDArray[np.float32]:
    """Voxels of `image` at the points of `grid`, interpolated linearly; 0 outside the image.

    Exact, and a view of the same memory, where both grids are the same points in space and no transform moves them.

    Parameters
    ----------
    transform
        4x4, LPS+ mm of `grid` -> LPS+ mm of `image`; None for the identity.

    Returns
    -------
    float32 (i, j, k) of ``grid.shape``.
    """
    source, target = canonical(image.grid), canonical(grid)
    ordered = source.grid(image.grid)
    if (transform is None or np.array_equal(transform, np.eye(4))) and ordered.same_as(target.grid(grid)):
        return target.undo(source.apply(image.voxels)).astype(np.float32, copy=False)
    # In LPS order, so that the rounding, too, is the same for DICOM and NIfTI, which store other axis orders.
    moving = to_sitk(source.apply(image.voxels).astype(np.float32, copy=False), ordered)
    mapped = to_transform(np.eye(4) if transform is None else transform)
    where = (grid.origin.tolist(), grid.spacing, grid.directions.ravel().tolist())
    return from_sitk(sitk.Resample(moving, grid.shape, mapped, sitk.sitkLinear, *where, 0.0, sitk.sitkFloat32))


def inside(source: Grid, grid: Grid, transform: Affine) -> npt.NDArray[np.bool_]:
    """Which points of `grid` lie in the field of view of `source`.

    Parameters
    ----------
    transform
        4x4, LPS+ mm of `grid` -> LPS+ mm of `source`.

    Returns
    -------
    bool (i, j, k) of ``grid.shape``.
    """
    matrix = np.linalg.inv(source.affine) @ transform @ grid.affine
    i, j, k = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    within = np.ones(grid.shape, bool)
    for row, size in zip(matrix[:3], source.shape, strict=True):
        index = (row[0] * i + row[1] * j + row[3]).astype(np.float32) + (row[2] * k).astype(np.float32)
        within &= (index >= -0.5) & (index <= size - 0.5)
    return within
