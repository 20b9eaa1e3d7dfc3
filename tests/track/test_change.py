"""Volumes with their error, rates and times by hand, and phantoms seen again: what did not change is not called change."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from braintumor.domain import Estimate, Grid
from braintumor.track.change import change_between, extent_of_resection, measurable_change, volume_of


def ellipsoid(grid, centre, radii, turn=(0, 0, 0)):
    points = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1)) - centre
    inside = points @ Rotation.from_euler("xyz", turn, degrees=True).as_matrix() / radii
    return (inside**2).sum(axis=-1) <= 1


def grid_of(spacing, size=48):
    return Grid(tuple(math.ceil(size / s) for s in spacing), np.diag([*spacing, 1.0]))


@pytest.mark.parametrize("spacing", [(1, 1, 1), (1, 1, 3), (2, 2, 2), (0.8, 0.8, 5)])
def test_true_volume_lies_within_the_interval(spacing):
    rng = np.random.default_rng(1)
    grid = grid_of(spacing)
    truth = 4 / 3 * math.pi * 12 * 9 * 15 / 1000
    within = 0
    for _ in range(10):
        mask = ellipsoid(grid, 24 + rng.uniform(-4, 4, 3), (12, 9, 15), rng.uniform(0, 90, 3))
        found = volume_of(mask, grid)
        within += found.low <= truth <= found.high
        assert abs(found.value - truth) < 0.03 * truth + 0.05
    assert within >= 9


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 2, 2)])
def test_seen_again_is_no_change_and_a_tenth_more_is_one(spacing):
    rng = np.random.default_rng(2)
    grid = grid_of(spacing)
    called, noticed = 0, 0
    for _ in range(10):
        first, again = (
            volume_of(ellipsoid(grid, 24 + rng.uniform(-4, 4, 3), (14, 12, 15), rng.uniform(0, 90, 3)), grid) for _ in range(2)
        )
        larger = volume_of(ellipsoid(grid, (24, 24, 24), np.array((14, 12, 15)) * 1.2 ** (1 / 3)), grid)
        called += measurable_change(first, again)
        noticed += measurable_change(first, larger)
    assert called == 0
    assert noticed == 10


def test_error_grows_with_the_voxel_and_with_the_masks_own_doubt():
    errors = [volume_of(ellipsoid(grid_of((s, s, s)), (24, 24, 24), (12, 12, 12)), grid_of((s, s, s))).sigma for s in (1, 2, 4)]
    assert errors == sorted(errors)
    grid = grid_of((1, 1, 1))
    mask = ellipsoid(grid, (24, 24, 24), (12, 12, 12))
    doubts = [volume_of(mask, grid, np.full(grid.shape, u, np.float16)).sigma for u in (0.0, 0.1, 0.4)]
    assert doubts == sorted(doubts)
    assert doubts[0] < 0.5 * doubts[2]


def test_doubt_far_from_the_surface_does_not_count():
    grid = grid_of((1, 1, 1))
    mask = ellipsoid(grid, (20, 20, 20), (8, 8, 8))
    doubt = np.zeros(grid.shape, np.float16)
    near = volume_of(mask, grid, doubt).sigma
    doubt[36:] = 1.0
    assert volume_of(mask, grid, doubt).sigma == near


def test_empty_has_no_volume_and_no_error():
    grid = grid_of((1, 1, 1))
    assert volume_of(np.zeros(grid.shape, bool), grid) == Estimate(0.0, 0.0)


def test_rate_and_doubling_time_by_hand():
    found = change_between(Estimate(10, 0.2), Estimate(15, 0.3), 90)
    assert found.ml == Estimate(5, pytest.approx(math.hypot(0.2, 0.3)))
    assert found.percent.value == pytest.approx(50)
    assert found.percent.sigma == pytest.approx(100 * 1.5 * math.hypot(0.02, 0.02))
    assert found.rate_per_day.value == pytest.approx(math.log(1.5) / 90)
    assert found.doubling_days == pytest.approx(90 * math.log(2) / math.log(1.5))
    assert found.words == "grown"


def test_halving_is_a_negative_doubling_time():
    found = change_between(Estimate(20, 0.1), Estimate(10, 0.1), 50)
    assert found.doubling_days == pytest.approx(-50)
    assert found.words == "shrunk"


@pytest.mark.parametrize(
    ("before", "after", "days", "words"),
    [
        (0, 5, 90, "empty at the earlier visit"),
        (5, 0, 90, "empty at the later visit"),
        (0, 0, 90, "empty at both visits"),
        (5, 6, None, "a date is missing"),
        (5, 6, 0, "both visits have the same date"),
    ],
)
def test_what_is_undefined_is_said(before, after, days, words):
    found = change_between(Estimate(before, 0.1 if before else 0), Estimate(after, 0.1 if after else 0), days)
    assert (found.rate_per_day, found.doubling_days, found.undefined) == (None, None, words)
    assert (found.percent is None) == (before == 0)


def test_below_the_error_there_is_no_doubling_time():
    found = change_between(Estimate(10, 0.5), Estimate(10.5, 0.5), 90)
    assert found.words == "no measurable change"
    assert found.doubling_days is None
    assert found.rate_per_day is not None


def test_extent_of_resection():
    assert extent_of_resection(Estimate(40, 1), Estimate(2, 0.1)).value == pytest.approx(95)
    assert extent_of_resection(Estimate(40, 1), Estimate(0, 0)) == Estimate(100, 0)
    assert extent_of_resection(Estimate(10, 0), Estimate(12, 0)).value == pytest.approx(-20)
    assert extent_of_resection(Estimate(0, 0), Estimate(1, 0.1)) is None
