"""What was imaged: Study and Series, with images, files, patient and flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy.typing as npt

from braintumor.domain.geometry import Grid

Voxels = npt.NDArray[Any]


def read_only(voxels: Voxels) -> Voxels:
    """A view of the same memory that cannot be written through; copies nothing."""
    view = voxels.view()
    view.flags.writeable = False
    return view


class MRSequence(StrEnum):
    """The four MR sequences, in the order of the network's input channels."""

    T1 = "t1"
    T1CE = "t1ce"
    T2 = "t2"
    FLAIR = "flair"

    @property
    def title(self) -> str:  # type: ignore[override]  # a label for people, not str.title()
        """Name as radiologists write it."""
        return {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR"}[self.value]


REFERENCE_ORDER = (MRSequence.T1CE, MRSequence.FLAIR, MRSequence.T2, MRSequence.T1)
"""Whose space results are written in, and what visits are aligned on: the first of these that is there."""


class Severity(StrEnum):
    """How much a flag matters to whoever reads the result."""

    INFO = "info"
    WARNING = "warning"
    SERIOUS = "serious"


@dataclass(frozen=True, slots=True)
class Flag:
    """A fact about quality that must reach the reader: manifest, report, panel and FHIR show it.

    Attributes
    ----------
    code
        Stable kebab-case name, e.g. ``missing-sequence``.
    severity
        INFO: for the record; WARNING: look; SERIOUS: do not rely on the result without checking.
    message
        Plain words, without patient data.
    """

    code: str
    severity: Severity
    message: str


@dataclass(frozen=True, eq=False)
class Image:
    """Voxels on a grid. `voxels` is (i, j, k), indexed as `grid.affine` says, and read-only."""

    voxels: Voxels
    grid: Grid

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise ValueError(f"voxels {self.voxels.shape} do not fit the grid {self.grid.shape}")
        object.__setattr__(self, "voxels", read_only(self.voxels))


@dataclass(frozen=True, slots=True)
class Patient:
    """Who was imaged. Kept out of every log and message (`repr` shows nothing)."""

    patient_id: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored file (a DICOM instance or a NIfTI file) as it arrived.

    Attributes
    ----------
    uid
        SOP Instance UID, or the file's name for NIfTI.
    sha256
        Of the bytes as received; the engine that reads the pixels verifies it again.
    path
        Where it is now.
    """

    uid: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a series was taken for a sequence.

    Attributes
    ----------
    sequence
        The answer, or None if it is none of the four.
    confidence
        0..1.
    reasons
        What spoke for it, strongest first, in plain words.
    """

    sequence: MRSequence | None
    confidence: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Series:
    """One acquired image volume on its own grid, in stored slice order, with its source files.

    Attributes
    ----------
    uid
        Series Instance UID, or the file's stem for NIfTI.
    image
        float32 voxels, rescaled per slice. For DICOM: i = column, j = row, k = slice along the stack's normal.
    instances
        Files; for classic DICOM one per k, in k order; for multi-frame or NIfTI a single one.
    frames
        Frame number (1-based) of each k inside its instance; all 1 for classic DICOM.
    attributes
        Non-identifying header facts (echo time, manufacturer, description, ...), JSON-ready.
    evidence
        Classification of the sequence.
    """

    uid: str
    image: Image
    instances: tuple[Instance, ...]
    frames: tuple[int, ...]
    attributes: Mapping[str, Any]
    evidence: Evidence


class StudyKind(StrEnum):
    """What a study's files are."""

    DICOM = "dicom"
    NIFTI = "nifti"


@dataclass(frozen=True, eq=False)
class Study:
    """One visit of one patient: up to four usable series, and what else was there.

    Attributes
    ----------
    uid
        Study Instance UID, or the case name for NIfTI.
    kind
        What its files are; the word does as well, another one is a ValueError.
    series
        The series chosen for each sequence.
    unused
        What was found and not used -> the reason.
    """

    uid: str
    kind: StudyKind
    patient: Patient
    study_date: date | None
    series: Mapping[MRSequence, Series]
    unused: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", StudyKind(self.kind))

    @property
    def reference(self) -> Series:
        """The series whose space results are written in: T1ce, else the first present of FLAIR, T2, T1."""
        for sequence in REFERENCE_ORDER:
            if sequence in self.series:
                return self.series[sequence]
        raise ValueError("a study without series has no reference")

    @property
    def reference_sequence(self) -> MRSequence:
        """Which sequence `reference` is."""
        return next(s for s, series in self.series.items() if series is self.reference)
