"""Hints and a mask -> the corrected part of the mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import LABELS, Affine, Case, Grid, MRSequence, SubmissionError, Voxels
from braintumor.refine.evidence import Box, CaseEvidence, Displayed, VoxelEvidence
from braintumor.refine.grow import BAND, LEAST_MM, MOST_MM, Distance, geodesic, reach_mm, smoothed, walk
from braintumor.refine.hints import Hint, Stroke, checked, strokes
from braintumor.segment.engines.protocol import Probabilities

Mask = npt.NDArray[np.uint8]

MOST_VOXELS = 400_000
"""Of one stroke's box: what a core goes through within a second. A longer stroke reaches less far."""


@dataclass(frozen=True, eq=False)
class Patch:
    """The corrected part of a mask.

    Attributes
    ----------
    box
        Where it belongs, with explicit starts and stops; empty (all 0) if there was no hint.
    mask
        uint8, the box's shape, values of `braintumor.domain.LABELS`.
    """

    box: Box
    mask: Mask

    def on(self, mask: Mask) -> Mask:
        """A copy of the whole mask with the patch in its place."""
        whole = mask.copy()
        whole[self.box] = self.mask
        return whole


def refine(
    images: Case | Mapping[MRSequence, Voxels],
    grid: Grid,
    mask: Mask,
    probabilities: Probabilities | None,
    clicks: Iterable[Hint],
    scribbles: Iterable[Hint] = (),
    transform: Affine | None = None,
) -> Patch:
    """Correct a mask around what an annotator says of some voxels; every such voxel has its label afterwards.

    The result does not depend on the order of the hints. A hint that the mask agrees with changes nothing and defends what is
    there against others, so earlier hints may be sent again with later ones.

    Parameters
    ----------
    images
        The prepared case, on whatever grid it lies, or images on `grid` itself.
    grid, mask
        The mask to correct, uint8 (i, j, k) on `grid`, e.g. a source series' own.
    probabilities
        What the network said, on the case's grid (on `grid`, if images are given); None if it was not asked.
    clicks, scribbles
        Single voxels, and voxels of drawn lines; lines are told apart by touching.
    transform
        4x4 rigid, LPS+ mm of the case -> LPS+ mm of `grid` (`Alignment.transform`); None for the identity.

    Raises
    ------
    SubmissionError
        If a hint lies outside the grid, its label is unknown, hints contradict each other, or the mask does not fit the grid.
    """
    _check(mask, grid)
    hints = checked((*clicks, *scribbles), grid)
    if not hints:
        nothing = slice(0, 0)
        return Patch((nothing, nothing, nothing), np.zeros((0, 0, 0), np.uint8))
    evidence = _evidence(images, grid, probabilities, transform)
    areas = [_area(stroke, mask, grid) for stroke in strokes(hints, grid)]
    corrected = mask.copy()
    whole = _joined([area.box for area in areas])
    for group in _groups(areas):
        box = _joined([area.box for area in group])
        corrected[box] = _solved(evidence, grid, mask[box], box, group)
    for place, label in hints.items():
        corrected[place] = label
    return Patch(whole, corrected[whole])


@dataclass(frozen=True, eq=False)
class _Area:
    """A stroke, its reach in mm, and the box that it may change."""

    stroke: Stroke
    reach: float
    box: Box


def _check(mask: Mask, grid: Grid) -> None:
    if mask.dtype != np.uint8 or mask.shape != grid.shape:
        raise SubmissionError(
            f"The mask is {mask.dtype} of {mask.shape} voxels, and the image has {grid.shape}",
            remedy="Send uint8 voxels on the grid of the image",
        )
    known = [0, *(label.value for label in LABELS)]
    if np.bincount(mask.ravel(order="K"), minlength=256)[[n for n in range(256) if n not in known]].any():
        raise SubmissionError("The mask holds values that are no labels", remedy=f"Use {', '.join(map(str, known))}")


def _evidence(
    images: Case | Mapping[MRSequence, Voxels], grid: Grid, found: Probabilities | None, transform: Affine | None
) -> VoxelEvidence:
    if isinstance(images, Case):
        back = np.eye(4) if transform is None else np.linalg.inv(transform)
        return CaseEvidence(images, grid, found, np.asarray(back, np.float64))
    if not images or any(image.shape != grid.shape for image in images.values()):
        raise SubmissionError("There is no image on the grid of the mask", remedy="Give at least one, of the mask's shape")
    return Displayed(images, found)


def _area(stroke: Stroke, mask: Mask, grid: Grid) -> _Area:
    reach = reach_mm(_nearest_mm(stroke, mask, grid))
    while True:
        box = _around(stroke.voxels, (1 + BAND) * reach, grid)
        if reach <= LEAST_MM or np.prod([s.stop - s.start for s in box]) <= MOST_VOXELS:
            return _Area(stroke, reach, box)
        reach = max(LEAST_MM, reach * 0.8)


def _around(voxels: npt.NDArray[np.intp], margin_mm: float, grid: Grid) -> Box:
    """Box of the voxels within a margin and one voxel more, which always stays as it is."""
    margin = [int(np.ceil(margin_mm / size)) + 1 for size in grid.spacing]
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    box = [slice(max(0, int(a) - m), min(n, int(b) + m + 1)) for a, b, m, n in zip(low, high, margin, grid.shape, strict=True)]
    return box[0], box[1], box[2]


def _nearest_mm(stroke: Stroke, mask: Mask, grid: Grid) -> float | None:
    """From the stroke's most central voxel of what is to change to the nearest that has its label already."""
    box = _around(stroke.voxels, MOST_MM, grid)
    has = mask[box] == stroke.label
    if not has.any():
        return None
    distance = ndimage.distance_transform_edt(~has, sampling=grid.spacing)
    furthest = float(distance[tuple((stroke.voxels - [s.start for s in box]).T)].max())
    return furthest if furthest <= MOST_MM else None


def _groups(areas: Sequence[_Area]) -> list[list[_Area]]:
    """Areas whose boxes meet are solved together, so that no order decides between them."""
    groups = [[area] for area in areas]
    merged = True
    while merged:
        merged = False
        for n, group in enumerate(groups):
            box = _joined([area.box for area in group])
            others = [m for m in range(n + 1, len(groups)) if _meet(box, _joined([area.box for area in groups[m]]))]
            if others:
                group += [area for m in others for area in groups[m]]
                groups = [g for m, g in enumerate(groups) if m not in others]
                merged = True
                break
    return groups


def _joined(boxes: Sequence[Box]) -> Box:
    box = [slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3)]
    return box[0], box[1], box[2]


def _meet(one: Box, two: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, two, strict=True))


def _inside(box: Box, outer: Box) -> Box:
    """A box in the indices of one around it."""
    i, j, k = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, outer, strict=True))
    return i, j, k


def _solved(evidence: VoxelEvidence, grid: Grid, mask: Mask, box: Box, group: Sequence[_Area]) -> Mask:
    """The box of a group of areas, corrected; `mask` is that box as it was."""
    raw = evidence.features(box)
    outside, features = (raw == 0).all(axis=0), smoothed(raw, grid.spacing)
    shares = evidence.shares(box)
    labels = sorted({area.stroke.label for area in group})
    # Length of the way in units of the stroke's reach, the shortest over all strokes of a label.
    ways: Distance = np.full((len(labels), *mask.shape), np.inf)
    for area in group:
        part = _inside(area.box, box)
        share = None if shares is None else shares[_channel(area.stroke.label)][part]
        marked = area.stroke.voxels - [s.start for s in area.box]
        limit = (1 + BAND) * area.reach
        distance = geodesic(features[(slice(None), *part)], share, marked, grid.spacing, outside[part], limit)
        distance[_rim(area.box, grid)] = np.inf
        if (mask[part][tuple(marked.T)] == area.stroke.label).all():  # said and done: defend it, do not grow again
            distance[mask[part] != area.stroke.label] = np.inf
        distance[tuple(marked.T)] = 0.0
        here = ways[labels.index(area.stroke.label)][part]
        np.minimum(here, distance / area.reach, out=here)
    return _decided(features, grid, mask, labels, ways)


def _decided(features: Voxels, grid: Grid, mask: Mask, labels: Sequence[int], ways: Distance) -> Mask:
    """Seeds from the ways (0 = stays, n = the n-th label), and the random walk between them."""
    nearest = ways.min(axis=0)
    sure = np.full(mask.shape, -1, np.int8)
    sure[nearest > 1 + BAND] = 0
    sure[nearest <= 1 - BAND] = (ways.argmin(axis=0) + 1)[nearest <= 1 - BAND]
    found = walk(features, grid.spacing, sure, len(labels) + 1)
    values = np.array([0, *labels], np.uint8)
    return np.where(found > 0, values[found], mask)


def _rim(box: Box, grid: Grid) -> npt.NDArray[np.bool_]:
    """The outermost layer of a box, except where the image ends."""
    rim = np.ones(tuple(s.stop - s.start for s in box), bool)
    inner = tuple(
        slice(0 if s.start == 0 else 1, (s.stop - s.start) - (0 if s.stop == n else 1))
        for s, n in zip(box, grid.shape, strict=True)
    )
    rim[inner] = False
    return rim


def _channel(label: int) -> int:
    return next((row.channel for row in LABELS if row.value == label), 0)
