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
from safetensors.torch import save as serialised

from braintumor.domain import OutputError, WeightsError
from braintumor.segment.metadata import DEFAULTS, described
from braintumor.segment.network import AttentionUNet, NetworkConfig

ENVIRONMENT = "BRAINTUMOR_MODEL"
"""Environment variable naming another model folder than the one that comes with the package."""

METADATA = Path("configs") / "metadata.json"
"""Where every MONAI bundle, and so a model folder, keeps its metadata."""

WEIGHTS = Path("models") / "attention_unet.safetensors"
"""Where a model folder of ours keeps its weights."""

_INT8 = Path("models") / "attention_unet_int8.xml"
_CHECKSUM = "checksum_sha256"
_TEMPERATURE, _CALIBRATION = "temperature", "calibration"
_OF_THESE_WEIGHTS = frozenset({"int8", _TEMPERATURE, _CALIBRATION})
"""Metadata that was made of certain weights and must not outlive them."""

TEMPERATURES = (0.05, 20.0)
"""Smallest and largest temperature that a model may have; beyond them its probabilities would say nothing."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its weights and identity.

    Attributes
    ----------
    network
        In eval mode, float32, on the CPU.
    name, version, checksum
        From ``configs/metadata.json``; the checksum is the SHA-256 of the weights file and was verified.
    temperature
        What logits are divided by before the softmax (`braintumor.segment.predict.temper`), so that probabilities mean what
        they say; 1 where the model was not calibrated.
    """

    network: AttentionUNet
    name: str
    version: str
    checksum: str
    temperature: float = 1.0


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
        If a file is missing or unreadable, the checksum differs, the tensors do not fit the network described, or the
        temperature was fitted to other weights or is no sensible number.
    """
    folder = folder or default_folder()
    metadata = read_metadata(folder)
    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError("The model's weights cannot be read", remedy=_REMEDY, path=path) from error
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != metadata[_CHECKSUM]:
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
    temperature = _temperature(metadata, checksum, folder / METADATA)
    return Model(network.eval(), str(metadata["name"]), str(metadata["version"]), checksum, temperature)


_REMEDY = "Reinstall the package, or point --model (or $BRAINTUMOR_MODEL) at a complete model folder"


def _temperature(metadata: dict[str, Any], checksum: str, path: Path) -> float:
    """The recorded temperature, or 1 where there is none."""
    value = metadata.get(_TEMPERATURE, 1.0)
    low, high = TEMPERATURES
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        problem = f"The model's temperature must be a number from {low} to {high}"
        raise WeightsError(problem, remedy=_REMEDY_TEMPERATURE, path=path)
    calibration = metadata.get(_CALIBRATION)
    if isinstance(calibration, dict) and calibration.get("made_from_sha256", checksum) != checksum:
        raise WeightsError("The model's temperature was fitted to other weights", remedy=_REMEDY_TEMPERATURE, path=path)
    return float(value)


_REMEDY_TEMPERATURE = "Remove 'temperature' and 'calibration' from it, or run braintumor model calibrate again"


def read_metadata(folder: Path) -> dict[str, Any]:
    """Content of a model folder's ``configs/metadata.json``.

    Raises
    ------
    WeightsError
        If it cannot be read, or is not of a model of ours.
    """
    path = folder / METADATA
    try:
        metadata: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError("The model folder has no readable metadata", remedy=_REMEDY, path=path) from error
    missing = {"name", "version", _CHECKSUM, "network"} - set(metadata)
    if missing:
        raise WeightsError(f"The model's metadata lacks {', '.join(sorted(missing))}", remedy=_REMEDY, path=path)
    return metadata


def is_own(folder: Path) -> bool:
    """Whether a folder's metadata is of a model that `save` wrote, and not of somebody else's bundle."""
    try:
        return _CHECKSUM in json.loads((folder / METADATA).read_text())
    except (OSError, ValueError, TypeError):
        return False


def save(network: AttentionUNet, folder: Path, facts: dict[str, Any]) -> Path:
    """Write weights as float16 safetensors with their metadata; both appear together or not at all usable.

    Half precision halves the file; the rounding (2^-11) is far below the noise of training, and engines are compared
    with the *stored* weights, so nothing depends on the lost bits. An int8 graph and a temperature of earlier weights are
    removed.

    Parameters
    ----------
    folder
        The bundle; ``configs/`` and ``models/`` are made where missing.
    facts
        Metadata to keep (name, version, data, figures ...); `braintumor.segment.metadata.DEFAULTS` for what is missing. What
        follows from the network, and its checksum, are set here.
    """
    weights = folder / WEIGHTS
    tensors = {
        key: value.detach().cpu().to(torch.float16).contiguous() if value.is_floating_point() else value.detach().cpu()
        for key, value in network.state_dict().items()
    }
    content = serialised(tensors)
    own = {"network": network.config.as_dict(), _CHECKSUM: hashlib.sha256(content).hexdigest()}
    kept = {key: value for key, value in facts.items() if key not in _OF_THESE_WEIGHTS}
    _appear(weights, content)
    _write_metadata(folder, {**DEFAULTS, **kept, **described(network.config), **own})
    for stale in (folder / _INT8, (folder / _INT8).with_suffix(".bin")):
        stale.unlink(missing_ok=True)
    return weights


def load_int8(folder: Path, model: Model) -> tuple[bytes, bytes]:
    """The int8 OpenVINO graph of a model folder, XML and binary, if it is what was made of these very weights.

    Raises
    ------
    WeightsError
        If there is none, it was made of other weights, or a file differs from its recorded checksum.
    """
    path = folder / _INT8
    recorded = read_metadata(folder).get("int8")
    if not isinstance(recorded, dict) or not {"made_from_sha256", "xml_sha256", "bin_sha256"} <= set(recorded):
        raise WeightsError("The model folder has no int8 graph", remedy=_REMEDY_INT8, path=folder)
    if recorded["made_from_sha256"] != model.checksum:
        raise WeightsError("The int8 graph was made of other weights than these", remedy=_REMEDY_INT8, path=path)
    contents = []
    for part in (path, path.with_suffix(".bin")):
        try:
            content = part.read_bytes()
        except OSError as error:
            raise WeightsError("The int8 graph cannot be read", remedy=_REMEDY_INT8, path=part) from error
        if hashlib.sha256(content).hexdigest() != recorded[f"{part.suffix[1:]}_sha256"]:
            raise WeightsError("The int8 graph differs from its recorded checksum", remedy=_REMEDY_INT8, path=part)
        contents.append(content)
    return contents[0], contents[1]


_REMEDY_INT8 = "Make it again with braintumor.segment.quantise.quantize, or use --engine openvino"


def save_int8(folder: Path, model: Model, xml: bytes, binary: bytes, facts: dict[str, Any]) -> Path:
    """Store an int8 graph beside the weights it was made of, and its checksums with `facts` in the metadata."""
    path = folder / _INT8
    _appear(path.with_suffix(".bin"), binary)
    _appear(path, xml)
    checksums = {
        "made_from_sha256": model.checksum,
        "xml_sha256": hashlib.sha256(xml).hexdigest(),
        "bin_sha256": hashlib.sha256(binary).hexdigest(),
    }
    _write_metadata(folder, {**read_metadata(folder), "int8": {**facts, **checksums}})
    return path


def save_temperature(folder: Path, model: Model, temperature: float, facts: dict[str, Any]) -> None:
    """Store the temperature that was fitted to a model folder's weights, with `facts` (cases, figures) as ``calibration``.

    Raises
    ------
    ValueError
        If it is outside `TEMPERATURES`.
    WeightsError
        If the folder's weights are no longer those of `model`.
    OutputError
        If the metadata cannot be written; it is then as it was.
    """
    low, high = TEMPERATURES
    if not low <= temperature <= high:
        raise ValueError(f"a temperature must lie between {low} and {high}, not {temperature}")
    calibration = {**facts, "made_from_sha256": model.checksum}
    metadata = read_metadata(folder)
    if metadata[_CHECKSUM] != model.checksum:
        raise WeightsError("The weights changed while they were calibrated", remedy="Calibrate again", path=folder)
    try:
        _write_metadata(folder, {**metadata, _TEMPERATURE: temperature, _CALIBRATION: calibration})
    except OSError as error:
        raise OutputError(
            "The temperature cannot be stored in the model folder", remedy="Check space and permissions", path=folder
        ) from error


def _write_metadata(folder: Path, content: dict[str, Any]) -> None:
    _appear(folder / METADATA, (json.dumps(content, indent=2) + "\n").encode())


def _appear(path: Path, content: bytes) -> None:
    """Write a file whole: a reader sees the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
