"""One protocol for every way to run a network, one small file per engine, and the choice between them."""

from __future__ import annotations

from pathlib import Path

import torch

from braintumor.domain import EngineError
from braintumor.segment.engines.monai_bundle import MonaiBundleEngine, is_bundle
from braintumor.segment.engines.nnunet import NnUNetEngine, is_nnunet
from braintumor.segment.engines.openvino import OpenVinoEngine
from braintumor.segment.engines.protocol import AnyEngine, Batch, Engine, Identity, Probabilities, VolumeEngine
from braintumor.segment.engines.pytorch import TorchEngine
from braintumor.segment.weights import default_folder, is_own, load, load_int8

__all__ = [
    "ENGINES",
    "AnyEngine",
    "Batch",
    "Engine",
    "Identity",
    "Probabilities",
    "VolumeEngine",
    "load_engine",
]

ENGINES = ("auto", "openvino", "openvino-int8", "torch")
"""Names for --engine: ``auto`` takes PyTorch where there is a GPU, else OpenVINO; int8 only runs when it is named."""


def load_engine(name: str = "auto", folder: Path | None = None) -> AnyEngine:
    """The engine of that name with the verified weights of a model folder.

    Parameters
    ----------
    folder
        One of ours, a trained nnU-Net v2 model or a MONAI bundle, told apart by their files; the last two bring their own
        engine, so only ``auto`` goes with them. None for the model that comes with the package.

    Raises
    ------
    EngineError
        If the name is unknown, the engine is not installed, or it does not go with the folder.
    WeightsError
        See `braintumor.segment.weights.load`.
    """
    if name not in ENGINES:
        raise EngineError(f"There is no engine '{name}'", remedy=f"Choose one of {', '.join(ENGINES)}")
    folder = folder or default_folder()
    peer = _peer(folder)
    if peer is not None:
        if name != "auto":
            problem = f"The engine '{name}' cannot run this model folder, which brings its own"
            raise EngineError(problem, remedy="Use --engine auto", path=folder)
        return peer(folder)
    model = load(folder)
    if name == "torch" or (name == "auto" and torch.cuda.is_available()):
        return TorchEngine(model)
    return OpenVinoEngine(model, int8=load_int8(folder, model) if name == "openvino-int8" else None)


def _peer(folder: Path) -> type[NnUNetEngine] | type[MonaiBundleEngine] | None:
    """The engine that a folder brings, or None if it is ours (or nothing, which `load` will say)."""
    if is_nnunet(folder):
        return NnUNetEngine
    return MonaiBundleEngine if is_bundle(folder) and not is_own(folder) else None
