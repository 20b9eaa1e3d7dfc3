"""The stage Study -> Case: one grid, one brain, comparable intensities; and the way back to a source series' grid."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import (
    Alignment,
    AlignmentMethod,
    Case,
    Flag,
    Grid,
    MRSequence,
    Progress,
    Severity,
    Study,
    UnusableImageError,
    bounding_box,
    canonical,
    silent,
)
from braintumor.preprocess.brain import find_brain, is_stripped, stripped_brain
from braintumor.preprocess.grid import case_grid, inside, resample
from braintumor.preprocess.histogram import match, standard
from braintumor.preprocess.intensity import correct_bias, zscore
from braintumor.preprocess.register import align
from braintumor.preprocess.restore import on_grid

__all__ = ["Bias", "PrepareOptions", "on_grid", "prepare_case"]

_Volumes = dict[MRSequence, npt.NDArray[Any]]
_Brain = npt.NDArray[np.bool_]

_WORKERS = min(3, os.cpu_count() or 1)
"""Sequences handled at a time; each by a single thread, so that results do not depend on the machine."""

_COVERED = 0.98
"""Share of the brain that a sequence must show not to be flagged."""


class Bias(StrEnum):
    """When N4 corrects the bias field; AUTO where the skull is on (raw data; skull-stripped data comes prepared)."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How to prepare.

    Attributes
    ----------
    bias
        The word does as well; another one is a ValueError.
    histogram
        Match each sequence's histogram to the training cases'. Off: on the four patients of fold 0 the whole tumour gained and
        the core lost, with weights that were trained without it.
    """

    bias: Bias = Bias.AUTO
    histogram: bool = False

    def __post_init__(self) -> None:
        if self.bias not in list(Bias):
            raise ValueError(f"bias must be one of {', '.join(Bias)}, not {self.bias!r}")
        object.__setattr__(self, "bias", Bias(self.bias))


def prepare_case(
    study: Study,
    options: PrepareOptions = PrepareOptions(),
    progress: Progress = silent,
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
    if options.bias is Bias.ALWAYS or (options.bias is Bias.AUTO and not stripped):
        volumes = _bias_corrected(volumes, seen, grid)
        steps.append("N4 bias correction applied")
    else:
        reason = "asked not to" if options.bias is Bias.NEVER else "skull-stripped input is taken as prepared"
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


def _alignments(study: Study, stripped: bool, progress: Progress) -> tuple[dict[MRSequence, Alignment], tuple[Flag, ...]]:
    """Every sequence's alignment to the reference, in `MRSequence` order."""

    def one(sequence: MRSequence) -> tuple[Alignment, tuple[Flag, ...]]:
        series = study.series[sequence]
        if series is study.reference:
            return Alignment(np.eye(4), AlignmentMethod.REFERENCE, None), ()
        return align(sequence, series, study.reference, stripped=stripped)

    present = [sequence for sequence in MRSequence if sequence in study.series]
    alignment: dict[MRSequence, Alignment] = {}
    flags: tuple[Flag, ...] = ()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for n, (sequence, (found, more)) in enumerate(zip(present, pool.map(one, present), strict=True), start=1):
            alignment[sequence] = found
            flags = (*flags, *more)
            progress(f"aligned {sequence.title}", 0.6 * n / len(present))
    return alignment, flags


def _uncut(volumes: _Volumes, alignment: Mapping[MRSequence, Alignment]) -> _Volumes:
    """What the brain is outlined on: T1-weighted volumes that were not turned, if there are any.

    Turning cuts corners off the field of view, and deepbet follows such a cut out of the head.
    """
    still = {s: v for s, v in volumes.items() if alignment[s].method in (AlignmentMethod.REFERENCE, AlignmentMethod.SAME_GRID)}
    return still if MRSequence.T1 in still or MRSequence.T1CE in still else volumes


def _seen(
    study: Study, grid: Grid, brain: _Brain, alignment: Mapping[MRSequence, Alignment]
) -> tuple[dict[MRSequence, _Brain], tuple[Flag, ...]]:
    """The part of the brain that each sequence shows: what lies outside its field of view has no intensity to count."""
    seen: dict[MRSequence, _Brain] = {}
    flags: list[Flag] = []
    for sequence, found in alignment.items():
        seen[sequence] = brain
        if found.method in (AlignmentMethod.REFERENCE, AlignmentMethod.SAME_GRID):
            continue
        seen[sequence] = brain & inside(study.series[sequence].image.grid, grid, found.transform)
        share = np.count_nonzero(seen[sequence]) / np.count_nonzero(brain)
        if share < _COVERED:
            words = f"{sequence.title} shows only {share:.0%} of the brain; the rest was segmented without it."
            flags.append(Flag("partial-coverage", Severity.WARNING, words))
    return seen, tuple(flags)


def _bias_corrected(volumes: _Volumes, seen: Mapping[MRSequence, _Brain], grid: Grid) -> _Volumes:
    """Every sequence after N4."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        corrected = pool.map(lambda sequence: correct_bias(volumes[sequence], seen[sequence], grid.spacing), volumes)
        return dict(zip(volumes, corrected, strict=True))


def _channels(
    volumes: _Volumes, seen: Mapping[MRSequence, _Brain], brain: _Brain, options: PrepareOptions
) -> npt.NDArray[np.float32]:
    """What the network sees, (4, i, j, k)."""
    channels = np.zeros((len(MRSequence), *brain.shape), np.float32)
    box = bounding_box(brain)  # most of the grid is air
    for n, sequence in enumerate(MRSequence):
        if sequence in volumes:
            voxels, shown = volumes[sequence][box], seen[sequence][box]
            channels[n][box] = zscore(match(voxels, shown, standard()[sequence]) if options.histogram else voxels, shown)
    return channels


def _said(sequence: MRSequence, alignment: Alignment) -> str:
    if alignment.method is AlignmentMethod.REFERENCE:
        return f"{sequence.title} is the reference"
    agrees = f"agreement {alignment.quality:.3f}"
    if alignment.method is AlignmentMethod.SAME_GRID:
        return f"{sequence.title}: registration skipped, it lies on the reference's grid already ({agrees})"
    if alignment.method is AlignmentMethod.SAME_FRAME:
        return f"{sequence.title}: placed by its header, registration brought nothing better ({agrees})"
    motion = f"{alignment.translation_mm:.1f} mm and {alignment.rotation_deg:.1f} degrees corrected"
    return f"{sequence.title}: registered to the reference, {motion} ({agrees})"
