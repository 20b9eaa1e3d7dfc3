"""`braintumor model calibrate`: one temperature, stored with the weights it belongs to; masks stay as they are."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from braintumor.domain import OutputError, WeightsError
from braintumor.segment import SegmentOptions, load_engine, probabilities, segment_case
from braintumor.segment.weights import load, save, save_temperature
from tests.cli.test_cli import call
from tests.evaluate.volumes import case_folder, tumour
from tests.segment.engines import case_of_noise, own_model


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate")
    own_model(folder / "model")
    for name, shift in (("BraTS2021_01", 0), ("BraTS2021_02", 2)):
        case_folder(folder / "truth", name, tumour(shift, (36, 36, 20)))
    return folder


@pytest.fixture
def model(tmp_path):
    """Weights drawn at random, with no liking for one class, so that a mask holds several."""
    folder = own_model(tmp_path / "model")
    network, case = load(folder).network, case_of_noise()
    said = probabilities(case, load_engine("torch", folder))
    liking = np.log(said.values[:, case.brain[said.box]]).mean(axis=1)
    last = [layer for layer in network.head.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    with torch.no_grad():
        last.bias.sub_(torch.from_numpy(liking))
    save(network, folder, metadata(folder))
    return folder


def metadata(folder):
    return json.loads((folder / "configs" / "metadata.json").read_text())


def write(folder, **changed):
    (folder / "configs" / "metadata.json").write_text(json.dumps({**metadata(folder), **changed}))


def test_the_command_fits_stores_and_shows(place, capsys):
    weights = load(place / "model").checksum
    assert call("model", "calibrate", place / "model", place / "truth", "--engine", "torch", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    stored = metadata(place / "model")
    assert stored["temperature"] == said["temperature"] == load(place / "model").temperature
    assert said["temperature"] != 1.0  # weights drawn at random are not calibrated
    assert stored["calibration"]["made_from_sha256"] == weights
    assert said["cases"] == ["BraTS2021_01", "BraTS2021_02"]
    # the fit is on the likelihood of all classes; for such a network the Brier score follows it
    assert sum(row["brier"] for row in said["after"].values()) < sum(row["brier"] for row in said["before"].values())
    assert call("model", "info", place / "model", "--json", "--height", 64, "--width", 64) == 0
    assert json.loads(capsys.readouterr().out)["temperature"] == said["temperature"]
    # fitting again starts from the network itself, not from what was stored
    assert call("model", "calibrate", place / "model", place / "truth", "--engine", "torch") == 0
    shown = capsys.readouterr().out
    assert f"temperature {said['temperature']:.4f}" in shown
    assert "ECE before" in shown
    assert metadata(place / "model")["temperature"] == said["temperature"]


def test_cases_that_are_not_held_out_are_said(model, place, capsys):
    write(model, heldout=["BraTS2021_02"])
    assert call("model", "calibrate", model, place / "truth", "--engine", "torch") == 0
    assert "1 of 2 cases are not among those" in capsys.readouterr().out


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("temperature", [0.4, 3.0])
def test_the_mask_stays_and_the_probabilities_are_those_of_divided_logits(model, temperature, tta):
    case, options = case_of_noise(), SegmentOptions(tta=tta, min_component_ml=0.0)
    engine = load_engine("torch", model)
    plain, mask = probabilities(case, engine, options), segment_case(case, engine, options)
    assert plain.decided is None
    engine.model = replace(engine.model, temperature=temperature)
    changed, again = probabilities(case, engine, options), segment_case(case, engine, options)
    assert len(np.unique(mask.mask)) > 1
    assert np.array_equal(mask.mask, again.mask)
    assert not np.array_equal(mask.uncertainty, again.uncertainty)
    wanted = plain.values.astype(np.float64) ** (1 / temperature)
    np.testing.assert_allclose(changed.values, wanted / wanted.sum(axis=0), atol=1e-5)


def test_a_temperature_of_one_changes_no_bit(model):
    case = case_of_noise()
    before = segment_case(case, load_engine("torch", model))
    save_temperature(model, load(model), 1.0, {})
    after = segment_case(case, load_engine("torch", model))
    assert np.array_equal(before.mask, after.mask)
    assert np.array_equal(before.uncertainty, after.uncertainty)
    assert before.confidence == after.confidence


def test_new_weights_start_without_the_temperature_of_the_old_ones(model):
    found = load(model)
    save_temperature(model, found, 1.7, {"cases": ["a"]})
    assert load(model).temperature == 1.7
    save(found.network, model, metadata(model))
    assert load(model).temperature == 1.0
    assert "calibration" not in metadata(model)


@pytest.mark.parametrize("wrong", [0, -1, "warm", None, True, 1e9, float("nan")])
def test_a_senseless_temperature_is_refused(model, wrong):
    write(model, temperature=wrong)
    with pytest.raises(WeightsError, match="temperature must be a number"):
        load(model)


def test_a_temperature_of_other_weights_is_refused(model):
    write(model, temperature=1.5, calibration={"made_from_sha256": "0" * 64})
    with pytest.raises(WeightsError, match="fitted to other weights"):
        load(model)
    with pytest.raises(ValueError, match="between"):
        save_temperature(own_model(model), load(model), 0.0, {})


def test_a_folder_that_cannot_be_written_stays_as_it_was(model):
    before = metadata(model)
    (model / "configs" / "metadata.json.partial").mkdir()
    with pytest.raises(OutputError, match="cannot be stored"):
        save_temperature(model, load(model), 1.5, {})
    assert metadata(model) == before


def test_a_folder_that_is_not_ours_or_has_no_cases_ends_in_plain_words(place, tmp_path, capsys):
    assert call("model", "calibrate", tmp_path, place / "truth") == WeightsError.exit_code
    assert "Only a model folder of this package" in capsys.readouterr().err
    assert call("model", "calibrate", place / "model", tmp_path) == 10
    assert not (tmp_path / "configs").exists()
