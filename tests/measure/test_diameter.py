from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import Grid
from braintumor.measure import axial_diameters, longest_diameter_3d_mm
from tests.measure.shapes import ellipsoid, grid

few = settings(max_examples=20, deadline=None)
angles = st.floats(-180.0, 180.0)


def length(ends):
    return float(np.linalg.norm(np.subtract(*ends)))


def brute_force_3d(mask, g):
    points = g.to_world(np.argwhere(mask))
    return np.linalg.norm(points[:, None] - points[None], axis=-1).max()


@few
@given(long=st.floats(10.0, 20.0), ratio=st.floats(0.4, 0.9), angle=angles, dx=st.floats(-0.5, 0.5), dy=st.floats(-0.5, 0.5))
def test_an_ellipse_measures_its_two_axes_at_any_angle(long, ratio, angle, dx, dy):
    g = grid((48, 48, 1))
    mask = ellipsoid(g, (long, long * ratio, 5.0), centre=(dx, dy, 0), turn_deg=(0, 0, angle))
    measured = axial_diameters(mask, g)
    diagonal = 2**0.5  # of a pixel: how far the two ends of a line through pixels can be off together
    assert measured.longest_mm == pytest.approx(2 * long, abs=diagonal)
    assert measured.perpendicular_mm == pytest.approx(2 * long * ratio, abs=diagonal)


@pytest.mark.parametrize(("ratio", "bias"), [(1.0, 0.74), (0.6, 0.31)], ids=["disc", "ellipse"])
def test_the_mean_error_is_the_documented_fraction_of_a_pixel(ratio, bias):
    rng = np.random.default_rng(7)
    g = grid((30, 30, 1))
    errors = []
    for _ in range(60):
        radius, place, angle = rng.uniform(5, 13), (*rng.uniform(-0.5, 0.5, 2), 0), (0, 0, rng.uniform(0, 180))
        measured = axial_diameters(ellipsoid(g, (radius, ratio * radius, 5), place, angle), g)
        errors.append(measured.longest_mm - 2 * radius)
    assert np.mean(errors) == pytest.approx(bias, abs=0.1)
    assert np.abs(errors).max() < 1.0


@few
@given(spacing=st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0), st.floats(1.0, 5.0)), turn=st.tuples(angles, angles, angles))
def test_a_bar_along_one_axis_measures_its_length_in_mm_in_any_position(spacing, turn):
    g = grid((16, 5, 3), spacing, turn, centre=(10, -20, 30))
    mask = np.zeros(g.shape, bool)
    mask[2:14, 2, 1] = True
    measured = axial_diameters(mask, g)
    assert measured.longest_mm == pytest.approx(12 * spacing[0], rel=1e-6)
    assert measured.perpendicular_mm == pytest.approx(spacing[1], rel=1e-6)
    assert measured.slice_index == 1
    ends = {tuple(np.round(g.to_index(end), 4)) for end in measured.longest_ends}
    assert ends == {(1.5, 2.0, 1.0), (13.5, 2.0, 1.0)}


@few
@given(data=st.data())
def test_both_diameters_lie_in_the_slice_at_right_angles_and_agree_with_their_ends(data):
    g = grid((9, 8, 4), (0.8, 1.3, 4.0), data.draw(st.tuples(angles, angles, angles)))
    bits = data.draw(st.lists(st.booleans(), min_size=288, max_size=288).filter(any))
    mask = np.array(bits).reshape(g.shape)
    measured = axial_diameters(mask, g)
    assert length(measured.longest_ends) == pytest.approx(measured.longest_mm)
    assert length(measured.perpendicular_ends) == pytest.approx(measured.perpendicular_mm)
    assert measured.product_mm2 == pytest.approx(measured.longest_mm * measured.perpendicular_mm)
    assert measured.perpendicular_mm <= measured.longest_mm * (1 + 1e-9)
    first, second = (np.subtract(*ends) for ends in (measured.longest_ends, measured.perpendicular_ends))
    assert first @ second == pytest.approx(0.0, abs=1e-6)
    indices = g.to_index([*measured.longest_ends, *measured.perpendicular_ends])
    np.testing.assert_allclose(indices[:, 2], measured.slice_index, atol=1e-6)
    assert mask[:, :, measured.slice_index].any()


def test_the_second_diameter_is_the_longest_chord_and_not_the_projected_width():
    # a right triangle: the longest side is 5, its height is 12/5; the chord at right angles to it is that height
    g = grid((60, 60, 1), (0.1, 0.1, 1.0))
    i, j = np.meshgrid(np.arange(60), np.arange(60), indexing="ij")
    triangle = ((i / 40 + j / 30) <= 1.0)[..., None]
    measured = axial_diameters(triangle, g)
    assert measured.longest_mm == pytest.approx(5.0, abs=0.2)
    assert measured.perpendicular_mm == pytest.approx(2.4, abs=0.2)


def test_the_slice_with_the_largest_product_is_taken_and_the_lowest_of_equal_ones():
    g = grid((30, 30, 6))
    mask = np.zeros(g.shape, bool)
    mask[2:28, 10:12, 1] = True  # longest diameter 26, product about 52
    mask[5:20, 5:20, 3] = True
    mask[5:20, 5:20, 4] = True
    assert axial_diameters(mask, g).slice_index == 3
    assert axial_diameters(mask[:, :, ::-1], g).slice_index == 1


def test_a_diameter_never_spans_two_separate_lesions():
    g = grid((40, 12, 1))
    mask = np.zeros(g.shape, bool)
    mask[1:5, 1:5] = True
    mask[30:38, 1:5] = True
    assert axial_diameters(mask, g).longest_mm < 9.0


def test_one_voxel_measures_its_edges():
    g = grid((3, 3, 3), (1.0, 2.0, 5.0))
    mask = np.zeros(g.shape, bool)
    mask[1, 1, 1] = True
    measured = axial_diameters(mask, g)
    assert (measured.longest_mm, measured.perpendicular_mm) == pytest.approx((2.0, 1.0))
    assert longest_diameter_3d_mm(mask, g) == 0.0


def test_nothing_has_no_diameter():
    g = grid((3, 3, 3))
    assert axial_diameters(np.zeros(g.shape, bool), g) is None
    assert longest_diameter_3d_mm(np.zeros(g.shape, bool), g) is None


def test_in_plane_shear_is_measured_in_millimetres_of_space():
    affine = np.eye(4)
    affine[0, 1] = 1.0  # j runs along (1, 1, 0)
    g = Grid((4, 12, 1), affine)
    mask = np.zeros(g.shape, bool)
    mask[1, 1:11, 0] = True
    assert axial_diameters(mask, g).longest_mm == pytest.approx(10 * np.sqrt(2))


@few
@given(semi_axes=st.tuples(*[st.floats(6.0, 12.0)] * 3), turn=st.tuples(angles, angles, angles))
def test_an_ellipsoid_measures_its_longest_axis_in_3d(semi_axes, turn):
    g = grid((26, 26, 26))
    mask = ellipsoid(g, semi_axes, turn_deg=turn)
    # centres of the outermost voxels lie up to a voxel's half diagonal inside either end
    assert 2 * max(semi_axes) - np.sqrt(3) <= longest_diameter_3d_mm(mask, g) <= 2 * max(semi_axes) + 1e-6


@few
@given(
    size=st.sampled_from([(5, 4, 3), (6, 5, 1), (1, 6, 5), (7, 1, 1), (1, 1, 6), (2, 1, 5)]),
    turn=st.tuples(angles, angles, angles),
    seed=st.integers(0, 1000),
)
def test_the_3d_diameter_equals_brute_force_also_for_flat_and_thin_masks(size, turn, seed):
    g = grid(size, (0.7, 1.1, 3.0), turn)
    mask = np.random.default_rng(seed).random(size) < 0.6
    mask.flat[0] = True
    assert longest_diameter_3d_mm(mask, g) == pytest.approx(brute_force_3d(mask, g))


def test_a_slanted_plane_of_voxels_is_no_problem_in_3d():
    g = grid((8, 8, 8))
    i, j, k = np.indices(g.shape)
    mask = (i == k) & (j < 4)
    assert longest_diameter_3d_mm(mask, g) == pytest.approx(brute_force_3d(mask, g))
