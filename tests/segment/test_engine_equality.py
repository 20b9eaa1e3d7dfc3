"""Whatever runs the network, the mask is the same: on a phantom always, on real cases where they are."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from braintumor.domain import Region
from braintumor.preprocess import prepare_case
from braintumor.segment import load_engine, segment_case
from braintumor.segment.engines.openvino import OpenVinoEngine
from braintumor.segment.engines.pytorch import TorchEngine
from braintumor.segment.weights import default_folder, load
from braintumor.study import read_study

REAL = ("BraTS2021_01657", "Brats18_2013_21_1")


def agreement(one, other):
    """Dice per region of two masks; 1 where both have none."""
    found = {}
    for region in Region:
        a, b = one.region(region), other.region(region)
        total = np.count_nonzero(a) + np.count_nonzero(b)
        found[region] = 2 * np.count_nonzero(a & b) / total if total else 1.0
    return found


@pytest.fixture(scope="module")
def model():
    return load()


def fast(model):
    """The two engines as they are chosen on this machine, and OpenVINO held to float32."""
    return {"torch": TorchEngine(model), "openvino": OpenVinoEngine(model), "f32": OpenVinoEngine(model, "f32")}


def test_masks_agree_on_a_phantom(model, nifti_study):
    case = few_slices(prepare_case(read_study(nifti_study)))
    reference = segment_case(case, TorchEngine(model, torch.float32))
    assert reference.mask.any()
    for engine in fast(model).values():
        found = agreement(segment_case(case, engine), reference)
        assert min(found.values()) >= 0.99, (engine.name, found)


def few_slices(case):
    """The case with every tenth slice only."""
    brain = np.zeros_like(case.brain)
    brain[..., ::10] = case.brain[..., ::10]
    return replace(case, brain=brain)


@pytest.mark.realdata
@pytest.mark.campaign
@pytest.mark.parametrize("name", REAL)
def test_masks_agree_on_real_cases(model, brats, name):
    case = prepare_case(read_study(brats / name))
    reference = segment_case(case, TorchEngine(model, torch.float32))
    for engine in fast(model).values():
        found = agreement(segment_case(case, engine), reference)
        assert min(found.values()) >= 0.995, (engine.name, found)


@pytest.mark.realdata
@pytest.mark.campaign
@pytest.mark.parametrize("name", REAL)
def test_int8_masks_agree_on_real_cases(model, brats, name):
    if "int8" not in json.loads((default_folder() / "configs" / "metadata.json").read_text()):
        pytest.skip("the published model has no int8 graph; making one takes an hour")
    case = prepare_case(read_study(brats / name))
    reference = segment_case(case, TorchEngine(model, torch.float32))
    found = agreement(segment_case(case, load_engine("openvino-int8")), reference)
    assert min(found.values()) >= 0.99, found
