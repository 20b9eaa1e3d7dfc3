"""Degraded input: what is said to change changes by that much, and nothing else does."""

import numpy as np
import pytest

from braintumor.domain import Case, Grid, MRSequence
from braintumor.evaluate import perturb


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    brain = np.zeros((40, 36, 20), bool)
    brain[5:35, 4:30, 2:18] = True
    channels = (rng.normal(size=(4, *brain.shape)) * brain).astype(np.float32)
    return Case("p", Grid(brain.shape, np.eye(4)), channels, {}, brain, tuple(MRSequence), {})


@pytest.mark.parametrize(
    "change",
    [
        lambda c: perturb.noise(c, 0.3),
        lambda c: perturb.bias_field(c, 0.4),
        lambda c: perturb.contrast(c, 0.7),
        lambda c: perturb.thick_slices(c, 3),
        lambda c: perturb.misregistered(c, 1.0),
        lambda c: perturb.without(c, MRSequence.T2),
    ],
)
def test_background_stays_zero_input_stays_untouched_and_the_result_repeats(case, change):
    before = case.channels.copy()
    first, again = change(case), change(case)
    assert np.array_equal(case.channels, before)
    assert not first.channels[:, ~case.brain].any()
    assert np.array_equal(first.channels, again.channels)
    assert not np.array_equal(first.channels, before)


def test_noise_has_the_size_asked_for(case):
    added = (perturb.noise(case, 0.1).channels - case.channels)[:, case.brain]
    assert added.std() == pytest.approx(0.1, rel=0.05)


def test_contrast_keeps_the_order_of_intensities(case):
    bent = perturb.contrast(case, 0.7).channels[0][case.brain]
    order = np.argsort(case.channels[0][case.brain])
    assert (np.diff(bent[order]) >= -1e-6).all()


def test_thick_slices_average_along_k_only():
    brain = np.ones((8, 8, 9), bool)
    channels = np.zeros((4, 8, 8, 9), np.float32)
    channels[:, :, :, 4] = 1.0
    case = Case("p", Grid(brain.shape, np.eye(4)), channels, {}, brain, tuple(MRSequence), {})
    profile = perturb.thick_slices(case, 3).channels[0, 3, 3]
    high = profile == profile.max()
    assert high.nonzero()[0].tolist() == [3, 4, 5]


def test_shift_moves_one_sequence_by_millimetres(case):
    moved = perturb.misregistered(case, 1.0)
    assert np.array_equal(moved.channels[0], case.channels[0])
    np.testing.assert_allclose(moved.channels[3][10:30, 10:25, 5:15], case.channels[3][9:29, 9:24, 5:15], atol=1e-5)


def test_mirror_and_missing_sequences(case):
    assert np.array_equal(perturb.mirrored(case).channels[:, ::-1], case.channels)
    gone = perturb.without(case, MRSequence.FLAIR, MRSequence.T1)
    assert gone.present == (MRSequence.T1CE, MRSequence.T2)
    assert not gone.channels[[0, 3]].any()
    assert np.array_equal(gone.channels[1], case.channels[1])
