"""One labelled case as it lies on disk, and how it becomes a study with its expert mask."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from braintumor.datasets.meaning import Meaning
from braintumor.domain import (
    LPS_FROM_RAS,
    Author,
    AuthorKind,
    CorruptFileError,
    Evidence,
    Flag,
    Grid,
    MRSequence,
    Patient,
    Region,
    Segmentation,
    Series,
    Study,
    StudyKind,
)
from braintumor.study import MINIMUM, nifti
from braintumor.study.reader import missing_flags, refuse_missing

_VISIT = re.compile(r"^(?P<patient>BraTS-.+-\d+)-\d+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Volume:
    """Where one sequence is: a NIfTI file, and which volume of it where the file is four-dimensional."""

    path: Path
    index: int | None = None


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """One visit of one patient with an expert mask; nothing of it is read before `read`.

    Attributes
    ----------
    patient
        Who it is: all visits of a patient share it, so that splits can keep them together.
    name
        What the data set calls this visit; unique in it.
    volumes
        In `MRSequence` order; only those present.
    truth
        The mask's file.
    meaning
        What its values stand for.
    """

    patient: str
    name: str
    volumes: Mapping[MRSequence, Volume]
    truth: Path
    meaning: Meaning

    def __post_init__(self) -> None:
        refuse_missing(self.volumes, MINIMUM)
        ordered = {sequence: self.volumes[sequence] for sequence in MRSequence if sequence in self.volumes}
        object.__setattr__(self, "volumes", MappingProxyType(ordered))

    @property
    def regions(self) -> frozenset[Region]:
        """The regions that the expert marked; fewer than all of them make it a partial label."""
        return self.meaning.regions


def patient_of(name: str) -> str:
    """The patient in a case's name.

    BraTS since 2023 numbers patients and then visits; what has no such second number is one patient per name.

    >>> patient_of("BraTS-GLI-00005-100")
    'BraTS-GLI-00005'
    >>> patient_of("Brats18_2013_21_1")
    'Brats18_2013_21_1'
    """
    found = _VISIT.match(name)
    return found["patient"] if found else name


def read(case: LabelledCase) -> tuple[Study, Segmentation]:
    """The images as the reader of the main job gives them, and the expert mask on the reference's grid.

    Raises
    ------
    CorruptFileError, GeometryError, UnusableImageError
        As `braintumor.study.read_study`; also if the mask cannot be read or holds values without a meaning.
    """
    series: dict[MRSequence, Series] = {}
    flags: list[Flag] = []
    with _three_dimensional(case) as files:
        for sequence, path in files.items():
            evidence = Evidence(sequence, 1.0, (f"the data set's layout, {case.volumes[sequence].path.name}",))
            series[sequence], found = nifti.load(path, evidence)
            flags += found
    study = Study(case.name, StudyKind.NIFTI, Patient(), None, series, {}, (*flags, *missing_flags(series)))
    return study, read_mask(case.truth, study.reference.image.grid, case.meaning)


def read_mask(path: Path, drawn_on: Grid, meaning: Meaning) -> Segmentation:
    """An expert mask with the values of `braintumor.domain.LABELS`.

    Parameters
    ----------
    drawn_on
        Grid of the image it was drawn on. A mask of the same shape belongs to that image voxel for voxel, whatever its own
        header says: some editions lost the origin (Brats17_TCIA_105_1 puts its mask 239 mm beside the head).

    Raises
    ------
    CorruptFileError, UnusableImageError
        If the file cannot be read, or holds values that `meaning` does not know or cannot tell apart.
    """
    try:
        stored: Any = nib.load(path)
        voxels = np.asarray(stored.dataobj)
        i, j, k = shape = voxels.shape[:3]
        voxels = voxels.reshape(shape)  # a trailing axis of length 1 is common; several volumes are an error
        affine = LPS_FROM_RAS @ stored.affine
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError) as error:
        raise CorruptFileError(
            "The mask cannot be read as NIfTI", remedy="Copy the file again from its source", path=path
        ) from error
    grid = drawn_on if shape == drawn_on.shape else Grid((i, j, k), affine)
    return Segmentation(meaning.apply(voxels, path), grid, Author(AuthorKind.HUMAN, "expert"))


@contextmanager
def _three_dimensional(case: LabelledCase) -> Iterator[dict[MRSequence, Path]]:
    """One file per sequence; volumes of a four-dimensional file are written out for the time of reading."""
    files = {sequence: volume.path for sequence, volume in case.volumes.items() if volume.index is None}
    packed = {sequence: volume for sequence, volume in case.volumes.items() if volume.index is not None}
    with tempfile.TemporaryDirectory(prefix="braintumor-") as scratch:
        for path in {volume.path for volume in packed.values()}:
            image, voxels = _four_dimensional(path, max(volume.index or 0 for volume in packed.values()) + 1)
            for sequence, volume in packed.items():
                if volume.path == path:
                    files[sequence] = Path(scratch) / f"{nifti.stem(path)}_{sequence.value}.nii"
                    nib.save(type(image)(voxels[..., volume.index], None, _header(image)), files[sequence])
        yield {sequence: files[sequence] for sequence in case.volumes}


def _header(image: nib.Nifti1Image) -> nib.Nifti1Header:
    """The same placement in space (qform and sform as they were) for one volume of the file."""
    header = image.header.copy()
    header.set_data_shape(image.shape[:3])
    return header


def _four_dimensional(path: Path, needed: int) -> tuple[nib.Nifti1Image, npt.NDArray[Any]]:
    try:
        image = nib.Nifti1Image.from_filename(path)
        voxels = np.asarray(image.dataobj)
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError) as error:
        raise CorruptFileError(
            "The image cannot be read as NIfTI", remedy="Copy the file again from its source", path=path
        ) from error
    if voxels.ndim != 4 or voxels.shape[3] < needed:
        raise CorruptFileError(
            f"{path.name} should hold {needed} volumes and has the shape {'x'.join(map(str, voxels.shape))}",
            remedy="Check 'modality' in dataset.json, or copy the file again",
            path=path,
        )
    return image, voxels
