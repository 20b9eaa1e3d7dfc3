"""Losses against values worked out by hand."""

import math

import pytest
import torch

from braintumor.segment.network import Outputs
from braintumor.train.losses import (
    EPSILON,
    LossConfig,
    hardest_pixels,
    pixel_cross_entropy,
    region_dice_loss,
    region_probabilities,
    segmentation_loss,
    training_loss,
)

PLAIN = LossConfig()


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
    expected = 0.5 * (1 - (wt + tc + et) / 3) + 0.5 * math.log(4)
    assert float(segmentation_loss(logits, target, PLAIN)) == pytest.approx(expected)


def test_a_perfect_answer_costs_nothing():
    target = torch.tensor([[[0, 1], [2, 3]]])
    logits = torch.nn.functional.one_hot(target, 4).permute(0, 3, 1, 2).float() * 60
    assert float(segmentation_loss(logits, target, PLAIN)) == pytest.approx(0.0, abs=1e-6)


def test_empty_truth_is_finite_and_punishes_false_positives():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    sure = torch.zeros(1, 4, 8, 8)
    sure[:, 0] = 50.0
    wrong = torch.zeros(1, 4, 8, 8)
    wrong[:, 3] = 50.0
    assert float(region_dice_loss(sure, target)) == pytest.approx(0.0, abs=1e-6)
    assert float(region_dice_loss(wrong, target)) > 0.9


def test_modulated_dice_of_a_worked_example():
    # One pixel of enhancing tumour with probabilities 1/4 each: WT p = 3/4, TC 1/2, ET 1/4, so m = |p - 1|.
    logits, target = torch.zeros(1, 4, 1, 1), torch.tensor([[[3]]])
    terms = [(2 * (1 - p) * p + EPSILON) / ((1 - p) * p + (1 - p) + EPSILON) for p in (0.75, 0.5, 0.25)]
    assert float(region_dice_loss(logits, target, modulation=1.0)) == pytest.approx(1 - sum(terms) / 3)


def test_modulation_is_constant_to_the_gradient():
    target = torch.tensor([[[3, 0]]])
    logits = torch.randn(1, 4, 1, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    region_dice_loss(logits, target, modulation=1.0).backward()
    with torch.no_grad():
        p = region_probabilities(torch.softmax(logits, dim=1))
        y = region_probabilities(torch.nn.functional.one_hot(target, 4).permute(0, 3, 1, 2).float())
        weight = (p - y).abs()
    again = logits.detach().clone().requires_grad_()
    region_dice_loss(again, target, weight).backward()
    torch.testing.assert_close(logits.grad, again.grad)


def test_topk_keeps_the_costliest_share_of_each_image():
    loss = torch.tensor([[[1.0, 4.0], [3.0, 2.0]], [[8.0, 5.0], [6.0, 7.0]]])
    assert hardest_pixels(loss, 0.5).tolist() == [[[0, 1], [1, 0]], [[1, 0], [0, 1]]]
    assert hardest_pixels(loss, 1.0).min() == 1


def test_topk_loss_counts_only_those_pixels():
    logits = torch.zeros(1, 4, 1, 2)
    logits[0, 3, 0, 1] = 9.0  # the second pixel is right and cheap, so only the first is left
    target = torch.tensor([[[3, 3]]])
    alone = segmentation_loss(logits[..., :1], target[..., :1], PLAIN)
    torch.testing.assert_close(segmentation_loss(logits, target, PLAIN, share=0.5), alone)


def test_topk_schedule_shrinks_late_and_linearly():
    config = LossConfig(hardest=0.2, hardest_from=0.6)
    assert [config.share_at(done) for done in (0.0, 0.6, 0.8, 1.0)] == pytest.approx([1.0, 1.0, 0.6, 0.2])
    assert PLAIN.share_at(1.0) == 1.0


def test_partial_labels_ask_only_for_the_whole_tumour():
    target = torch.tensor([[[1, 0]]])  # 'tumour, of whatever kind' and background
    partial = torch.tensor([True])
    probabilities = torch.tensor([[0.2, 0.7], [0.1, 0.1], [0.3, 0.1], [0.4, 0.1]]).view(1, 4, 1, 2)
    entropy = pixel_cross_entropy(probabilities.log(), target, partial)
    assert entropy.flatten().tolist() == pytest.approx([-math.log(0.8), -math.log(0.7)], rel=1e-5)
    moved = probabilities.clone()
    moved[0, 1:, 0, 0] = torch.tensor([0.5, 0.2, 0.1])  # the same whole tumour, other labels
    one, other = (segmentation_loss(p.log(), target, PLAIN, partial=partial) for p in (probabilities, moved))
    torch.testing.assert_close(one, other)


def test_deeper_levels_and_presence_add_their_weighted_loss():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[0, 5, 5] = 3
    flat = torch.zeros(1, 4, 8, 8)
    config = LossConfig(deeper=0.5, presence=2.0)
    alone = training_loss(Outputs(flat, (), None), target, config)
    with_presence = training_loss(Outputs(flat, (), torch.zeros(1)), target, config)
    assert float(with_presence - alone) == pytest.approx(2.0 * math.log(2))
    half = torch.zeros(1, 4, 4, 4)
    small = torch.zeros(1, 4, 4, dtype=torch.long)
    small[0, 2, 2] = 3  # a single enhancing pixel survives the halving
    deep = training_loss(Outputs(flat, (half,), None), target, config)
    assert float(deep - alone) == pytest.approx(0.5 * float(segmentation_loss(half, small, config)))
