"""Two visits are aligned to a fraction of a voxel whatever the pose, the same there and back; what does not fit is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from braintumor.domain import Grid, Image, MRSequence, Region, RegistrationError
from braintumor.track.register import Scan, align_visits


def scan(visit):
    return Scan(visit.images[MRSequence.T1CE], visit.brain, visit.truth.region(Region.WT))


@pytest.fixture(scope="module")
def scans(two_visits):
    return scan(two_visits[1]), scan(two_visits[0])


@pytest.fixture(scope="module")
def truth(two_visits):
    """LPS+ mm of the current (second) visit -> of the prior (first)."""
    return two_visits[0].motion @ np.linalg.inv(two_visits[1].motion)


@pytest.fixture(scope="module")
def found(scans):
    return align_visits(*scans)


def landmarks(current):
    places = np.argwhere(current.brain & ~current.avoid)
    return current.image.grid.to_world(places[:: max(1, len(places) // 500)])


def missed(one, other, points):
    apart = points @ (one - other)[:3, :3].T + (one - other)[:3, 3]
    return np.linalg.norm(apart, axis=1)


def test_landmarks_are_met(scans, truth, found):
    errors = missed(found.transform, truth, landmarks(scans[0]))
    assert np.median(errors) < 0.5
    assert np.percentile(errors, 95) < 1.0
    assert found.quality > 0.8


def test_the_motion_is_reported(found):
    assert found.rotation_deg == pytest.approx(18.0, abs=0.3)


def test_there_and_back_is_nowhere(scans, found):
    back = align_visits(*scans[::-1])
    assert missed(back.transform @ found.transform, np.eye(4), landmarks(scans[0])).max() < 0.1


def test_the_same_pair_gives_the_same_answer(scans, found):
    np.testing.assert_array_equal(align_visits(*scans).transform, found.transform)


@pytest.mark.parametrize(("axis", "degrees"), [("x", 30), ("y", -30), ("z", 30)])
def test_pose_of_thirty_degrees_and_thirty_millimetres(scans, truth, axis, degrees):
    """Another pose of the prior's header: no interpolation, so the truth is exact."""
    current, prior = scans
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    move[:3, 3] = np.array([1, -1, 1]) * 30 / np.sqrt(3)
    moved = replace(prior, image=Image(prior.image.voxels, Grid(prior.image.grid.shape, move @ prior.image.grid.affine)))
    errors = missed(align_visits(current, moved).transform, move @ truth, landmarks(current))
    assert np.median(errors) < 0.5


def test_tumour_that_is_not_marked_does_not_pull(scans, truth):
    plain = [replace(s, avoid=None) for s in scans]
    errors = missed(align_visits(*plain).transform, truth, landmarks(scans[0]))
    assert np.median(errors) < 0.5


def test_other_scale_and_shading_do_not_matter(scans, truth):
    current, prior = scans
    ramp = np.linspace(0.6, 1.4, prior.image.grid.shape[0])[:, None, None]
    other = replace(prior, image=Image(7.5 * prior.image.voxels * ramp + 40 * prior.brain, prior.image.grid))
    errors = missed(align_visits(current, other).transform, truth, landmarks(current))
    assert np.median(errors) < 0.5


def test_what_does_not_show_the_same_head_is_refused(scans):
    current, prior = scans
    noise = np.random.default_rng(1).normal(500, 80, prior.image.grid.shape) * prior.brain
    with pytest.raises(RegistrationError, match="nothing is said about change"):
        align_visits(current, replace(prior, image=Image(noise.astype(np.float32), prior.image.grid)))


def test_no_brain_is_refused(scans):
    current, prior = scans
    with pytest.raises(RegistrationError, match="no brain"):
        align_visits(current, replace(prior, brain=np.zeros_like(prior.brain)))
