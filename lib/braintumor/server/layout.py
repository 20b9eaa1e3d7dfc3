"""Masks as files that clients send and take: NRRD and NIfTI with their geometry, or bare bytes in the series' own order."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import numpy.typing as npt

from braintumor.domain import LABELS, LPS_FROM_RAS, Affine, Grid, SubmissionError, canonical, write_nifti
from braintumor.server.studies import from_bytes

GZIP = b"\x1f\x8b"


def temporary_nrrd(mask: npt.NDArray[np.uint8], grid: Grid, *, compress: bool) -> Path:
    """A temporary NRRD file in LPS; whoever takes it deletes it."""
    handle, name = tempfile.mkstemp(suffix=".nrrd")
    os.close(handle)
    header = {
        "space": "left-posterior-superior",
        "space directions": grid.affine[:3, :3].T.tolist(),
        "space origin": grid.affine[:3, 3].tolist(),
        "encoding": "gzip" if compress else "raw",
        "kinds": ["domain"] * 3,
    }
    nrrd.write(name, np.asfortranarray(mask), header, index_order="F", compression_level=1)
    return Path(name)


def temporary_nifti(mask: npt.NDArray[np.uint8], grid: Grid) -> Path:
    """A temporary compressed NIfTI file; whoever takes it deletes it."""
    handle, name = tempfile.mkstemp(suffix=".nii.gz")
    os.close(handle)
    write_nifti(Path(name), mask, grid)
    return Path(name)


def from_file(path: Path, grid: Grid) -> npt.NDArray[np.uint8]:
    """A client's label as uint8 (i, j, k) on the series' grid.

    NIfTI and NRRD may have their axes in another order or direction, as viewers write them; they must be the series' voxels.
    Bare bytes (``.bin``) have no geometry: they are taken in the series' order.

    Raises
    ------
    SubmissionError
        If it cannot be read, or is not on the series' grid.
    """
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz", ".nrrd")):
        return from_bytes(path.read_bytes(), grid)
    try:
        voxels, affine = _read_nrrd(path) if name.endswith(".nrrd") else _read_nifti(path)
    except (OSError, EOFError, ValueError, KeyError, nrrd.NRRDError, nib.filebasedimages.ImageFileError) as error:
        raise SubmissionError("The label cannot be read", remedy="Send it as NIfTI, NRRD or raw bytes") from error
    known = {0, *(label.value for label in LABELS)}
    if voxels.ndim != 3 or not np.isin(voxels, list(known)).all():
        raise SubmissionError("The label holds values that are no labels", remedy=f"Known values are {sorted(known)}")
    i, j, k = voxels.shape
    drawn = Grid((i, j, k), affine)
    there, here = canonical(drawn), canonical(grid)
    if not there.grid(drawn).same_as(here.grid(grid)):
        raise SubmissionError(
            "The label is not on the grid of the series: its voxels are not that series' voxels",
            remedy="Draw it on that series",
        )
    return here.undo(there.apply(voxels.astype(np.uint8)))


def _read_nifti(path: Path) -> tuple[npt.NDArray[Any], Affine]:
    image = nib.Nifti1Image.from_filename(path)
    return np.asarray(image.dataobj), np.asarray(LPS_FROM_RAS @ image.affine, np.float64)


def _read_nrrd(path: Path) -> tuple[npt.NDArray[Any], Affine]:
    voxels, header = nrrd.read(str(path), index_order="F")
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(header["space directions"], np.float64).T
    affine[:3, 3] = header["space origin"]
    space = str(header.get("space", "left-posterior-superior")).lower()
    return voxels, affine if space.startswith(("left-posterior", "lps")) else np.asarray(LPS_FROM_RAS @ affine)


def unpacked(content: bytes, limit: int) -> bytes:
    """Bytes of a request body, gzip or not, at most `limit` long: what is longer cannot be a mask of the series."""
    if not content.startswith(GZIP):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(limit + 1)
    except (OSError, EOFError) as error:
        raise SubmissionError("The mask's compression is damaged", remedy="Send it again") from error
    return found
