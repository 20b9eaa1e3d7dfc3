"""The 2D low-grade set: fit for training, its orientation and channel order proved on a patient that BraTS has too."""

from itertools import permutations

import numpy as np
import pytest
from skimage.transform import resize

from braintumor.datasets import lgg
from braintumor.domain import CorruptFileError, MRSequence
from braintumor.preprocess import prepare_case
from braintumor.study import read_study
from tests.data import real_data

CHANNELS = [list(MRSequence).index(sequence) for sequence in lgg.STORED]


def stored(path, slices=4):
    """Bright brain in dark air; the tumour of slice 1 lies outside it, slice 3 is the top of the head."""
    image = np.zeros((slices, 3, 256, 256), np.uint8)
    label = np.zeros((slices, 256, 256), np.uint8)
    image[:, :, 60:200, 70:190] = np.random.default_rng(0).integers(50, 90, (slices, 3, 140, 120))
    image[:, 2, 100:120, 80:100] = 200
    label[:, 100:120, 80:100] = 1
    label[1] = np.roll(label[1], -70, axis=1)
    image[3, :, :150] = 0
    np.savez(path, image=image, label=label)
    return path


@pytest.fixture
def threshold(monkeypatch):
    """The brain finder's network needs a real head, and minutes for many; this one sees the box."""
    monkeypatch.setattr(lgg, "find_brain", lambda volumes, voxel_ml: (volumes[MRSequence.T1] > 0, "", ()))


@pytest.mark.usefixtures("threshold")
def test_slices_are_scored_over_the_brain_and_doubtful_ones_left_out(tmp_path):
    paths = [stored(tmp_path / f"{name}.npz") for name in ("b", "a")]
    one, other = lgg.read_slices(paths)
    assert (one.name, other.name) == ("a", "b")
    assert one.images.shape == (2, 4, 256, 256)
    assert not one.images[:, list(MRSequence).index(MRSequence.T2)].any()
    for channel in CHANNELS:
        inside = one.images[:, channel][one.brain]
        assert (inside.mean(), inside.std()) == (pytest.approx(0, abs=0.05), pytest.approx(1, abs=0.1))
        assert not one.images[:, channel][~one.brain].any()
    tumour = one.mask > 0
    assert np.count_nonzero(tumour) == 2 * 400
    assert set(np.unique(one.mask)) == {0, 2}
    assert one.images[:, 3][tumour].min() > 2


@pytest.mark.usefixtures("threshold")
def test_other_layouts_are_refused_and_a_missed_brain_gives_nothing(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.zeros((2, 4, 8, 8)), label=np.zeros((2, 8, 8)))
    with pytest.raises(CorruptFileError, match="have the shapes"):
        list(lgg.read_slices([tmp_path / "a.npz"]))
    (tmp_path / "b.npz").write_bytes(b"no archive")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        list(lgg.read_slices([tmp_path / "b.npz"]))
    np.savez(tmp_path / "c.npz", image=np.zeros((2, 3, 8, 8)), label=np.ones((2, 8, 8)))
    assert list(lgg.read_slices([tmp_path / "c.npz"])) == []


def _framed(planes, brain):
    """(channel, row, column) cut to the brain's box, at one size, each channel of zero mean and unit length."""
    rows, columns = np.flatnonzero(brain.any(axis=1)), np.flatnonzero(brain.any(axis=0))
    cut = planes[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(float)
    cut = np.stack([resize(plane, (80, 64)) for plane in cut])
    cut -= cut.mean(axis=(1, 2), keepdims=True)
    return cut / np.linalg.norm(cut, axis=(1, 2), keepdims=True)


def _turned(planes, flip, quarters):
    turned = np.rot90(planes, quarters, axes=(-2, -1))
    return turned[..., ::-1] if flip else turned


@pytest.mark.realdata
@pytest.mark.campaign
def test_orientation_and_channel_order_are_proved_by_a_patient_of_both_sets():
    """Of all 8 orientations and 6 channel orders, the ones used correlate best with the volume (0.84; next 0.49, 0.65)."""
    slices = next(lgg.read_slices([real_data("lgg_slices", "TCGA_CS_6666_20011109.npz")]))
    case = prepare_case(read_study(real_data("brats", "BraTS2021_01484")))
    volume = [
        _framed(case.channels[CHANNELS][..., k].transpose(0, 2, 1), case.brain[..., k].T)
        for k in range(40, 130, 2)
        if np.count_nonzero(case.brain[..., k]) > 4000
    ]
    image, brain = slices.images[5][CHANNELS], slices.brain[5]

    def agreement(flip, quarters):
        framed = _framed(_turned(image, flip, quarters), _turned(brain, flip, quarters))
        return max(float((framed * plane).sum()) / 3 for plane in volume)

    turns = [(flip, quarters) for flip in (False, True) for quarters in range(4)]
    assert max(turns, key=lambda turn: agreement(*turn)) == (False, 0)
    framed = _framed(image, brain)
    same = max(volume, key=lambda plane: float((framed * plane).sum()))
    orders = list(permutations(range(3)))
    assert max(orders, key=lambda order: float((framed[list(order)] * same).sum())) == (0, 1, 2)
    assert agreement(False, 0) > 0.8
