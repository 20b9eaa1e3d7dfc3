"""Training slices: cut to the brain, balanced, and the slice set's undocumented channel order proved."""

import numpy as np
import pytest

from braintumor.domain import Author, Case, Grid, MRSequence, Segmentation
from braintumor.train.data import (
    FRAME,
    SLICE_SET_ORDER,
    BalancedSampler,
    Slices,
    from_case,
    from_slice_files,
    load_case,
)


def a_case(shape=(70, 90, 6)):
    rng = np.random.default_rng(0)
    brain = np.zeros(shape, bool)
    brain[10:60, 5:85, 1:5] = True
    mask = np.zeros(shape, np.uint8)
    mask[20:30, 40:60, 2] = 4
    mask[20:24, 40:60, 3] = 2
    grid = Grid(shape, np.eye(4))
    channels = (rng.normal(size=(4, *shape)) * brain).astype(np.float32)
    return Case("one", grid, channels, {}, brain, tuple(MRSequence), {}), Segmentation(mask, grid, Author("human", "expert"))


def test_slices_hold_every_brain_voxel_with_rows_to_posterior():
    case, truth = a_case()
    slices = from_case(case, truth)
    assert slices.images.shape == (4, 4, *FRAME)
    assert slices.labels.shape == (4, *FRAME)
    assert np.count_nonzero(slices.labels == 3) == 200
    rows, columns = np.nonzero(slices.labels[1])
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 10)
    inside = slices.images[1][0][slices.labels[1] == 3]
    expected = case.channels[0, 20:30, 40:60, 2].T.ravel()
    np.testing.assert_allclose(inside, expected, atol=2e-3)


def test_slice_files_are_grouped_by_patient_and_reordered(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("volume_7_slice_50", "volume_7_slice_60", "volume_9_slice_1"):
        image = np.full((4, 240, 240), -9.0, np.float16)
        image[:, 60:180, 40:200] = rng.normal(size=(4, 120, 160))
        image[0, 100:110, 100:120] = 9.0  # a bright patch in the channel stored first, FLAIR
        label = np.zeros((240, 240), np.uint8)
        label[100:110, 100:120] = 4
        np.savez(tmp_path / f"{name}.npz", image=image, label=label)
    patients = from_slice_files(tmp_path.glob("*.npz"))
    assert [(p.name, len(p.images)) for p in patients] == [("volume_7", 2), ("volume_9", 1)]
    patch = patients[0].images[0][:, patients[0].labels[0] == 3].mean(axis=1)
    assert patch.tolist() == pytest.approx([0, 0, 0, 5], abs=0.3)


def test_sampler_balances_and_points_at_tumour():
    empty = Slices("a", np.ones((30, 4, *FRAME), np.float16), np.zeros((30, *FRAME), np.uint8))
    empty.labels[:2, 100:110, 80:90] = 3
    single = Slices("b", np.ones((1, 4, *FRAME), np.float16), np.full((1, *FRAME), 2, np.uint8), contiguous=False)
    sampler = BalancedSampler([empty, single])
    rng = np.random.default_rng(0)
    with_tumour = [int((sampler.batch(12, rng).labels > 0).any(dim=(1, 2)).sum()) for _ in range(20)]
    assert np.mean(with_tumour) >= 8  # 2 of 30 slices hold tumour, yet two thirds of every batch do
    again = BalancedSampler([empty, single]).batch(12, np.random.default_rng(5))
    same = BalancedSampler([empty, single]).batch(12, np.random.default_rng(5))
    assert (again.centres == same.centres).all()
    assert (again.labels == same.labels).all()


def numbered(contiguous=True):
    """Seven slices whose brightness is their number; only number 3 holds tumour."""
    images = np.ones((7, 4, *FRAME), np.float16) * np.arange(7, dtype=np.float16)[:, None, None, None]
    labels = np.zeros((7, *FRAME), np.uint8)
    labels[3, 100:110, 80:90] = 3
    return Slices("n", images, labels, contiguous=contiguous)


def test_context_stacks_neighbours_slice_by_slice_and_single_slices_repeat_themselves():
    rng = np.random.default_rng(0)
    batch = BalancedSampler([numbered()], context=1).batch(3, rng)  # draws of any slice, of tumour, of core
    assert batch.images[2, :, 0, 0].tolist() == [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]
    alone = BalancedSampler([numbered(contiguous=False)], context=1, extra_share=1.0).batch(3, rng)
    assert len(set(alone.images[2, :, 0, 0].tolist())) == 1


def test_thick_slices_are_means_of_neighbours_with_the_middle_ones_label():
    batch = BalancedSampler([numbered()], thick=1.0).batch(30, np.random.default_rng(0))
    core = batch.images[2::3, 0, 0, 0]
    assert set(core.tolist()) == {3.0, 3.5}  # 2..4, 1..5 and 2..5
    assert (batch.labels[2::3] == 3).any(dim=(1, 2)).all()


@pytest.mark.realdata
def test_channel_order_of_the_slice_set_is_proved_by_intensities(brats):
    """Each label's mean z-scores must be closest to the volumes' under the order used, of all 24 orders."""
    from itertools import permutations

    case, truth = load_case(brats / "Brats17_TCIA_105_1")
    volume = np.array([[float(case.channels[c][truth.mask == v].mean()) for c in range(4)] for v in (2, 4)])
    slices = from_slice_files(sorted((brats.parent / "brats2020_slices").glob("*.npz"))[::6])
    used = np.zeros((2, 4))
    for row, label in enumerate((2, 3)):
        means = [
            s.images[n][:, s.labels[n] == label].mean(axis=1)
            for s in slices
            for n in range(len(s.images))
            if (s.labels[n] == label).sum() > 50
        ]
        used[row] = np.mean(means, axis=0)
    stored = used[:, np.argsort(SLICE_SET_ORDER)]
    best = min(permutations(range(4)), key=lambda order: float(np.square(stored[:, list(order)] - volume).sum()))
    assert best == SLICE_SET_ORDER
