"""A mask carried to another grid lands on the same points of the patient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from braintumor.domain import Author, Grid, Region, Segmentation
from braintumor.preprocess import on_grid

AUTHOR = Author("model", "m")


def ball(grid, centre, radius):
    distance = np.linalg.norm(grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1)) - centre, axis=-1)
    return np.where(distance < radius / 2, 4, np.where(distance < radius, 2, 0)).astype(np.uint8)


@given(st.permutations([0, 1, 2]), st.tuples(*[st.booleans()] * 3), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_other_axis_orders_are_exact(order, flips, seed):
    rng = np.random.default_rng(seed)
    grid = Grid((5, 6, 7), np.diag([1.0, 2.0, 3.0, 1.0]))
    mask = rng.choice(np.array([0, 1, 2, 4], np.uint8), grid.shape)
    sure = rng.random(grid.shape).astype(np.float16)
    columns = np.zeros((4, 4))
    columns[3, 3] = 1
    for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
        columns[old, new] = -1 if flip else 1
        columns[old, 3] = grid.shape[old] - 1 if flip else 0
    other = Grid(tuple(grid.shape[n] for n in order), grid.affine @ columns)
    there = on_grid(Segmentation(mask, grid, AUTHOR, sure), other)
    back = on_grid(there, grid)
    assert np.array_equal(back.mask, mask)
    assert np.array_equal(back.uncertainty, sure)
    index = np.argwhere(mask == 4)[:3]
    for point in index:
        where = np.rint(other.to_index(grid.to_world(point))).astype(int)
        assert there.mask[tuple(where)] == 4


@pytest.mark.parametrize("turn", [(0, 0, 0), (10, -20, 30)])
def test_an_oblique_coarser_grid_keeps_volume_and_place(turn):
    fine = Grid((60, 60, 60), np.eye(4))
    centre = np.array([30.0, 28.0, 33.0])
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ np.diag([1.2, 0.8, 3.0])
    affine[:3, 3] = centre - affine[:3, :3] @ np.array([30, 40, 12])
    coarse = Grid((60, 80, 24), affine)
    carried = on_grid(Segmentation(ball(fine, centre, 12), fine, AUTHOR), coarse)
    truth = ball(coarse, centre, 12)
    for region in (Region.WT, Region.ET):
        one, other = carried.region(region), Segmentation(truth, coarse, AUTHOR).region(region)
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.9
    assert carried.uncertainty is None


def test_motion_is_undone_on_the_way_back():
    grid = Grid((50, 50, 50), np.eye(4))
    transform = np.eye(4)
    transform[:3, 3] = (4.0, -3.0, 2.0)  # the series saw the head 4 mm further left
    carried = on_grid(Segmentation(ball(grid, (24, 24, 24), 9), grid, AUTHOR), grid, transform)
    assert np.argwhere(carried.mask > 0).mean(axis=0) == pytest.approx((28, 21, 26), abs=0.1)


def test_nothing_to_carry_and_nowhere_to_land():
    grid = Grid((20, 20, 20), np.eye(4))
    far = Grid((20, 20, 20), np.array([[1.5, 0, 0, 500], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    empty = Segmentation(np.zeros(grid.shape, np.uint8), grid, AUTHOR)
    full = Segmentation(ball(grid, (10, 10, 10), 5), grid, AUTHOR, np.ones(grid.shape, np.float16))
    assert not on_grid(empty, far).mask.any()
    assert not on_grid(full, far).mask.any()
    assert not on_grid(full, far).uncertainty.any()


def test_a_label_that_no_voxel_is_left_of_is_flagged():
    fine = Grid((20, 20, 20), np.eye(4))
    coarse = Grid((20, 20, 4), np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 5, 2], [0, 0, 0, 1]]))
    mask = ball(fine, (10, 10, 10), 6)
    mask[mask == 4] = 2
    mask[10, 10, 4:6] = 4  # between two thick slices
    carried = on_grid(Segmentation(mask, fine, AUTHOR), coarse)
    assert set(np.unique(carried.mask)) == {0, 2}
    assert [(flag.code, flag.severity) for flag in carried.flags] == [("label-lost", "warning")]
    assert "Enhancing tumour (0.002 mL)" in carried.flags[0].message
    assert "1.00 x 1.00 x 5.00 mm" in carried.flags[0].message
    mask[8:13, 8:13, 5:10] = 4
    assert on_grid(Segmentation(mask, fine, AUTHOR), coarse).flags == ()


def test_what_lies_outside_the_field_of_view_is_flagged():
    grid = Grid((20, 20, 20), np.eye(4))
    far = Grid((20, 20, 20), np.array([[1.5, 0, 0, 500], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    carried = on_grid(Segmentation(ball(grid, (10, 10, 10), 5), grid, AUTHOR), far)
    assert [flag.message.split(" (")[0] for flag in carried.flags] == ["Peritumoral oedema", "Enhancing tumour"]
