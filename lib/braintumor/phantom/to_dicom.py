"""Turns a NIfTI case into a DICOM MR study, voxel for voxel, so that research data can come in through the DICOM door."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from braintumor.domain import Evidence, Grid, Image, InputNotFoundError, Patient, Reorientation, appearing
from braintumor.phantom.dicom import SERIES_NUMBERS, Awkward, Vendor, study_header, write_series
from braintumor.study.nifti import find_sequences, load

_DISPLAY = {"S": ("L", "P"), "L": ("P", "I"), "P": ("L", "I")}
"""Directions of rows and columns that viewers expect, per patient axis of the slices."""
_OPPOSITE = dict(zip("LRPASI", "RLAPIS", strict=True))


def case_to_dicom(
    case: Path, out: Path, *, seed: int = 0, vendor: Vendor = Vendor.SIEMENS, awkward: Awkward | None = None
) -> Path:
    """Write the sequences of a NIfTI case as the series of one DICOM study.

    Each series keeps its file's own grid: the file's third axis becomes the slices, and axes are only reordered or reversed
    to what scanners write (`legal_stack`); nothing is interpolated. Integer values stay exact, others are rounded to 16-bit
    steps and the largest error is written into Image Comments. Dates stay empty and acquisition parameters are typical
    values (Image Comments says so), because NIfTI knows neither.

    Parameters
    ----------
    case
        Folder with BraTS, nnU-Net or BIDS names; its name becomes the Patient ID.
    out
        Folder of the study, new or empty; one folder per series is made in it. After an error there is nothing in it.
    seed
        Decides, with the case's name, the UIDs.
    awkward
        Applied to every series.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputNotFoundError
        If no file of the case is recognised.
    GeometryError, UnusableImageError, OutputError
        See `write_series`.
    CorruptFileError, AmbiguousSequenceError, PatientMismatchError
        See `braintumor.study.nifti`.
    """
    files = find_sequences(case)
    if not files:
        raise InputNotFoundError(
            "no NIfTI file of T1, T1ce, T2 or FLAIR was found", remedy="name them as BraTS, nnU-Net or BIDS do", path=case
        )
    patient = Patient(case.resolve().name[:64], "Research^Case", "", "")
    header = study_header(f"{seed}/{patient.patient_id}", patient, None, vendor=vendor)
    with appearing(out) as scratch:
        for sequence, path in files.items():
            series, _ = load(path, Evidence(sequence, 1.0, ("its name",)))
            stack, number = legal_stack(series.image), SERIES_NUMBERS[sequence]
            folder = scratch / f"{number}_{sequence.value}"
            write_series(stack, folder, header, sequence, series_number=number, awkward=awkward)
    return out


def legal_stack(image: Image) -> Image:
    """The same voxels with rows and columns in the directions viewers expect, and slices along their right-handed normal.

    The third axis stays the slice axis; the change is a permutation and reversal of axes, without interpolation.
    """
    axis = image.grid.axcodes[2]
    wanted = _DISPLAY[axis if axis in _DISPLAY else _OPPOSITE[axis]]
    in_plane = [_find(image.grid, direction) for direction in wanted]
    order = (in_plane[0][0], in_plane[1][0], 2)
    flips = (in_plane[0][1], in_plane[1][1], False)
    turned = Reorientation(order, flips)
    if np.linalg.det(turned.grid(image.grid).affine[:3, :3]) < 0:
        turned = Reorientation(order, (flips[0], flips[1], True))
    return Image(turned.apply(image.voxels), turned.grid(image.grid))


def _find(grid: Grid, direction: str) -> tuple[int, bool]:
    """The axis that runs along a patient direction, and whether it runs the other way."""
    codes = grid.axcodes
    return (codes.index(direction), False) if direction in codes else (codes.index(_OPPOSITE[direction]), True)
