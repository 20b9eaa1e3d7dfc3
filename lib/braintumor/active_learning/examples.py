"""One labelled case as training keeps it: prepared once exactly as at inference, then a file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from braintumor import preprocess as case_stage
from braintumor import study as study_stage
from braintumor.datasets.truth import read_truth
from braintumor.domain import (
    Author,
    AuthorKind,
    Case,
    CorruptFileError,
    GeometryError,
    Grid,
    MRSequence,
    OutputError,
    Segmentation,
    Study,
    bounding_box,
)
from braintumor.export.seg import read_seg
from braintumor.preprocess import on_grid
from braintumor.train.data import Slices, from_case

MARGIN = 8
"""Voxels kept around brain and label: what the network sees at the brain's edge stays the same."""


@dataclass(frozen=True, eq=False)
class Example:
    """A prepared case with the label a person gave it.

    Attributes
    ----------
    name
        Unique among all examples, e.g. the study's UID.
    patient
        Whoever shares it is one patient, and is never trained on and measured with at once. A pseudonym will do.
    case
        As `braintumor.preprocess.prepare_case` makes it; pictures and alignment are not needed.
    label
        On the case's grid.
    weight
        How often it is drawn, compared with other examples; in quarters (see `braintumor.active_learning.mixture`).
    """

    name: str
    patient: str
    case: Case
    label: Segmentation
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.case.grid.shape != self.label.grid.shape or not self.case.grid.same_as(self.label.grid):
            raise ValueError("a label must be on the grid of its case")

    def slices(self) -> Slices:
        """What the training loop reads."""
        return from_case(self.case, self.label)


def prepare(name: str, patient: str, folder: Path, label: Path, series: str = "", weight: float = 1.0) -> Example:
    """Prepare a study exactly as at inference and bring its label onto the case's grid.

    Parameters
    ----------
    folder
        The study's images, DICOM or NIfTI.
    label
        A DICOM SEG, or NIfTI with BraTS values drawn on the reference series.
    series
        UID of the series the SEG refers to; '' to take the series whose grid the SEG has.

    Raises
    ------
    BrainTumorError
        Of the kind that says what is wrong with the study or the label.
    """
    study = study_stage.read_study(folder)
    case = case_stage.prepare_case(study)
    if label.name.endswith((".nii", ".nii.gz")):
        drawn, sequence = read_truth(label, study.reference.image.grid), study.reference_sequence
    else:
        drawn, sequence = _from_seg(label, study, series)
    transform = np.linalg.inv(case.alignment[sequence].transform)
    return Example(name, patient, case, on_grid(drawn, case.grid, transform), weight)


def _from_seg(label: Path, study: Study, series: str) -> tuple[Segmentation, MRSequence]:
    """The mask on the whole grid of the series it was drawn on, and which sequence that is."""
    named = [sequence for sequence, found in study.series.items() if found.uid == series]
    fitting: list[MRSequence] = []
    for sequence in named or [study.reference_sequence, *study.series]:
        try:
            return read_seg(label, study.series[sequence].image.grid), sequence
        except GeometryError:
            fitting.append(sequence)
    raise GeometryError(
        f"The label's voxels are not those of {' or '.join(s.title for s in dict.fromkeys(fitting))}",
        remedy="Submit the label on the grid of one of the study's four sequences",
        path=label,
    )


def write_example(example: Example, path: Path) -> None:
    """Write ``*.npz`` for `read_example`, cut to what holds brain or label; it appears whole.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    case = example.case
    box = bounding_box(case.brain | (example.label.mask > 0), margin=MARGIN)
    arrays = {
        "channels": case.channels[(slice(None), *box)].astype(np.float16),
        "brain": case.brain[box],
        "mask": example.label.mask[box],
        "affine": case.grid.cropped(box).affine,
        "present": np.array([sequence.value for sequence in case.present]),
        "words": np.array([example.name, example.patient, example.label.author.name]),
        "weight": np.array(example.weight),
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"A prepared example cannot be written: {error.strerror or error}", remedy="Free space on the disk", path=path
        ) from error


def read_identity(path: Path) -> tuple[str, str, float]:
    """Name, patient and weight of a prepared example, without its voxels.

    Raises
    ------
    CorruptFileError
        If it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return str(stored["words"][0]), str(stored["words"][1]), float(stored["weight"])
    except _UNREADABLE as error:
        raise _unreadable(path) from error


def read_example(path: Path) -> Example:
    """The inverse of `write_example`; intensities come back in half precision, without pictures and alignment.

    Raises
    ------
    CorruptFileError
        If it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found: dict[str, Any] = dict(stored)
        i, j, k = found["brain"].shape
        grid = Grid((i, j, k), found["affine"])
        name, patient, author = (str(word) for word in found["words"])
        present = tuple(MRSequence(word) for word in found["present"])
        case = Case(name, grid, found["channels"].astype(np.float32), {}, found["brain"], present, {})
        label = Segmentation(found["mask"], grid, Author(AuthorKind.HUMAN, author))
        return Example(name, patient, case, label, float(found["weight"]))
    except _UNREADABLE as error:
        raise _unreadable(path) from error


_UNREADABLE = (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile)


def _unreadable(path: Path) -> CorruptFileError:
    return CorruptFileError("A prepared example cannot be read", remedy="Delete it, it is made again from the study", path=path)
