"""Losses over softmax probabilities: (modulated, TopK) region Dice plus cross-entropy, for whole and partial labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from braintumor.domain import Region, channels_of
from braintumor.segment.network import Outputs

EPSILON = 1.0
"""Smoothing of the Dice ratio in pixels; keeps batches without a region finite and pulls their false positives to 0."""


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Which loss; the defaults are plain Dice + cross-entropy.

    Attributes
    ----------
    dice_share
        Lambda of equation 6: share of the Dice term, the rest is cross-entropy; 1 is Dice alone, 0 cross-entropy alone.
    modulation
        Exponent of the pixel weight m = |p - y|^modulation in the Dice term (equations 4 and 6): 0 is the plain Dice, larger
        values look at pixels that are still wrong.
    hardest
        TopK: share of each image's pixels, those with the largest cross-entropy, that count at the end of training.
    hardest_from
        Share of the training after which TopK starts to shrink from all pixels to `hardest`, linearly.
    deeper
        Weight of the half-resolution loss, and its square that of the quarter, where the network has deep supervision.
    presence
        Weight of the classifier's cross-entropy, where the network has one.
    """

    dice_share: float = 0.5
    modulation: float = 0.0
    hardest: float = 1.0
    hardest_from: float = 0.6
    deeper: float = 0.5
    presence: float = 0.1

    def share_at(self, done: float) -> float:
        """Share of the pixels that count when `done` (0..1) of the training is over."""
        late = max(0.0, done - self.hardest_from) / max(1e-9, 1.0 - self.hardest_from)
        return 1.0 - (1.0 - self.hardest) * min(1.0, late)


def region_probabilities(probabilities: Tensor) -> Tensor:
    """Class probabilities (N, 4, H, W) -> WT, TC, ET probabilities (N, 3, H, W).

    A region's probability is the sum over its labels, so the regions are nested by construction.
    """
    return torch.stack([probabilities[:, list(channels_of(region))].sum(dim=1) for region in Region], dim=1)


def region_dice_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None, modulation: float = 0.0) -> Tensor:
    """1 - mean over WT, TC, ET of (2 sum m p y + e) / (sum m p + sum m y + e) (paper, equations 3 and 4), sums over the batch.

    Parameters
    ----------
    logits
        (N, 4, H, W).
    target
        (N, H, W) int64, network channels 0..3.
    weight
        Further pixel weights, broadcastable to (N, 3, H, W): 0 leaves a pixel, or a region of a slice, out.
    modulation
        See `LossConfig.modulation`. The weight is a constant to the gradient: else the network could lower the loss by
        lowering the weight.
    """
    p = region_probabilities(torch.softmax(logits.float(), dim=1))
    y = region_probabilities(functional.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2).float())
    m = torch.ones(()) if weight is None else weight
    m = m.to(p.device)
    if modulation:
        m = m * (p.detach() - y).abs() ** modulation
    overlap, total = (m * p * y).sum(dim=(0, 2, 3)), (m * (p + y)).sum(dim=(0, 2, 3))
    return 1.0 - ((2.0 * overlap + EPSILON) / (total + EPSILON)).mean()


def pixel_cross_entropy(logits: Tensor, target: Tensor, partial: Tensor | None = None) -> Tensor:
    """Cross-entropy of each pixel, (N, H, W), in nats.

    Parameters
    ----------
    partial
        (N,) bool: slices whose labels above 0 only say 'whole tumour'; there the two classes are background and the rest.
    """
    logs = functional.log_softmax(logits.float(), dim=1)
    full = functional.nll_loss(logs, target, reduction="none")
    if partial is None or not bool(partial.any()):
        return full
    tumour = -torch.logsumexp(logs[:, 1:], dim=1)
    return torch.where(partial[:, None, None], torch.where(target > 0, tumour, -logs[:, 0]), full)


def hardest_pixels(loss: Tensor, share: float) -> Tensor:
    """(N, H, W) losses -> float mask of the same shape: 1 for the `share` of each image's pixels that cost most."""
    if share >= 1.0:
        return torch.ones_like(loss)
    count = max(1, round(share * loss[0].numel()))
    least = loss.detach().flatten(1).topk(count, dim=1).values[:, -1]
    return (loss.detach() >= least[:, None, None]).float()


def segmentation_loss(
    logits: Tensor, target: Tensor, config: LossConfig, share: float = 1.0, partial: Tensor | None = None
) -> Tensor:
    """Dice and cross-entropy over the hardest pixels, lambda Dice + (1 - lambda) CE (paper, equation 6).

    Parameters
    ----------
    share
        TopK's share of pixels now, see `LossConfig.share_at`.
    partial
        See `pixel_cross_entropy`; such slices count in the Dice of the whole tumour only.
    """
    entropy = pixel_cross_entropy(logits, target, partial)
    hard = hardest_pixels(entropy, share)
    weight = hard[:, None]
    if partial is not None:
        known = torch.ones(len(logits), len(Region), device=logits.device)
        known[:, [n for n, region in enumerate(Region) if region is not Region.WT]] = (~partial).float()[:, None]
        weight = weight * known[:, :, None, None]
    dice = region_dice_loss(logits, target, weight, config.modulation)
    return config.dice_share * dice + (1.0 - config.dice_share) * (entropy * hard).sum() / hard.sum()


def training_loss(
    outputs: Outputs, target: Tensor, config: LossConfig, share: float = 1.0, partial: Tensor | None = None
) -> Tensor:
    """The whole loss of a batch: full resolution, deeper levels, and the classifier where there is one.

    Parameters
    ----------
    target
        (N, H, W) int64, network channels 0..3.
    """
    loss = segmentation_loss(outputs.logits, target, config, share, partial)
    scale = 1.0
    for level, logits in enumerate(outputs.deeper, start=1):
        scale *= config.deeper
        loss = loss + scale * segmentation_loss(logits, _shrunk(target, 2**level), config, share, partial)
    if outputs.presence is not None:
        there = (target > 0).any(dim=(1, 2)).float()
        loss = loss + config.presence * functional.binary_cross_entropy_with_logits(outputs.presence.float(), there)
    return loss


def _shrunk(target: Tensor, factor: int) -> Tensor:
    """The largest label of each block: thin rims and small islands must not vanish from the deeper targets."""
    pooled = functional.max_pool2d(target[:, None].float(), factor)
    return pooled[:, 0].long()
