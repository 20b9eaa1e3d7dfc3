"""A MONAI bundle of a 3D network, such as the zoo's ``brats_mri_segmentation``, as an engine.

A bundle's configuration may hold ``$`` expressions and ``_target_`` names that run any Python. Nothing of it is evaluated here:
names, numbers and lists are read, the network is one of ``monai.networks.nets`` built from plain arguments, and what cannot be
understood that way is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from braintumor.domain import Case, EngineError, MissingSequenceError, ShareProgress, WeightsError, silent
from braintumor.segment.engines.bundle_recipe import READ_ONLY, REMEDY, read_json, read_recipe
from braintumor.segment.engines.protocol import Identity, Probabilities
from braintumor.segment.engines.regions import from_classes, from_regions
from braintumor.segment.weights import METADATA

NETS = "monai.networks.nets"


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a MONAI bundle."""
    return (folder / METADATA).is_file()


class MonaiBundleEngine:
    """The 3D network of a MONAI bundle, run over a sliding window.

    Parameters
    ----------
    folder
        ``configs/metadata.json`` (channels by name), ``configs/inference.json`` (preparation, window, network) and
        ``models/model.pt`` (weights) or ``models/model.ts`` (TorchScript).

    Raises
    ------
    EngineError
        If MONAI is not installed, or the bundle wants something that is not run here.
    MissingSequenceError, UnusableImageError
        If channels have names that are not known.
    WeightsError
        If a file is missing, damaged, or does not fit the network.
    """

    def __init__(self, folder: Path) -> None:
        metadata, config = read_json(folder / METADATA), read_json(folder / "configs" / "inference.json")
        self._recipe = read_recipe(metadata, config, folder)
        self._network, digest = _network(config, folder)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network.eval().to(self._device)
        self.model = Identity(str(metadata.get("name", folder.resolve().name)), str(metadata.get("version", "")), digest)
        self.name = f"monai-bundle-{self._device.type}"

    def predict(self, case: Case, *, tta: bool = False, progress: ShareProgress = silent) -> Probabilities:
        """See `VolumeEngine.predict`; `tta` averages with the left-right mirror image."""
        recipe = self._recipe
        missing = [s.title for s in recipe.sequences if s not in case.present]
        if missing:
            raise MissingSequenceError(
                f"{self.model.name} needs {', '.join(missing)}", remedy="Use the model that comes with the package"
            )
        progress(0.0)
        x = torch.stack([_normalised(np.where(case.brain, case.display[s], 0)) for s in recipe.sequences])[None]
        x = _resized(x, _size(case.grid.shape, case.grid.spacing, recipe.spacing)).flip(recipe.flips)
        found = self._shares(x)
        if tta:
            found = (found + self._shares(x.flip(-3)).flip(-3)) / 2
        values = _resized(found.flip(recipe.flips), case.grid.shape)[0].clamp(0, 1).numpy()
        progress(1.0)
        if recipe.regions:
            return from_regions(dict(zip(recipe.regions, values, strict=True)))
        return from_classes(values / values.sum(axis=0, keepdims=True), recipe.meaning)

    def _shares(self, x: Tensor) -> Tensor:
        """(1, sequences, i, j, k) -> (1, outputs, i, j, k) probabilities on the CPU."""
        from monai.inferers.utils import sliding_window_inference

        with torch.inference_mode():
            logits = sliding_window_inference(
                x, self._recipe.window, 1, self._network, self._recipe.overlap, sw_device=self._device, device="cpu"
            )
            assert isinstance(logits, Tensor)  # noqa: S101  a network with one output gives one
            return logits.sigmoid() if self._recipe.regions else logits.softmax(dim=1)


def _network(config: dict[str, Any], folder: Path) -> tuple[torch.nn.Module, str]:
    """The network with its weights, and the SHA-256 of their file."""
    weights, script = folder / "models" / "model.pt", folder / "models" / "model.ts"
    path = weights if weights.is_file() else script
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError("The bundle has neither models/model.pt nor models/model.ts", remedy=REMEDY, path=folder) from error
    if path is script:
        try:
            return torch.jit.load(str(script), map_location="cpu"), digest
        except (RuntimeError, ValueError) as error:
            raise WeightsError("The bundle's TorchScript cannot be read", remedy=REMEDY, path=path) from error
    network = _built(config.get("network_def"), folder)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(next((content[key] for key in ("model", "state_dict") if key in content), content))
    except Exception as error:  # a damaged or unsafe pickle raises whatever it likes
        raise WeightsError(
            "The bundle's weights are damaged, hold more than weights, or do not fit its network", remedy=REMEDY, path=path
        ) from error
    return network, digest


def _built(definition: Any, folder: Path) -> torch.nn.Module:
    """The network of a ``network_def``, if it is one of MONAI's own with plain arguments."""
    try:
        import monai.networks.nets as nets
    except ImportError as error:
        raise EngineError("A MONAI bundle needs monai, which is not installed", remedy="Run pip install monai") from error
    target = str(definition.get("_target_", "")) if isinstance(definition, dict) else ""
    prefix, _, name = target.rpartition(".")
    kind = getattr(nets, name, None) if not prefix or prefix.startswith(NETS) else None
    if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise EngineError(f"The bundle's network '{target}' is not one of {NETS}", remedy=READ_ONLY, path=folder)
    arguments = {key: value for key, value in definition.items() if key not in ("_target_", "_desc_", "_disabled_")}
    if not _plain(arguments):
        raise EngineError("The bundle's network_def holds expressions or references", remedy=READ_ONLY, path=folder)
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise EngineError(f"The bundle's {name} cannot be built: {error}", remedy=READ_ONLY, path=folder) from error


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(not str(key).startswith(("_", "$", "@")) and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    return not (isinstance(value, str) and ("$" in value or "@" in value or "%" in value))


def _normalised(voxels: np.ndarray[Any, np.dtype[Any]]) -> Tensor:
    """As MONAI's NormalizeIntensity with ``nonzero``: (v - mean) / standard deviation over what is not 0."""
    x = torch.from_numpy(np.ascontiguousarray(voxels, np.float32))
    inside = x != 0
    if not inside.any():
        return x
    spread = float(x[inside].std(unbiased=False))
    x[inside] = (x[inside] - x[inside].mean()) / (spread or 1.0)
    return x


def _size(shape: tuple[int, int, int], spacing: tuple[float, ...], wanted: tuple[float, ...]) -> tuple[int, ...]:
    """Voxels along each axis at another spacing; sizes within a tenth are taken as they are."""
    return tuple(
        n if abs(have / want - 1) < 0.1 else max(1, round(n * have / want))
        for n, have, want in zip(shape, spacing, wanted, strict=True)
    )


def _resized(x: Tensor, size: tuple[int, ...]) -> Tensor:
    return x if tuple(x.shape[2:]) == tuple(size) else functional.interpolate(x, size=list(size), mode="trilinear")
