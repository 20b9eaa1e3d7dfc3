from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import Grid
from braintumor.measure import simpson_volume_ml, slice_areas_mm2, slice_spacing_mm, voxel_volume_ml
from tests.measure.shapes import ellipsoid, grid

few = settings(max_examples=15, deadline=None)


@few
@given(
    size=st.tuples(*[st.integers(1, 6)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 5.0)] * 3),
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
)
def test_a_box_has_the_volume_and_the_slice_areas_of_its_edges(size, spacing, turn):
    g = grid((8, 8, 8), spacing, turn)
    mask = np.zeros(g.shape, bool)
    mask[1 : 1 + size[0], 1 : 1 + size[1], 1 : 1 + size[2]] = True
    edges = np.array(size) * spacing
    assert voxel_volume_ml(mask, g) == pytest.approx(np.prod(edges) / 1000, rel=1e-6)
    expected = np.zeros(8)
    expected[1 : 1 + size[2]] = edges[0] * edges[1]
    np.testing.assert_allclose(slice_areas_mm2(mask, g), expected, rtol=1e-6)


@few
@given(
    semi_axes=st.tuples(*[st.floats(10.0, 16.0)] * 3),
    turn=st.tuples(*[st.floats(-90, 90)] * 3),
    thickness=st.sampled_from([1.0, 2.0]),
)
def test_simpson_voxels_and_formula_agree_on_ellipsoids(semi_axes, turn, thickness):
    g = grid((36, 36, int(36 / thickness)), (1.0, 1.0, thickness))
    mask = ellipsoid(g, semi_axes, turn_deg=turn)
    truth = 4 / 3 * np.pi * np.prod(semi_axes) / 1000
    simpson = simpson_volume_ml(slice_areas_mm2(mask, g), slice_spacing_mm(g))
    assert voxel_volume_ml(mask, g) == pytest.approx(truth, rel=0.02)
    assert simpson == pytest.approx(truth, rel=0.025)


@pytest.mark.parametrize("slices", [8, 9], ids=["odd number of intervals", "even number of intervals"])
def test_simpson_on_the_analytic_areas_of_a_ball_is_within_one_percent(slices):
    z = np.arange(slices) - (slices - 1) / 2
    radius = slices / 2
    areas = np.pi * (radius**2 - z**2)
    assert simpson_volume_ml(areas, 1.0) == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.012)


def test_simpson_equals_the_rule_worked_by_hand():
    # two intervals of half a spacing round one slice; three slices: unequal parabolas, exact for a quadratic
    assert simpson_volume_ml(np.array([300.0]), 2.0) == pytest.approx(300 * 2 * 2 / 3 / 1000)
    quadratic = lambda x: (x + 0.5) * (2.5 - x)  # noqa: E731
    areas = quadratic(np.arange(3.0))
    assert simpson_volume_ml(areas, 1.0) == pytest.approx(4.5 / 1000)


@few
@given(areas=st.lists(st.floats(0.0, 500.0), min_size=1, max_size=12), padding=st.integers(0, 4))
def test_simpson_sees_neither_direction_nor_empty_slices(areas, padding):
    areas = np.array(areas)
    volume = simpson_volume_ml(areas, 1.5)
    assert simpson_volume_ml(areas[::-1], 1.5) == pytest.approx(volume, abs=1e-9)
    assert simpson_volume_ml(np.pad(areas, padding), 1.5) == pytest.approx(volume, abs=1e-9)
    assert simpson_volume_ml(areas, 3.0) == pytest.approx(2 * volume, abs=1e-9)


def test_slices_are_as_far_apart_as_their_planes_even_if_the_stack_is_sheared():
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[0, 2] = 3.0  # the next slice is shifted sideways, as with a tilted gantry
    sheared = Grid((4, 4, 4), affine)
    assert sheared.spacing[2] == pytest.approx(5.0)
    assert slice_spacing_mm(sheared) == pytest.approx(4.0)
    assert simpson_volume_ml(np.zeros(5), 4.0) == 0.0
