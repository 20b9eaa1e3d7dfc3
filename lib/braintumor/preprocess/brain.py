"""Where the brain is: the support of skull-stripped data, else deepbet's network."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import Flag, Image, MRSequence, Severity

PLAUSIBLE_ML = (700.0, 2200.0)
"""Brain volumes outside this range are flagged; adult intracranial volumes lie between 900 and 1900 mL."""

_STRIPPED_MAX_ML = 2300.0
_BACKGROUND_SHARE = 0.3
_DEEPBET_SHAPE = (192, 192, 192)
"""deepbet's own 256 costs 2.4 times as much and drew the same outline on thick and thin slices; 128 failed."""


def support(voxels: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Voxels that differ from a constant background, or None if no large background is exactly constant.

    Skull-stripped images are exactly 0 (or one other value, after normalisation) outside the brain; scanned air is noise.
    """
    background = voxels[0, 0, 0]
    outside = voxels == background
    return None if outside.mean() < _BACKGROUND_SHARE else np.logical_not(outside)


def is_stripped(image: Image) -> bool:
    """Whether the skull is gone: a large constant background, and not more in front of it than a brain's volume.

    The volume tells brains from whole heads whose air was set to 0 by the scanner or by defacing.
    """
    inside = support(image.voxels)
    return inside is not None and bool(np.count_nonzero(inside) * image.grid.voxel_ml <= _STRIPPED_MAX_ML)


def stripped_brain(volumes: Mapping[MRSequence, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """The brain of skull-stripped volumes on one grid: voxels that differ from the background in any of them."""
    brain: npt.NDArray[np.bool_] = np.logical_or.reduce([voxels != voxels[0, 0, 0] for voxels in volumes.values()])
    return brain


def find_brain(
    volumes: Mapping[MRSequence, npt.NDArray[Any]], voxel_ml: float
) -> tuple[npt.NDArray[np.bool_], str, tuple[Flag, ...]]:
    """Brain mask of volumes with the skull on.

    Parameters
    ----------
    volumes
        (i, j, k) in LPS axis order, aligned; T1 is used, else T1ce, T2, FLAIR.

    Returns
    -------
    mask, step, flags
        bool (i, j, k); what was done, in plain words; what to be careful with.

    Notes
    -----
    deepbet (Fisch et al. 2024), weights inside its package. It was trained on T1.
    """
    sequence = next(s for s in (MRSequence.T1, MRSequence.T1CE, MRSequence.T2, MRSequence.FLAIR) if s in volumes)
    flags: list[Flag] = []
    if sequence not in (MRSequence.T1, MRSequence.T1CE):
        words = f"The brain was outlined on {sequence.title}, for which the outline was not made; check its edge."
        flags.append(Flag("brain-without-t1", Severity.WARNING, words))
    mask = _deepbet(volumes[sequence])
    volume = float(np.count_nonzero(mask)) * voxel_ml
    if not PLAUSIBLE_ML[0] <= volume <= PLAUSIBLE_ML[1]:
        words = f"The brain outline measures {volume:.0f} mL, which is implausible; the field of view may cut the brain."
        flags.append(Flag("implausible-brain", Severity.SERIOUS, words))
    return mask, f"Brain outlined on {sequence.title} (deepbet): {volume:.0f} mL", tuple(flags)


def _deepbet(voxels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    from deepbet import BrainExtraction  # imports pandas and torch models: only where the skull is on

    # deepbet wants RAS axis order; ours is LPS, so i and j are reversed, there and back.
    ras = np.ascontiguousarray(voxels[::-1, ::-1, :], dtype=np.float32)
    with contextlib.redirect_stdout(io.StringIO()):
        extractor = BrainExtraction(no_gpu=True)
        try:
            raw = extractor.run_model(ras, shape=_DEEPBET_SHAPE) > 0.5
        except AssertionError:  # its way to say that it sees no brain at all
            return np.zeros(voxels.shape, bool)
        mask = np.asarray(extractor.postprocess(raw), dtype=bool)
    return ndimage.binary_fill_holes(mask[::-1, ::-1, :])
