"""Weights are loaded only if they are the right ones, and both engines give the same probabilities."""

import json

import numpy as np
import pytest
import torch

from braintumor.errors import EngineError, WeightsError
from braintumor.segment import ENGINES, load_engine
from braintumor.segment.network import AttentionUNet, NetworkConfig
from braintumor.segment.weights import ENVIRONMENT, default_folder, load, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(1)
    place = tmp_path_factory.mktemp("model")
    save(AttentionUNet(NetworkConfig(channels=(16, 32, 64))), place, {"name": "tiny", "version": "9"})
    return place


def test_saved_weights_load_with_their_identity(folder):
    model = load(folder)
    assert (model.name, model.version, len(model.checksum)) == ("tiny", "9", 64)
    assert not model.network.training


def test_engines_agree(folder):
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(n, 4, 32, width)).astype(np.float32) for n, width in ((3, 64), (1, 96), (2, 64), (5, 32))]
    by_torch = list(load_engine("torch", folder).probabilities(batches))
    by_openvino = list(load_engine("openvino", folder).probabilities(batches))
    for batch, one, other in zip(batches, by_torch, by_openvino, strict=True):
        assert one.shape == batch.shape
        np.testing.assert_allclose(one.sum(axis=1), 1.0, atol=1e-4)
        # bf16, where OpenVINO finds it, keeps 8 bits.
        np.testing.assert_allclose(one, other, atol=2e-2)


def test_auto_is_one_of_the_engines(folder):
    assert load_engine("auto", folder).name.split("-")[0] in ENGINES


def test_unknown_engine_is_refused(folder):
    with pytest.raises(EngineError, match="Choose one of auto, openvino, torch"):
        load_engine("tensorflow", folder)


def test_altered_weights_are_refused(folder, tmp_path):
    copy = tmp_path / "model"
    (copy / "configs").mkdir(parents=True)
    (copy / "models").mkdir()
    metadata = (folder / "configs/metadata.json").read_text()
    (copy / "configs/metadata.json").write_text(metadata)
    weights = bytearray((folder / "models/attention_unet.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "models/attention_unet.safetensors").write_bytes(weights)
    with pytest.raises(WeightsError, match=r"checksum .* is recorded") as caught:
        load(copy)
    assert caught.value.path.endswith("attention_unet.safetensors")


def test_missing_weights_and_metadata_are_told_apart(folder, tmp_path):
    with pytest.raises(WeightsError, match="no readable metadata"):
        load(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/metadata.json").write_text((folder / "configs/metadata.json").read_text())
    with pytest.raises(WeightsError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "configs/metadata.json").write_text("{}")
    with pytest.raises(WeightsError, match="lacks checksum_sha256"):
        load(tmp_path)


def test_weights_of_another_network_are_refused(folder, tmp_path):
    torch.manual_seed(0)
    save(AttentionUNet(NetworkConfig(channels=(16, 32))), tmp_path, {"name": "other", "version": "1"})
    path = tmp_path / "configs/metadata.json"
    metadata = json.loads(path.read_text())
    metadata["network"]["channels"] = [16, 48]
    path.write_text(json.dumps(metadata))
    with pytest.raises(WeightsError, match="do not fit"):
        load(tmp_path)


def test_model_folder_can_be_named_by_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv(ENVIRONMENT)
    assert (default_folder() / "configs").is_dir()


def test_the_published_model_is_complete_and_small():
    model = load()
    assert model.network.config == NetworkConfig()
    assert (default_folder() / "models/attention_unet.safetensors").stat().st_size < 20e6
