"""Expert masks from NIfTI."""

from __future__ import annotations

from pathlib import Path

from braintumor.datasets import read_mask
from braintumor.datasets.meaning import ANY_EDITION
from braintumor.domain import Grid, InputNotFoundError, Segmentation

NAMES = ("*_seg.nii.gz", "*-seg.nii.gz", "*_seg.nii", "*-seg.nii")
"""How expert masks are named in BraTS 2015-2024."""


def find_truth(folder: Path) -> Path:
    """The one expert mask of a case folder.

    Raises
    ------
    InputNotFoundError
        If there is none, or more than one.
    """
    found = sorted({path for pattern in NAMES for path in folder.glob(pattern)})
    if len(found) != 1:
        raise InputNotFoundError(
            f"A case folder must hold one expert mask, and this one holds {len(found)}",
            remedy=f"Name it like {NAMES[0]}",
            path=folder,
        )
    return found[0]


def read_truth(path: Path, drawn_on: Grid) -> Segmentation:
    """A mask with the values of any edition of BraTS; see `braintumor.datasets.read_mask` for grids and errors."""
    return read_mask(path, drawn_on, ANY_EDITION)
