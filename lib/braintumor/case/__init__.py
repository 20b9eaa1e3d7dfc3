"""The stage Study -> Case: one grid, one brain, comparable intensities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.case.brain import find_brain, stripped_brain, support
from braintumor.case.grid import case_grid, resample
from braintumor.case.intensity import correct_bias, zscore
from braintumor.case.register import align
from braintumor.errors import UnusableImageError
from braintumor.geometry import canonical
from braintumor.nouns import Alignment, Case, Flag, Sequence, Study

__all__ = ["BIAS_CHOICES", "PrepareOptions", "prepare"]

BIAS_CHOICES = ("auto", "always", "never")

Progress = Callable[[str, float], None]
_Volumes = dict[Sequence, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How to prepare.

    Attributes
    ----------
    bias
        N4 bias correction: ``auto`` where the skull is on (raw data; skull-stripped data comes prepared), ``always``,
        ``never``.
    """

    bias: str = "auto"

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
    stripped = all(support(series.image.voxels) is not None for series in study.series.values())
    alignment, volumes, flags = _aligned(study, stripped, progress)
    steps = [_said(sequence, found) for sequence, found in alignment.items()]
    native = study.reference.image.grid
    if not grid.same_as(canonical(native).grid(native)):
        steps.append("Resampled to " + " x ".join(f"{size:.2f}" for size in grid.spacing) + " mm")
    progress("brain", 0.6)
    brain = stripped_brain(volumes, grid.voxel_ml) if stripped else None
    raw = brain is None
    if brain is None:
        brain, said, more = find_brain(volumes, grid.voxel_ml)
        flags = (*flags, *more)
    else:
        said = "Skull-stripped input: brain = voxels that differ from the background"
    steps.append(said)
    if not brain.any():
        raise UnusableImageError("No brain was found in the images", remedy="Check that the study shows a head, in MR")
    progress("intensities", 0.8)
    if options.bias == "always" or (options.bias == "auto" and raw):
        volumes = {sequence: correct_bias(voxels, brain, grid.spacing) for sequence, voxels in volumes.items()}
        steps.append("N4 bias correction applied")
    else:
        reason = "asked not to" if options.bias == "never" else "skull-stripped input is taken as prepared"
        steps.append(f"N4 bias correction skipped: {reason}")
    channels = np.zeros((len(Sequence), *grid.shape), np.float32)
    for n, sequence in enumerate(Sequence):
        if sequence in volumes:
            channels[n] = zscore(volumes[sequence], brain)
    return Case(
        case_id=study.uid,
        grid=grid,
        channels=channels,
        display=volumes,
        brain=brain,
        present=tuple(volumes),
        alignment=alignment,
        steps=tuple(steps),
        flags=(*study.flags, *flags),
    )


def _aligned(study: Study, stripped: bool, progress: Progress) -> tuple[dict[Sequence, Alignment], _Volumes, tuple[Flag, ...]]:
    """Every sequence's alignment to the reference and its voxels on the case's grid, in `Sequence` order."""
    grid = case_grid(study.reference.image.grid)
    alignment: dict[Sequence, Alignment] = {}
    volumes: _Volumes = {}
    flags: tuple[Flag, ...] = ()
    present = [sequence for sequence in Sequence if sequence in study.series]
    for n, sequence in enumerate(present):
        progress(f"aligning {sequence.title}", 0.6 * n / len(present))
        series = study.series[sequence]
        if series is study.reference:
            alignment[sequence] = Alignment(np.eye(4), "reference", None)
        else:
            alignment[sequence], more = align(sequence, series, study.reference, stripped=stripped)
            flags = (*flags, *more)
        volumes[sequence] = resample(series.image, grid, alignment[sequence].transform)
    return alignment, volumes, flags


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
