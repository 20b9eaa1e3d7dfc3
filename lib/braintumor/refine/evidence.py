"""What the images and the network say inside a box of the mask's grid, wherever they themselves lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import LABELS, Affine, Case, Grid, MRSequence, Voxels
from braintumor.segment.engines.protocol import Probabilities

Box = tuple[slice, slice, slice]
Floats = npt.NDArray[np.float32]

_FEW = 4
"""Every this many voxels along each axis, for the mean and spread of an image."""


class VoxelEvidence(Protocol):
    """Reads what is known of a box of the mask's grid."""

    def features(self, box: Box) -> Floats:
        """(n, i, j, k): sequences with a spread of about 1, and 0 in all of them outside the brain where that is known."""
        ...

    def shares(self, box: Box) -> Floats | None:
        """(4, i, j, k) class probabilities, or None where nobody asked the network."""
        ...


@dataclass(frozen=True, eq=False)
class Displayed:
    """Images that lie on the mask's grid already.

    Attributes
    ----------
    images
        (i, j, k) each, in any unit.
    """

    images: Mapping[MRSequence, Voxels]
    found: Probabilities | None

    def features(self, box: Box) -> Floats:
        """See `VoxelEvidence.features`."""
        rows = []
        for sequence in MRSequence:
            if sequence in self.images:
                few = np.asarray(self.images[sequence][::_FEW, ::_FEW, ::_FEW], np.float32)
                inside = few[few != 0]
                mean, spread = (float(inside.mean()), float(inside.std()) or 1.0) if inside.size else (0.0, 1.0)
                part = np.asarray(self.images[sequence][box], np.float32)
                rows.append(np.where(part == 0, np.float32(0), (part - mean) / spread))
        return np.stack(rows).astype(np.float32)

    def shares(self, box: Box) -> Floats | None:
        """See `VoxelEvidence.shares`."""
        return None if self.found is None else _cut(self.found, box)


@dataclass(frozen=True, eq=False)
class CaseEvidence:
    """A prepared case whose grid may be another one than the mask's: sampled linearly, in the box only.

    Attributes
    ----------
    back
        4x4, LPS+ mm of the mask's grid -> LPS+ mm of the case.
    """

    case: Case
    grid: Grid
    found: Probabilities | None
    back: Affine

    def features(self, box: Box) -> Floats:
        """See `VoxelEvidence.features`."""
        present = [n for n, sequence in enumerate(MRSequence) if sequence in self.case.present]
        if self._same:
            return self.case.channels[(present, *box)]
        return self._sampled([self.case.channels[n] for n in present], box)

    def shares(self, box: Box) -> Floats | None:
        """See `VoxelEvidence.shares`."""
        if self.found is None:
            return None
        if self._same:
            return _cut(self.found, box)
        start = np.array([s.start for s in self.found.box])
        values = self._sampled(list(self.found.values), box, start)
        values[0] = 1.0 - values[1:].sum(axis=0)  # outside the network's box all is background
        return values

    @property
    def _same(self) -> bool:
        return np.array_equal(self.back, np.eye(4)) and self.grid.same_as(self.case.grid)

    def _sampled(self, volumes: list[Voxels], box: Box, start: npt.ArrayLike = (0, 0, 0)) -> Floats:
        index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1)
        world = self.grid.to_world(index) @ self.back[:3, :3].T + self.back[:3, 3]
        # rounded, so that grids that share their points are read exactly
        places = np.round(np.moveaxis(self.case.grid.to_index(world) - np.asarray(start, float), -1, 0), 6)
        return np.stack([ndimage.map_coordinates(v, places, np.float32, order=1, mode="grid-constant") for v in volumes])


def _cut(found: Probabilities, box: Box) -> Floats:
    """The part of the network's answer that lies in a box of the same grid; background elsewhere."""
    values = np.zeros((len(LABELS) + 1, *(s.stop - s.start for s in box)), np.float32)
    values[0] = 1.0
    low = [max(a.start, b.start) for a, b in zip(found.box, box, strict=True)]
    high = [min(a.stop, b.stop) for a, b in zip(found.box, box, strict=True)]
    if all(a < b for a, b in zip(low, high, strict=True)):
        there = tuple(slice(a - s.start, b - s.start) for a, b, s in zip(low, high, box, strict=True))
        here = tuple(slice(a - s.start, b - s.start) for a, b, s in zip(low, high, found.box, strict=True))
        values[(slice(None), *there)] = found.values[(slice(None), *here)]
    return values
