"""Pairs of masks on one grid without interpolation, and probabilities in the order that the mask tells."""

from itertools import permutations

import numpy as np
import pytest

from braintumor.domain import CorruptFileError, GeometryError, Grid, Region, Reorientation, UnusableImageError, region_mask
from braintumor.evaluate.masks import brain_of, channel_order, load, probabilities_beside, read_probabilities, reliability
from braintumor.evaluate.pairs import pair
from tests.evaluate.volumes import GRID, SHAPE, case_folder, class_probabilities, save, tumour


@pytest.fixture
def place(tmp_path):
    case_folder(tmp_path / "truth", "a", tumour())
    return tmp_path


def only(place, **options):
    return pair(place / "out", place / "truth", **options).pairs[0]


def test_labels_of_2023_become_4(place):
    values = np.where(tumour() == 4, 3, tumour()).astype(np.float64)
    save(place / "out" / "a.nii.gz", values)
    loaded = load(only(place))
    assert np.array_equal(loaded.predicted.mask, loaded.truth.mask)


def test_other_values_and_broken_files_are_refused(place):
    save(place / "out" / "a.nii.gz", tumour() * 2)
    with pytest.raises(UnusableImageError, match="known values are 0, 1, 2, 3, 4"):
        load(only(place))
    (place / "out" / "a.nii.gz").write_bytes(b"no")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        load(only(place))


def test_axes_in_another_order_are_turned_exactly(place):
    turn = Reorientation((2, 0, 1), (True, False, True))
    save(place / "out" / "a.nii.gz", np.ascontiguousarray(turn.apply(tumour())), turn.grid(GRID))
    loaded = load(only(place))
    assert np.array_equal(loaded.predicted.mask, tumour())
    assert loaded.notes == ()


def test_a_lost_origin_is_compared_voxel_for_voxel_and_said(place):
    moved = GRID.affine.copy()
    moved[:3, 3] = (0, 239, 0)
    save(place / "out" / "a.nii.gz", tumour(), Grid(SHAPE, moved))
    loaded = load(only(place))
    assert np.array_equal(loaded.predicted.mask, tumour())
    assert "239 mm apart" in loaded.notes[0]


def test_a_flipped_header_of_the_same_shape_is_not_taken_voxel_for_voxel(place):
    flipped = GRID.affine.copy()
    flipped[0, 0] = -1
    save(place / "out" / "a.nii.gz", tumour(), Grid(SHAPE, flipped))
    with pytest.raises(GeometryError, match="another grid"):
        load(only(place))


@pytest.mark.parametrize(("shape", "spacing"), [((12, 11, 20), (2, 2, 2)), (SHAPE, (1, 1, 2.5))])
def test_another_grid_is_refused_not_resampled(place, shape, spacing):
    save(place / "out" / "a.nii.gz", np.zeros(shape, np.uint8), Grid(shape, np.diag([*spacing, 1.0])))
    with pytest.raises(GeometryError, match="another grid than the expert's"):
        load(only(place))


def test_four_dimensions_are_refused(place):
    save(place / "out" / "a.nii.gz", np.zeros((*SHAPE, 4), np.uint8))
    with pytest.raises(GeometryError, match="4 dimensions"):
        load(only(place))


def test_of_several_grids_the_experts_is_taken(place):
    coarse = Grid((12, 11, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
    anat = place / "out" / "sub-a" / "anat"
    save(anat / "sub-a_space-FLAIR_dseg.nii.gz", np.zeros(coarse.shape, np.uint8), coarse)
    save(anat / "sub-a_space-T1ce_dseg.nii.gz", tumour())
    assert load(only(place)).path.name == "sub-a_space-T1ce_dseg.nii.gz"


def with_probabilities(place, values, mask=None):
    mask = save(place / "out" / "a.nii.gz", tumour() if mask is None else mask)
    np.savez_compressed(place / "out" / "a.npz", probabilities=values)
    return probabilities_beside(mask)


@pytest.mark.parametrize("stored", list(permutations((1, 2, 4))))
def test_the_mask_tells_the_order_of_the_classes(place, stored):
    path = with_probabilities(place, class_probabilities(tumour(), order=(0, *stored)))
    loaded = load(only(place))
    values = read_probabilities(path, loaded.stored, loaded.truth.grid)
    order = channel_order(values, loaded.predicted.mask)
    found = reliability(values, order, loaded.truth.mask, None)
    for region in Region:
        labels = len(order[region])
        inside = 0.9 + (labels - 1) * 0.1 / 3  # the true class at 0.9, the others of the region at a third of the rest
        outside = labels * 0.1 / 3
        share = region_mask(tumour(), region).mean()
        wanted = share * (1 - inside) ** 2 + (1 - share) * outside**2
        assert found[region].brier == pytest.approx(wanted, rel=0.01)
        assert found[region].total == tumour().size


def test_three_channels_are_regions(place):
    values = np.stack([np.where(region_mask(tumour(), r), 0.8, 0.1) for r in (Region.ET, Region.WT, Region.TC)])
    path = with_probabilities(place, values.transpose(0, 3, 2, 1).astype(np.float32))
    loaded = load(only(place))
    order = channel_order(read_probabilities(path, loaded.stored, GRID), loaded.predicted.mask)
    assert order == {Region.WT: (1,), Region.TC: (2,), Region.ET: (0,)}


def test_an_empty_mask_leaves_the_usual_order():
    values = [np.full(SHAPE, p) for p in (0.4, 0.3, 0.2, 0.1)]
    assert channel_order(values, np.zeros(SHAPE, np.uint8)) == {Region.WT: (1, 2, 3), Region.TC: (1, 3), Region.ET: (3,)}


def test_probabilities_follow_the_turn_of_their_mask(place):
    turn = Reorientation((1, 0, 2), (False, True, False))
    turned = np.ascontiguousarray(turn.apply(tumour()))
    save(place / "out" / "a.nii.gz", turned, turn.grid(GRID))
    np.savez(place / "out" / "a.npz", probabilities=class_probabilities(turned))
    loaded = load(only(place))
    values = read_probabilities(place / "out" / "a.npz", loaded.stored, loaded.truth.grid)
    assert np.array_equal(np.argmax(values, axis=0) > 0, tumour() > 0)
    assert all(v.dtype == np.float16 and v.base is not None for v in values)  # views: nothing was copied


def test_the_brain_comes_from_stripped_images(place, tmp_path):
    save(place / "out" / "a.nii.gz", tumour())
    brain = brain_of(only(place), GRID)
    assert np.count_nonzero(brain) == 18 * 18 * 16
    case_folder(tmp_path / "bare", "a", tumour(), images=False)
    assert brain_of(pair(place / "out", tmp_path / "bare").pairs[0], GRID) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((4, 3, 3, 3), np.float32), "shape"),
        (np.zeros((5, *SHAPE[::-1]), np.float32), "shape"),
        (np.zeros((4, *SHAPE[::-1]), np.int16), "int16"),
    ],
)
def test_other_arrays_are_refused(place, values, words):
    path = with_probabilities(place, values)
    with pytest.raises(UnusableImageError, match=words):
        read_probabilities(path, GRID, GRID)


def test_pickles_wrong_keys_and_foreign_probabilities_are_refused(place):
    path = with_probabilities(place, class_probabilities(np.roll(tumour(), 9, 1)))
    with pytest.raises(UnusableImageError, match="agree with the mask"):
        channel_order(read_probabilities(path, GRID, GRID), tumour(), path)
    np.savez(path, probabilities=np.array([{}], dtype=object))
    with pytest.raises(CorruptFileError, match="cannot be read"):
        read_probabilities(path, GRID, GRID)
    np.savez(path, softmax=np.zeros(3))
    with pytest.raises(CorruptFileError, match="'probabilities'"):
        read_probabilities(path, GRID, GRID)
    logits = [np.full(SHAPE, 7.0, np.float32)] * 4
    with pytest.raises(UnusableImageError, match="not logits"):
        reliability(logits, dict.fromkeys(Region, (1,)), tumour(), None)
