"""A MONAI bundle is run by the names of its channels, as its own inference would, and nothing in it is executed."""

import numpy as np
import pytest
import torch

from braintumor.domain import EngineError, MissingSequenceError, MRSequence, Region, UnusableImageError, WeightsError
from braintumor.segment import SegmentOptions, VolumeEngine, load_engine, segment_case
from tests.segment.engines import ZOO_INPUTS, case_of_noise, edit, zoo_bundle

nets = pytest.importorskip("monai.networks.nets")

SEGRESNET = {
    "_target_": "SegResNet",
    "init_filters": 8,
    "in_channels": 4,
    "out_channels": 3,
    "blocks_down": [1, 1],
    "blocks_up": [1],
}


class Picker(torch.nn.Module):
    """TC where T1c is high, WT where FLAIR is, ET where T2 is (channels 0, 3 and 2 of the zoo's order)."""

    def forward(self, x):
        return torch.cat((x[:, 0:1], x[:, 3:4], x[:, 2:3]), dim=1)


@pytest.fixture
def picker(tmp_path):
    return zoo_bundle(tmp_path / "bundle", Picker(), {}, script=True)


@pytest.fixture(scope="module")
def segresnet(tmp_path_factory):
    torch.manual_seed(0)
    network = nets.SegResNet(**{key: value for key, value in SEGRESNET.items() if key != "_target_"}).eval()
    return zoo_bundle(tmp_path_factory.mktemp("zoo") / "bundle", network, SEGRESNET), network


def scored(case, sequence):
    voxels = case.display[sequence]
    inside = voxels[case.brain]
    return np.where(case.brain, (voxels - inside.mean()) / inside.std(), 0)


def test_channels_and_regions_are_mapped_by_name(picker):
    case = case_of_noise()
    engine = load_engine("auto", picker)
    assert isinstance(engine, VolumeEngine)
    result = segment_case(case, engine, SegmentOptions(min_component_ml=0.0))
    wt, tc, et = (scored(case, s) > 0 for s in (MRSequence.FLAIR, MRSequence.T1CE, MRSequence.T2))
    expected = np.where(et, 4, np.where(tc, 1, np.where(wt, 2, 0))) * case.brain
    found = engine.predict(case)
    np.testing.assert_array_equal(np.array([0, 1, 2, 4])[found.decided] * case.brain, expected)
    np.testing.assert_allclose(found.values.sum(axis=0), 1.0, atol=1e-5)
    assert found.values.min() >= 0
    assert result.author.engine.startswith("monai-bundle")
    assert (result.author.name, result.author.version, len(result.author.checksum)) == ("bundle", "0.3.0", 64)


def test_inputs_in_another_order_are_found(tmp_path):
    order = ("FLAIR", "T2", "T1", "T1c")

    class Third(torch.nn.Module):
        def forward(self, x):
            return torch.cat((x[:, 2:3], x[:, 2:3], x[:, 2:3]), dim=1)

    case = case_of_noise()
    found = load_engine("auto", zoo_bundle(tmp_path / "b", Third(), {}, inputs=order, script=True)).predict(case)
    np.testing.assert_array_equal(found.decided > 0, scored(case, MRSequence.T1) > 0)


def test_weights_and_definition_run_as_monai_runs_them(segresnet):
    from monai.inferers import sliding_window_inference

    folder, network = segresnet
    case = case_of_noise(shape=(32, 24, 16))
    image = torch.from_numpy(
        np.stack([scored(case, s) for s in (MRSequence.T1CE, MRSequence.T1, MRSequence.T2, MRSequence.FLAIR)])
    )
    with torch.inference_mode():
        tc, wt, et = sliding_window_inference(image[None].float(), (24, 24, 8), 1, network, 0.5).sigmoid()[0].numpy()
    found = load_engine("auto", folder).predict(case)
    np.testing.assert_allclose(found.values[3], et, atol=1e-4)
    np.testing.assert_allclose(1 - found.values[0], np.maximum(wt, np.maximum(tc, et)), atol=1e-4)


def test_softmax_classes_are_mapped_by_name(tmp_path):
    class Same(torch.nn.Module):
        def forward(self, x):
            return x

    names = ("background", "edema", "non-enhancing tumor", "enhancing tumor")
    case = case_of_noise()
    found = load_engine("auto", zoo_bundle(tmp_path / "b", Same(), {}, outputs=names, script=True)).predict(case)
    stacked = np.stack([scored(case, s) for s in (MRSequence.T1CE, MRSequence.T1, MRSequence.T2, MRSequence.FLAIR)])
    shares = np.exp(stacked) / np.exp(stacked).sum(axis=0)
    np.testing.assert_allclose(found.values, shares[[0, 2, 1, 3]], atol=1e-5)
    assert found.decided is None


class Ramp(torch.nn.Module):
    """More tumour along the first axis and less along the second, wherever that axis runs."""

    def forward(self, x):
        i = torch.linspace(-1.0, 1.0, x.shape[2])[None, None, :, None, None]
        j = torch.linspace(-1.0, 1.0, x.shape[3])[None, None, None, :, None]
        return (x[:, 0:3] * 0 + i) - 2 * j


def test_a_bundle_that_wants_ras_gets_flipped_images_and_its_answer_is_flipped_back(tmp_path):
    folder = zoo_bundle(tmp_path / "bundle", Ramp(), {}, script=True)
    edit(folder / "configs/inference.json", lambda c: c["inferer"].update(roi_size=[40, 36, 8]))
    case = case_of_noise()
    plain = load_engine("auto", folder).predict(case).values

    def turn(config):
        config["preprocessing"]["transforms"].append({"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"})

    edit(folder / "configs/inference.json", turn)
    np.testing.assert_allclose(load_engine("auto", folder).predict(case).values, plain[:, ::-1, ::-1], atol=1e-6)


def test_tta_is_the_mean_with_the_mirror_image(picker):
    case = case_of_noise()
    engine = load_engine("auto", picker)
    np.testing.assert_allclose(engine.predict(case, tta=True).values, engine.predict(case).values, atol=1e-6)


def test_a_missing_sequence_is_refused(picker):
    case = case_of_noise(present=(MRSequence.T1CE, MRSequence.T1, MRSequence.T2))
    with pytest.raises(MissingSequenceError, match="needs FLAIR"):
        load_engine("auto", picker).predict(case)


def test_an_engine_of_ours_cannot_run_a_bundle(picker):
    with pytest.raises(EngineError, match="brings its own"):
        load_engine("openvino", picker)


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"_target_": "os.system", "command": "true"}, "'os.system' is not one of"),
        ({"_target_": "monai.networks.nets.torch.load"}, "is not one of"),
        ({"_target_": "monai.data.Dataset"}, "is not one of"),
        ({**SEGRESNET, "act": "$__import__('os').getcwd()"}, "expressions or references"),
        ({**SEGRESNET, "norm": {"_target_": "os.getcwd"}}, "expressions or references"),
        ({**SEGRESNET, "norm": "@other"}, "expressions or references"),
        ("$torch.nn.Identity()", "is not one of"),
        ({**SEGRESNET, "init_filtres": 8}, "cannot be built"),
    ],
)
def test_a_definition_that_could_run_anything_is_refused(tmp_path, definition, words):
    folder = zoo_bundle(tmp_path / "bundle", torch.nn.Identity(), definition)
    with pytest.raises(EngineError, match=words):
        load_engine("auto", folder)


def test_weights_that_are_more_than_weights_are_refused(tmp_path):
    folder = zoo_bundle(tmp_path / "bundle", torch.nn.Identity(), SEGRESNET)
    torch.save({"model": torch.nn.Linear(1, 1)}, folder / "models/model.pt")
    with pytest.raises(WeightsError, match="hold more than weights"):
        load_engine("auto", folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["preprocessing"]["transforms"].append({"_target_": "RandGaussianNoised"}), "RandGaussianNoised"),
        (lambda c: c["preprocessing"]["transforms"].pop(), "does not z-score"),
        (lambda c: c["preprocessing"].update(transforms="$steps()"), "not a plain list"),
        (lambda c: c["inferer"].update(roi_size="$@size"), "no plain roi_size"),
        (lambda c: c["preprocessing"]["transforms"].append({"_target_": "Orientationd", "axcodes": "PSR"}), "orientation PSR"),
        (lambda c: c["preprocessing"]["transforms"].append({"_target_": "Spacingd", "pixdim": "$x"}), "no plain pixdim"),
    ],
)
def test_a_preparation_that_is_not_understood_is_refused(picker, change, words):
    edit(picker / "configs/inference.json", change)
    with pytest.raises(EngineError, match=words):
        load_engine("auto", picker)


def test_channels_that_cannot_be_mapped_are_refused(tmp_path):
    with pytest.raises(MissingSequenceError, match="called 'CT'"):
        load_engine("auto", zoo_bundle(tmp_path / "a", Picker(), {}, inputs=("T1c", "CT", "T2", "FLAIR"), script=True))
    with pytest.raises(UnusableImageError, match="'label 2' is not known"):
        load_engine("auto", zoo_bundle(tmp_path / "b", Picker(), {}, outputs=("Tumor core", "label 2", "x"), script=True))
    with pytest.raises(WeightsError, match="do not make up"):
        outputs = ("background", "enhancing tumor")
        load_engine("auto", zoo_bundle(tmp_path / "c", Picker(), {}, inputs=ZOO_INPUTS, outputs=outputs, script=True))


def test_thick_slices_are_brought_to_the_spacing_of_the_training_and_back(picker):
    from braintumor.domain import Grid

    case = case_of_noise()
    thick = Grid(case.grid.shape, np.diag([1.0, 1.0, 3.0, 1.0]))
    object.__setattr__(case, "grid", thick)
    values = load_engine("auto", picker).predict(case).values
    assert values.shape == (4, *thick.shape)
    np.testing.assert_allclose(values.sum(axis=0), 1.0, atol=1e-5)


def test_regions_follow_nesting_even_where_the_network_does_not():
    from braintumor.segment.engines.regions import from_regions

    shares = {Region.WT: 0.2, Region.TC: 0.7, Region.ET: 0.1}
    found = from_regions({region: np.full((1, 1, 1), p, np.float32) for region, p in shares.items()})
    np.testing.assert_allclose(found.values.ravel(), [0.3, 0.6, 0.0, 0.1], atol=1e-6)
    assert found.decided.item() == 1
