"""The vocabulary: Study, Series, Case, Segmentation, Measurements, Findings, Results; each immutable, defined here only.

A study goes in, results come out, and every stage is a function from one of these nouns to the next. What a stage was
unsure of travels along as `Flag`, so nothing clinical is decided silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.geometry import Affine, Grid
from braintumor.labels import LABELS, Region, region_mask

Voxels = npt.NDArray[Any]


class Sequence(StrEnum):
    """The four MR sequences, in the order of the network's input channels."""

    T1 = "t1"
    T1CE = "t1ce"
    T2 = "t2"
    FLAIR = "flair"

    @property
    def title(self) -> str:  # type: ignore[override]  # a label for people, not str.title()
        """Name as radiologists write it."""
        return {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR"}[self.value]


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

    sequence: Sequence | None
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


@dataclass(frozen=True, eq=False)
class Study:
    """One visit of one patient: up to four usable series, and what else was there.

    Attributes
    ----------
    uid
        Study Instance UID, or the case name for NIfTI.
    kind
        ``dicom`` or ``nifti``.
    series
        The series chosen for each sequence.
    unused
        What was found and not used -> the reason.
    """

    uid: str
    kind: str
    patient: Patient
    study_date: date | None
    series: Mapping[Sequence, Series]
    unused: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()

    @property
    def reference(self) -> Series:
        """The series whose space results are written in: T1ce, else the first present of FLAIR, T2, T1."""
        for sequence in (Sequence.T1CE, Sequence.FLAIR, Sequence.T2, Sequence.T1):
            if sequence in self.series:
                return self.series[sequence]
        raise ValueError("a study without series has no reference")

    @property
    def reference_sequence(self) -> Sequence:
        """Which sequence `reference` is."""
        return next(s for s, series in self.series.items() if series is self.reference)


@dataclass(frozen=True, eq=False)
class Alignment:
    """How one series was brought onto the case's grid.

    Attributes
    ----------
    transform
        4x4 rigid, LPS+ mm of the case -> LPS+ mm of the series. Identity if none was needed.
    method
        ``reference``, ``same-grid``, ``same-frame`` (headers agree, images checked) or ``rigid``.
    quality
        Normalised mutual information (Studholme 1999), 1 = independent .. 2 = identical, inside the head; None for the reference.
    translation_mm, rotation_deg
        Size of the motion that was corrected.
    """

    transform: Affine
    method: str
    quality: float | None
    translation_mm: float = 0.0
    rotation_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Case:
    """Four sequences on one grid, ready for the network.

    Attributes
    ----------
    grid
        Close to LPS axis order; about 1 mm in plane, slices 1..5 mm.
    channels
        float32 (4, i, j, k) in `Sequence` order, z-scored inside `brain`, 0 outside and for missing sequences.
    display
        The same sequences before z-scoring, for pictures; only those present.
    brain
        bool (i, j, k).
    present
        Sequences that were really there.
    alignment
        Per present sequence.
    steps
        What preparation did, in order, in plain words (``N4 skipped: ...``).
    """

    case_id: str
    grid: Grid
    channels: Voxels
    display: Mapping[Sequence, Voxels]
    brain: Voxels
    present: tuple[Sequence, ...]
    alignment: Mapping[Sequence, Alignment]
    steps: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", read_only(self.channels))
        object.__setattr__(self, "brain", read_only(self.brain))
        object.__setattr__(self, "display", MappingProxyType({s: read_only(v) for s, v in self.display.items()}))


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a segmentation: a model with its version, or a person.

    Attributes
    ----------
    kind
        ``model`` or ``human``.
    name, version
        Of the model; a person's name goes into `name`.
    checksum
        SHA-256 of the weights; empty for a person.
    engine
        E.g. ``openvino-bf16``; empty for a person.
    """

    kind: str
    name: str
    version: str = ""
    checksum: str = ""
    engine: str = ""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A labelled mask on a grid, with how sure its author was.

    Attributes
    ----------
    mask
        uint8 (i, j, k), values of `braintumor.labels.LABELS`.
    grid
        The case's grid, or a source series' grid after `braintumor.segment.on_grid`.
    uncertainty
        float16 (i, j, k), entropy of the class probabilities divided by its maximum: 0 sure .. 1 undecided; or None.
    confidence
        Mean probability of each region inside its mask, 0..1; empty regions are absent.
    """

    mask: npt.NDArray[np.uint8]
    grid: Grid
    author: Author
    uncertainty: Voxels | None = None
    confidence: Mapping[Region, float] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        if self.mask.shape != self.grid.shape or self.mask.dtype != np.uint8:
            raise ValueError(f"a mask must be uint8 of shape {self.grid.shape}, not {self.mask.dtype} {self.mask.shape}")
        strange = set(np.flatnonzero(np.bincount(self.mask.ravel(order="K"), minlength=256))) - {0, *(m.value for m in LABELS)}
        if strange:
            raise ValueError(f"a mask may hold 0 and {[m.value for m in LABELS]}, not {sorted(int(v) for v in strange)}")
        object.__setattr__(self, "mask", read_only(self.mask))

    def region(self, region: Region) -> npt.NDArray[np.bool_]:
        """Bool (i, j, k): the voxels of WT, TC or ET."""
        return region_mask(self.mask, region)


@dataclass(frozen=True, slots=True)
class Diameters:
    """Two perpendicular extents of a lesion in one axial slice (RANO: longest, and longest perpendicular to it).

    Attributes
    ----------
    longest_mm, perpendicular_mm
        In millimetres.
    product_mm2
        Bidimensional product, their product.
    slice_index
        k of the slice they were measured in.
    longest_ends, perpendicular_ends
        Two end points each, LPS+ mm.
    """

    longest_mm: float
    perpendicular_mm: float
    product_mm2: float
    slice_index: int
    longest_ends: tuple[tuple[float, float, float], tuple[float, float, float]]
    perpendicular_ends: tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class RegionMeasurement:
    """What is measured of one region (or of one label, keyed by its short name).

    Attributes
    ----------
    volume_ml
        Number of voxels times voxel volume.
    simpson_ml
        Volume by Simpson's rule over the areas of the axial slices.
    max_diameter_3d_mm
        Largest distance between two voxel centres of the region; None when empty.
    diameters
        Axial longest and perpendicular diameter; None when empty.
    centroid_lps
        LPS+ mm; None when empty.
    side
        ``left``, ``right``, ``both`` or ``midline`` of the patient; None when empty.
    lobe
        Largest share by an atlas, with that share 0..1, e.g. ``("frontal", 0.8)``; None if unknown.
    area_mm2
        Area per slice, k order, whole grid.
    """

    name: str
    volume_ml: float
    simpson_ml: float
    max_diameter_3d_mm: float | None
    diameters: Diameters | None
    centroid_lps: tuple[float, float, float] | None
    side: str | None
    lobe: tuple[str, float] | None
    area_mm2: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One connected component (26-neighbourhood) of the whole tumour.

    Attributes
    ----------
    number
        1 = largest.
    tracking_uid, tracking_id
        Identity that SEG and SR share, stable for one study and mask.
    volume_ml
        Per key WT, TC, ET.
    """

    number: int
    tracking_uid: str
    tracking_id: str
    volume_ml: Mapping[str, float]
    centroid_lps: tuple[float, float, float]
    side: str
    diameters: Diameters


@dataclass(frozen=True, eq=False)
class Measurements:
    """All numbers of one segmentation.

    Attributes
    ----------
    regions
        Keys: WT, TC, ET and each label's short name (NCR, ED; ET is both).
    lesions
        Largest first.
    brain_ml
        Volume of the brain mask.
    """

    regions: Mapping[str, RegionMeasurement]
    lesions: tuple[Lesion, ...]
    brain_ml: float
    slice_spacing_mm: float
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact in words, traceable to the number it says.

    Attributes
    ----------
    section
        ``technique``, ``findings``, ``quality`` or ``limitations``.
    text
        One plain English sentence.
    source
        Dotted path of the value it states, e.g. ``measurements.regions.WT.volume_ml``; '' if it states none.
    """

    section: str
    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """The facts of one study in words, with every quality flag raised on the way."""

    statements: tuple[Finding, ...]
    flags: tuple[Flag, ...]

    def section(self, name: str) -> tuple[Finding, ...]:
        """The statements of one section, in order."""
        return tuple(s for s in self.statements if s.section == name)


@dataclass(frozen=True, slots=True)
class Results:
    """What one run wrote.

    Attributes
    ----------
    folder
        Where the results are; it appeared whole, by one rename.
    outputs
        Kind (``seg``, ``sr``, ``pdf``, ...) -> paths relative to `folder`.
    manifest
        Content of ``result.json``.
    """

    folder: Path
    outputs: Mapping[str, tuple[str, ...]]
    manifest: Mapping[str, Any]


def read_only(voxels: Voxels) -> Voxels:
    """A view of the same memory that cannot be written through; copies nothing."""
    view = voxels.view()
    view.flags.writeable = False
    return view
