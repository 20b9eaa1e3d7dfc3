"""Lesion-wise scores by the rule of BraTS 2023, by hand."""

import numpy as np
import pytest
from scipy import ndimage

from braintumor.domain import Grid
from braintumor.evaluate.lesions import lesion_scores, neighbourhood, true_lesions

SHAPE = (60, 40, 40)
PENALTY = 374.0


def scored(predicted, truth, spacing=(1.0, 1.0, 1.0)):
    return lesion_scores(predicted, truth, Grid(truth.shape, np.diag([*spacing, 1.0])), PENALTY)


def cubes(*corners, size=8, shape=SHAPE):
    mask = np.zeros(shape, bool)
    for i, j, k in corners:
        mask[i : i + size, j : j + size, k : k + size] = True
    return mask


def test_equal_masks_are_perfect():
    mask = cubes((5, 5, 5), (40, 20, 20))
    assert scored(mask, mask) == {"lesion_dice": 1.0, "lesion_hd95": 0.0, "lesion_f1": 1.0}


def test_one_found_one_missed_one_made_up():
    truth, predicted = cubes((5, 5, 5), (40, 5, 5)), cubes((5, 5, 5), (40, 28, 28))
    found = scored(predicted, truth)
    assert found["lesion_dice"] == pytest.approx(1 / 3)  # 1, 0 for the missed, 0 for the false one
    assert found["lesion_hd95"] == pytest.approx(2 * PENALTY / 3)
    assert found["lesion_f1"] == pytest.approx(0.5)


def test_true_fragments_within_reach_are_one_lesion():
    # Gaps of 6 and 7 voxels: dilated by 3 each, the first pair touches, the second does not.
    near, far = cubes((5, 5, 5), (19, 5, 5)), cubes((5, 5, 5), (20, 5, 5))
    assert true_lesions(near, (1, 1, 1))[1].max() == 1
    assert true_lesions(far, (1, 1, 1))[1].max() == 2
    half = cubes((5, 5, 5))
    assert scored(half, near)["lesion_dice"] == pytest.approx(2 / 3)  # half of one lesion
    assert scored(half, far)["lesion_dice"] == pytest.approx(0.5)  # one of two


def test_specks_of_the_expert_are_not_scored_but_ours_cost():
    truth = cubes((5, 5, 5))
    speck = truth.copy()
    speck[40, 30, 30] = True
    assert scored(truth, speck)["lesion_dice"] == 1.0
    assert scored(speck, truth)["lesion_dice"] == pytest.approx(0.5)
    assert scored(speck, truth)["lesion_f1"] == 1.0  # detection counts components above 0.05 mL only


def test_only_specks_on_both_sides_is_nothing_to_find():
    one, other = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    one[5, 5, 5] = other[5, 5, 6] = True
    assert scored(one, other) == {"lesion_dice": 1.0, "lesion_hd95": 0.0, "lesion_f1": 1.0}


def test_diagonal_neighbours_are_one_component():
    mask = np.zeros(SHAPE, bool)
    mask[10:16, 10:16, 10:16] = mask[16:22, 16:22, 16:22] = True
    moved = np.roll(mask, 20, 0)
    assert scored(moved, mask)["lesion_dice"] == 0.0
    assert scored(mask | moved, mask)["lesion_dice"] == pytest.approx(0.5)  # one false component, not two


def test_the_neighbourhood_on_1_mm_is_three_steps_to_18_neighbours():
    seed = np.zeros((9, 9, 9), bool)
    seed[4, 4, 4] = True
    three = ndimage.binary_dilation(seed, ndimage.generate_binary_structure(3, 2), 3)
    assert np.array_equal(ndimage.binary_dilation(seed, neighbourhood((1.0, 1.0, 1.0))), three)


def test_reach_is_in_millimetres_on_thick_slices():
    # 2 empty slices of 5 mm: 10 mm apart, two lesions; counted in voxels they would merge.
    mask = np.zeros((20, 20, 20), bool)
    mask[5:12, 5:12, 3:6] = mask[5:12, 5:12, 8:11] = True
    assert true_lesions(mask, (1.0, 1.0, 5.0))[1].max() == 2
    assert true_lesions(mask, (1.0, 1.0, 1.0))[1].max() == 1
    assert neighbourhood((1.0, 1.0, 5.0)).shape == (7, 7, 1)
