"""Measurements of a segmentation: volumes, diameters, place, lesions."""

from braintumor.measure.atlas import LOBES, Match, match_brain
from braintumor.measure.diameter import axial_diameters, longest_diameter_3d_mm
from braintumor.measure.lesions import MIN_LESION_ML, find_lesions
from braintumor.measure.stage import measure_case
from braintumor.measure.table import as_dict
from braintumor.measure.volume import simpson_volume_ml, slice_areas_mm2, slice_spacing_mm, voxel_volume_ml

__all__ = [
    "LOBES",
    "MIN_LESION_ML",
    "Match",
    "as_dict",
    "axial_diameters",
    "find_lesions",
    "longest_diameter_3d_mm",
    "match_brain",
    "measure_case",
    "simpson_volume_ml",
    "slice_areas_mm2",
    "slice_spacing_mm",
    "voxel_volume_ml",
]
