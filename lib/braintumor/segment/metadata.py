"""What MONAI's tools want to know of a model folder, where it follows from the network and the installed versions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from braintumor.domain import LABELS, MRSequence
from braintumor.preprocess.intensity import CLIP
from braintumor.segment.network import NetworkConfig

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
"""MONAI's JSON schema of ``metadata.json``."""

MONAI = "1.6.1"
"""Version of MONAI that the bundle's configurations were tried with; training itself needs none."""

DEFAULTS: dict[str, Any] = {
    "name": "braintumor-attention-unet",
    "version": "0.0.0",
    "description": "2D attention U-Net with CBAM over axial slices of T1, T1ce, T2 and FLAIR; labels necrotic or non-enhancing "
    "core (1), oedema (2), enhancing tumour (4).",
    "intended_use": "Research use only. Not a medical device.",
    "authors": "The braintumor developers",
    "copyright": "The braintumor developers; code under Apache-2.0, weights under the terms of their training data",
}
"""For what a training configuration does not say."""

PACKAGES = ("nibabel", "openvino", "pydicom", "safetensors", "scipy", "SimpleITK")
"""Named in the metadata with the versions in use; `docs/dependencies.md` says what each is for."""


def described(config: NetworkConfig) -> dict[str, Any]:
    """Schema, versions, task and data format of a network with this configuration."""
    stride = f"{config.stride}*n"
    neighbours = range(-config.context, config.context + 1)
    inputs = [s.title if step == 0 else f"{s.title}, slice {step:+d}" for step in neighbours for s in MRSequence]
    outputs = ["background", *(label.name.lower() for label in LABELS)]
    shape = {"type": "image", "spatial_shape": [stride, stride], "dtype": "float32", "is_patch_data": False}
    image = {"format": "magnitude", "modality": "MR", "num_channels": len(inputs), "value_range": [-CLIP, CLIP]}
    pred = {"format": "segmentation", "num_channels": len(outputs), "value_range": []}
    return {
        "schema": SCHEMA,
        "task": "Segmentation of glioma in multi-sequence brain MR",
        "monai_version": MONAI,
        "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {name: version(name) for name in PACKAGES},
        "network_data_format": {
            "inputs": {"image": {**shape, **image, "channel_def": _numbered(inputs)}},
            "outputs": {"pred": {**shape, **pred, "channel_def": _numbered(outputs)}},
        },
    }


def _numbered(names: list[str]) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}
