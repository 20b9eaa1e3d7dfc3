"""Where a region is: centroid, side of the body, lobe."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from braintumor.domain import Grid, Side
from braintumor.measure.atlas import LOBES, Match

MIDLINE_MM = 5.0
"""Half-width of the band round the mid-sagittal plane that counts as neither left nor right."""

BOTH_SHARE = 0.1
"""Share of the volume that has to lie beyond the band, on either side, for a region to be on both sides."""

Points = npt.NDArray[np.float64]


def centroid_lps(world: Points) -> tuple[float, float, float]:
    """Mean of the voxel centres (n, 3), LPS+ mm."""
    x, y, z = world.mean(axis=0)
    return float(x), float(y), float(z)


def side_of(world: Points, match: Match) -> Side:
    """Side of the patient, from voxel centres (n, 3), LPS+ mm.

    BOTH if at least `BOTH_SHARE` of the volume lies more than `MIDLINE_MM` left of the mid-sagittal plane and at least
    as much lies more than `MIDLINE_MM` right of it; else MIDLINE if the centroid lies within `MIDLINE_MM` of the plane;
    else the side of the centroid. The band is as wide as the plane's estimate may be wrong, so a tumour that merely
    touches the midline is not called bilateral.
    """
    left = match.left_of_midline(world)
    if min((left > MIDLINE_MM).mean(), (left < -MIDLINE_MM).mean()) >= BOTH_SHARE:
        return Side.BOTH
    if abs(left.mean()) <= MIDLINE_MM:
        return Side.MIDLINE
    return Side.LEFT if left.mean() > 0 else Side.RIGHT


def lobe_of(world: Points, match: Match) -> tuple[str, float]:
    """The entry of `LOBES` that holds most of the voxel centres (n, 3), LPS+ mm, and its share 0..1."""
    counts = np.bincount(match.lobes(world), minlength=len(LOBES))
    return LOBES[int(counts.argmax())], float(counts.max() / len(world))


def voxel_centres(mask: npt.NDArray[np.bool_], grid: Grid) -> Points:
    """LPS+ mm (n, 3) of the True voxels of `mask` (i, j, k)."""
    return grid.to_world(np.argwhere(mask))
