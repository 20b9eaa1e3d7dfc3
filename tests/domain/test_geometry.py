"""Grids: positions survive every change of axes, whatever the orientation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from braintumor.domain import LPS_FROM_RAS, Grid, bounding_box, canonical, grid_from_dicom

spacings = st.tuples(*[st.floats(0.3, 6.0)] * 3)
shapes = st.tuples(*[st.integers(1, 7)] * 3)
angles = st.tuples(*[st.floats(-180, 180)] * 3)


def a_grid(shape, spacing, degrees, origin=(3.0, -7.0, 11.0), mirrored=False):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * np.array(spacing)
    if mirrored:
        affine[:3, 2] *= -1
    affine[:3, 3] = origin
    return Grid(shape, affine)


@given(shapes, spacings, angles, st.booleans())
@settings(max_examples=60, deadline=None)
def test_reorientation_moves_no_voxel(shape, spacing, degrees, mirrored):
    grid = a_grid(shape, spacing, degrees, mirrored=mirrored)
    turn = canonical(grid)
    turned = turn.grid(grid)
    assert turned.axcodes == "LPS"
    index = np.stack(np.indices(shape), axis=-1)
    world = grid.to_world(index)
    moved = np.stack([turn.apply(world[..., axis]) for axis in range(3)], axis=-1)
    np.testing.assert_allclose(turned.to_world(np.stack(np.indices(turned.shape), axis=-1)), moved, atol=1e-6)
    voxels = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(turn.undo(turn.apply(voxels)), voxels)
    assert np.shares_memory(turn.apply(voxels), voxels)


@given(shapes, spacings, angles)
@settings(max_examples=40, deadline=None)
def test_world_and_index_are_inverse(shape, spacing, degrees):
    grid = a_grid(shape, spacing, degrees)
    index = np.array([[0.0, 0.0, 0.0], [1.5, -2.0, 8.25]])
    np.testing.assert_allclose(grid.to_index(grid.to_world(index)), index, atol=1e-6)
    np.testing.assert_allclose(grid.spacing, spacing, atol=1e-5)
    assert grid.voxel_ml == pytest.approx(np.prod(spacing) / 1000)


def test_pixel_spacing_is_rows_then_columns():
    """PS3.3 10.7.1.3: the first value is between rows. Other loaders swap the two (1x2 mm pixels came out 2x1)."""
    grid = grid_from_dicom((1, 0, 0), (0, 1, 0), (0, 0, 0), (0, 0, 9), (1.0, 2.0), (4, 5, 4))
    assert grid.spacing == (2.0, 1.0, 3.0)
    np.testing.assert_allclose(grid.to_world((1, 0, 0)), (2, 0, 0))


def test_a_single_slice_takes_its_thickness():
    assert grid_from_dicom((1, 0, 0), (0, 1, 0), (0, 0, 5), (0, 0, 5), (1, 1), (4, 4, 1), 5.0).spacing[2] == 5.0


def test_cropping_keeps_places():
    grid = a_grid((9, 8, 7), (1, 2, 3), (10, 20, 30))
    box = (slice(2, 5), slice(1, 8), slice(3, 4))
    part = grid.cropped(box)
    assert part.shape == (3, 7, 1)
    np.testing.assert_allclose(part.to_world((1, 1, 0)), grid.to_world((3, 2, 3)))


def test_same_as_looks_at_every_corner():
    grid = a_grid((20, 20, 20), (1, 1, 1), (0, 0, 0))
    turned = a_grid((20, 20, 20), (1, 1, 1), (0, 0, 0.2))
    assert grid.same_as(Grid(grid.shape, grid.affine + 1e-6))
    assert not grid.same_as(turned)
    assert not grid.same_as(a_grid((20, 20, 21), (1, 1, 1), (0, 0, 0)))


def test_bounding_box_of_nothing_is_everything():
    mask = np.zeros((4, 5, 6), bool)
    assert bounding_box(mask) == (slice(0, 4), slice(0, 5), slice(0, 6))
    mask[1, 2, 3] = True
    assert bounding_box(mask, margin=1) == (slice(0, 3), slice(1, 4), slice(2, 5))


def test_bad_grids_are_refused():
    with pytest.raises(ValueError, match="invertible"):
        Grid((2, 2, 2), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="positive"):
        Grid((2, 0, 2), np.eye(4))


def test_a_grid_cannot_be_changed_and_describes_itself():
    affine = np.eye(4)
    grid = Grid((2, 3, 4), affine)
    affine[0, 0] = 9
    assert grid.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2
    assert grid.summary()["shape"] == [2, 3, 4]
    assert np.array_equal(LPS_FROM_RAS @ LPS_FROM_RAS, np.eye(4))
    np.testing.assert_allclose(grid.directions, np.eye(3))
    np.testing.assert_allclose(grid.origin, 0)
