"""A prepared case as another scanner, protocol or accident would have given it, to measure how much the mask changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import Case, MRSequence, bounding_box
from braintumor.preprocess.intensity import CLIP, zscore

Volume = npt.NDArray[np.float32]

_SEED = 20210501


def noise(case: Case, sigma: float) -> Case:
    """Gaussian noise of `sigma` standard deviations of the brain's intensity, on every sequence."""
    rng = np.random.default_rng(_SEED)
    return _each(case, lambda x, _: x + rng.normal(scale=sigma, size=x.shape).astype(np.float32), clip_only=True)


def bias_field(case: Case, strength: float) -> Case:
    """A smooth shading of each sequence's intensities between 1 - `strength` and 1 + `strength`."""
    rng = np.random.default_rng(_SEED)

    def shade(x: Volume, brain: npt.NDArray[np.bool_]) -> Volume:
        coarse = rng.uniform(-1.0, 1.0, size=(3, 3, 3))
        field = ndimage.zoom(coarse, [n / 3 for n in x.shape], order=3, grid_mode=True, mode="nearest")
        field = strength * field / np.abs(field).max()
        lowest = x[brain].min() if brain.any() else 0.0
        return np.asarray((x - lowest) * (1.0 + field) + lowest, np.float32)

    return _each(case, shade)


def contrast(case: Case, gamma: float) -> Case:
    """Intensities between the brain's extremes bent by an exponent, as another contrast setting would."""

    def bend(x: Volume, brain: npt.NDArray[np.bool_]) -> Volume:
        low, high = (float(v) for v in np.percentile(x[brain], (0.5, 99.5)))
        share = np.clip((x - low) / max(high - low, 1e-6), 0.0, 1.0)
        return np.asarray(low + (high - low) * share**gamma, np.float32)

    return _each(case, bend)


def thick_slices(case: Case, slices: int) -> Case:
    """Every voxel becomes the mean over `slices` neighbours along k, as in a scan with slices that much thicker.

    The grid stays, so the expert's mask still fits; every position is seen as a thick slice centred there.
    """
    return _each(case, lambda x, _: ndimage.uniform_filter1d(x, slices, axis=2, mode="nearest"))


def misregistered(case: Case, millimetres: float, sequence: MRSequence = MRSequence.FLAIR) -> Case:
    """One sequence shifted in plane along both axes, as after an imperfect registration."""
    shift = [millimetres / size for size in case.grid.spacing[:2]]
    channels = case.channels.copy()
    number = list(MRSequence).index(sequence)
    channels[number] = ndimage.shift(channels[number], (*shift, 0.0), order=1) * case.brain
    return replace(case, channels=channels)


def mirrored(case: Case) -> Case:
    """Left and right exchanged inside the array; `unmirrored` brings a mask back."""
    return replace(case, channels=case.channels[:, ::-1], brain=case.brain[::-1])


def without(case: Case, *missing: MRSequence) -> Case:
    """Sequences blanked, as where they were never acquired; `display` keeps them for pictures."""
    channels = case.channels.copy()
    for n, sequence in enumerate(MRSequence):
        if sequence in missing:
            channels[n] = 0
    return replace(case, channels=channels, present=tuple(s for s in case.present if s not in missing))


def _each(case: Case, change: Callable[[Volume, npt.NDArray[np.bool_]], Volume], *, clip_only: bool = False) -> Case:
    """Apply a change to each z-scored sequence inside the brain's box, and normalise again as preparation does."""
    channels = case.channels.copy()
    box = bounding_box(case.brain)
    brain = case.brain[box]
    for n, sequence in enumerate(MRSequence):
        if sequence in case.present:
            changed = change(channels[n][box], brain)
            normal = np.clip(changed, -CLIP, CLIP) * brain if clip_only else zscore(changed, brain)
            channels[n][box] = normal
    return replace(case, channels=channels)
