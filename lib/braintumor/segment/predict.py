"""Case -> class probabilities: slices cut to their own brain, batched by size, optionally averaged over views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from braintumor.domain import Case, ShareProgress, bounding_box, silent
from braintumor.segment.engines.protocol import Batch, Engine, Probabilities
from braintumor.segment.network import NetworkConfig
from braintumor.segment.postprocess import most_likely

STEP = 32
"""Slice boxes are rounded up to multiples of this, so that few different sizes occur and each runs as a batch."""

MARGIN = 2
"""Background pixels kept around the brain of a slice: what lies at the brain's edge keeps its context."""

BATCH_PIXELS = 4 * 192 * 160
"""Pixels per batch. Small enough to stay near the cores' caches, large enough to feed them."""

VIEWS: tuple[tuple[bool, float], ...] = ((False, 0.0), (True, 0.0), (False, 10.0), (True, -10.0))
"""Test-time augmentation: (left-right flip, rotation in degrees in the axial plane); the first is the plain view."""


def predict(case: Case, engine: Engine, *, tta: bool = False, progress: ShareProgress = silent) -> Probabilities:
    """Run the network over every slice that holds brain.

    Where the model has a temperature, it is applied once, to the average over the views; the most likely classes are decided
    before, so that rounding cannot turn a draw and the mask is the one without it.

    Parameters
    ----------
    tta
        Average over `VIEWS` instead of the plain view only: slower by their number.
    progress
        Called with the share done, 0..1.
    """
    box = bounding_box(case.brain)
    config = engine.model.network.config
    values = np.zeros((config.out_channels, *(s.stop - s.start for s in box)), np.float32)
    values[0] = 1.0
    groups = _groups(case.brain[box])
    views = VIEWS if tta else VIEWS[:1]
    total = len(views) * sum(len(cuts) for cuts in groups.values())
    done = 0
    channels = case.channels[(slice(None), *box)]
    for view in views:
        jobs = [(size, part) for size, cuts in groups.items() for part in _parts(size, cuts)]
        batches = (apply_view(_batch(channels, size, part, config.context), view) for size, part in jobs)
        for (_size, part), batch in zip(jobs, engine.probabilities(batches), strict=True):
            _add(values, invert_view(batch, view), part, first=view is views[0])
            done += len(part)
            progress(done / total)
    if len(views) > 1:
        values /= values.sum(axis=0, keepdims=True)
    temperature = engine.model.temperature
    if temperature == 1.0:
        return Probabilities(values, box)
    decided = most_likely(values)
    temper(values, temperature)
    return Probabilities(values, box, decided)


def temper(values: npt.NDArray[np.float32], temperature: float) -> None:
    """softmax(log p / T) in place: p^(1/T), renormalised over axis 0; T > 1 makes class probabilities less sure.

    Equal to softmax(logits / T), because logits differ from log p by a constant per voxel (Guo et al. 2017). Certainty stays
    certain: 0 and 1 are not moved.

    Parameters
    ----------
    values
        float32 (classes, ...), sums to 1 over axis 0.
    """
    for n in range(values.shape[1]):  # slab by slab: no second volume, and each stays in the cache
        slab = values[:, n]
        with np.errstate(divide="ignore"):
            np.log(slab, out=slab)
        slab /= np.float32(temperature)
        slab -= slab.max(axis=0)
        np.exp(slab, out=slab)
        slab /= slab.sum(axis=0)


def single_slices(case: Case, config: NetworkConfig, count: int) -> list[Batch]:
    """Slices of a case as `predict` hands them to an engine, one per batch, `count` of them from the lowest to the highest."""
    box = bounding_box(case.brain)
    channels = case.channels[(slice(None), *box)]
    cuts = sorted(((cut.k, size, cut) for size, cuts in _groups(case.brain[box]).items() for cut in cuts), key=lambda c: c[0])
    wanted = np.unique(np.linspace(0, len(cuts) - 1, min(count, len(cuts))).round().astype(int)) if cuts else []
    return [_batch(channels, cuts[n][1], [cuts[n][2]], config.context) for n in wanted]


@dataclass(frozen=True, slots=True)
class _Cut:
    """One slice's window: its k and the first i and j, inside the brain box; the window may overhang the box."""

    k: int
    i: int
    j: int


def _groups(brain: npt.NDArray[np.bool_]) -> dict[tuple[int, int], list[_Cut]]:
    """Slices with brain by the size (i, j) of their window."""
    groups: dict[tuple[int, int], list[_Cut]] = defaultdict(list)
    for k in np.flatnonzero(brain.any(axis=(0, 1))):
        start, size = [], []
        for axis in range(2):
            hits = np.flatnonzero(brain[:, :, k].any(axis=1 - axis))
            extent = int(hits[-1] - hits[0]) + 1 + 2 * MARGIN
            length = -(-extent // STEP) * STEP
            start.append(int(hits[0]) - MARGIN - (length - extent) // 2)
            size.append(length)
        groups[size[0], size[1]].append(_Cut(int(k), start[0], start[1]))
    return dict(groups)


def _parts(size: tuple[int, int], cuts: list[_Cut]) -> Iterator[list[_Cut]]:
    count = max(1, BATCH_PIXELS // (size[0] * size[1]))
    for start in range(0, len(cuts), count):
        yield cuts[start : start + count]


def _windows(cut: _Cut, size: tuple[int, int], plane: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a window lies inside the plane, and where that part lies inside the window."""
    inside, within = [], []
    for start, length, limit in zip((cut.i, cut.j), size, plane, strict=False):
        low, high = max(0, start), min(limit, start + length)
        inside.append(slice(low, high))
        within.append(slice(low - start, high - start))
    return (inside[0], inside[1]), (within[0], within[1])


def _batch(channels: npt.NDArray[np.float32], size: tuple[int, int], part: list[_Cut], context: int = 0) -> Batch:
    """(n, 4 * (2 * context + 1), rows = j, columns = i) float32; a neighbour beyond the box repeats its last slice."""
    count, last = channels.shape[0], channels.shape[3] - 1
    batch = np.zeros((len(part), count * (2 * context + 1), size[1], size[0]), np.float32)
    for n, cut in enumerate(part):
        inside, within = _windows(cut, size, channels.shape[1:3])
        for place, k in enumerate(range(cut.k - context, cut.k + context + 1)):
            plane = channels[:, inside[0], inside[1], min(max(k, 0), last)].transpose(0, 2, 1)
            batch[n, count * place : count * (place + 1), within[1], within[0]] = plane
    return batch


def _add(values: npt.NDArray[np.float32], batch: Batch, part: list[_Cut], *, first: bool) -> None:
    size = (batch.shape[3], batch.shape[2])
    for n, cut in enumerate(part):
        inside, within = _windows(cut, size, values.shape[1:3])
        plane = batch[n, :, within[1], within[0]].transpose(0, 2, 1)
        if first:
            values[:, inside[0], inside[1], cut.k] = plane
        else:
            values[:, inside[0], inside[1], cut.k] += plane


def _rotate(batch: Batch, degrees: float) -> Batch:
    angle = np.deg2rad(degrees)
    height, width = batch.shape[2:]
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    theta = torch.tensor([[cos, -sin * height / width, 0.0], [sin * width / height, cos, 0.0]])
    grid = functional.affine_grid(theta.expand(len(batch), 2, 3), list(batch.shape), align_corners=False)
    turned = functional.grid_sample(torch.from_numpy(batch), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return turned.numpy()


def apply_view(batch: Batch, view: tuple[bool, float]) -> Batch:
    """Slices (n, channels, j, i) as one of `VIEWS` shows them."""
    flip, degrees = view
    flipped = np.ascontiguousarray(batch[..., ::-1]) if flip else batch
    return _rotate(flipped, degrees) if degrees else flipped


def invert_view(batch: Batch, view: tuple[bool, float]) -> Batch:
    """What the network said of a view, turned back."""
    flip, degrees = view
    turned = _rotate(batch, -degrees) if degrees else batch
    return np.ascontiguousarray(turned[..., ::-1]) if flip else turned
