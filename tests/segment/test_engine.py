"""Weights are loaded only if they are the right ones, and all engines give the same probabilities."""

import json

import numpy as np
import pytest
import torch

from braintumor.domain import EngineError, WeightsError
from braintumor.segment import ENGINES, load_engine
from braintumor.segment.engines.openvino import OpenVinoEngine, convert
from braintumor.segment.engines.pytorch import TorchEngine, folded
from braintumor.segment.metadata import DEFAULTS
from braintumor.segment.network import AttentionUNet, NetworkConfig
from braintumor.segment.weights import ENVIRONMENT, default_folder, load, save
from tests.segment.engines import own_model

SIZES = ((3, 64), (1, 96), (2, 64), (5, 32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return own_model(tmp_path_factory.mktemp("model"))


def batches(channels=4):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, channels, 32, width)).astype(np.float32) for n, width in SIZES]


def test_saved_weights_load_with_their_identity(folder):
    model = load(folder)
    assert (model.name, model.version, len(model.checksum)) == ("tiny", "9", 64)
    assert not model.network.training


@pytest.fixture(scope="module")
def reference(folder):
    """What PyTorch says in float32."""
    return list(TorchEngine(load(folder), torch.float32).probabilities(batches()))


def test_probabilities_sum_to_one(reference):
    for batch, found in zip(batches(), reference, strict=True):
        assert found.shape == (len(batch), 4, *batch.shape[2:])
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-4)


def test_folding_batch_norms_changes_nothing(folder):
    network, x = load(folder).network, torch.from_numpy(batches()[0])
    folding = folded(network)
    with torch.inference_mode():
        torch.testing.assert_close(folding(x), network(x), atol=1e-4, rtol=1e-4)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folding.modules())
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


def test_openvino_in_float32_computes_the_same(folder, reference):
    engine = OpenVinoEngine(load(folder), "f32")
    assert engine.name == "openvino-f32"
    for one, other in zip(reference, engine.probabilities(batches()), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_the_fast_arithmetic_is_close(folder, reference, name):
    # bf16, where it is found, keeps 8 bits.
    for one, other in zip(reference, load_engine(name, folder).probabilities(batches()), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-2)


def test_neighbouring_slices_as_channels_and_the_ablations_convert(tmp_path):
    config = NetworkConfig(channels=(16, 32), context=1, attention=False, cbam=False, deep_supervision=True)
    model = load(own_model(tmp_path, config))
    for one, other in zip(
        TorchEngine(model, torch.float32).probabilities(batches(12)),
        OpenVinoEngine(model, "f32").probabilities(batches(12)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_no_large_map_is_copied_before_a_convolution(folder):
    graph = convert(load(folder))
    fed = [node.input_value(0).get_node() for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution"]
    wide = [node for node in fed if node.get_type_name() == "Concat" and node.get_output_partial_shape(0)[1].get_length() > 2]
    assert not wide


def test_converting_tells_nobody(folder, monkeypatch):
    import openvino.tools.ovc.telemetry_utils as telemetry

    def refuse(*arguments, **settings):
        raise AssertionError("a conversion was reported")

    monkeypatch.setattr(telemetry.tm, "Telemetry", refuse)
    assert convert(load(folder)).inputs


def test_auto_is_one_of_the_engines(folder):
    assert load_engine("auto", folder).name.split("-")[0] in ENGINES


def test_unknown_engine_is_refused(folder):
    with pytest.raises(EngineError, match="Choose one of auto, openvino, openvino-int8, torch"):
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


def test_facts_that_training_does_not_know_have_defaults(tmp_path):
    save(AttentionUNet(NetworkConfig(channels=(16, 32))), tmp_path, {"version": "3"})
    model = load(tmp_path)
    assert (model.name, model.version) == (DEFAULTS["name"], "3")


def test_model_folder_can_be_named_by_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv(ENVIRONMENT)
    assert (default_folder() / "configs").is_dir()


def test_the_published_model_is_complete_and_small():
    model = load()
    assert model.network.config.channels == NetworkConfig().channels
    assert (default_folder() / "models/attention_unet.safetensors").stat().st_size < 20e6
