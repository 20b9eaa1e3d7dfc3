"""Losses against values worked out by hand."""

import math

import pytest
import torch

from braintumor.train.losses import EPSILON, dice_ce_loss, region_dice_loss, region_probabilities


def test_regions_are_sums_of_their_labels():
    p = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 4, 1, 1)
    assert region_probabilities(p).flatten().tolist() == pytest.approx([0.9, 0.6, 0.4])


def test_dice_loss_of_a_worked_example():
    # Two pixels, probabilities 1/4 each: WT p = 3/4, TC p = 1/2, ET p = 1/4. Truth: one oedema, one enhancing pixel.
    logits = torch.zeros(1, 4, 1, 2)
    target = torch.tensor([[[2, 3]]])
    wt = (2 * 1.5 + EPSILON) / (1.5 + 2 + EPSILON)
    tc = (2 * 0.5 + EPSILON) / (1.0 + 1 + EPSILON)
    et = (2 * 0.25 + EPSILON) / (0.5 + 1 + EPSILON)
    assert float(region_dice_loss(logits, target)) == pytest.approx(1 - (wt + tc + et) / 3)
    assert float(dice_ce_loss(logits, target)) == pytest.approx(1 - (wt + tc + et) / 3 + math.log(4))


def test_a_perfect_answer_costs_nothing():
    target = torch.tensor([[[0, 1], [2, 3]]])
    logits = torch.nn.functional.one_hot(target, 4).permute(0, 3, 1, 2).float() * 60
    assert float(dice_ce_loss(logits, target)) == pytest.approx(0.0, abs=1e-6)


def test_empty_truth_is_finite_and_punishes_false_positives():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    sure = torch.zeros(1, 4, 8, 8)
    sure[:, 0] = 50.0
    wrong = torch.zeros(1, 4, 8, 8)
    wrong[:, 3] = 50.0
    assert float(region_dice_loss(sure, target)) == pytest.approx(0.0, abs=1e-6)
    assert float(region_dice_loss(wrong, target)) > 0.9
