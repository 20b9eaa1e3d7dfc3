"""What a person changed of a mask: agreement, and what came and went, per region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from braintumor.domain import GeometryError, Region, Segmentation, bounding_box, dice, region_mask

_DICE, _ML = 4, 3
"""Decimals kept; a voxel of 1 mm is 0.001 mL."""


@dataclass(frozen=True, slots=True)
class MaskChange:
    """How far a mask is from the one it was made of.

    Attributes
    ----------
    dice
        Dice coefficient of each region between before and after; None where the region is empty in both.
    added_ml, removed_ml
        Volume of each region's voxels that only `after` has, and that only `before` had. A voxel turned from oedema into
        enhancing tumour is added to TC and ET and leaves WT as it was.
    changed_ml
        Volume of all voxels whose label differs.
    """

    dice: Mapping[Region, float | None]
    added_ml: Mapping[Region, float]
    removed_ml: Mapping[Region, float]
    changed_ml: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: Dice to four decimals, volumes to 0.001 mL, keyed ``WT``, ``TC``, ``ET``."""
        return {
            "dice": {r.value: None if d is None else round(d, _DICE) for r, d in self.dice.items()},
            "added_ml": {r.value: round(ml, _ML) for r, ml in self.added_ml.items()},
            "removed_ml": {r.value: round(ml, _ML) for r, ml in self.removed_ml.items()},
            "changed_ml": round(self.changed_ml, _ML),
        }


def change(before: Segmentation, after: Segmentation) -> MaskChange:
    """What turns `before` (usually the model's mask) into `after` (usually a person's), both on one grid.

    Raises
    ------
    GeometryError
        If the grids are not the same: carry one over with `braintumor.segment.on_grid` first.
    """
    if not before.grid.same_as(after.grid):
        raise GeometryError(
            f"Two masks to compare lie on different grids, {before.grid.shape} and {after.grid.shape} voxels",
            remedy="Carry one of them onto the other's grid first",
        )
    box = bounding_box((before.mask > 0) | (after.mask > 0))
    old, new, voxel_ml = before.mask[box], after.mask[box], before.grid.voxel_ml
    overlap: dict[Region, float | None] = {}
    added, removed = {}, {}
    for region in Region:
        a, b = region_mask(old, region), region_mask(new, region)
        overlap[region] = dice(a, b) if a.any() or b.any() else None
        added[region] = int(np.count_nonzero(b & ~a)) * voxel_ml
        removed[region] = int(np.count_nonzero(a & ~b)) * voxel_ml
    changed = int(np.count_nonzero(old != new)) * voxel_ml
    return MaskChange(MappingProxyType(overlap), MappingProxyType(added), MappingProxyType(removed), changed)
