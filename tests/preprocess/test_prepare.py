"""Study -> Case: nothing is resampled that need not be, motion is found, and what was done is said."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from braintumor.domain import (
    Evidence,
    Grid,
    Image,
    MRSequence,
    Patient,
    RegistrationError,
    Series,
    Severity,
    Study,
    UnusableImageError,
)
from braintumor.phantom import PhantomOptions, make
from braintumor.preprocess import PrepareOptions, prepare_case
from braintumor.preprocess.brain import find_brain, is_stripped
from braintumor.preprocess.grid import case_grid, inside, resample, single_thread
from braintumor.preprocess.intensity import correct_bias, zscore
from braintumor.preprocess.register import NMI_REFUSE, NMI_WARN, agreement, align
from braintumor.study import read_study


def series_of(sequence, image, frame="1.2.3"):
    attributes = {"frame_of_reference_uid": frame} if frame else {}
    return Series(sequence.value, image, (), (), attributes, Evidence(sequence, 1.0, ("test",)))


def study_of(images, **more):
    return Study("case", "nifti", Patient(), None, {s: series_of(s, image) for s, image in images.items()}, **more)


def moved(image, matrix):
    """The same head after a motion: the point x of `image` is now at matrix @ x."""
    return Image(resample(image, image.grid, np.linalg.inv(matrix)), image.grid)


def motion(grid, shift, turn):
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    matrix[:3, 3] = centre + np.array(shift) - matrix[:3, :3] @ centre
    return matrix


@pytest.fixture(scope="module")
def head():
    """Skull-on phantom at 3 mm."""
    return make(PhantomOptions(seed=2, spacing_mm=(3, 3, 3), skull=True))[0]


def test_a_one_millimetre_reference_is_kept_voxel_for_voxel():
    stored = Grid((30, 20, 10), np.diag([-1.0, 1.0, 1.01, 1.0]))
    grid = case_grid(stored)
    assert grid.axcodes == "LPS"
    voxels = np.random.default_rng(0).normal(size=(30, 20, 10)).astype(np.float32)
    assert np.array_equal(resample(Image(voxels, stored), grid), voxels[::-1])


@pytest.mark.parametrize(
    ("spacing", "expected"), [((0.9, 0.9, 5.5), (1, 1, 5.5)), ((0.5, 0.5, 0.5), (1, 1, 1)), ((2, 2, 2), (1, 1, 2))]
)
def test_other_references_get_one_millimetre_in_plane_and_keep_thick_slices(spacing, expected):
    stored = Grid((40, 40, 20), np.diag([*spacing, 1.0]))
    grid = case_grid(stored)
    assert grid.spacing == pytest.approx(expected)
    middle = [g.to_world((np.array(g.shape) - 1) / 2) for g in (stored, grid)]
    np.testing.assert_allclose(*middle, atol=1e-6)


def test_stripped_study_is_only_normalised(phantom):
    case = prepare_case(study_of(phantom.images))
    assert case.present == tuple(MRSequence)
    assert {a.method for a in case.alignment.values()} == {"same-grid", "reference"}
    assert any("N4 bias correction skipped" in step for step in case.steps)
    assert sum("registration skipped" in step for step in case.steps) == 3
    for n in range(4):
        inside = case.channels[n][case.brain]
        assert abs(float(inside.mean())) < 0.05
        assert float(inside.std()) == pytest.approx(1.0, abs=0.05)
        assert not case.channels[n][~case.brain].any()
    assert case.flags == ()


def test_missing_sequence_is_an_empty_channel(phantom):
    images = {s: phantom.images[s] for s in (MRSequence.T1CE, MRSequence.FLAIR)}
    case = prepare_case(study_of(images))
    assert case.present == (MRSequence.T1CE, MRSequence.FLAIR)
    assert not case.channels[list(MRSequence).index(MRSequence.T2)].any()
    assert set(case.display) == set(images)


def test_bias_choices(phantom):
    study = study_of({MRSequence.T1CE: phantom.images[MRSequence.T1CE]})
    case = prepare_case(study, PrepareOptions(bias="always"))
    assert "N4 bias correction applied" in case.steps
    case = prepare_case(study, PrepareOptions(bias="never"))
    assert "N4 bias correction skipped: asked not to" in case.steps
    with pytest.raises(ValueError, match="bias must be one of"):
        PrepareOptions(bias="sometimes")


def test_an_empty_image_has_no_brain():
    empty = Image(np.zeros((40, 40, 12), np.float32), Grid((40, 40, 12), np.eye(4)))
    with pytest.raises(UnusableImageError, match="No brain"):
        prepare_case(study_of({MRSequence.T1CE: empty, MRSequence.T2: empty}))


@pytest.mark.parametrize(("shift", "turn"), [((6.0, -4.0, 5.0), (4.0, -5.0, 8.0)), ((0.0, 9.0, -3.0), (-8.0, 2.0, 3.0))])
def test_motion_between_sequences_is_found(head, shift, turn):
    """Mean error over the brain under 1 mm (voxels are 3 mm) for motions of 9 mm and 10 degrees."""
    fixed, other = head.images[MRSequence.T1CE], head.images[MRSequence.T2]
    true = motion(fixed.grid, shift, turn)
    found, flags = align(
        MRSequence.T2, series_of(MRSequence.T2, moved(other, true)), series_of(MRSequence.T1CE, fixed), stripped=False
    )
    assert found.method == "rigid"
    assert not flags
    points = fixed.grid.to_world(np.argwhere(head.brain)[::50])
    error = np.linalg.norm(
        (points @ found.transform[:3, :3].T + found.transform[:3, 3]) - (points @ true[:3, :3].T + true[:3, 3]), axis=1
    )
    assert error.mean() < 1.0
    assert found.quality > NMI_WARN


def test_alignment_repeats_exactly_whatever_the_number_of_threads(head):
    fixed, still = head.images[MRSequence.T1CE], head.images[MRSequence.T1]
    other = moved(still, motion(still.grid, (3, 2, 1), (2, 3, 4)))
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    runs = []
    try:
        for threads in (1, 3):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            found, _ = align(MRSequence.T1, series_of(MRSequence.T1, other), series_of(MRSequence.T1CE, fixed), stripped=False)
            runs.append(found.transform)
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads  # the caller's setting is given back
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert np.array_equal(*runs)


def test_one_thread_lasts_until_the_last_user_has_left():
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads
    before = threads()
    first, second = single_thread(), single_thread()
    with first:
        second.__enter__()
        assert threads() == 1
    assert threads() == 1
    second.__exit__(None, None, None)
    assert threads() == before


def test_a_head_that_did_not_move_is_left_alone(head):
    fixed, other = head.images[MRSequence.T1CE], head.images[MRSequence.FLAIR]
    found, _ = align(MRSequence.FLAIR, series_of(MRSequence.FLAIR, other), series_of(MRSequence.T1CE, fixed), stripped=False)
    assert found.method == "same-grid"
    assert np.array_equal(found.transform, np.eye(4))


@pytest.mark.parametrize(
    ("sequence", "shift", "turn"), [(MRSequence.FLAIR, (0, 0, 0), (0, 0, 8)), (MRSequence.T1, (1.5, 0, 0), (0, 0, 0))]
)
def test_small_or_purely_turning_motion_on_a_shared_grid_is_found(head, sequence, shift, turn):
    """A turn about the head's centre makes every shift look worse, so shifts alone do not show it."""
    fixed = head.images[MRSequence.T1CE]
    true = motion(fixed.grid, shift, turn)
    other = series_of(sequence, moved(head.images[sequence], true))
    found, _ = align(sequence, other, series_of(MRSequence.T1CE, fixed), stripped=False)
    assert found.method == "rigid"
    points = fixed.grid.to_world(np.argwhere(head.brain)[::50])
    error = points @ (found.transform - true)[:3, :3].T + (found.transform - true)[:3, 3]
    assert np.linalg.norm(error, axis=1).mean() < 1.0


def test_the_same_points_in_another_axis_order_are_the_same_grid(phantom):
    fixed, other = phantom.images[MRSequence.T1CE], phantom.images[MRSequence.T2]
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = other.grid.shape[0] - 1
    stored = Image(other.voxels[::-1], Grid(other.grid.shape, other.grid.affine @ flip))
    case = prepare_case(study_of({MRSequence.T1CE: fixed, MRSequence.T2: stored}))
    plain = prepare_case(study_of({MRSequence.T1CE: fixed, MRSequence.T2: other}))
    assert case.alignment[MRSequence.T2].method == "same-grid"
    assert np.array_equal(case.channels, plain.channels)


def test_a_head_whose_air_was_set_to_zero_is_not_taken_for_a_stripped_brain(head):
    images = {}
    for sequence in (MRSequence.T1CE, MRSequence.T2):
        image = head.images[sequence]
        images[sequence] = Image(np.where(image.voxels > np.percentile(image.voxels, 60), image.voxels, 0), image.grid)
    assert not any(is_stripped(image) for image in images.values())
    images[MRSequence.T2] = moved(images[MRSequence.T2], motion(images[MRSequence.T2].grid, (8, 0, 0), (0, 0, 0)))
    case = prepare_case(study_of(images), PrepareOptions(bias="never"))
    assert case.alignment[MRSequence.T2].translation_mm == pytest.approx(8, abs=1)
    assert any("deepbet" in step for step in case.steps)


def test_what_a_sequence_does_not_show_is_left_empty_and_flagged(phantom):
    """T2 lacks the top of the head: no intensity is made up there, and its z-scores are those of the part it shows."""
    whole = phantom.images[MRSequence.T2]
    top = whole.grid.shape[2] // 2
    cut = Image(
        whole.voxels[:, :, :top],
        whole.grid.cropped((slice(0, whole.grid.shape[0]), slice(0, whole.grid.shape[1]), slice(0, top))),
    )
    case = prepare_case(study_of({MRSequence.T1CE: phantom.images[MRSequence.T1CE], MRSequence.T2: cut}))
    assert "partial-coverage" in [flag.code for flag in case.flags]
    shown = inside(cut.grid, case.grid, case.alignment[MRSequence.T2].transform)
    channel = case.channels[list(MRSequence).index(MRSequence.T2)]
    assert (case.brain & ~shown).any()
    assert not channel[~shown].any()
    assert float(channel[case.brain & shown].mean()) == pytest.approx(0, abs=0.05)


def test_the_brain_is_outlined_where_turning_cut_nothing_off(head):
    """T1 is turned onto the grid, which cuts its corners; the untouched T1ce is used instead."""
    fixed = head.images[MRSequence.T1CE]
    turned = moved(head.images[MRSequence.T1], motion(fixed.grid, (2, 0, 3), (6, 0, 9)))
    case = prepare_case(study_of({MRSequence.T1: turned, MRSequence.T1CE: fixed}), PrepareOptions(bias="never"))
    assert case.alignment[MRSequence.T1].method == "rigid"
    assert any(step.startswith("Brain outlined on T1ce") for step in case.steps)


def test_headers_far_apart_are_bridged_by_centres(head):
    fixed, other = head.images[MRSequence.T1CE], head.images[MRSequence.T1]
    away = other.grid.affine.copy()
    away[:3, 3] += (300.0, -200.0, 90.0)
    far = Image(other.voxels, Grid(other.grid.shape, away))
    found, flags = align(
        MRSequence.T1, series_of(MRSequence.T1, far, frame="9"), series_of(MRSequence.T1CE, fixed), stripped=False
    )
    assert [flag.code for flag in flags] == ["header-position-unused"]
    np.testing.assert_allclose(found.transform[:3, 3], (300.0, -200.0, 90.0), atol=3.0)


def test_unrelated_images_are_refused(head):
    fixed = head.images[MRSequence.T1CE]
    noise = Image(np.random.default_rng(0).random(fixed.grid.shape).astype(np.float32), fixed.grid)
    with pytest.raises(RegistrationError, match="T2 could not be aligned"):
        align(MRSequence.T2, series_of(MRSequence.T2, noise), series_of(MRSequence.T1CE, fixed), stripped=False)


def test_agreement_is_2_for_itself_and_1_for_noise():
    rng = np.random.default_rng(0)
    one, other = rng.random((30, 30, 30)), rng.random((30, 30, 30))
    everywhere = np.ones((30, 30, 30), bool)
    assert agreement(one, one, everywhere) == pytest.approx(2.0)
    assert agreement(one, other, everywhere) < NMI_REFUSE
    assert agreement(one, other, np.zeros((30, 30, 30), bool)) == 1.0


def test_zscore_of_constant_or_empty_is_zero():
    brain = np.ones((4, 4, 4), bool)
    assert not zscore(np.full((4, 4, 4), 7), brain).any()
    assert not zscore(np.arange(64).reshape(4, 4, 4), np.zeros((4, 4, 4), bool)).any()
    spiked = np.random.default_rng(0).normal(size=(20, 20, 20))
    spiked[0, 0, 0] = 1e6
    assert zscore(spiked, np.ones((20, 20, 20), bool)).max() == 5.0


def test_n4_flattens_a_known_shading(head):
    image = head.images[MRSequence.T1]
    ramp = np.linspace(0.6, 1.5, image.grid.shape[0])[:, None, None].astype(np.float32)
    tissue = head.brain & (np.abs(zscore(image.voxels, head.brain)) < 1)
    flat = correct_bias(image.voxels * ramp, head.brain, image.grid.spacing)
    reference = correct_bias(image.voxels, head.brain, image.grid.spacing)

    def unevenness(corrected):
        ratio = corrected[tissue] / reference[tissue]
        return float(ratio.std() / ratio.mean())

    assert unevenness(flat) < 0.3 * unevenness(image.voxels * ramp)
    assert np.array_equal(correct_bias(image.voxels, np.zeros_like(head.brain), image.grid.spacing), image.voxels)


def test_skull_is_taken_off_and_n4_applied(head):
    case = prepare_case(study_of({s: head.images[s] for s in (MRSequence.T1, MRSequence.T1CE)}))
    true = resample(Image(head.brain.astype(np.float32), head.images[MRSequence.T1CE].grid), case.grid) > 0.5
    assert 2 * (true & case.brain).sum() / (true.sum() + case.brain.sum()) > 0.93
    assert "N4 bias correction applied" in case.steps
    assert any("deepbet" in step for step in case.steps)


def test_outlines_that_need_a_second_look_are_flagged(head, monkeypatch):
    # The outline itself is deepbet's; only what is said about it is tested here, so an outline is given.
    t2 = {MRSequence.T2: head.images[MRSequence.T2].voxels}
    for outline, expected in ((head.brain, {"brain-without-t1"}), (~head.brain, {"brain-without-t1", "implausible-brain"})):
        monkeypatch.setattr("braintumor.preprocess.brain._deepbet", lambda _voxels, outline=outline: outline)
        _, said, flags = find_brain(t2, head.images[MRSequence.T2].grid.voxel_ml)
        assert {flag.code for flag in flags} == expected
        assert said.startswith("Brain outlined on T2")


@pytest.mark.realdata
def test_brats_case_is_not_touched(brats):
    study = read_study(brats / "BraTS2021_01657")
    case = prepare_case(study)
    assert case.grid.shape == (240, 240, 155)
    for sequence in MRSequence:
        assert np.array_equal(case.display[sequence], study.series[sequence].image.voxels)


@pytest.mark.realdata
@pytest.mark.campaign
def test_raw_study_of_four_grids_is_aligned(raw_case):
    study = read_study(raw_case)
    for sequence in (MRSequence.T2, MRSequence.FLAIR):
        found, flags = align(sequence, study.series[sequence], study.reference, stripped=False)
        assert found.quality > NMI_WARN
        assert not [flag for flag in flags if flag.severity is Severity.SERIOUS]
