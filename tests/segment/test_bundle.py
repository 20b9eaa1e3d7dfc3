"""The model folder is a MONAI bundle: its metadata is complete, and monai.bundle runs inference and evaluation from it."""

import json
import shutil

import numpy as np
import pytest
import torch

from braintumor.phantom import write_nifti
from braintumor.segment.metadata import described
from braintumor.segment.network import NetworkConfig
from braintumor.segment.weights import default_folder, load
from tests.segment.engines import TINY, own_model

bundle = pytest.importorskip("monai.bundle")
CONFIGS = ("inference.json", "evaluate.json", "train_bundle.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The published configurations around the smallest network."""
    place = own_model(tmp_path_factory.mktemp("bundle") / "model")
    for name in CONFIGS:
        shutil.copy(default_folder() / "configs" / name, place / "configs" / name)
    return place


@pytest.fixture(scope="module")
def cases(phantom, tmp_path_factory):
    """A folder with one case and its true mask."""
    place = tmp_path_factory.mktemp("cases")
    write_nifti(phantom, place / "PHANTOM_0007")
    return place


def run(folder, name, **settings):
    config = folder / "configs" / name
    bundle.run(config_file=str(config), bundle_root=str(folder), **{key: str(value) for key, value in settings.items()})


def test_metadata_has_every_field_that_monai_asks_for():
    from monai.bundle.utils import DEFAULT_METADATA

    metadata = json.loads((default_folder() / "configs/metadata.json").read_text())
    absent = set(DEFAULT_METADATA) - set(metadata) - {"changelog"}  # the project has one of its own
    assert not absent
    assert metadata["schema"].endswith(".json")


def test_metadata_describes_the_network_that_is_published():
    metadata = json.loads((default_folder() / "configs/metadata.json").read_text())
    assert metadata["network_data_format"] == described(load().network.config)["network_data_format"]


def test_stacked_slices_are_named_in_the_order_of_the_channels():
    image = described(NetworkConfig(context=1))["network_data_format"]["inputs"]["image"]
    assert image["num_channels"] == 12
    names = image["channel_def"]
    assert (names["0"], names["4"], names["11"]) == ("T1, slice -1", "T1", "FLAIR, slice +1")


def test_the_network_definition_takes_and_gives_what_the_metadata_says(folder):
    bundle.verify_net_in_out(
        net_id="network_def",
        meta_file=str(folder / "configs/metadata.json"),
        config_file=str(folder / "configs/inference.json"),
        device="cpu",
        n=2,
        bundle_root=str(folder),
    )


def test_monai_runs_inference(folder, cases, tmp_path):
    run(folder, "inference.json", dataset_dir=cases, output_dir=tmp_path / "out")
    manifest = json.loads((tmp_path / "out/PHANTOM_0007/result.json").read_text())
    assert load(folder).checksum in json.dumps(manifest)
    assert list((tmp_path / "out/PHANTOM_0007").rglob("*_dseg.nii.gz"))


def test_monai_runs_evaluation(folder, cases, tmp_path):
    run(folder, "evaluate.json", dataset_dir=cases, output_dir=tmp_path / "report")
    assert "PHANTOM_0007" in (tmp_path / "report/cases.csv").read_text()


def test_the_training_configuration_names_our_training():
    from monai.bundle import ConfigParser

    from braintumor.train.run import run_all

    parser = ConfigParser()
    parser.read_config(str(default_folder() / "configs/train_bundle.json"))
    parser["dataset_dir"], parser["bundle_root"] = "DATA", "BUNDLE"
    training = parser.get_parsed_content("training")
    assert training.func is run_all
    assert str(training.keywords["config_path"]) == "BUNDLE/configs/train.json"
    assert str(training.keywords["data"]) == "DATA"


def test_the_bundles_network_is_the_engines_network(folder):
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(folder / "configs/inference.json"))
    parser["bundle_root"] = str(folder)
    network = parser.get_parsed_content("network_def")
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, TINY.in_channels, 32, 32)).astype(np.float32))
    with torch.inference_mode():
        torch.testing.assert_close(network(x), load(folder).network(x))
