"""A small synthetic head and its four series, for tests that need full control over what is wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from braintumor.domain import LPS_FROM_RAS, Grid, Image, MRSequence, Patient
from braintumor.phantom.dicom import Awkward, StudyHeader, study_header, write_series

SHAPE = (40, 36, 10)
SPACING = (2.0, 3.0, 5.0)
LEVEL = {MRSequence.T1: 300, MRSequence.T1CE: 330, MRSequence.T2: 500, MRSequence.FLAIR: 400}

WriteStudy = Callable[..., Path]


def head(sequence: MRSequence, shape: tuple[int, int, int] = SHAPE, affine: np.ndarray | None = None) -> Image:
    """An ellipsoid with a gradient, integer values, on an anisotropic oblique grid."""
    grid = Grid(shape, oblique() if affine is None else affine)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = sum(a**2 for a in axes) < 0.95
    texture = np.random.default_rng(7).integers(-40, 40, shape)
    voxels = inside * (LEVEL[sequence] + 100 * axes[0] + 60 * axes[1] + 30 * axes[2] + texture)
    return Image(np.rint(np.clip(voxels, 0, None)).astype(np.float32), grid)


def oblique(spacing: tuple[float, float, float] = SPACING) -> np.ndarray:
    """Axes near L, P, S, turned by 15 degrees about x."""
    angle = np.deg2rad(15)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = (-40.0, -50.0, -20.0)
    return affine


@pytest.fixture(scope="session")
def header() -> StudyHeader:
    return study_header("study tests", Patient("P-1", "Muster^Anna", "19600101", "F"), date(2024, 2, 29))


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory, header: StudyHeader) -> Path:
    """The four series in order, written once; tests get copies."""
    folder = tmp_path_factory.mktemp("pristine")
    for number, sequence in enumerate(MRSequence, start=1):
        write_series(head(sequence), folder, header, sequence, series_number=number)
    return folder


@pytest.fixture
def write_study(tmp_path: Path, header: StudyHeader, pristine: Path) -> WriteStudy:
    """Writes a DICOM study; `awkward` per sequence, `only` some sequences, further changes to the header."""

    def write(
        awkward: dict[MRSequence, Awkward] | None = None, only: tuple[MRSequence, ...] = tuple(MRSequence), **changes: Any
    ) -> Path:
        folder = tmp_path / "study"
        folder.mkdir()
        for number, sequence in enumerate(only, start=1):
            how = (awkward or {}).get(sequence)
            if how is None and not changes and list(MRSequence)[number - 1] is sequence:
                for path in pristine.glob(f"{number:03d}_*"):
                    shutil.copy(path, folder)
            else:
                changed = replace(header, **changes)
                write_series(head(sequence), folder, changed, sequence, series_number=number, awkward=how)
        return folder

    return write


def save_nifti(path: Path, sequence: MRSequence, data: np.ndarray | None = None, affine: np.ndarray | None = None) -> Path:
    """A NIfTI of the synthetic head (or of `data`), affine given in LPS+."""
    image = head(sequence)
    voxels = image.voxels if data is None else data
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(voxels), LPS_FROM_RAS @ (image.grid.affine if affine is None else affine)), path)
    return path
