"""Separate lesions: connected components of the whole tumour, each with an identity that SEG and SR share."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from pydicom.uid import generate_uid
from scipy import ndimage

from braintumor.domain import Flag, Grid, Lesion, Region, Severity, Side, region_mask
from braintumor.measure.atlas import Match
from braintumor.measure.diameter import axial_diameters
from braintumor.measure.location import centroid_lps, side_of, voxel_centres

MIN_LESION_ML = 0.05
"""Smaller components are specks: 50 voxels of 1 mm3, the size below which BraTS 2023 scores no lesion either."""

"""A lesion's side where there is no brain mask to tell the midline from."""

_ALL_26_NEIGHBOURS = np.ones((3, 3, 3), int)

Labels = npt.NDArray[np.int32]


def find_lesions(
    mask: npt.NDArray[np.uint8],
    grid: Grid,
    match: Match | None,
    *,
    case_id: str,
    min_lesion_ml: float = MIN_LESION_ML,
    first_slice: int = 0,
) -> tuple[tuple[Lesion, ...], tuple[Flag, ...]]:
    """The 26-connected components of the whole tumour, largest first (equal ones in index order).

    A tracking UID names one thing for ever (PS3.5 section 9; Tracking UID, PS3.3 table C.8.20-4), so it is derived from the
    case, the mask with its place in space, and the lesion's number: the same mask of the same case always gets the same
    ones, a corrected mask gets new ones. To carry an identity over to another mask it has to be copied deliberately.

    Parameters
    ----------
    mask
        uint8 (i, j, k) on `grid`, values of `braintumor.domain.LABELS`.
    match
        Where the brain's midline is; None leaves every side unknown.
    min_lesion_ml
        Components below it are counted in the flag ``small-components`` and not listed; they stay part of all volumes.
    first_slice
        Added to slice indices, for a mask cut out of a larger grid.

    Returns
    -------
    lesions, flags
    """
    labels, count = ndimage.label(region_mask(mask, Region.WT), structure=_ALL_26_NEIGHBOURS)
    volumes = {r: np.bincount(labels[region_mask(mask, r)], minlength=count + 1) * grid.voxel_ml for r in Region}
    whole = volumes[Region.WT][1:]
    listed = [int(n) + 1 for n in np.argsort(-whole, kind="stable") if whole[n] >= min_lesion_ml]
    digest = _digest(mask, grid)
    boxes = ndimage.find_objects(labels)
    lesions = tuple(
        _lesion(
            labels,
            label,
            boxes[label - 1],
            grid,
            match,
            number=number,
            tracking_uid=str(generate_uid(entropy_srcs=[case_id, digest, str(number)])),
            volume_ml={str(region): float(volume[label]) for region, volume in volumes.items()},
            first_slice=first_slice,
        )
        for number, label in enumerate(listed, start=1)
    )
    return lesions, _speck_flags([float(v) for v in whole if v < min_lesion_ml], min_lesion_ml)


def _lesion(
    labels: Labels,
    label: int,
    box: tuple[slice, slice, slice],
    grid: Grid,
    match: Match | None,
    *,
    number: int,
    tracking_uid: str,
    volume_ml: dict[str, float],
    first_slice: int,
) -> Lesion:
    component, within = labels[box] == label, grid.cropped(box)
    world = voxel_centres(component, within)
    diameters = axial_diameters(component, within, first_slice + box[2].start)
    assert diameters is not None  # noqa: S101  a component has at least one voxel
    return Lesion(
        number=number,
        tracking_uid=tracking_uid,
        tracking_id=f"Lesion {number}",
        volume_ml=volume_ml,
        centroid_lps=centroid_lps(world),
        side=Side.UNKNOWN if match is None else side_of(world, match),
        diameters=diameters,
    )


def _digest(mask: npt.NDArray[np.uint8], grid: Grid) -> str:
    """SHA-256 of the labels and of where they are, to 0.1 um; independent of memory layout."""
    place = np.round(grid.affine, 4) + 0.0  # no negative zeros
    return hashlib.sha256(repr(grid.shape).encode() + place.tobytes() + mask.tobytes(order="C")).hexdigest()


def _speck_flags(specks_ml: list[float], min_lesion_ml: float) -> tuple[Flag, ...]:
    if not specks_ml:
        return ()
    what = "1 separate speck" if len(specks_ml) == 1 else f"{len(specks_ml)} separate specks"
    message = (
        f"{what} of less than {min_lesion_ml:g} mL ({sum(specks_ml):.3f} mL in all) counted in the volumes, not as lesions."
    )
    return (Flag("small-components", Severity.INFO, message),)
