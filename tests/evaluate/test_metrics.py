"""Scores against counts by hand, and the policy for empty regions."""

import math

import numpy as np
import pytest

from braintumor.domain import EmptyPolicy, Grid, Region
from braintumor.evaluate.metrics import EMPTY_MEANING, HD95_PENALTY_MM, LESION_PENALTY_MM, METRICS, score

SHAPE = (30, 28, 26)
KEYS = [metric.key for metric in METRICS]


def grid(spacing=(1.0, 1.0, 1.0), shape=SHAPE):
    return Grid(shape, np.diag([*spacing, 1.0]))


def cube(low, high, label=2, shape=SHAPE):
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = label
    return mask


def test_overlap_by_hand():
    truth, predicted = cube((5, 5, 5), (15, 15, 15)), cube((7, 5, 5), (17, 15, 15))  # 1000 each, 800 shared
    found = score(predicted, truth, grid())[Region.WT]
    assert found["dice"] == pytest.approx(0.8)
    assert found["iou"] == pytest.approx(800 / 1200)
    assert found["precision"] == found["recall"] == pytest.approx(0.8)
    assert found["specificity"] == pytest.approx(1 - 200 / (math.prod(SHAPE) - 1000))
    assert found["volume_error_ml"] == 0
    assert found["hd95"] == pytest.approx(2.0)  # the faces that moved are a sixth each: more than 5 %
    assert found["surface_dice_2mm"] == 1.0
    assert found["surface_dice_1mm"] < 0.9


def test_volume_error_and_sides_of_error():
    truth, predicted = cube((5, 5, 5), (15, 15, 15)), cube((5, 5, 5), (15, 15, 10))
    found = score(predicted, truth, grid((1, 1, 2)))[Region.WT]
    assert found["truth_ml"] == pytest.approx(2.0)
    assert found["volume_error_ml"] == pytest.approx(-1.0)
    assert found["volume_error_percent"] == pytest.approx(-50)
    assert (found["precision"], found["recall"]) == (1.0, 0.5)


@pytest.mark.parametrize(("axis", "mm"), [(0, 1.0), (1, 2.0), (2, 5.0)])
def test_distances_are_millimetres_on_anisotropic_voxels(axis, mm):
    truth = cube((8, 8, 8), (16, 16, 16))
    found = score(np.roll(truth, 2, axis), truth, grid((1.0, 2.0, 5.0)))[Region.WT]
    assert found["hd95"] == pytest.approx(2 * mm)


def test_regions_are_nested_sums_of_labels():
    truth = cube((4, 4, 4), (20, 20, 20))
    truth[8:16, 8:16, 8:16], truth[10:14, 10:14, 10:14] = 4, 1
    predicted = truth.copy()
    predicted[truth == 4] = 1  # core kept, enhancement lost
    found = score(predicted, truth, grid())
    assert found[Region.WT]["dice"] == found[Region.TC]["dice"] == 1.0
    assert found[Region.ET]["dice"] == 0.0


def test_the_volume_around_the_tumour_changes_nothing_but_specificity():
    truth, predicted = cube((5, 5, 5), (15, 15, 15)), cube((7, 6, 5), (17, 15, 16))
    small = score(predicted, truth, grid())[Region.WT]
    large = score(*(np.pad(m, 20) for m in (predicted, truth)), grid(shape=tuple(n + 40 for n in SHAPE)))[Region.WT]
    assert large.pop("specificity") > small.pop("specificity")
    assert large == pytest.approx(small)


def test_a_tumour_at_the_border_of_the_volume_is_scored():
    truth = cube((0, 0, 0), SHAPE)
    found = score(truth, truth, grid())[Region.WT]
    assert (found["dice"], found["hd95"], found["lesion_dice"], found["specificity"]) == (1.0, 0.0, 1.0, None)


NOTHING, SOMETHING = cube((0, 0, 0), (0, 0, 0)), cube((5, 5, 5), (12, 12, 12), 4)
FRACTIONS = [m.key for m in METRICS if m.best == 1.0]


def test_both_empty():
    brats = score(NOTHING, NOTHING, grid())[Region.ET]
    assert all(brats[key] == 1.0 for key in FRACTIONS)
    assert (brats["hd95"], brats["lesion_hd95"], brats["specificity"], brats["volume_error_ml"]) == (0, 0, 1, 0)
    left_out = score(NOTHING, NOTHING, grid(), EmptyPolicy.EXCLUDE)[Region.ET]
    assert all(left_out[key] is None for key in [*FRACTIONS, "hd95", "lesion_hd95"])
    assert (left_out["specificity"], left_out["volume_error_ml"]) == (1, 0)


def test_truth_empty_but_something_predicted():
    brats = score(SOMETHING, NOTHING, grid())[Region.ET]
    assert all(brats[key] == 0.0 for key in FRACTIONS)
    assert (brats["hd95"], brats["lesion_hd95"]) == (HD95_PENALTY_MM, LESION_PENALTY_MM)
    assert brats["volume_error_percent"] is None
    assert brats["volume_error_ml"] == pytest.approx(0.343)
    left_out = score(SOMETHING, NOTHING, grid(), EmptyPolicy.EXCLUDE)[Region.ET]
    assert left_out["dice"] is left_out["hd95"] is None
    assert left_out["specificity"] < 1


@pytest.mark.parametrize("policy", EmptyPolicy)
def test_a_missed_tumour_counts_under_every_policy(policy):
    found = score(NOTHING, SOMETHING, grid(), policy)[Region.ET]
    assert all(found[key] == 0.0 for key in FRACTIONS)
    assert found["hd95"] == pytest.approx(math.hypot(240, 240, 155), abs=0.005)
    assert found["volume_error_percent"] == -100


@pytest.mark.parametrize("policy", EmptyPolicy)
@pytest.mark.parametrize("predicted", [NOTHING, SOMETHING, cube((20, 20, 20), (21, 21, 21), 4)])
@pytest.mark.parametrize("truth", [NOTHING, SOMETHING, cube((5, 5, 5), (6, 6, 6), 1)])
def test_no_value_is_nan_or_infinite(predicted, truth, policy):
    for scores in score(predicted, truth, grid(), policy).values():
        assert set(KEYS) <= set(scores)
        assert all(value is None or math.isfinite(value) for value in scores.values())


def test_every_policy_says_what_it_does_and_shapes_must_agree():
    assert all(len(EMPTY_MEANING[policy]) > 40 for policy in EmptyPolicy)
    with pytest.raises(ValueError, match="shape"):
        score(NOTHING[:5], NOTHING, grid())
