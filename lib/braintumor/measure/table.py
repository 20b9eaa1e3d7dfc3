"""Measurements as plain JSON data, for ``result.json`` and ``--json``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from braintumor.domain import Diameters, Lesion, Measurements, RegionMeasurement

_ML, _MM, _MM2, _SHARE = 3, 2, 2, 3
"""Decimals kept: well below what can be measured, well above what rounding could change in a report."""


def as_dict(measurements: Measurements) -> dict[str, Any]:
    """JSON-ready numbers under the attribute names of `braintumor.domain.Measurements`, so dotted paths agree.

    Volumes are rounded to 0.001 mL, lengths to 0.01 mm, areas to 0.01 mm2; None stands for what is absent; a lobe is
    ``{"name", "share"}``; `area_mm2` lists every slice in k order.
    """
    return {
        "brain_ml": round(measurements.brain_ml, _ML),
        "slice_spacing_mm": round(measurements.slice_spacing_mm, _MM),
        "regions": {key: _region(region) for key, region in measurements.regions.items()},
        "lesions": [_lesion(lesion) for lesion in measurements.lesions],
        "flags": [flag.as_dict() for flag in measurements.flags],
    }


def _region(region: RegionMeasurement) -> dict[str, Any]:
    longest = region.max_diameter_3d_mm
    return {
        "name": region.name,
        "volume_ml": round(region.volume_ml, _ML),
        "simpson_ml": round(region.simpson_ml, _ML),
        "max_diameter_3d_mm": None if longest is None else round(longest, _MM),
        "diameters": None if region.diameters is None else _diameters(region.diameters),
        "centroid_lps": None if region.centroid_lps is None else _point(region.centroid_lps),
        "side": region.side,
        "lobe": None if region.lobe is None else {"name": region.lobe[0], "share": round(region.lobe[1], _SHARE)},
        "area_mm2": [round(float(area), _MM2) for area in region.area_mm2],
    }


def _lesion(lesion: Lesion) -> dict[str, Any]:
    return {
        "number": lesion.number,
        "tracking_uid": lesion.tracking_uid,
        "tracking_id": lesion.tracking_id,
        "volume_ml": {key: round(volume, _ML) for key, volume in lesion.volume_ml.items()},
        "centroid_lps": _point(lesion.centroid_lps),
        "side": lesion.side,
        "diameters": _diameters(lesion.diameters),
    }


def _diameters(diameters: Diameters) -> dict[str, Any]:
    return {
        "longest_mm": round(diameters.longest_mm, _MM),
        "perpendicular_mm": round(diameters.perpendicular_mm, _MM),
        "product_mm2": round(diameters.product_mm2, _MM2),
        "slice_index": diameters.slice_index,
        "longest_ends": [_point(end) for end in diameters.longest_ends],
        "perpendicular_ends": [_point(end) for end in diameters.perpendicular_ends],
    }


def _point(point: Iterable[float]) -> list[float]:
    return [round(v, _MM) for v in point]
