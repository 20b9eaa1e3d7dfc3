"""Losses over softmax probabilities: region Dice plus cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from braintumor.labels import Region, channels_of

EPSILON = 1.0
"""Smoothing of the Dice ratio in pixels; keeps batches without a region finite and pulls their false positives to 0."""


def region_probabilities(probabilities: Tensor) -> Tensor:
    """Class probabilities (N, 4, H, W) -> WT, TC, ET probabilities (N, 3, H, W).

    A region's probability is the sum over its labels, so the regions are nested by construction.
    """
    return torch.stack([probabilities[:, list(channels_of(region))].sum(dim=1) for region in Region], dim=1)


def region_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - mean over WT, TC, ET of (2 sum p y + e) / (sum p + sum y + e) (paper, equation 3), sums over the whole batch.

    Parameters
    ----------
    logits
        (N, 4, H, W).
    target
        (N, H, W) int64, network channels 0..3.
    """
    p = region_probabilities(torch.softmax(logits.float(), dim=1))
    y = region_probabilities(functional.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2).float())
    overlap, total = (p * y).sum(dim=(0, 2, 3)), p.sum(dim=(0, 2, 3)) + y.sum(dim=(0, 2, 3))
    return 1.0 - ((2.0 * overlap + EPSILON) / (total + EPSILON)).mean()


def dice_ce_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Region Dice loss plus cross-entropy, equal weights (paper, equation 6 with m = 1 and both terms unscaled)."""
    return region_dice_loss(logits, target) + functional.cross_entropy(logits.float(), target)
