"""A mask carried to another grid: exactly where the points are the same, else by the largest interpolated share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from braintumor.domain import LABELS, Affine, Flag, Grid, Image, Segmentation, Severity, bounding_box, canonical
from braintumor.preprocess.grid import resample


def on_grid(segmentation: Segmentation, grid: Grid, transform: Affine | None = None) -> Segmentation:
    """The same segmentation on another grid.

    Parameters
    ----------
    grid
        Where it is wanted, e.g. a source series' own grid.
    transform
        4x4 rigid, LPS+ mm of the segmentation -> LPS+ mm of `grid` (`Alignment.transform`); None for the identity.

    Returns
    -------
    Segmentation
        Voxel for voxel the same where both grids are the same points in space in another axis order. Otherwise each
        label's indicator is interpolated linearly and a voxel gets the label (or background) with the largest share. A label
        that no voxel is left of is flagged ``label-lost``.
    """
    if transform is None or np.array_equal(transform, np.eye(4)):
        source, target = canonical(segmentation.grid), canonical(grid)
        if source.grid(segmentation.grid).same_as(target.grid(grid)):
            uncertainty = segmentation.uncertainty
            moved = None if uncertainty is None else target.undo(source.apply(uncertainty))
            mask = target.undo(source.apply(segmentation.mask))
            return replace(segmentation, mask=mask, grid=grid, uncertainty=moved)
    back: Affine | None = None if transform is None else np.asarray(np.linalg.inv(transform), np.float64)
    sure = segmentation.uncertainty
    moved = None if sure is None else resample(Image(sure.astype(np.float32), segmentation.grid), grid, back).astype(np.float16)
    mask = _interpolated(segmentation, grid, back)
    flags = (*segmentation.flags, *_lost(segmentation, mask, grid))
    return replace(segmentation, mask=mask, grid=grid, uncertainty=moved, flags=flags)


def _lost(segmentation: Segmentation, mask: npt.NDArray[np.uint8], grid: Grid) -> tuple[Flag, ...]:
    """One flag for each label that is in the segmentation and not in the mask made of it."""
    before, after = (np.bincount(m.ravel(order="K"), minlength=256) for m in (segmentation.mask, mask))
    spacing = " x ".join(f"{size:.2f}" for size in grid.spacing)
    return tuple(
        Flag(
            "label-lost",
            Severity.WARNING,
            f"{label.name} ({before[label.value] * segmentation.grid.voxel_ml:.3f} mL) is missing from the mask on the grid of "
            f"{spacing} mm: it is too small for those voxels, or outside that field of view.",
        )
        for label in LABELS
        if before[label.value] and not after[label.value]
    )


def _interpolated(segmentation: Segmentation, grid: Grid, back: Affine | None) -> npt.NDArray[np.uint8]:
    # Only the tumour's box is interpolated, and only the part of the target that it reaches.
    mask = np.zeros(grid.shape, np.uint8)
    forth: Affine | None = None if back is None else np.asarray(np.linalg.inv(back), np.float64)
    if not segmentation.mask.any():
        return mask
    box = bounding_box(segmentation.mask > 0, margin=2)
    source = segmentation.grid.cropped(box)
    reach = _reached(source, grid, forth)
    if reach is None:
        return mask
    target = grid.cropped(reach)
    shares = np.empty((len(LABELS) + 1, *target.shape), np.float32)
    for label in LABELS:
        indicator = (segmentation.mask[box] == label.value).astype(np.float32)
        shares[label.channel] = resample(Image(indicator, source), target, back)
    shares[0] = 1.0 - shares[1:].sum(axis=0)
    values = np.array([0, *(label.value for label in LABELS)], np.uint8)
    mask[reach] = values[shares.argmax(axis=0)]
    return mask


def _reached(source: Grid, grid: Grid, forth: Affine | None) -> tuple[slice, slice, slice] | None:
    """The index box of `grid` that holds every corner of `source`, or None if they do not meet."""
    corners = np.array(np.meshgrid(*[(-1, n) for n in source.shape], indexing="ij")).reshape(3, -1).T
    world = source.to_world(corners)
    if forth is not None:
        world = world @ forth[:3, :3].T + forth[:3, 3]
    index = grid.to_index(world)
    low = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, grid.shape)
    if (low >= high).any():
        return None
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2]))
