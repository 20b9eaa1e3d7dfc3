"""The stage Study -> Case: one grid, one brain, comparable intensities; and the way back to a source series' grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import (
    Alignment,
    Case,
    Flag,
    Grid,
    Sequence,
    Severity,
    Study,
    UnusableImageError,
    bounding_box,
    canonical,
)
from braintumor.preprocess.brain import find_brain, is_stripped, stripped_brain
from braintumor.preprocess.grid import case_grid, inside, resample
from braintumor.preprocess.histogram import match, standard
from braintumor.preprocess.intensity import correct_bias, zscore
from braintumor.preprocess.register import align
from braintumor.preprocess.restore import on_grid

__all__ = ["BIAS_CHOICES", "PrepareOptions", "on_grid", "prepare"]

BIAS_CHOICES = ("auto", "always", "never")

Progress = Callable[[str, float], None]
_Volumes = dict[Sequence, npt.NDArray[Any]]
_Brain = npt.NDArray[np.bool_]

_WORKERS = min(3, os.cpu_count() or 1)
"""Sequences handled at a time; each by a single thread, so that results do not depend on the machine."""

_COVERED = 0.98
"""Share of the brain that a sequence must show not to be flagged."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How to prepare.

    Attributes
    ----------
    bias
        N4 bias correction: ``auto`` where the skull is on (raw data; skull-stripped data comes prepared), ``always``,
        ``never``.
    histogram
        Match each sequence's histogram to the training cases'. Off: on the four patients of fold 0 the whole tumour gained and
        the core lost, with weights that were trained without it.
    """

    bias: str = "auto"
    histogram: bool = False

    def __post_init__(self) -> None:
        if self.bias not in BIAS_CHOICES:
            raise ValueError(f"bias must be one of {', '.join(BIAS_CHOICES)}, not {self.bias!r}")


def _silent(step: str, share: float) -> None:
    """Progress for callers that do not watch."""


def prepare(
    study: Study,
    options: PrepareOptions = PrepareOptions(),
    progress: Progress = _silent,
) -> Case:
    """Bring the study's sequences onto one grid, find the brain, correct shading and normalise.

    Parameters
    ----------
    progress
        Called with what is being done and the share done, 0..1.

    Raises
    ------
    RegistrationError
        If a sequence shares too little with the reference.
    UnusableImageError
        If no brain is found.
    """
    grid = case_grid(study.reference.image.grid)
    stripped = all(is_stripped(series.image) for series in study.series.values())
    alignment, flags = _alignments(study, stripped, progress)
    volumes = {s: resample(study.series[s].image, grid, found.transform) for s, found in alignment.items()}
    steps = [_said(sequence, found) for sequence, found in alignment.items()]
    native = study.reference.image.grid
    if not grid.same_as(canonical(native).grid(native)):
        steps.append("Resampled to " + " x ".join(f"{size:.2f}" for size in grid.spacing) + " mm")
    progress("brain", 0.6)
    if stripped:
        brain, said = stripped_brain(volumes), "Skull-stripped input: brain = voxels that differ from the background"
    else:
        brain, said, more = find_brain(_uncut(volumes, alignment), grid.voxel_ml)
        flags = (*flags, *more)
    steps.append(said)
    if not brain.any():
        raise UnusableImageError("No brain was found in the images", remedy="Check that the study shows a head, in MR")
    seen, more = _seen(study, grid, brain, alignment)
    progress("intensities", 0.8)
    if options.bias == "always" or (options.bias == "auto" and not stripped):
        volumes = _unshaded(volumes, seen, grid)
        steps.append("N4 bias correction applied")
    else:
        reason = "asked not to" if options.bias == "never" else "skull-stripped input is taken as prepared"
        steps.append(f"N4 bias correction skipped: {reason}")
    if options.histogram:
        steps.append("Histograms matched to those of the training cases")
    channels = _channels(volumes, seen, brain, options)
    return Case(
        case_id=study.uid,
        grid=grid,
        channels=channels,
        display=volumes,
        brain=brain,
        present=tuple(volumes),
        alignment=alignment,
        steps=tuple(steps),
        flags=(*study.flags, *flags, *more),
    )


def _alignments(study: Study, stripped: bool, progress: Progress) -> tuple[dict[Sequence, Alignment], tuple[Flag, ...]]:
    """Every sequence's alignment to the reference, in `Sequence` order."""

    def one(sequence: Sequence) -> tuple[Alignment, tuple[Flag, ...]]:
        series = study.series[sequence]
        if series is study.reference:
            return Alignment(np.eye(4), "reference", None), ()
        return align(sequence, series, study.reference, stripped=stripped)

    present = [sequence for sequence in Sequence if sequence in study.series]
    alignment: dict[Sequence, Alignment] = {}
    flags: tuple[Flag, ...] = ()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for n, (sequence, (found, more)) in enumerate(zip(present, pool.map(one, present), strict=True), start=1):
            alignment[sequence] = found
            flags = (*flags, *more)
            progress(f"aligned {sequence.title}", 0.6 * n / len(present))
    return alignment, flags


def _uncut(volumes: _Volumes, alignment: Mapping[Sequence, Alignment]) -> _Volumes:
    """What the brain is outlined on: T1-weighted volumes that were not turned, if there are any.

    Turning cuts corners off the field of view, and deepbet follows such a cut out of the head.
    """
    still = {s: v for s, v in volumes.items() if alignment[s].method in ("reference", "same-grid")}
    return still if Sequence.T1 in still or Sequence.T1CE in still else volumes


def _seen(
    study: Study, grid: Grid, brain: _Brain, alignment: Mapping[Sequence, Alignment]
) -> tuple[dict[Sequence, _Brain], tuple[Flag, ...]]:
    """The part of the brain that each sequence shows: what lies outside its field of view has no intensity to count."""
    seen: dict[Sequence, _Brain] = {}
    flags: list[Flag] = []
    for sequence, found in alignment.items():
        seen[sequence] = brain
        if found.method in ("reference", "same-grid"):
            continue
        seen[sequence] = brain & inside(study.series[sequence].image.grid, grid, found.transform)
        share = np.count_nonzero(seen[sequence]) / np.count_nonzero(brain)
        if share < _COVERED:
            words = f"{sequence.title} shows only {share:.0%} of the brain; the rest was segmented without it."
            flags.append(Flag("partial-coverage", Severity.WARNING, words))
    return seen, tuple(flags)


def _unshaded(volumes: _Volumes, seen: Mapping[Sequence, _Brain], grid: Grid) -> _Volumes:
    """Every sequence after N4."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        corrected = pool.map(lambda sequence: correct_bias(volumes[sequence], seen[sequence], grid.spacing), volumes)
        return dict(zip(volumes, corrected, strict=True))


def _channels(
    volumes: _Volumes, seen: Mapping[Sequence, _Brain], brain: _Brain, options: PrepareOptions
) -> npt.NDArray[np.float32]:
    """What the network sees, (4, i, j, k)."""
    channels = np.zeros((len(Sequence), *brain.shape), np.float32)
    box = bounding_box(brain)  # most of the grid is air
    for n, sequence in enumerate(Sequence):
        if sequence in volumes:
            voxels, shown = volumes[sequence][box], seen[sequence][box]
            channels[n][box] = zscore(match(voxels, shown, standard()[sequence]) if options.histogram else voxels, shown)
    return channels


def _said(sequence: Sequence, alignment: Alignment) -> str:
    if alignment.method == "reference":
        return f"{sequence.title} is the reference"
    agrees = f"agreement {alignment.quality:.3f}"
    if alignment.method == "same-grid":
        return f"{sequence.title}: registration skipped, it lies on the reference's grid already ({agrees})"
    if alignment.method == "same-frame":
        return f"{sequence.title}: placed by its header, registration brought nothing better ({agrees})"
    motion = f"{alignment.translation_mm:.1f} mm and {alignment.rotation_deg:.1f} degrees corrected"
    return f"{sequence.title}: registered to the reference, {motion} ({agrees})"
