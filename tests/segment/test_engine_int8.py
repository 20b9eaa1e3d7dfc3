"""The int8 graph runs only if it is what was made of these weights, and agrees with them."""

import json

import numpy as np
import pytest
import torch

from braintumor.domain import InputNotFoundError, WeightsError
from braintumor.segment import load_engine
from braintumor.segment.engines.pytorch import TorchEngine
from braintumor.segment.network import AttentionUNet, NetworkConfig
from braintumor.segment.predict import single_slices
from braintumor.segment.weights import load, load_int8, save, save_int8
from tests.segment.engines import case_of_noise, edit, own_model

METADATA = "configs/metadata.json"
SMALLEST = NetworkConfig(channels=(16, 32))


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    pytest.importorskip("nncf")
    from braintumor.segment.quantise import quantize

    folder = own_model(tmp_path_factory.mktemp("model"), SMALLEST)
    path = quantize(folder, [case_of_noise(seed=seed) for seed in range(2)], per_case=2)
    assert path == folder / "models/attention_unet_int8.xml"
    return folder


def test_int8_stays_close_to_the_weights(quantised):
    batches = single_slices(case_of_noise(seed=9), SMALLEST, 3)
    engine = load_engine("openvino-int8", quantised)
    assert engine.name == "openvino-int8"
    reference = TorchEngine(load(quantised), torch.float32).probabilities(batches)
    for one, other in zip(reference, engine.probabilities(batches), strict=True):
        assert np.abs(one - other).mean() < 0.02


def test_metadata_says_what_the_graph_was_made_of(quantised):
    facts = json.loads((quantised / METADATA).read_text())["int8"]
    assert facts["made_from_sha256"] == load(quantised).checksum
    assert facts["calibration_slices"] == 4
    assert set(facts["versions"]) == {"openvino", "nncf"}
    assert facts["dice_with_float32"] >= 0.99


def test_auto_never_takes_int8(quantised):
    assert "int8" not in load_engine("auto", quantised).name


def test_quantising_needs_slices(tmp_path):
    pytest.importorskip("nncf")
    from braintumor.segment.quantise import quantize

    with pytest.raises(InputNotFoundError, match="no slices"):
        quantize(own_model(tmp_path), [])


@pytest.fixture
def stored(tmp_path):
    """A model folder with something stored as its int8 graph."""
    folder = own_model(tmp_path, SMALLEST)
    save_int8(folder, load(folder), b"<net/>", b"numbers", {"calibration_slices": 0})
    assert load_int8(folder, load(folder)) == (b"<net/>", b"numbers")
    return folder


def test_a_model_without_int8_says_so(tmp_path):
    with pytest.raises(WeightsError, match="no int8 graph"):
        load_engine("openvino-int8", own_model(tmp_path, SMALLEST))


@pytest.mark.parametrize("suffix", ["xml", "bin"])
def test_an_altered_int8_file_is_refused(stored, suffix):
    (stored / f"models/attention_unet_int8.{suffix}").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="differs from its recorded checksum"):
        load_engine("openvino-int8", stored)


def test_an_absent_int8_file_is_refused(stored):
    (stored / "models/attention_unet_int8.bin").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_engine("openvino-int8", stored)


def test_int8_of_other_weights_is_refused(stored):
    edit(stored / METADATA, lambda content: content["int8"].update(made_from_sha256="0" * 64))
    with pytest.raises(WeightsError, match="made of other weights"):
        load_engine("openvino-int8", stored)


def test_new_weights_take_the_old_int8_graph_away(stored):
    facts = json.loads((stored / METADATA).read_text())
    save(AttentionUNet(SMALLEST), stored, facts)
    assert sorted(path.name for path in (stored / "models").iterdir()) == ["attention_unet.safetensors"]
    with pytest.raises(WeightsError, match="no int8 graph"):
        load_engine("openvino-int8", stored)
