"""Slices as radiologists look at them: patient's right on the left of the image, square millimetres, robust grey window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import Case, Grid, MRSequence, Region, Reorientation, Segmentation, bounding_box, canonical, region_mask

Box = tuple[slice, slice, slice]
MARGIN_MM = 4.0


@dataclass(frozen=True, slots=True)
class Plane:
    """A way to cut a volume whose axes run to L, P and S.

    Attributes
    ----------
    normal, column, row
        Axis across the picture, along its width and along its height.
    upwards
        Whether the row axis runs up the picture instead of down.
    letters
        Patient directions at the left, right, top and bottom edge.
    """

    name: str
    normal: int
    column: int
    row: int
    upwards: bool
    letters: tuple[str, str, str, str]


AXIAL = Plane("Axial", normal=2, column=0, row=1, upwards=False, letters=("R", "L", "A", "P"))
CORONAL = Plane("Coronal", normal=1, column=0, row=2, upwards=True, letters=("R", "L", "S", "I"))
SAGITTAL = Plane("Sagittal", normal=0, column=1, row=2, upwards=True, letters=("A", "P", "S", "I"))


@dataclass(frozen=True)
class View:
    """One slice, cropped, at a scale; knows where a voxel comes to lie in its pixels.

    Attributes
    ----------
    index
        Of the slice along `plane.normal`.
    box
        Part of the volume shown.
    spacing
        mm along the volume's three axes.
    zoom
        Pixels per mm, the same in both directions.
    """

    plane: Plane
    index: int
    box: Box
    spacing: tuple[float, float, float]
    zoom: float

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = (self._extent_mm(axis) * self.zoom for axis in (self.plane.column, self.plane.row))
        return max(1, round(width)), max(1, round(height))

    def cut(self, volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The slice as (row, column), top row first; 0 where the box reaches beyond the volume."""
        index, outside = list[Any](self.box), []
        for axis in (self.plane.column, self.plane.row):
            part, length = self.box[axis], volume.shape[axis]
            index[axis] = slice(min(max(part.start, 0), length), min(max(part.stop, 0), length))
            outside.append((index[axis].start - part.start, part.stop - index[axis].stop))
        index[self.plane.normal] = self.index
        flat = volume[tuple(index)]  # remaining axes in ascending order: column before row in all three planes
        if any(sum(pair) for pair in outside):
            flat = np.pad(flat, outside)
        picture: npt.NDArray[Any] = flat.T[::-1] if self.plane.upwards else flat.T
        return picture

    def pixels(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Volume indices (n, 3) -> x, y in pixels (n, 2); the slice's own index is ignored."""
        points = np.atleast_2d(np.asarray(points, np.float64))
        column, row = self.plane.column, self.plane.row
        x = (points[:, column] - self.box[column].start + 0.5) * self.spacing[column]
        y = (points[:, row] - self.box[row].start + 0.5) * self.spacing[row]
        return np.stack([x, self._extent_mm(row) - y if self.plane.upwards else y], axis=1) * self.zoom

    def _extent_mm(self, axis: int) -> float:
        return float((self.box[axis].stop - self.box[axis].start) * self.spacing[axis])


@dataclass(frozen=True, eq=False)
class Scene:
    """What is pictured: the volumes of one case and its mask, axes to L, P and S, with a grey window each.

    Attributes
    ----------
    images
        Voxels as before z-scoring, only sequences present.
    windows
        Grey values shown as black and as white.
    box
        The head with a margin: the same part in all pictures.
    """

    grid: Grid
    images: dict[MRSequence, npt.NDArray[Any]]
    windows: dict[MRSequence, tuple[float, float]]
    mask: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.bool_]
    uncertainty: npt.NDArray[Any] | None
    box: Box

    @classmethod
    def of(cls, case: Case, segmentation: Segmentation) -> Scene:
        """Turn a case and a segmentation on its grid.

        Raises
        ------
        ValueError
            If the segmentation is not on the case's grid.
        """
        if not case.grid.same_as(segmentation.grid):
            raise ValueError("pictures need the segmentation on the case's grid")
        turn = canonical(case.grid)
        grid, brain, mask = turn.grid(case.grid), turn.apply(case.brain), turn.apply(segmentation.mask)
        return cls(
            grid=grid,
            images={s: turn.apply(voxels) for s, voxels in case.display.items()},
            windows={s: window(voxels, case.brain) for s, voxels in case.display.items()},
            mask=mask,
            brain=brain,
            uncertainty=_turned(turn, segmentation.uncertainty),
            box=_framed(brain if brain.any() else np.ones_like(brain), grid),
        )

    def first(self, *preferred: MRSequence) -> MRSequence:
        """The first of these sequences that is present, else any."""
        order: list[MRSequence] = [*preferred, *MRSequence]
        return next(sequence for sequence in order if sequence in self.images)

    def view(self, plane: Plane, index: int, zoom: float, box: Box | None = None) -> View:
        """The slice `index` of `plane` at `zoom` pixels per mm."""
        return View(plane, index, box or self.box, self.grid.spacing, zoom)

    def views(self, indices: dict[Plane, int], height_px: float) -> list[View]:
        """Slices of several planes at one scale and one height, so that they stand side by side."""
        height_mm = max(self.extent_mm(plane.row) for plane in indices)
        zoom = height_px / height_mm
        return [self.view(plane, index, zoom, self._taller(plane.row, height_mm)) for plane, index in indices.items()]

    def extent_mm(self, axis: int) -> float:
        """Size of the framed part along an axis."""
        return float((self.box[axis].stop - self.box[axis].start) * self.grid.spacing[axis])

    def square(self, points: npt.NDArray[np.float64], margin_mm: float) -> Box:
        """A box around volume indices (n, 3), square in mm in the axial plane; it may reach beyond the volume."""
        low, high = points.min(axis=0), points.max(axis=0)
        half = max((high - low)[:2] * self.grid.spacing[:2]) / 2 + margin_mm
        i, j = (_about((low[a] + high[a]) / 2, half / self.grid.spacing[a]) for a in range(2))
        return i, j, slice(0, self.grid.shape[2])

    @cached_property
    def widest_slice(self) -> int:
        """Axial slice with the largest tumour area; without tumour, the one with most brain."""
        tumour = region_mask(self.mask, Region.WT)
        return int((tumour if tumour.any() else self.brain).sum(axis=(0, 1)).argmax())

    def _taller(self, axis: int, extent_mm: float) -> Box:
        box = list(self.box)
        part = box[axis]
        box[axis] = _about((part.start + part.stop - 1) / 2, extent_mm / self.grid.spacing[axis] / 2)
        return box[0], box[1], box[2]


def window(voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """1st and 99.5th percentile inside the brain (of all voxels if it is empty): vessels and fat may saturate."""
    inside = voxels[brain] if brain.any() else voxels.ravel()
    low, high = np.percentile(inside[:: max(1, inside.size // 200_000)], (1.0, 99.5))
    return float(low), float(max(high, low + 1e-6))


def grey(values: npt.NDArray[Any], limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Grey values 0..255 of a window."""
    scaled = (values.astype(np.float32) - limits[0]) * np.float32(255.0 / (limits[1] - limits[0]))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def _about(centre: float, half: float) -> slice:
    return slice(round(centre + 0.5 - half), round(centre + 0.5 + half))


def _turned(turn: Reorientation, voxels: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    return None if voxels is None else turn.apply(voxels)


def _framed(mask: npt.NDArray[np.bool_], grid: Grid) -> Box:
    box = bounding_box(mask)
    i, j, k = (
        slice(max(0, part.start - round(MARGIN_MM / size)), min(n, part.stop + round(MARGIN_MM / size)))
        for part, size, n in zip(box, grid.spacing, grid.shape, strict=True)
    )
    return i, j, k
