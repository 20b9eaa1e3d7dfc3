"""What an annotator says of a few voxels corrects the mask there, and nowhere else."""

import itertools

import numpy as np
import pytest

from braintumor.domain import ENHANCING, NECROTIC_CORE, OEDEMA, Case, Grid, MRSequence, SubmissionError
from braintumor.refine import Hint, refine
from braintumor.segment.engines import Probabilities
from tests.data import tilted_grid

ED, NCR, ET = OEDEMA.value, NECROTIC_CORE.value, ENHANCING.value


def distance_mm(grid, centre):
    """(i, j, k) mm from a voxel."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return np.linalg.norm(grid.to_world(index) - grid.to_world(centre), axis=-1)


def scene(grid, seed=0):
    """Bright oedema of 14 mm round an enhancing 6 mm, in dark brain, with noise: images and the true mask."""
    centre = np.array(grid.shape) // 2
    away = distance_mm(grid, centre)
    truth = np.where(away < 6, ET, np.where(away < 14, ED, 0)).astype(np.uint8)
    rng = np.random.default_rng(seed)
    flair = np.where(truth > 0, 300.0, 100.0) + rng.normal(0, 12, grid.shape)
    t1ce = np.where(truth == ET, 320.0, 110.0) + rng.normal(0, 12, grid.shape)
    return {MRSequence.FLAIR: flair.astype(np.float32), MRSequence.T1CE: t1ce.astype(np.float32)}, truth


GRID = Grid((56, 56, 48), np.eye(4))
IMAGES, TRUTH = scene(GRID)
CENTRE = (28, 28, 24)


def agreement(mask, truth=TRUTH):
    return 2 * np.count_nonzero((mask > 0) & (truth > 0)) / (np.count_nonzero(mask) + np.count_nonzero(truth))


def missing_lobe(truth=TRUTH):
    """The mask without its part beyond i = 33."""
    mask = truth.copy()
    mask[33:] = 0
    return mask


def test_one_click_brings_back_a_missing_lobe():
    mask = missing_lobe()
    patch = refine(IMAGES, GRID, mask, None, [Hint((37, 28, 24), ED)])
    found = patch.on(mask)
    assert np.count_nonzero(found != TRUTH) < 0.4 * np.count_nonzero(mask != TRUTH)
    assert np.count_nonzero((found > 0) & (TRUTH == 0)) < 0.05 * np.count_nonzero(TRUTH)


def test_one_click_takes_away_what_is_no_tumour():
    mask = TRUTH.copy()
    mask[10:20, 10:20, 10:18] = ED
    found = refine(IMAGES, GRID, mask, None, [Hint((14, 14, 14), 0)]).on(mask)
    assert np.count_nonzero(found != TRUTH) < 0.4 * np.count_nonzero(mask != TRUTH)
    assert agreement(found) > agreement(mask)


def test_one_click_renames_the_core():
    mask = np.where(TRUTH == ET, NCR, TRUTH).astype(np.uint8)
    found = refine(IMAGES, GRID, mask, None, [Hint(CENTRE, ET)]).on(mask)
    core = TRUTH == ET
    assert np.count_nonzero(found[core] == ET) > 0.6 * np.count_nonzero(core)
    assert np.count_nonzero(found[~core] == ET) < 0.1 * np.count_nonzero(core)


def test_a_scribble_reaches_all_along_itself():
    mask = np.zeros(GRID.shape, np.uint8)
    line = [Hint((28, j, 24), ED) for j in range(16, 22)]
    one = refine(IMAGES, GRID, mask, None, line[:1]).on(mask)
    many = refine(IMAGES, GRID, mask, None, [], line).on(mask)
    assert all(many[hint.ijk] == ED for hint in line)
    assert agreement(many) > agreement(one)


def random_hints(rng, count):
    places = {tuple(int(rng.integers(0, n)) for n in GRID.shape) for _ in range(count)}
    return [Hint(place, int(rng.choice([0, NCR, ED, ET]))) for place in sorted(places)]


@pytest.mark.parametrize("seed", range(2))
def test_marked_voxels_obey_and_nothing_else_changes_outside_the_box(seed):
    rng = np.random.default_rng(seed)
    mask, hints = missing_lobe(), random_hints(rng, 5)
    hints.append(Hint((0, 0, 47), ET))  # a corner of the image, where there is no rim to keep
    before = mask.copy()
    patch = refine(IMAGES, GRID, mask, None, hints[:3], hints[3:])
    found = patch.on(mask)
    assert np.array_equal(mask, before)  # the caller's mask is not written to
    assert all(found[hint.ijk] == hint.label for hint in hints)
    assert patch.mask.dtype == np.uint8
    outside = np.ones(GRID.shape, bool)
    outside[patch.box] = False
    assert np.array_equal(found[outside], mask[outside])
    assert set(np.unique(found)) <= {0, NCR, ED, ET}


def test_a_box_is_local():
    box = refine(IMAGES, GRID, missing_lobe(), None, [Hint((35, 34, 24), ED)]).box
    assert max(s.stop - s.start for s in box) < 40
    far = [Hint((3, 3, 3), 0), Hint((52, 52, 44), 0)]
    found = refine(IMAGES, GRID, TRUTH, None, far).on(TRUTH)
    assert np.array_equal(found, TRUTH)  # both agree with the mask; what lies between is no business of theirs


def test_without_hints_nothing_changes():
    patch = refine(IMAGES, GRID, TRUTH, None, [], [])
    assert patch.mask.size == 0
    assert np.array_equal(patch.on(TRUTH), TRUTH)


def test_the_order_of_hints_does_not_matter():
    mask = missing_lobe()
    hints = [Hint((37, 28, 24), ED), Hint((43, 28, 24), 0), Hint((34, 28, 24), ET), Hint((10, 12, 9), 0)]
    wanted = refine(IMAGES, GRID, mask, None, hints)
    for order in list(itertools.permutations(hints))[1::9]:
        found = refine(IMAGES, GRID, mask, None, order[:2], order[2:])
        assert found.box == wanted.box
        assert np.array_equal(found.mask, wanted.mask)
    twice = refine(IMAGES, GRID, mask, None, hints, hints)
    assert np.array_equal(twice.mask, wanted.mask)


def test_sending_hints_again_changes_nothing_more():
    mask, hints = missing_lobe(), [Hint((37, 28, 24), ED), Hint((43, 28, 24), 0)]
    once = refine(IMAGES, GRID, mask, None, hints).on(mask)
    assert not np.array_equal(once, mask)
    assert np.array_equal(refine(IMAGES, GRID, once, None, hints).on(once), once)
    erased = once.copy()
    erased[34:37] = 0  # by the brush, beside the earlier click
    assert np.array_equal(refine(IMAGES, GRID, erased, None, hints).on(erased), erased)


def test_a_hint_holds_its_ground_against_another():
    mask = missing_lobe()
    alone = refine(IMAGES, GRID, mask, None, [Hint((37, 28, 24), ED)]).on(mask)
    guarded = refine(IMAGES, GRID, mask, None, [Hint((37, 28, 24), ED), Hint((36, 33, 24), 0)]).on(mask)
    near = distance_mm(GRID, (36, 33, 24)) <= 1.0
    assert (alone[near] == ED).all()
    assert (guarded[near] == 0).all()
    assert guarded[37, 28, 24] == ED


def test_millimetres_count_and_not_voxels():
    """The same object on 1 x 1 x 4 mm slices, tilted: as many millilitres come back as on 1 mm, not four times as many."""
    thick = tilted_grid((56, 56, 12), (1.0, 1.0, 4.0))
    volumes = []
    for grid, k in ((GRID, 24), (thick, 6)):
        images, truth = scene(grid)
        mask = missing_lobe(truth)
        found = refine(images, grid, mask, None, [Hint((37, 28, k), ED)]).on(mask)
        changed = found != mask
        volumes.append(np.count_nonzero(changed) * grid.voxel_ml)
        assert np.count_nonzero(found != truth) < 0.6 * np.count_nonzero(mask != truth)
        reach = distance_mm(grid, (37, 28, k))[changed].max()
        assert reach < 20
    assert volumes[1] == pytest.approx(volumes[0], rel=0.35)


def as_case(images):
    channels = np.zeros((4, *GRID.shape), np.float32)
    for n, sequence in enumerate(MRSequence):
        if sequence in images:
            channels[n] = (images[sequence] - images[sequence].mean()) / images[sequence].std()
    brain = np.ones(GRID.shape, bool)
    return Case("case", GRID, channels, {}, brain, tuple(s for s in MRSequence if s in images), {})


def says(mask, box):
    values = np.stack([np.where(mask == v, 0.7, 0.1) for v in (0, NCR, ED, ET)]).astype(np.float32)
    return Probabilities(np.ascontiguousarray(values[(slice(None), *box)]), box)


def test_a_mask_on_another_grid_of_the_same_points_is_corrected_alike():
    """The viewer's stack runs the other way round; case and network stay on their own grid."""
    case, mask = as_case(IMAGES), missing_lobe()
    found = says(mask, (slice(5, 50), slice(6, 51), slice(4, 44)))
    wanted = refine(case, GRID, mask, found, [Hint((37, 28, 24), ED)]).on(mask)
    affine = np.array([[0, -1.0, 0, 55], [1, 0, 0, 0], [0, 0, -1, 47], [0, 0, 0, 1]])  # (i, j, k) -> (55 - j, i, 47 - k)
    turned = Grid((56, 56, 48), affine)
    there = np.ascontiguousarray(mask[::-1].transpose(1, 0, 2)[:, :, ::-1])
    again = refine(case, turned, there, found, [Hint((28, 55 - 37, 47 - 24), ED)]).on(there)
    same = np.ascontiguousarray(wanted[::-1].transpose(1, 0, 2)[:, :, ::-1])
    assert np.count_nonzero(again != same) <= 2  # a draw may fall the other way
    shift = np.eye(4)
    shift[:3, 3] = 100.0
    moved = Grid(GRID.shape, shift @ GRID.affine)
    third = refine(case, moved, mask, found, [Hint((37, 28, 24), ED)], transform=shift).on(mask)
    assert np.array_equal(third, wanted)


def test_outside_the_brain_only_the_marked_voxel_is_tumour():
    images = {s: v.copy() for s, v in IMAGES.items()}
    for image in images.values():
        image[36:] = 0
    mask = missing_lobe()
    found = refine(images, GRID, mask, None, [Hint((34, 28, 24), ED), Hint((40, 28, 24), ED)]).on(mask)
    assert np.argwhere(found[36:] > 0).tolist() == [[4, 28, 24]]
    assert found[34, 28, 24] == ED


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Hint((56, 0, 0), ED), "outside the image"),
        (Hint((0, -1, 0), ED), "outside the image"),
        (Hint((1.5, 2, 3), ED), "whole numbers"),
        (Hint((1, 2), ED), "whole numbers"),
        (Hint((1, 2, 3), 3), "unknown label"),
        (Hint((1, 2, 3), "2"), "unknown label"),
        (Hint((1, 2, 3), True), "unknown label"),
    ],
)
def test_wrong_hints_are_refused_in_plain_words(hint, words):
    with pytest.raises(SubmissionError, match=words):
        refine(IMAGES, GRID, TRUTH, None, [hint])


def test_contradictions_and_wrong_masks_are_refused():
    with pytest.raises(SubmissionError, match="different labels"):
        refine(IMAGES, GRID, TRUTH, None, [Hint((1, 2, 3), ED)], [Hint((1, 2, 3), 0)])
    with pytest.raises(SubmissionError, match="no labels"):
        refine(IMAGES, GRID, np.full(GRID.shape, 3, np.uint8), None, [])
    with pytest.raises(SubmissionError, match="the image has"):
        refine(IMAGES, GRID, TRUTH[1:], None, [])
    with pytest.raises(SubmissionError, match="no image"):
        refine({}, GRID, TRUTH, None, [Hint((1, 2, 3), ED)])
    many = (Hint((int(n) % 56, int(n) // 56 % 56, int(n) // 3136), ED) for n in range(20_001))
    with pytest.raises(SubmissionError, match="more than"):
        refine(IMAGES, GRID, TRUTH, None, many)


def test_a_volume_of_one_slice_and_one_image_work():
    grid = Grid((56, 56, 1), np.diag([1.0, 1.0, 5.0, 1.0]))
    images = {MRSequence.FLAIR: IMAGES[MRSequence.FLAIR][:, :, 24:25]}
    mask = missing_lobe()[:, :, 24:25].copy()
    found = refine(images, grid, mask, None, [Hint((37, 28, 0), ED)]).on(mask)
    assert found[37, 28, 0] == ED
    assert agreement(found, TRUTH[:, :, 24:25]) > agreement(mask, TRUTH[:, :, 24:25])
