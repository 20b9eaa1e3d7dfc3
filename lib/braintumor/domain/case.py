"""What was worked on: Case, the four sequences on one grid, and Segmentation, the mask on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from braintumor.domain.geometry import Affine, Grid
from braintumor.domain.regions import LABELS, Region, region_mask
from braintumor.domain.study import Flag, MRSequence, Voxels, read_only


class AlignmentMethod(StrEnum):
    """How a series came onto the case's grid; SAME_FRAME: the headers agree and the images were checked."""

    REFERENCE = "reference"
    SAME_GRID = "same-grid"
    SAME_FRAME = "same-frame"
    RIGID = "rigid"


@dataclass(frozen=True, eq=False)
class Alignment:
    """How one series was brought onto the case's grid.

    Attributes
    ----------
    transform
        4x4 rigid, LPS+ mm of the case -> LPS+ mm of the series. Identity if none was needed.
    quality
        Normalised mutual information inside the head (Studholme 1999), 1 = independent .. 2 = identical; None for the
        reference.
    translation_mm, rotation_deg
        Size of the motion that was corrected.
    """

    transform: Affine
    method: AlignmentMethod
    quality: float | None
    translation_mm: float = 0.0
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", AlignmentMethod(self.method))


@dataclass(frozen=True, eq=False)
class Case:
    """Four sequences on one grid, ready for the network.

    Attributes
    ----------
    grid
        Close to LPS axis order; about 1 mm in plane, slices 1..5 mm.
    channels
        float32 (4, i, j, k) in `MRSequence` order, z-scored inside `brain`, 0 outside and for missing sequences.
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
    display: Mapping[MRSequence, Voxels]
    brain: Voxels
    present: tuple[MRSequence, ...]
    alignment: Mapping[MRSequence, Alignment]
    steps: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", read_only(self.channels))
        object.__setattr__(self, "brain", read_only(self.brain))
        object.__setattr__(self, "display", MappingProxyType({s: read_only(v) for s, v in self.display.items()}))


class AuthorKind(StrEnum):
    """What made a mask."""

    MODEL = "model"
    HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a segmentation: a model with its version, or a person.

    Attributes
    ----------
    kind
        The word does as well; another one is a ValueError.
    name, version
        Of the model; a person's name goes into `name`.
    checksum
        SHA-256 of the weights; empty for a person.
    engine
        E.g. ``openvino-bf16``; empty for a person.
    """

    kind: AuthorKind
    name: str
    version: str = ""
    checksum: str = ""
    engine: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", AuthorKind(self.kind))


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A labelled mask on a grid, with how sure its author was.

    Attributes
    ----------
    mask
        uint8 (i, j, k), values of `braintumor.domain.LABELS`.
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
