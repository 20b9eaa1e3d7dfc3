"""An nnU-Net model folder is run by nnU-Net: channels and labels by their names, and nothing unpickled but weights."""

import sys

import numpy as np
import pytest
import torch

from braintumor.domain import EngineError, MissingSequenceError, MRSequence, Region, UnusableImageError, WeightsError
from braintumor.segment import SegmentOptions, load_engine, segment_case
from braintumor.segment.engines.nnunet import _described, _weights
from tests.segment.engines import BRATS, case_of_noise, edit, nnunet_model

PLAIN = {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}


def test_regions_of_the_brats_conversion_are_understood(tmp_path):
    channels, meaning, regions = _described(nnunet_model(tmp_path / "model"))
    assert channels == tuple(MRSequence)
    assert meaning == {0: 0, 1: 2, 2: 1, 3: 4}
    assert regions == (Region.WT, Region.TC, Region.ET)


def test_labels_and_channels_are_taken_by_name(tmp_path):
    folder = nnunet_model(tmp_path / "model", PLAIN, order=(), channels=("FLAIR", "T1w", "t1gd", "T2w"))
    channels, meaning, regions = _described(folder)
    assert channels == (MRSequence.FLAIR, MRSequence.T1, MRSequence.T1CE, MRSequence.T2)
    assert meaning == {0: 0, 1: 2, 2: 1, 3: 4}
    assert regions == ()


def test_a_model_may_use_fewer_sequences(tmp_path):
    assert _described(nnunet_model(tmp_path / "m", channels=("FLAIR", "T1ce")))[0] == (MRSequence.FLAIR, MRSequence.T1CE)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"labels": {"background": 0, "one": 1}, "order": ()}, UnusableImageError, "'one' is not known"),
        ({"labels": {"background": 0, "enhancing tumor": 1}, "order": ()}, WeightsError, "does not tell WT, TC"),
        ({"order": (1, 3, 2)}, WeightsError, "do not fit each other"),
        ({"order": (1, 2)}, WeightsError, "do not fit each other"),
        ({"labels": {**BRATS, "tumor core": [1, 3]}}, WeightsError, "do not fit each other"),
        ({"channels": ("T1", "T1ce", "T2", "CT")}, MissingSequenceError, "called 'CT'"),
        ({"channels": ("T1", "T1ce", "T2", "T2w")}, MissingSequenceError, "as another one is"),
    ],
)
def test_what_cannot_be_mapped_is_refused(tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        load_engine("auto", nnunet_model(tmp_path / "model", **settings))


def test_checkpoints_hold_weights_and_numbers_only(tmp_path):
    path = nnunet_model(tmp_path / "model", weights={"w": torch.ones(2)}) / "fold_0/checkpoint_final.pth"
    assert torch.equal(_weights(path)["network_weights"]["w"], torch.ones(2))

    class Unsafe:
        def __reduce__(self):
            return print, ("run by unpickling",)

    torch.save({"network_weights": {}, "init_args": Unsafe()}, path)
    with pytest.raises(WeightsError, match="cannot be read safely"):
        _weights(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot be read safely"):
        _weights(path)
    torch.save({"network_weights": {}}, path)
    with pytest.raises(WeightsError, match="lacks init_args"):
        _weights(path)


def test_a_model_without_folds_is_refused(tmp_path):
    folder = nnunet_model(tmp_path / "model")
    (folder / "fold_0/checkpoint_final.pth").unlink()
    with pytest.raises(WeightsError, match="no fold_"):
        load_engine("auto", folder)


def test_without_nnunet_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nnunetv2", None)
    monkeypatch.setitem(sys.modules, "nnunetv2.inference.predict_from_raw_data", None)
    with pytest.raises(EngineError, match="pip install 'braintumor"):
        load_engine("auto", nnunet_model(tmp_path / "model"))


@pytest.fixture
def trained(tmp_path):
    """A model folder with the random weights of nnU-Net's own network."""
    pytest.importorskip("nnunetv2")
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    def build(outputs, **settings):
        torch.manual_seed(0)
        plans = _plans(nnunet_model(tmp_path / "shape"))
        kinds = {"conv_op": torch.nn.Conv3d, "norm_op": torch.nn.InstanceNorm3d, "nonlin": torch.nn.LeakyReLU}
        network = PlainConvUNet(input_channels=4, num_classes=outputs, deep_supervision=False, **{**plans, **kinds})
        return nnunet_model(tmp_path / "model", weights=network.state_dict(), **settings)

    return build


def _plans(folder):
    kept = []
    edit(folder / "plans.json", lambda plans: kept.append(plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]))
    return kept[0]


def by_nnunet(folder, case):
    """Labels as nnU-Net's own way of loading and predicting gives them, (i, j, k)."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    device = torch.device("cpu")
    predictor = nnUNetPredictor(use_mirroring=False, perform_everything_on_device=False, device=device, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), (0,))
    image = np.stack([case.display[s] for s in MRSequence]).transpose(0, 3, 2, 1)
    spacing = list(case.grid.spacing[::-1])
    return predictor.predict_single_npy_array(image, {"spacing": spacing}, None, None, False).transpose(2, 1, 0)


@pytest.mark.parametrize(("outputs", "settings"), [(3, {}), (4, {"labels": PLAIN, "order": ()})])
def test_the_mask_is_what_nnunet_itself_gives(trained, outputs, settings):
    folder, case = trained(outputs, **settings), case_of_noise()
    engine = load_engine("auto", folder)
    expected = np.array([0, 2, 1, 4], np.uint8)[by_nnunet(folder, case)] * case.brain
    result = segment_case(case, engine, SegmentOptions(min_component_ml=0.0))
    found = engine.predict(case)
    decided = found.values.argmax(axis=0) if found.decided is None else found.decided
    np.testing.assert_array_equal(np.array([0, 1, 2, 4])[decided] * case.brain, expected)
    np.testing.assert_allclose(found.values.sum(axis=0), 1.0, atol=1e-4)
    assert result.author.engine.startswith("nnunet")
    assert result.author.name == "nnU-Net Dataset137_BraTS2021"


def test_a_missing_sequence_is_refused(trained):
    with pytest.raises(MissingSequenceError, match="needs T2"):
        load_engine("auto", trained(3)).predict(case_of_noise(present=(MRSequence.T1, MRSequence.T1CE, MRSequence.FLAIR)))


def test_plans_cannot_name_any_class(trained):
    folder = trained(3)

    def change(plans):
        plans["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "os.system"

    edit(folder / "plans.json", change)
    with pytest.raises(EngineError, match=r"wants the class os\.system"):
        load_engine("auto", folder)


def test_weights_of_another_network_are_refused(trained):
    folder = trained(2)
    with pytest.raises(WeightsError, match="do not fit the network"):
        load_engine("auto", folder)


def test_plans_that_lack_something_are_explained(trained):
    folder = trained(3)
    edit(folder / "plans.json", lambda plans: plans.update(foreground_intensity_properties_per_channel={}))
    with pytest.raises(EngineError, match="model cannot be run"):
        load_engine("auto", folder).predict(case_of_noise())
    edit(folder / "plans.json", lambda plans: plans.pop("transpose_forward"))
    edit(folder / "plans.json", lambda plans: plans.pop("configurations"))
    with pytest.raises(EngineError, match="model cannot be run"):
        load_engine("auto", folder)
