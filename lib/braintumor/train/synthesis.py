"""Lesions that no patient had: another patient's tumour in this brain, or a core whose enhancement was taken away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from braintumor.labels import ENHANCING, NECROTIC_CORE
from braintumor.nouns import Sequence
from braintumor.train.data import Batch

Mask = npt.NDArray[np.bool_]

SOFT_EDGE = 1.5
"""Standard deviation in pixels of the edge between what is put in and what stays, so that no outline gives it away."""

LARGEST_RIM = 8.0
"""Pixels around a transplanted tumour that come with it at most: its own swelling and compressed tissue."""

ENOUGH_PIXELS = 100
"""Pixels of healthy brain needed to match the brightness of two sequences."""

CLEARANCE = 3
"""Pixels around an enhancing core that lose their enhancement too: leaking contrast and the neighbouring slices' rim."""


def transplant(batch: Batch, chance: float, rng: np.random.Generator) -> Batch:
    """Each slice, with `chance`, also gets the tumour of another slice of the batch, at its own or the mirrored place.

    What is carved out is the donor's tumour, or its inner part, or the tumour with a rim of the tissue around it (CarveMix,
    Zhang et al. 2021): all sequences and neighbouring slices together, with the donor's labels. Nothing is put outside the
    brain. Slices with partial labels neither give nor take.
    """
    labels, images = batch.labels.numpy(), batch.images.numpy()
    partial = batch.partial.numpy()
    donors = np.flatnonzero((labels > 0).any(axis=(1, 2)) & ~partial)
    new_images, new_labels = images.copy(), labels.copy()
    for n in range(len(labels)):
        giving = donors[donors != n]
        if rng.random() >= chance or partial[n] or not giving.size:
            continue
        donor = int(giving[rng.integers(giving.size)])
        image, label = images[donor], labels[donor]
        if rng.random() < 0.5:
            image, label = image[..., ::-1], label[..., ::-1]
        place = _carved(label > 0, rng) & images[n].any(axis=0) & image.any(axis=0)
        share = _soft(place)
        new_images[n] = (share * image + (1.0 - share) * images[n]) * images[n].any(axis=0)
        new_labels[n] = np.where(place, label, labels[n])
    return Batch(torch.from_numpy(new_images), torch.from_numpy(new_labels), batch.centres, batch.partial)


def unenhance(batch: Batch, chance: float, rng: np.random.Generator) -> Batch:
    """Each slice with an enhancing core, with `chance`, looks as if it had taken up no contrast.

    Inside the core the contrast-enhanced T1 is replaced by the plain one in its brightness and contrast, and all of the core
    becomes label 1: cores that do not enhance are rare where training data is scarce, and then are taken for oedema.
    """
    labels, images = batch.labels.numpy().copy(), batch.images.numpy().copy()
    t1, t1ce = list(Sequence).index(Sequence.T1), list(Sequence).index(Sequence.T1CE)
    for n in range(len(labels)):
        if rng.random() >= chance or not (labels[n] == ENHANCING.channel).any():
            continue
        core = (labels[n] == ENHANCING.channel) | (labels[n] == NECROTIC_CORE.channel)
        share = _soft(ndimage.binary_dilation(core, iterations=CLEARANCE))
        planes = images[n].reshape(-1, len(Sequence), *core.shape)
        normal = [(plane[t1] != 0) & (plane[t1ce] != 0) & (labels[n] == 0) for plane in planes]
        if min(there.sum() for there in normal) < ENOUGH_PIXELS:
            continue
        for plane, there in zip(planes, normal, strict=True):
            plain, enhanced = plane[t1], plane[t1ce]
            gain = enhanced[there].std() / max(float(plain[there].std()), 1e-3)
            like = (plain - plain[there].mean()) * gain + enhanced[there].mean()
            plane[t1ce] = np.where(enhanced != 0, share * like + (1.0 - share) * enhanced, 0.0)
        labels[n][labels[n] == ENHANCING.channel] = NECROTIC_CORE.channel
    return Batch(torch.from_numpy(images), torch.from_numpy(labels), batch.centres, batch.partial)


def _carved(tumour: Mask, rng: np.random.Generator) -> Mask:
    """The tumour grown, or with even odds shrunk, by a random distance."""
    inner = ndimage.distance_transform_edt(tumour)
    if rng.random() < 0.5:
        return np.asarray(inner > rng.uniform(0.0, 0.5) * inner.max())
    return np.asarray(ndimage.distance_transform_edt(~tumour) <= rng.uniform(0.0, LARGEST_RIM))


def _soft(place: Mask) -> npt.NDArray[np.float32]:
    """1 inside, 0 outside, smooth between."""
    return np.asarray(ndimage.gaussian_filter(place.astype(np.float32), SOFT_EDGE))
