"""The face of a head, in patient coordinates: what lies below a plane from forehead to occiput and away from the brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import BrainTumorError, DeidentificationError, Grid, Image, MRSequence
from braintumor.preprocess.brain import PLAUSIBLE_ML, find_brain
from braintumor.preprocess.grid import case_grid, resample
from braintumor.study.choose import SeriesCandidate
from braintumor.study.stack import SlicePlane
from braintumor.study.volume import build_series

_FRONT, _BACK = 0.65, 0.12
"""Height of the plane above the brain's lowest point, as a share of the brain's height: at its front and at its back end."""
_STEP_MM = 2.0
_PAD_MM = 40.0
_TRIES = 3

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FaceRegion:
    """Where a head is kept and where it is removed.

    Attributes
    ----------
    grid, distance
        Coarse grid and mm outside the brain on it, 0 inside.
    extent
        LPS+ mm of the brain's front, back, lowest and highest point: (y, y, z, z).
    margin_mm
        Nothing is removed that near to the brain.
    brain_ml
        Volume of the outline.
    """

    grid: Grid
    distance: npt.NDArray[np.float32]
    extent: tuple[float, float, float, float]
    margin_mm: float
    brain_ml: float

    def of_plane(self, plane: SlicePlane, shape: tuple[int, int]) -> tuple[Mask, Mask]:
        """Pixels (rows, columns) of a slice that are removed, and those within the margin around the brain."""
        points = pixel_centres(plane, shape)
        far = self._away(points)
        near = far <= self.margin_mm
        return ~near & self.below(points), near

    def erases(self, points: Floats) -> Mask:
        """Whether points (..., 3) in LPS+ mm are removed."""
        return np.asarray((self._away(points) > self.margin_mm) & self.below(points))

    def below(self, points: Floats) -> Mask:
        """Whether points (..., 3) in LPS+ mm lie on the face's side of the plane."""
        front, back, low, high = self.extent
        share = (points[..., 1] - front) / (back - front)
        limit = low + (high - low) * (_FRONT + (_BACK - _FRONT) * share)
        return np.asarray(points[..., 2] < limit)

    def _away(self, points: Floats) -> Floats:
        """Mm outside the brain; outside the grid at least the way to it."""
        index = self.grid.to_index(points)
        inside = np.clip(index, 0, np.array(self.grid.shape) - 1)
        sampled = ndimage.map_coordinates(self.distance, np.moveaxis(inside, -1, 0), order=1, mode="nearest")
        return np.asarray(sampled + np.linalg.norm((index - inside) * self.grid.spacing, axis=-1), np.float64)


def pixel_centres(plane: SlicePlane, shape: tuple[int, int]) -> Floats:
    """LPS+ mm (rows, columns, 3) of a slice's pixels (PS3.3 equation C.7.6.2.1-1)."""
    rows = np.arange(shape[0])[:, None, None] * (plane.cosines[3:] * plane.spacing[0])
    columns = np.arange(shape[1])[None, :, None] * (plane.cosines[:3] * plane.spacing[1])
    return np.asarray(plane.position + rows + columns, np.float64)


def find_region(candidates: Sequence[SeriesCandidate], margin_mm: float) -> FaceRegion:
    """The region of all series that share a frame of reference.

    Skull-stripped volumes are outlined like any other, so that nobody has to be told apart: away from a brain without a head
    there is only background.

    Parameters
    ----------
    candidates
        Volumes of one frame of reference.

    Raises
    ------
    DeidentificationError
        If no volume gives an outline of the brain that can be relied on.
    """
    tried = 0
    for candidate in sorted(candidates, key=_rank):
        if tried == _TRIES:
            break
        try:
            image = build_series(candidate).image
        except BrainTumorError:
            continue  # no volume (a localiser, a damaged series): others may give the outline
        tried += 1
        region = _outlined(image, candidate.evidence.sequence or MRSequence.FLAIR, margin_mm)
        if region is not None:
            return region
    raise DeidentificationError(
        "No brain outline that can be relied on was found, so the face cannot be removed safely",
        remedy="Check that the study shows a whole head; --no-deface exports it with the face, if your approval allows that",
    )


def _rank(candidate: SeriesCandidate) -> tuple[int, float]:
    order = (MRSequence.T1, MRSequence.T1CE, MRSequence.T2, MRSequence.FLAIR, None)
    return order.index(candidate.evidence.sequence), -candidate.slices * candidate.spacing_mm


def _outlined(image: Image, sequence: MRSequence, margin_mm: float) -> FaceRegion | None:
    grid = case_grid(image.grid)
    mask, _, _ = find_brain({sequence: resample(image, grid, np.eye(4))}, grid.voxel_ml)
    volume = float(np.count_nonzero(mask)) * grid.voxel_ml
    return _region(mask, grid, margin_mm) if PLAUSIBLE_ML[0] <= volume <= PLAUSIBLE_ML[1] else None


def _region(mask: Mask, grid: Grid, margin_mm: float) -> FaceRegion:
    points = grid.to_world(np.argwhere(mask))
    lower, upper = np.percentile(points, (0.2, 99.8), axis=0)
    start, stop = points.min(axis=0) - _PAD_MM, points.max(axis=0) + _PAD_MM
    shape = np.ceil((stop - start) / _STEP_MM).astype(int) + 1
    affine = np.diag([_STEP_MM, _STEP_MM, _STEP_MM, 1.0])
    affine[:3, 3] = start
    coarse = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    index = np.rint(coarse.to_index(points)).astype(int)
    near = np.zeros(coarse.shape, bool)
    near[tuple(index.T)] = True
    # thick slices leave gaps on the finer grid: closed along the slices' distance
    gap = max(1, int(np.ceil(max(grid.spacing) / _STEP_MM)))
    near = ndimage.binary_closing(np.pad(near, gap), iterations=gap)[(slice(gap, -gap),) * 3] | near
    distance = ndimage.distance_transform_edt(~near, sampling=_STEP_MM).astype(np.float32)
    extent = (float(lower[1]), float(upper[1]), float(lower[2]), float(upper[2]))
    return FaceRegion(coarse, distance, extent, margin_mm, float(np.count_nonzero(mask)) * grid.voxel_ml)
