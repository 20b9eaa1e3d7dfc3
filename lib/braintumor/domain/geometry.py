"""Grids in patient space: the one place where voxel indices meet millimetres.

Everything inside the package uses DICOM's patient coordinate system, LPS+ in millimetres (PS3.3 C.7.6.2.1.1: x to the
patient's left, y to posterior, z to the head). NIfTI's RAS+ exists only at the NIfTI door. Arrays are indexed
``[i, j, k]`` in the order of the affine's columns, whatever their memory layout.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
LPS_FROM_RAS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Change of axes between NIfTI's RAS+ and DICOM's LPS+; its own inverse."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular voxel grid in patient space.

    Attributes
    ----------
    shape
        Number of voxels along i, j, k.
    affine
        4x4, voxel index (i, j, k, 1) -> LPS+ mm of the voxel's centre. Read-only.

    Raises
    ------
    ValueError
        If the affine is not an invertible 4x4 matrix of finite numbers, or a dimension is not positive.

    Examples
    --------
    >>> g = Grid((10, 20, 30), np.diag([2.0, 2.0, 5.0, 1.0]))
    >>> g.spacing
    (2.0, 2.0, 5.0)
    >>> g.axcodes
    'LPS'
    """

    shape: tuple[int, int, int]
    affine: Affine

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise ValueError(f"a grid needs an invertible, finite 4x4 affine, not {affine.tolist()}")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"a grid needs three positive dimensions, not {self.shape}")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        i, j, k = (int(n) for n in self.shape)
        object.__setattr__(self, "shape", (i, j, k))

    @cached_property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along i, j, k."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return round(float(x), 6), round(float(y), 6), round(float(z), 6)

    @cached_property
    def directions(self) -> Affine:
        """3x3, unit vectors of the i, j, k axes as columns, LPS+."""
        return self.affine[:3, :3] / np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))

    @property
    def origin(self) -> Affine:
        """LPS+ mm of the centre of voxel (0, 0, 0)."""
        return self.affine[:3, 3]

    @cached_property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres, |det| of the affine / 1000."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @cached_property
    def axcodes(self) -> str:
        """The patient direction each axis mostly points to, e.g. 'LPS'; closest assignment, each axis once."""
        order, signs = _closest_axes(self.affine)
        letters = ("RL", "AP", "IS")
        return "".join(letters[axis][int(sign > 0)] for axis, sign in zip(order, signs, strict=True))

    def to_world(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Voxel indices (..., 3) -> LPS+ mm (..., 3)."""
        return np.asarray(index, np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, world: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """LPS+ mm (..., 3) -> continuous voxel indices (..., 3)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(world, np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def same_as(self, other: Grid, tolerance_mm: float = 0.01) -> bool:
        """Whether both grids have the same shape and every corner lies within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1).T
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() <= tolerance_mm)

    def cropped(self, box: tuple[slice, slice, slice]) -> Grid:
        """The sub-grid of an index box with explicit starts and stops, step 1."""
        start = np.array([s.start for s in box], float)
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(start)
        i, j, k = (int(s.stop - s.start) for s in box)
        return Grid((i, j, k), affine)

    def summary(self) -> dict[str, Any]:
        """JSON-ready facts for manifests and ``inspect``."""
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing),
            "axes": self.axcodes,
            "affine_lps": [[round(float(v), 6) for v in row] for row in self.affine],
        }


@dataclass(frozen=True)
class Reorientation:
    """An exact change of axis order and direction; no interpolation ever.

    Attributes
    ----------
    order
        ``order[n]`` is the source axis that becomes axis n.
    flips
        Whether the axis is reversed, per output axis.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A view of `voxels` (3D) with the axes in the new order and direction; copies nothing."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return voxels.transpose(self.order)[steps]

    def undo(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The inverse of `apply`, also a view."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return voxels[steps].transpose(np.argsort(self.order))

    def grid(self, source: Grid) -> Grid:
        """The grid of ``apply(voxels)`` for voxels on `source`: same points in space."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1.0
        for new, (old, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            matrix[old, new] = -1.0 if flip else 1.0
            matrix[old, 3] = source.shape[old] - 1 if flip else 0.0
        i, j, k = (source.shape[old] for old in self.order)
        return Grid((i, j, k), source.affine @ matrix)


def canonical(grid: Grid) -> Reorientation:
    """The axis order and flips that bring a grid closest to L, P, S (i to left, j to posterior, k to head)."""
    order, signs = _closest_axes(grid.affine)
    source = [order.index(axis) for axis in range(3)]
    return Reorientation(
        (source[0], source[1], source[2]),
        (bool(signs[source[0]] < 0), bool(signs[source[1]] < 0), bool(signs[source[2]] < 0)),
    )


def _closest_axes(affine: Affine) -> tuple[list[int], list[float]]:
    """For each voxel axis, the patient axis it is closest to (each used once) and the sign."""
    matrix = np.array(affine[:3, :3])
    directions = matrix / np.sqrt((matrix**2).sum(axis=0))
    order, signs = [-1, -1, -1], [1.0, 1.0, 1.0]
    cost = np.abs(directions)
    for _ in range(3):
        world, voxel = np.unravel_index(int(np.argmax(cost)), cost.shape)
        order[int(voxel)] = int(world)
        signs[int(voxel)] = float(np.sign(directions[world, voxel]))
        cost[world, :] = -1.0
        cost[:, voxel] = -1.0
    return order, signs


def bounding_box(mask: npt.NDArray[np.bool_], margin: int = 0) -> tuple[slice, slice, slice]:
    """Smallest index box around the True voxels of a 3D mask, widened by `margin` voxels inside the array.

    Returns
    -------
    tuple of slice
        With explicit start and stop; the whole array if nothing is True.
    """
    slices = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        low, high = (int(hits[0]), int(hits[-1]) + 1) if hits.size else (0, mask.shape[axis])
        slices.append(slice(max(0, low - margin), min(mask.shape[axis], high + margin)))
    return slices[0], slices[1], slices[2]


def grid_from_dicom(
    row_cosines: Seq[float],
    column_cosines: Seq[float],
    first_position: Seq[float],
    last_position: Seq[float],
    pixel_spacing: Seq[float],
    shape: tuple[int, int, int],
    slice_spacing: float | None = None,
) -> Grid:
    """The grid of a stack of DICOM slices (PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1).

    Parameters
    ----------
    row_cosines, column_cosines
        The two halves of Image Orientation (Patient): direction of increasing column index, then of increasing row index.
    first_position, last_position
        Image Position (Patient) of the first and last slice, LPS+ mm.
    pixel_spacing
        Pixel Spacing as stored: (between rows, between columns). Mind the order: the *second* number is the voxel size
        along i. Swapping them is a known fault of other loaders.
    shape
        (columns, rows, slices).
    slice_spacing
        Distance between slices in mm; only needed when there is a single slice.
    """
    row, column = np.asarray(row_cosines, float), np.asarray(column_cosines, float)
    first, last = np.asarray(first_position, float), np.asarray(last_position, float)
    affine = np.eye(4)
    affine[:3, 0] = row * float(pixel_spacing[1])
    affine[:3, 1] = column * float(pixel_spacing[0])
    if shape[2] > 1:
        affine[:3, 2] = (last - first) / (shape[2] - 1)
    else:
        affine[:3, 2] = np.cross(row, column) * float(slice_spacing or 1.0)
    affine[:3, 3] = first
    return Grid(shape, affine)
