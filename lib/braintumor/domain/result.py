"""What was measured, and what one run wrote: Measurements and Results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from braintumor.domain.study import Flag


@dataclass(frozen=True, slots=True)
class Diameters:
    """Two perpendicular extents of a lesion in one axial slice (RANO: longest, and longest perpendicular to it).

    Attributes
    ----------
    longest_mm, perpendicular_mm
        In millimetres.
    product_mm2
        Bidimensional product, their product.
    slice_index
        k of the slice they were measured in.
    longest_ends, perpendicular_ends
        Two end points each, LPS+ mm.
    """

    longest_mm: float
    perpendicular_mm: float
    product_mm2: float
    slice_index: int
    longest_ends: tuple[tuple[float, float, float], tuple[float, float, float]]
    perpendicular_ends: tuple[tuple[float, float, float], tuple[float, float, float]]


class Side(StrEnum):
    """Where something lies in the patient; UNKNOWN where no brain mask says it."""

    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"
    MIDLINE = "midline"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RegionMeasurement:
    """What is measured of one region (or of one label, keyed by its short name).

    Attributes
    ----------
    volume_ml
        Number of voxels times voxel volume.
    simpson_ml
        Volume by Simpson's rule over the areas of the axial slices.
    max_diameter_3d_mm
        Largest distance between two voxel centres of the region; None when empty.
    diameters
        Axial longest and perpendicular diameter; None when empty.
    centroid_lps
        LPS+ mm; None when empty.
    side
        None when empty or without a usable brain mask.
    lobe
        Largest share by an atlas, with that share 0..1, e.g. ``("frontal", 0.8)``; None if unknown or empty.
    area_mm2
        Area per slice, k order, whole grid.
    """

    name: str
    volume_ml: float
    simpson_ml: float
    max_diameter_3d_mm: float | None
    diameters: Diameters | None
    centroid_lps: tuple[float, float, float] | None
    side: Side | None
    lobe: tuple[str, float] | None
    area_mm2: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One connected component (26-neighbourhood) of the whole tumour.

    Attributes
    ----------
    number
        1 = largest.
    tracking_uid, tracking_id
        Identity that SEG and SR share, stable for one study and mask.
    volume_ml
        Per key WT, TC, ET.
    """

    number: int
    tracking_uid: str
    tracking_id: str
    volume_ml: Mapping[str, float]
    centroid_lps: tuple[float, float, float]
    side: Side
    diameters: Diameters


@dataclass(frozen=True, slots=True)
class Measurements:
    """All numbers of one segmentation.

    Attributes
    ----------
    regions
        Keys: WT, TC, ET and each label's short name (NCR, ED; ET is both).
    lesions
        Largest first.
    brain_ml
        Volume of the brain mask.
    """

    regions: Mapping[str, RegionMeasurement]
    lesions: tuple[Lesion, ...]
    brain_ml: float
    slice_spacing_mm: float
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """What one run wrote.

    Attributes
    ----------
    folder
        Where the results are; it appeared whole, by one rename.
    outputs
        Kind (``seg``, ``sr``, ``pdf``, ...) -> paths relative to `folder`.
    manifest
        Content of ``result.json``.
    """

    folder: Path
    outputs: Mapping[str, tuple[str, ...]]
    manifest: Mapping[str, Any]
