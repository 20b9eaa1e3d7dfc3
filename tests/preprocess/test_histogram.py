"""Histogram matching: percentiles land on the standard's, the order of intensities stays, and it is off unless asked for."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import MRSequence
from braintumor.preprocess import PrepareOptions, _make_landmarks, prepare_case
from braintumor.preprocess.histogram import PERCENTILES, landmarks, learn, match, standard
from braintumor.study import read_study

TARGET = np.array([0.0, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 1.0])
EVERYWHERE = np.ones((10, 10, 10), bool)


def scan(seed=0):
    return np.random.default_rng(seed).gamma(4.0, 50.0, EVERYWHERE.shape)


def test_landmarks_and_their_mean_by_hand():
    ramp = np.arange(101.0).reshape(101, 1, 1)
    assert landmarks(ramp, np.ones(ramp.shape, bool)).tolist() == pytest.approx(list(PERCENTILES))
    assert not landmarks(ramp, np.zeros(ramp.shape, bool)).any()
    one, other = np.linspace(0, 10, 11), np.linspace(5, 6, 11)
    constant = np.full(11, 7.0)
    assert learn([one, other, constant]).tolist() == pytest.approx(np.linspace(0, 1, 11).tolist())
    assert learn([np.array([0.0, 4, 10]), np.array([1.0, 2, 6])]).tolist() == pytest.approx([0, 0.3, 1])
    with pytest.raises(ValueError, match="not constant"):
        learn([constant])


def test_percentiles_land_on_the_standard():
    # Between two voxels a percentile is interpolated, which bends a little less than the map does.
    assert landmarks(match(scan(), EVERYWHERE, TARGET), EVERYWHERE) == pytest.approx(TARGET, abs=2e-3)


def test_ends_go_on_with_the_slope_of_the_whole_range():
    voxels = np.linspace(0, 100, 1001).reshape(-1, 1, 1)
    mapped = match(voxels, np.ones(voxels.shape, bool), np.array(PERCENTILES) / 10)
    assert mapped.ravel() == pytest.approx(voxels.ravel() / 10, abs=1e-4)


@given(st.integers(0, 99), st.floats(0.01, 100), st.floats(-500, 500))
@settings(max_examples=25, deadline=None)
def test_order_is_kept_and_scanner_units_do_not_matter(seed, gain, offset):
    voxels = scan(seed)
    mapped = match(voxels, EVERYWHERE, TARGET)
    ordered = mapped.ravel()[np.argsort(voxels, axis=None)]
    assert (np.diff(ordered) >= 0).all()
    assert match(voxels * gain + offset, EVERYWHERE, TARGET) == pytest.approx(mapped, abs=1e-3)


def test_few_grey_levels_and_constant_images_are_safe():
    coarse = np.repeat([0.0, 1.0, 2.0], [300, 400, 300]).reshape(EVERYWHERE.shape)
    mapped = match(coarse, EVERYWHERE, TARGET)
    assert np.isfinite(mapped).all()
    assert len(np.unique(mapped)) == 3
    assert match(np.full(EVERYWHERE.shape, 7), EVERYWHERE, TARGET).tolist() == np.full(EVERYWHERE.shape, 7.0).tolist()


def test_the_standard_covers_every_sequence_and_rises():
    assert set(standard()) == set(MRSequence)
    for values in standard().values():
        assert values.shape == (len(PERCENTILES),)
        assert (np.diff(values) > 0).all()


def test_it_is_off_unless_asked_for_and_said(nifti_study):
    study = read_study(nifti_study)
    plain, matched = prepare_case(study), prepare_case(study, PrepareOptions(histogram=True))
    assert not any("istogram" in step for step in plain.steps)
    assert matched.steps[-1] == "Histograms matched to those of the training cases"
    assert not np.array_equal(plain.channels, matched.channels)
    for sequence in MRSequence:
        assert np.array_equal(plain.display[sequence], matched.display[sequence])
    assert not matched.channels[:, ~matched.brain].any()


def test_the_file_is_made_from_cases(nifti_study, tmp_path):
    _make_landmarks.make([nifti_study], tmp_path / "landmarks.json")
    made = json.loads((tmp_path / "landmarks.json").read_text())
    assert made["cases"] == [nifti_study.name]
    case = prepare_case(read_study(nifti_study))
    own = landmarks(case.display[MRSequence.FLAIR], case.brain)
    assert made["landmarks"]["flair"] == pytest.approx((own - own[0]) / (own[-1] - own[0]), abs=1e-5)
