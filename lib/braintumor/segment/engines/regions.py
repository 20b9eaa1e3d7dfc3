"""What a peer's model says, whatever its channels are, as the probabilities of our classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from braintumor.domain import ENHANCING, LABELS, NECROTIC_CORE, OEDEMA, Region, by_value
from braintumor.segment.engines.protocol import Probabilities

Floats = npt.NDArray[np.float32]

INNERMOST = {Region.WT: OEDEMA, Region.TC: NECROTIC_CORE, Region.ET: ENHANCING}
"""The label of a voxel by the smallest region that holds it."""


def from_regions(shares: Mapping[Region, Floats]) -> Probabilities:
    """Independent (sigmoid) probabilities of WT, TC and ET on a whole grid -> class probabilities.

    A larger region is taken as at least as likely as the one inside it. The mask is decided as such models are trained and
    judged: each region from 0.5, a smaller region over a larger one.

    Parameters
    ----------
    shares
        float32 (i, j, k) each, 0..1.
    """
    et = shares[Region.ET]
    tc = np.maximum(shares[Region.TC], et)
    wt = np.maximum(shares[Region.WT], tc)
    values = np.empty((len(LABELS) + 1, *et.shape), np.float32)
    values[0] = 1.0 - wt
    values[OEDEMA.channel], values[NECROTIC_CORE.channel], values[ENHANCING.channel] = wt - tc, tc - et, et
    decided = np.zeros(et.shape, np.uint8)
    for region in (Region.WT, Region.TC, Region.ET):
        decided[shares[region] > 0.5] = INNERMOST[region].channel
    return Probabilities(values, _everywhere(et.shape), decided)


def from_classes(shares: Floats, meaning: Mapping[int, int]) -> Probabilities:
    """Softmax probabilities in another order of classes -> ours; classes that mean the same are added.

    Parameters
    ----------
    shares
        float32 (classes, i, j, k) on a whole grid, sums to 1 over axis 0.
    meaning
        Class -> value of `braintumor.domain.LABELS`, or 0 for background.
    """
    values = np.zeros((len(LABELS) + 1, *shares.shape[1:]), np.float32)
    for number, share in enumerate(shares):
        values[by_value(meaning[number]).channel if meaning[number] else 0] += share
    return Probabilities(values, _everywhere(shares.shape[1:]))


def _everywhere(shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    i, j, k = shape
    return slice(0, i), slice(0, j), slice(0, k)
