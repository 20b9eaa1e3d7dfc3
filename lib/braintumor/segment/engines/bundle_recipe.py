"""What the configuration of a MONAI bundle says in plain values; nothing in it is evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braintumor.domain import REGION_NAMES, EngineError, MRSequence, Region, WeightsError
from braintumor.segment.weights import METADATA

REMEDY = "Name the folder of a bundle that holds configs/metadata.json, configs/inference.json and models/"
READ_ONLY = "Bundles are read, not executed; run this one with monai.bundle and evaluate the masks it writes"

_HARMLESS = {"Compose", "LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "ToTensord", "CastToTyped"}
"""Steps of a bundle's preparation that change no value of a case as we have it."""

_FLIPS = {"LPS": (), "RAS": (-3, -2), "LAS": (-2,), "RPS": (-3,)}
"""Orientation wanted by a bundle -> axes to reverse; a case's own grid runs to L, P and S, as BraTS files do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a bundle's configuration says in plain values.

    Attributes
    ----------
    sequences
        Input channels in order.
    regions
        Output channels in order if they are sigmoid regions, else ().
    meaning
        Output channel -> label value if they are softmax classes, else {}.
    flips
        Axes to reverse before the network and after it.
    spacing
        Voxel size in mm that the network was trained on.
    window
        Sliding window (i, j, k) in voxels.
    overlap
        Share by which windows overlap.
    """

    sequences: tuple[MRSequence, ...]
    regions: tuple[Region, ...]
    meaning: Mapping[int, int]
    flips: tuple[int, ...]
    spacing: tuple[float, float, float]
    window: tuple[int, int, int]
    overlap: float


def read_json(path: Path) -> dict[str, Any]:
    """A configuration file; WeightsError if it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"The bundle has no readable {path.name}", remedy=REMEDY, path=path) from error
    return content


def read_recipe(metadata: dict[str, Any], config: dict[str, Any], folder: Path) -> Recipe:
    """What ``metadata.json`` and ``inference.json`` of a bundle say.

    Raises
    ------
    EngineError
        If the bundle wants something that is not run here.
    MissingSequenceError, UnusableImageError
        If channels have names that are not known.
    WeightsError
        If the channels are not named, or do not make up the three regions.
    """
    try:
        formats = metadata["network_data_format"]
        inputs, outputs = next(iter(formats["inputs"].values())), next(iter(formats["outputs"].values()))
        named = {int(number): str(name) for number, name in inputs["channel_def"].items()}
        answers = {int(number): str(name) for number, name in outputs["channel_def"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise WeightsError("The bundle's metadata does not name its channels", remedy=REMEDY, path=folder) from error
    regions, meaning = _answers(answers, folder / METADATA)
    steps = _steps(config, folder)
    window, overlap = _window(config, folder)
    return Recipe(
        sequences=_sequences(named, folder / METADATA),
        regions=regions,
        meaning=meaning,
        flips=_flips(steps.get("Orientationd"), folder),
        spacing=_spacing(steps.get("Spacingd"), folder),
        window=window,
        overlap=overlap,
    )


def _sequences(named: dict[int, str], path: Path) -> tuple[MRSequence, ...]:
    from braintumor.datasets.description import Description

    places = Description(path, named, {}).sequences()
    return tuple(sorted(places, key=lambda sequence: places[sequence]))


def _answers(names: dict[int, str], path: Path) -> tuple[tuple[Region, ...], Mapping[int, int]]:
    """Regions in channel order, or the label of each class."""
    from braintumor.datasets.meaning import from_names, plain

    by_name = {plain(name): region for region, name in REGION_NAMES.items()}
    regions = [by_name.get(plain(names[number])) for number in sorted(names)]
    if sorted(str(r) for r in regions) == sorted(Region):
        return tuple(r for r in regions if r), {}
    meaning = from_names({name: number for number, name in names.items()}, path)
    if meaning.regions != frozenset(Region):
        problem = f"The bundle's outputs {', '.join(names.values())} do not make up WT, TC and ET"
        raise WeightsError(problem, remedy="Use a model that tells all three regions", path=path)
    return (), meaning.values


def _steps(config: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """The steps of the preparation by their short class names; z-scoring inside the brain must be one."""
    stages = config.get("preprocessing")
    listed = stages.get("transforms") if isinstance(stages, dict) else None
    if not isinstance(listed, list) or not all(isinstance(step, dict) for step in listed):
        raise EngineError("The bundle's preparation is not a plain list of steps", remedy=READ_ONLY, path=folder)
    steps = {str(step.get("_target_", "")).rpartition(".")[2]: step for step in listed}
    strange = set(steps) - _HARMLESS - {"NormalizeIntensityd", "Orientationd", "Spacingd"}
    if strange:
        raise EngineError(f"The bundle's preparation has {sorted(strange)[0]}", remedy=READ_ONLY, path=folder)
    scaling = steps.get("NormalizeIntensityd", {})
    if not (scaling.get("nonzero") is True and scaling.get("channel_wise") is True):
        raise EngineError(
            "The bundle does not z-score each sequence inside the brain (NormalizeIntensityd, nonzero, channel_wise)",
            remedy=READ_ONLY,
            path=folder,
        )
    return steps


def _flips(step: dict[str, Any] | None, folder: Path) -> tuple[int, ...]:
    wanted = "LPS" if step is None else step.get("axcodes")
    if wanted not in _FLIPS:
        raise EngineError(f"The bundle wants the orientation {wanted}", remedy=READ_ONLY, path=folder)
    return _FLIPS[str(wanted)]


def _spacing(step: dict[str, Any] | None, folder: Path) -> tuple[float, float, float]:
    wanted = _three({"pixdim": [1, 1, 1]} if step is None else step, "pixdim")  # BraTS files are 1 mm throughout
    if wanted is None:
        raise EngineError("The bundle's Spacingd has no plain pixdim", remedy=READ_ONLY, path=folder)
    return wanted


def _window(config: dict[str, Any], folder: Path) -> tuple[tuple[int, int, int], float]:
    inferer = config.get("inferer")
    roi = _three(inferer, "roi_size") if isinstance(inferer, dict) else None
    overlap = inferer.get("overlap", 0.25) if isinstance(inferer, dict) else None  # MONAI's own default
    if roi is None or not isinstance(overlap, int | float) or not 0 <= overlap < 1:
        raise EngineError("The bundle's inferer has no plain roi_size and overlap", remedy=READ_ONLY, path=folder)
    i, j, k = roi
    return (int(i), int(j), int(k)), float(overlap)


def _three(step: dict[str, Any], key: str) -> tuple[float, float, float] | None:
    """Three positive numbers, or None if that is not what is there."""
    values = step.get(key)
    if not isinstance(values, list) or len(values) != 3:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in values):
        return None
    x, y, z = (float(v) for v in values)
    return x, y, z
