"""What a person changed is counted per region, in mL of the grid it lies on."""

import json

import numpy as np
import pytest

from braintumor.domain import Author, GeometryError, Grid, Region, Segmentation
from braintumor.measure.change import change
from tests.data import tilted_grid

GRID = tilted_grid()  # 1.5 x 2 x 4 mm: 0.012 mL a voxel


def drawn(labels, grid=GRID):
    mask = np.zeros(grid.shape, np.uint8)
    for (start, stop), value in labels.items():
        mask[start:stop, 10:20, 1:3] = value
    return Segmentation(mask, grid, Author("human", "test"))


def test_added_and_removed_by_hand():
    found = change(drawn({(0, 10): 2}), drawn({(5, 20): 2}))
    assert found.dice[Region.WT] == pytest.approx(2 * 5 / (10 + 15))
    assert found.added_ml[Region.WT] == pytest.approx(10 * 20 * 0.012)
    assert found.removed_ml[Region.WT] == pytest.approx(5 * 20 * 0.012)
    assert found.changed_ml == pytest.approx(15 * 20 * 0.012)
    assert found.dice[Region.TC] is None
    assert found.added_ml[Region.ET] == found.removed_ml[Region.ET] == 0


def test_a_new_label_inside_the_tumour_leaves_the_whole_tumour_alone():
    found = change(drawn({(0, 10): 2}), drawn({(0, 4): 2, (4, 10): 4}))
    assert (found.dice[Region.WT], found.added_ml[Region.WT], found.removed_ml[Region.WT]) == (1.0, 0.0, 0.0)
    assert (found.dice[Region.TC], found.dice[Region.ET]) == (0.0, 0.0)
    assert found.added_ml[Region.ET] == found.added_ml[Region.TC] == found.changed_ml == pytest.approx(6 * 20 * 0.012)


def test_swapping_the_masks_swaps_added_and_removed():
    one, two = drawn({(0, 10): 1, (10, 12): 4}), drawn({(3, 11): 4, (20, 30): 2})
    there, back = change(one, two), change(two, one)
    assert there.dice == back.dice
    assert (there.added_ml, there.removed_ml) == (back.removed_ml, back.added_ml)


def test_two_empty_masks_agree_about_nothing():
    found = change(drawn({}), drawn({}))
    assert set(found.dice.values()) == {None}
    assert found.changed_ml == 0.0


def test_json_holds_it_all():
    content = json.loads(json.dumps(change(drawn({(0, 10): 2}), drawn({(0, 10): 4})).as_dict()))
    assert content["dice"] == {"WT": 1.0, "TC": 0.0, "ET": 0.0}
    assert content["added_ml"] == {"WT": 0.0, "TC": 2.4, "ET": 2.4}
    assert set(content) == {"dice", "added_ml", "removed_ml", "changed_ml"}


def test_masks_of_different_grids_are_refused():
    moved = Grid(GRID.shape, GRID.affine @ np.diag([1, 1, 1.1, 1]))
    with pytest.raises(GeometryError, match="different grids"):
        change(drawn({}), drawn({}, moved))
