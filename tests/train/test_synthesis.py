"""Lesions that no patient had: they keep to the brain, carry their labels with them and come from the seed alone."""

import numpy as np
import pytest
import torch

from braintumor.labels import ENHANCING, NECROTIC_CORE, OEDEMA
from braintumor.nouns import Sequence
from braintumor.train.data import FRAME, Batch
from braintumor.train.synthesis import transplant, unenhance

T1, T1CE = list(Sequence).index(Sequence.T1), list(Sequence).index(Sequence.T1CE)
BRAIN = (slice(30, 190), slice(20, 160))


def a_batch(n=4, slices=3):
    """Brains of noise; only the last holds a tumour, an enhancing square in an oedema, which is bright in every sequence."""
    rng = np.random.default_rng(0)
    images = np.zeros((n, 4 * slices, *FRAME), np.float32)
    images[(..., *BRAIN)] = rng.normal(size=(n, 4 * slices, 160, 140))
    labels = np.zeros((n, *FRAME), np.uint8)
    labels[-1, 60:100, 30:70] = OEDEMA.channel
    labels[-1, 70:90, 40:60] = ENHANCING.channel
    images[-1] += 10.0 * (labels[-1] > 0)
    return Batch(torch.from_numpy(images), torch.from_numpy(labels), torch.zeros(n, 2), torch.zeros(n, dtype=torch.bool))


def test_a_transplant_brings_its_labels_and_all_its_sequences_and_stays_in_the_brain():
    before = a_batch()
    after = transplant(before, 1.0, np.random.default_rng(1))
    assert torch.equal(after.labels[-1], before.labels[-1])  # nobody else has a tumour to give
    for n in range(3):
        given = after.labels[n] > 0
        assert given.any()
        assert float(after.images[n][:, given].mean()) > 5.0
        assert torch.equal(after.images[n] != 0, before.images[n] != 0)
        assert torch.equal(after.images[n, :, 130:], before.images[n, :, 130:])  # far from the tumour
    assert torch.equal(before.images, a_batch().images)  # the patients themselves are not touched


def test_a_transplant_lies_at_the_donors_place_or_its_mirror_image():
    seen = set()
    for seed in range(8):
        rows, columns = (transplant(a_batch(), 1.0, np.random.default_rng(seed)).labels[0] > 0).nonzero(as_tuple=True)
        seen.add((float(rows.double().mean()), float(columns.double().mean())))
    assert seen == {(79.5, 49.5), (79.5, FRAME[1] - 1 - 49.5)}


def test_slices_with_partial_labels_neither_give_nor_take():
    batch = a_batch()
    batch.partial[:] = torch.tensor([True, False, False, True])
    after = transplant(batch, 1.0, np.random.default_rng(0))
    assert torch.equal(after.images, batch.images)
    assert torch.equal(after.labels, batch.labels)


def test_an_unenhanced_core_looks_like_the_plain_t1_and_is_core_without_enhancement():
    batch = a_batch()
    batch.images[-1, T1CE::4] += 20.0 * (batch.labels[-1] == ENHANCING.channel)
    after = unenhance(batch, 1.0, np.random.default_rng(0))
    assert torch.equal(after.labels > 0, batch.labels > 0)
    assert not (after.labels == ENHANCING.channel).any()
    core = after.labels[-1] == NECROTIC_CORE.channel
    assert int(core.sum()) == 400
    for first in (0, 4, 8):  # every slice of the 2.5D input
        inside = after.images[-1, first + T1CE][core]
        assert float((inside - batch.images[-1, first + T1][core]).abs().max()) < 1.5  # of 20; a corner keeps the most
    others = [channel for channel in range(12) if channel % 4 != T1CE]
    assert torch.equal(after.images[:, others], batch.images[:, others])
    assert torch.equal(after.images[:3], batch.images[:3])


def test_without_a_plain_t1_the_core_keeps_its_enhancement_and_its_label():
    batch = a_batch()
    batch.images[:, T1::4] = 0.0
    after = unenhance(batch, 1.0, np.random.default_rng(0))
    assert torch.equal(after.images, batch.images)
    assert torch.equal(after.labels, batch.labels)


@pytest.mark.parametrize("change", [transplant, unenhance])
def test_the_seed_decides_everything_and_chance_0_changes_nothing(change):
    one, other = (change(a_batch(), 0.5, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    none = change(a_batch(), 0.0, np.random.default_rng(7))
    assert torch.equal(none.images, a_batch().images)
