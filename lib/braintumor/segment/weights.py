"""Where the model lives, and loading it only if it is exactly what its metadata says."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from braintumor.errors import WeightsError
from braintumor.segment.network import AttentionUNet, NetworkConfig

ENVIRONMENT = "BRAINTUMOR_MODEL"
"""Environment variable naming another model folder than the one that comes with the package."""

_METADATA = Path("configs") / "metadata.json"
_WEIGHTS = Path("models") / "attention_unet.safetensors"


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its weights and identity.

    Attributes
    ----------
    network
        In eval mode, float32, on the CPU.
    name, version, checksum
        From ``configs/metadata.json``; the checksum is the SHA-256 of the weights file and was verified.
    """

    network: AttentionUNet
    name: str
    version: str
    checksum: str


def default_folder() -> Path:
    """The model folder in use: $BRAINTUMOR_MODEL, else the one packaged, else the repository's ``model/``."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    package = Path(__file__).resolve().parents[1]
    packaged = package / "_model"
    return packaged if packaged.is_dir() else package.parents[1] / "model"


def load(folder: Path | None = None) -> Model:
    """Load and verify a model folder (a MONAI bundle: ``configs/metadata.json`` and ``models/*.safetensors``).

    Raises
    ------
    WeightsError
        If a file is missing or unreadable, the checksum differs, or the tensors do not fit the network described.
    """
    folder = folder or default_folder()
    metadata = _read_metadata(folder / _METADATA)
    path = folder / _WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError("The model's weights cannot be read", remedy=_REMEDY, path=path) from error
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != metadata["checksum_sha256"]:
        raise WeightsError(
            f"The model's weights have checksum {checksum[:12]}…, but {metadata['checksum_sha256'][:12]}… is recorded",
            remedy="Restore the file that belongs to this version, or publish the new weights with `save`",
            path=path,
        )
    try:
        network = AttentionUNet(NetworkConfig.from_dict(metadata["network"]))
        network.load_state_dict({key: value.float() for key, value in load_tensors(content).items()})
    except (SafetensorError, RuntimeError, TypeError) as error:
        raise WeightsError(
            "The weights do not fit the network that the metadata describes", remedy=_REMEDY, path=path
        ) from error
    return Model(network.eval(), str(metadata["name"]), str(metadata["version"]), checksum)


_REMEDY = "Reinstall the package, or point --model (or $BRAINTUMOR_MODEL) at a complete model folder"


def _read_metadata(path: Path) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError("The model folder has no readable metadata", remedy=_REMEDY, path=path) from error
    missing = {"name", "version", "checksum_sha256", "network"} - set(metadata)
    if missing:
        raise WeightsError(f"The model's metadata lacks {', '.join(sorted(missing))}", remedy=_REMEDY, path=path)
    return metadata


def save(network: AttentionUNet, folder: Path, facts: dict[str, Any]) -> Path:
    """Write weights as float16 safetensors with their metadata; both appear together or not at all usable.

    Half precision halves the file; the rounding (2^-11) is far below the noise of training, and engines are compared
    with the *stored* weights, so nothing depends on the lost bits.

    Parameters
    ----------
    folder
        The bundle; ``configs/`` and ``models/`` are made where missing.
    facts
        Metadata to keep (name, version, data, figures ...); ``network`` and ``checksum_sha256`` are set here.
    """
    weights, metadata = folder / _WEIGHTS, folder / _METADATA
    weights.parent.mkdir(parents=True, exist_ok=True)
    metadata.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        key: value.detach().cpu().to(torch.float16).contiguous() if value.is_floating_point() else value.detach().cpu()
        for key, value in network.state_dict().items()
    }
    partial = weights.with_suffix(".partial")
    save_file(tensors, partial)
    content = {
        **facts,
        "network": network.config.as_dict(),
        "checksum_sha256": hashlib.sha256(partial.read_bytes()).hexdigest(),
    }
    partial.replace(weights)
    metadata.write_text(json.dumps(content, indent=2) + "\n")
    return weights
