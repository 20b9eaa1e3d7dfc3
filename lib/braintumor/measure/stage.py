"""The stage Segmentation -> Measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from braintumor.domain import (
    LABELS,
    Flag,
    GeometryError,
    Grid,
    Measurements,
    Region,
    RegionMeasurement,
    Segmentation,
    Severity,
    bounding_box,
    region_mask,
)
from braintumor.measure.atlas import Match, match_brain
from braintumor.measure.diameter import axial_diameters, longest_diameter_3d_mm
from braintumor.measure.lesions import MIN_LESION_ML, find_lesions
from braintumor.measure.location import centroid_lps, lobe_of, side_of, voxel_centres
from braintumor.measure.volume import simpson_volume_ml, slice_areas_mm2, slice_spacing_mm, voxel_volume_ml

THICK_MM = 3.0
"""Slices farther apart make diameters and volumes less precise (Reuter 2014, doi 10.1007/s11060-014-1403-8)."""

TOO_THICK_MM = 5.0
"""RANO asks for slices of at most 5 mm without gap (Wen 2010)."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Tumour:
    """The part of a segmentation that is not background, so that nothing works on empty voxels."""

    mask: npt.NDArray[np.uint8]
    grid: Grid
    box: tuple[slice, slice, slice]
    whole: Grid

    @property
    def first_slice(self) -> int:
        return int(self.box[2].start)


def measure_case(
    segmentation: Segmentation, brain: Mask | None, *, case_id: str, min_lesion_ml: float = MIN_LESION_ML
) -> Measurements:
    """Everything measured of one segmentation; definitions and units are those of `braintumor.domain`.

    Axial slices are the k planes of the segmentation's grid, so the grid should be close to LPS axis order.

    Parameters
    ----------
    segmentation
        The labelled mask.
    brain
        Bool (i, j, k) on the same grid; from it come midline, side and lobe. None (or an empty mask): sides and lobes stay
        unknown, `brain_ml` is 0, and the flag ``no-brain-mask`` says so.
    case_id
        Part of the lesions' identity, see `braintumor.measure.find_lesions`.
    min_lesion_ml
        Smaller components are not listed as lesions; default `MIN_LESION_ML`.

    Returns
    -------
    Measurements
        Flags it may carry: ``no-tumour``, ``touches-border``, ``thick-slices``, ``small-components``, ``no-brain-mask``,
        ``poor-brain-match``.

    Raises
    ------
    GeometryError
        If the brain mask has another shape than the segmentation.
    """
    grid = segmentation.grid
    if brain is not None and brain.shape != grid.shape:
        raise GeometryError(
            f"the brain mask has the shape {brain.shape}, the segmentation {grid.shape}",
            remedy="Bring both onto one grid before measuring",
        )
    tumour = _tumour(segmentation)
    match, match_flags = _match(brain, grid) if tumour.mask.any() else (None, ())
    regions = {str(r): _region(str(r), region_mask(tumour.mask, r), tumour, match) for r in Region}
    for label in LABELS:
        if label.short not in regions:
            regions[label.short] = _region(label.short, tumour.mask == label.value, tumour, match)
    lesions, speck_flags = find_lesions(
        tumour.mask, tumour.grid, match, case_id=case_id, min_lesion_ml=min_lesion_ml, first_slice=tumour.first_slice
    )
    return Measurements(
        regions=regions,
        lesions=lesions,
        brain_ml=0.0 if brain is None else voxel_volume_ml(brain, grid),
        slice_spacing_mm=slice_spacing_mm(grid),
        flags=(*_extent_flags(tumour), *_slice_flags(slice_spacing_mm(grid)), *match_flags, *speck_flags),
    )


def _tumour(segmentation: Segmentation) -> _Tumour:
    """The bounding box of all labels; a single background voxel if there are none."""
    filled = segmentation.mask != 0
    box = bounding_box(filled) if filled.any() else (slice(0, 1), slice(0, 1), slice(0, 1))
    return _Tumour(segmentation.mask[box], segmentation.grid.cropped(box), box, segmentation.grid)


def _match(brain: Mask | None, grid: Grid) -> tuple[Match | None, tuple[Flag, ...]]:
    """Where midline and lobes are, or None and the reason why that is not known."""
    match = None if brain is None else match_brain(brain, grid)
    if match is None:
        message = "No usable brain mask, so side and lobe of the tumour are not given."
        return None, (Flag("no-brain-mask", Severity.WARNING, message),)
    if not match.trustworthy:
        message = (
            "The brain mask does not have the size and shape of a brain "
            f"({match.error_mm:.1f} mm off the standard one), so side and lobe of the tumour are not given."
        )
        return None, (Flag("poor-brain-match", Severity.WARNING, message),)
    return match, ()


def _region(name: str, mask: Mask, tumour: _Tumour, match: Match | None) -> RegionMeasurement:
    areas = np.zeros(tumour.whole.shape[2])
    areas[tumour.box[2]] = slice_areas_mm2(mask, tumour.grid)
    world = voxel_centres(mask, tumour.grid)
    known = match if len(world) else None
    return RegionMeasurement(
        name=name,
        volume_ml=voxel_volume_ml(mask, tumour.grid),
        simpson_ml=simpson_volume_ml(areas, slice_spacing_mm(tumour.grid)),
        max_diameter_3d_mm=longest_diameter_3d_mm(mask, tumour.grid),
        diameters=axial_diameters(mask, tumour.grid, tumour.first_slice),
        centroid_lps=centroid_lps(world) if len(world) else None,
        side=None if known is None else side_of(world, known),
        lobe=None if known is None else lobe_of(world, known),
        area_mm2=tuple(areas.tolist()),
    )


def _extent_flags(tumour: _Tumour) -> tuple[Flag, ...]:
    if not tumour.mask.any():
        return (Flag("no-tumour", Severity.INFO, "No voxel was segmented as tumour."),)
    if any(side.start == 0 or side.stop == size for side, size in zip(tumour.box, tumour.whole.shape, strict=True)):
        message = "The tumour reaches the edge of the imaged volume, so part of it may be missing from every measurement."
        return (Flag("touches-border", Severity.WARNING, message),)
    return ()


def _slice_flags(spacing_mm: float) -> tuple[Flag, ...]:
    if spacing_mm <= THICK_MM:
        return ()
    severity = Severity.WARNING if spacing_mm > TOO_THICK_MM else Severity.INFO
    message = f"Slices are {spacing_mm:.1f} mm apart; volumes and diameters are less precise than with {THICK_MM:g} mm or less."
    return (Flag("thick-slices", severity, message),)
