"""Scores: higher where the network is less sure or people disagree more, and the same on every call."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from braintumor.active_learning import CaseScores, disagreement, score
from braintumor.active_learning.scores import DropoutEngine, around, mean_entropy, variance
from braintumor.segment import Probabilities
from braintumor.segment.predict import predict
from tests.active_learning.small import engine, example, network

BOX = (slice(0, 4), slice(0, 4), slice(0, 2))
ALL = np.ones((4, 4, 2), bool)


def sure(p):
    """Probabilities that give the second label p and share the rest."""
    values = np.full((4, 4, 4, 2), (1 - p) / 3, np.float32)
    values[2] = p
    return Probabilities(values, BOX)


@given(st.floats(0.25, 1.0), st.floats(0.25, 1.0))
def test_entropy_is_higher_where_the_network_is_less_sure(one, other):
    low, high = sorted((one, other))
    assert mean_entropy(sure(low), ALL) >= mean_entropy(sure(high), ALL) - 1e-3
    assert 0 <= mean_entropy(sure(one), ALL) <= 1 + 1e-3


def test_only_the_zone_counts():
    values = sure(1.0).values.copy()
    values[:, :2] = 0.25
    half = np.zeros((4, 4, 2), bool)
    half[:2] = True
    assert mean_entropy(Probabilities(values, BOX), half) == pytest.approx(1.0, abs=1e-3)
    assert mean_entropy(Probabilities(values, BOX), ~half) == pytest.approx(0.0, abs=1e-3)


@given(st.floats(0, 0.3), st.floats(0, 0.3))
def test_variance_grows_with_the_spread_of_the_passes(one, other):
    small, large = sorted((one, other))
    spread = [variance([sure(0.5 - d), sure(0.5 + d)], ALL) for d in (small, large)]
    assert spread[0] <= spread[1] + 1e-6
    assert variance([sure(0.5)] * 3, ALL) == pytest.approx(0.0, abs=1e-6)


def test_passes_that_contradict_each_other_have_the_largest_variance():
    tumour, none = np.zeros((4, 4, 4, 2), np.float32), np.zeros((4, 4, 4, 2), np.float32)
    tumour[3], none[0] = 1, 1
    assert variance([Probabilities(tumour, BOX), Probabilities(none, BOX)], ALL) == pytest.approx(1.0)


def test_disagreement_grows_with_what_was_corrected():
    label = example("a").label.mask
    shaved = [label * (np.arange(label.shape[2]) < k) for k in (5, 4, 3, 2, 1)]
    values = [disagreement(mask.astype(np.uint8), label) for mask in shaved]
    assert values[0] == 0.0
    assert values == sorted(values)
    assert values[-1] == 1.0
    assert disagreement(label * 0, label * 0) == 0.0


def test_the_zone_is_the_tumour_with_its_rim_inside_the_brain():
    item = example("a")
    doubt = np.zeros(item.case.grid.shape, np.float32)
    zone = around(item.label.mask, item.case.brain, doubt, item.case.grid)
    assert zone[item.label.mask > 0].all()
    assert zone.sum() > (item.label.mask > 0).sum()
    assert not (zone & ~item.case.brain).any()


def test_where_nothing_was_found_the_most_doubtful_voxels_count():
    item = example("a")
    doubt = np.zeros(item.case.grid.shape, np.float32)
    doubt[10:20, 10:20, 3] = 0.5
    zone = around(item.label.mask * 0, item.case.brain, doubt, item.case.grid)
    assert zone.sum() == 1250  # 10 mL of 8 mm3
    assert zone[10:20, 10:20, 3].all()


def test_all_scores_of_a_case_are_numbers_repeat_and_survive_json():
    item, model = example("a"), engine()
    found = score(item.case, model, label=item.label, seed=5)
    for value in (found.entropy, found.tta, found.dropout, found.disagreement):
        assert 0 <= value <= 1
    assert found.tta > 0
    assert found.dropout > 0
    assert np.linalg.norm(found.feature) == pytest.approx(1.0, abs=1e-3)
    assert found == score(item.case, model, label=item.label, seed=5)
    assert CaseScores.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert found.model.startswith("1.0.0 ")


def test_only_what_was_asked_for_is_computed_and_an_unknown_score_is_refused():
    item = example("a")
    found = score(item.case, engine(), ("entropy",))
    assert found.entropy is not None
    assert (found.tta, found.dropout, found.disagreement, found.feature) == (None, None, None, ())
    with pytest.raises(ValueError, match="telepathy"):
        score(item.case, engine(), ("telepathy",))


def test_a_network_that_ignores_its_features_has_no_dropout_variance():
    net = network()
    with torch.no_grad():
        net.head.weight.zero_()
    assert score(example("a").case, engine(net), ("dropout",)).dropout == pytest.approx(0.0, abs=1e-6)


def test_dropout_draws_differ_by_seed_and_leave_the_model_as_it_was():
    case, model = example("a").case, engine().model
    before = predict(case, engine(model.network)).values
    one, again, other = (predict(case, DropoutEngine(model, seed)).values for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(predict(case, engine(model.network)).values, before)
