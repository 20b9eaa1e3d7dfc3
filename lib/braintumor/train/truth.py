"""Expert masks from NIfTI, and how well a mask agrees with one."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from braintumor.errors import CorruptFileError, InputNotFoundError, UnusableImageError
from braintumor.geometry import LPS_FROM_RAS, Grid
from braintumor.labels import ENHANCING, LABELS, Region
from braintumor.nouns import Author, Segmentation

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
    """An expert mask with BraTS values; BraTS 2023's value 3 for enhancing tumour becomes 4.

    Parameters
    ----------
    drawn_on
        Grid of the image it was drawn on. A mask of the same shape belongs to that image voxel for voxel, whatever its own
        header says: some editions lost the origin (Brats17_TCIA_105_1 puts its mask 239 mm beside the head).

    Raises
    ------
    CorruptFileError, UnusableImageError
        If the file cannot be read, or holds other values.
    """
    try:
        stored = nib.Nifti1Image.from_filename(path)
        voxels = np.asarray(stored.dataobj)
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError) as error:
        raise CorruptFileError(
            "The mask cannot be read as NIfTI", remedy="Copy the file again from its source", path=path
        ) from error
    mask = voxels.astype(np.uint8)
    allowed = {0, 3, *(label.value for label in LABELS)}
    if not np.array_equal(mask, voxels) or set(np.unique(mask)) - allowed:
        raise UnusableImageError(
            "The mask holds other values than 0, 1, 2 and 4 (or 3)", remedy="Convert its labels first", path=path
        )
    if (mask == 3).any() and (mask == ENHANCING.value).any():
        raise UnusableImageError(
            "The mask holds both 3 and 4, which editions of BraTS use for different tissues",
            remedy="Convert its labels to 0, 1, 2 and 4 first",
            path=path,
        )
    mask[mask == 3] = ENHANCING.value
    if mask.ndim != len(drawn_on.shape):
        raise UnusableImageError(f"The mask has {mask.ndim} dimensions", remedy="Give one volume of three", path=path)
    i, j, k = mask.shape
    grid = drawn_on if mask.shape == drawn_on.shape else Grid((i, j, k), LPS_FROM_RAS @ stored.affine)
    return Segmentation(mask, grid, Author("human", "expert"))


def dice(predicted: Segmentation, truth: Segmentation, region: Region) -> float | None:
    """Dice coefficient 2|A and B| / (|A| + |B|) (paper, equation 5); None where the expert saw none of the region.

    Both masks must be on the same grid.
    """
    a, b = predicted.region(region), truth.region(region)
    if not b.any():
        return None
    return float(2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))
