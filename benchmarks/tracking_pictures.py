"""A montage of an aligned pair, to be looked at: current, prior on its grid, both as a chequerboard, and the change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from benchmarks.tracking_pairs import Pair
from braintumor.domain import Affine, canonical
from braintumor.track.lesions import carried, find_instances
from braintumor.track.overlay import COLOURS
from braintumor.track.register import sampled
from braintumor.track.timeline import GROWTH, SHRINKAGE, UNCHANGED

_TILE_MM = 24.0
_SLICES = 4
Grey = npt.NDArray[np.float32]


def montage(pair: Pair, matrix: Affine, path: Path) -> None:
    """Write four axial slices through the tumour, the brightest twentieth white."""
    grid = pair.current.image.grid
    then = carried(find_instances(pair.prior_foci > 0, pair.prior.image.grid), grid, matrix).labels > 0
    now = pair.foci > 0
    change = np.where(now & then, UNCHANGED, np.where(now, GROWTH, np.where(then, SHRINKAGE, 0)))
    turn = canonical(grid)
    images = [_white(turn.apply(v)) for v in (pair.current.image.voxels, sampled(pair.prior.image, grid, matrix))]
    turned, spacing = turn.apply(change), turn.grid(grid).spacing
    held = np.flatnonzero((turned > 0).any(axis=(0, 1)))
    slices = np.unique(np.linspace(held[0], held[-1], _SLICES + 2).astype(int)[1:-1])
    columns = [_column([v[..., k] for v in images], turned[..., k], spacing) for k in slices]
    picture = Pillow.fromarray(np.concatenate(columns, axis=1))
    aspect = spacing[1] / spacing[0]
    picture.resize((picture.width, round(picture.height * aspect))).save(path)


def _white(voxels: npt.NDArray[np.float32]) -> Grey:
    high = float(np.percentile(voxels[voxels > 0], 98))
    return np.asarray(np.clip(voxels / high, 0, 1), np.float32)


def _column(images: list[Grey], change: npt.NDArray[np.int64], spacing: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    """Four pictures of one slice below each other, (row, column, 3)."""
    i, j = np.indices(change.shape)
    chequered = ((i * spacing[0]) // _TILE_MM + (j * spacing[1]) // _TILE_MM) % 2 == 0
    now, then = images
    pictures = [np.repeat(v.T[..., None], 3, axis=2) * 255 for v in (now, then, np.where(chequered, now, then), now)]
    for value, colour in COLOURS.items():
        where = value == change.T
        pictures[-1][where] = 0.5 * pictures[-1][where] + 0.5 * np.array(colour)
    return np.concatenate(pictures).astype(np.uint8)
