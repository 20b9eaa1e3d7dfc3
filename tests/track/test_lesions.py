"""Lesions keep their identity: matched across visits, split, merged, gone and back, in any order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from braintumor.domain import Grid
from braintumor.domain import LesionState as S
from braintumor.track.lesions import carried, find_instances, match, track

GRID = Grid((48, 40, 32), np.diag([2.0, 2.0, 2.0, 1.0]))
COARSE = Grid((24, 20, 16), np.diag([4.0, 4.0, 4.0, 1.0]))
FEW = settings(max_examples=30, deadline=None)


def balls(*shapes, grid=GRID):
    """Instances of balls (x, y, z, radius) in mm."""
    points = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    mask = np.zeros(grid.shape, bool)
    for x, y, z, r in shapes:
        mask |= np.linalg.norm(points - (x, y, z), axis=-1) <= r
    return find_instances(mask, grid)


def follow(*visits, known=None):
    return track(visits, [f"visit-{n}" for n in range(len(visits))], known)


def states(found):
    return [[a.state for a in t.appearances] for t in found]


A, B, C = (20, 20, 20, 9), (60, 20, 30, 7), (60, 60, 40, 5)


def test_grown_shrunk_and_unchanged():
    found = follow(balls(A, B, C), balls((20, 20, 20, 13), B, (60, 60, 40, 3)))
    assert states(found) == [[S.PRESENT, S.GROWN], [S.PRESENT, S.STABLE], [S.PRESENT, S.SHRUNK]]
    assert [t.name for t in found] == ["Lesion 1", "Lesion 2", "Lesion 3"]
    assert found[0].appearances[1].volume.value > found[0].appearances[0].volume.value


def test_new_resolved_and_back_again():
    found = follow(balls(A, B), balls(A), balls(A, B, C))
    assert states(found) == [[S.PRESENT, S.STABLE, S.STABLE], [S.PRESENT, S.RESOLVED, S.RETURNED], [S.NEW]]


def test_gone_is_said_once():
    found = follow(balls(A, B), balls(A), balls(A))
    assert states(found)[1] == [S.PRESENT, S.RESOLVED]


def test_split_keeps_the_identity_in_the_larger_piece():
    found = follow(balls((40, 40, 30, 14)), balls((33, 40, 30, 6), (48, 40, 30, 5)))
    assert states(found) == [[S.PRESENT, S.SPLIT], [S.SPLIT]]
    assert found[0].appearances[1].volume.value > found[1].appearances[0].volume.value
    assert found[1].family == found[0].family == found[0].uid


def test_merge_keeps_the_identity_of_the_larger_and_ends_the_other():
    found = follow(balls((30, 40, 30, 8), (50, 40, 30, 6)), balls((38, 40, 30, 17)), balls((38, 40, 30, 17)))
    assert states(found) == [[S.PRESENT, S.MERGED, S.STABLE], [S.PRESENT, S.MERGED]]
    assert found[1].appearances[1].number is None
    assert found[0].family == found[1].family


def test_split_and_merged_again_is_one_family_without_end():
    whole, pieces = balls((40, 40, 30, 14)), balls((33, 40, 30, 6), (48, 40, 30, 6.5))
    found = follow(whole, pieces, whole, pieces)
    assert len({t.family for t in found}) == 1


def test_small_lesion_that_left_its_outline_is_found_by_distance():
    assert match(balls((40, 40, 30, 3)), balls((46, 40, 30, 3))) == ((1, 1),)
    assert match(balls((40, 40, 30, 3)), balls((60, 40, 30, 3))) == ()


def test_a_new_neighbour_does_not_take_the_identity():
    found = follow(balls((40, 40, 30, 6)), balls((40, 40, 30, 6), (57, 40, 30, 4)))
    assert states(found) == [[S.PRESENT, S.STABLE], [S.NEW]]


def test_a_piece_that_one_voxel_detaches_is_no_new_lesion():
    found = follow(balls(A), balls((20, 20, 20, 11), (36, 20, 20, 3)))
    assert states(found) == [[S.PRESENT, S.GROWN], [S.SPLIT]]
    assert found[1].family == found[0].uid


def test_empty_visits():
    assert follow(balls(), balls()) == ()
    assert states(follow(balls(), balls(A))) == [[S.NEW]]
    assert states(follow(balls(A), balls())) == [[S.PRESENT, S.RESOLVED]]


def test_identities_given_before_stay_when_an_earlier_visit_arrives():
    late = track([balls(A), balls(A, B)], ["b", "c"])
    known = {("b", 1): late[0].uid, ("c", 1): late[0].uid, ("c", 2): late[1].uid}
    again = track([balls((20, 20, 20, 6)), balls(A), balls(A, B)], ["a", "b", "c"], known)
    assert [t.uid for t in again] == [t.uid for t in late]
    assert again[0].appearances[0].visit == 0


def test_instances_are_carried_with_their_place_and_keep_their_volume():
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", (10, -8, 12), degrees=True).as_matrix()
    motion[:3, 3] = (3, -4, 5)
    there = balls(A, B)
    moved = carried(there, GRID, np.linalg.inv(motion))
    for before, after in zip(there.lesions, moved.lesions, strict=True):
        np.testing.assert_allclose(after.centroid_lps, motion[:3, :3] @ before.centroid_lps + motion[:3, 3], atol=1e-6)
        assert after.volume == before.volume
        seen = GRID.to_world(np.argwhere(moved.labels == after.number).mean(axis=0))
        assert np.linalg.norm(seen - after.centroid_lps) < 1.0
    assert match(there, carried(carried(there, GRID, np.linalg.inv(motion)), GRID, motion)) == ((1, 1), (2, 2))


SHAPES = st.lists(
    st.tuples(st.integers(10, 80), st.integers(10, 66), st.integers(10, 50), st.integers(3, 10)), min_size=0, max_size=5
)


@FEW
@given(st.lists(SHAPES, min_size=1, max_size=4))
def test_every_instance_has_one_track_and_identities_are_unique(visits):
    made = [balls(*shapes, grid=COARSE) for shapes in visits]
    found = follow(*made)
    seen = sorted((a.visit, a.number) for t in found for a in t.appearances if a.number is not None)
    assert seen == sorted((v, m.number) for v, i in enumerate(made) for m in i.lesions)
    assert len({t.uid for t in found}) == len(found)
    uids = {t.uid for t in found}
    for t in found:
        assert t.family in uids
        days = [a.visit for a in t.appearances]
        assert days == sorted(set(days))


@FEW
@given(SHAPES)
def test_the_same_mask_again_changes_nothing(shapes):
    found = follow(balls(*shapes, grid=COARSE), balls(*shapes, grid=COARSE), balls(*shapes, grid=COARSE))
    assert all(row == [S.PRESENT, S.STABLE, S.STABLE] for row in states(found))


@FEW
@given(SHAPES, SHAPES)
def test_matching_backwards_is_the_same_matching(one, two):
    a, b = balls(*one, grid=COARSE), balls(*two, grid=COARSE)
    assert match(a, b) == tuple(sorted((x, y) for y, x in match(b, a)))


@FEW
@given(st.lists(SHAPES, min_size=2, max_size=3))
def test_a_visit_more_renames_nothing(visits):
    made = [balls(*shapes, grid=COARSE) for shapes in visits]
    names = {(t.appearances[0].visit, t.appearances[0].number): t.uid for t in follow(*made[:-1])}
    later = {(t.appearances[0].visit, t.appearances[0].number): t.uid for t in follow(*made)}
    assert names.items() <= later.items()
