"""Phantom visits: true to their own truth, plausible as MR, and moved exactly as they say."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from braintumor.domain import (
    ENHANCING,
    NECROTIC_CORE,
    OEDEMA,
    BrainTumorError,
    InputNotFoundError,
    MRSequence,
    OutputError,
    Region,
)
from braintumor.phantom import (
    Awkward,
    Layout,
    PhantomOptions,
    anatomy,
    clinical_layouts,
    make,
    render,
    rigid_motion,
    scan_grid,
    truth_on,
    write_dicom,
    write_nifti,
)
from braintumor.study import read_study

COARSE = (4.0, 4.0, 4.0)
STILL = {"seed": 2, "foci": 2, "noise": 0.0, "bias": 0.0, "spacing_mm": (3.0, 3.0, 3.0)}
CUBE = np.ones((3, 3, 3))


def small(**options):
    return PhantomOptions(**{"spacing_mm": COARSE, "skull": False, **options})


@pytest.fixture(scope="module")
def growing():
    """Two visits with head motion and two tumours, no noise."""
    options = small(
        seed=2, visits=2, growth=1.6, shift_mm=6.0, turn_deg=8.0, noise=0.0, bias=0.0, foci=2, spacing_mm=(3.0, 3.0, 3.0)
    )
    return make(options)


def median(visit, sequence, where):
    return float(np.median(visit.images[sequence].voxels[where]))


def centre(segmentation):
    """Centroid of the whole tumour, LPS+ mm."""
    return segmentation.grid.to_world(np.argwhere(segmentation.mask > 0).mean(axis=0))


class TestTruth:
    def test_volumes_are_counts_of_voxels(self, phantom):
        voxel = phantom.truth.grid.voxel_ml
        for name, values in {"NCR": [1], "ED": [2], "ET": [4], "TC": [1, 4], "WT": [1, 2, 4]}.items():
            assert phantom.volumes_ml[name] == pytest.approx(np.isin(phantom.truth.mask, values).sum() * voxel, rel=1e-12)

    @pytest.mark.parametrize("volume", [4.0, 30.0, 120.0])
    def test_the_tumour_has_the_size_asked_for(self, volume):
        visit = make(small(seed=5, tumour_ml=volume))[0]
        assert visit.volumes_ml["WT"] == pytest.approx(volume, rel=0.05)

    def test_a_healthy_brain_has_none(self):
        visit = make(small(tumour_ml=0))[0]
        assert not visit.truth.mask.any()
        assert set(visit.volumes_ml.values()) == {0.0}

    def test_the_tumour_lies_in_the_brain_in_one_piece(self, phantom):
        whole = phantom.truth.region(Region.WT)
        assert not (whole & ~phantom.brain).any()
        assert ndimage.label(whole, CUBE)[1] == 1

    def test_necrosis_lies_within_the_enhancing_rim(self, phantom):
        core = phantom.truth.region(Region.TC)
        depth = ndimage.distance_transform_edt(core)
        mask = phantom.truth.mask
        assert depth[mask == NECROTIC_CORE.value].mean() > depth[mask == ENHANCING.value].mean() + 0.5

    def test_oedema_prefers_white_matter(self, phantom):
        white = phantom.scene.brain.white
        near = ndimage.binary_dilation(phantom.truth.region(Region.WT), CUBE, iterations=3) & phantom.brain
        assert white[phantom.truth.mask == OEDEMA.value].mean() > white[near & (phantom.truth.mask == 0)].mean() + 0.2

    def test_two_foci_are_two_lesions(self, growing):
        assert [ndimage.label(v.truth.mask > 0, CUBE)[1] for v in growing] == [2, 2]

    def test_growth_and_dates(self, growing):
        first, second = growing
        assert second.volumes_ml["WT"] / first.volumes_ml["WT"] == pytest.approx(1.6, rel=0.05)
        assert (second.date - first.date).days == 90


class TestImages:
    def test_whole_numbers_and_nothing_outside_a_stripped_brain(self, phantom):
        for image in phantom.images.values():
            assert image.voxels.dtype == np.float32
            np.testing.assert_array_equal(image.voxels, np.rint(image.voxels))
            np.testing.assert_array_equal(image.voxels > 0, phantom.brain)

    def test_contrast_is_that_of_a_glioma(self, phantom):
        mask = phantom.truth.mask
        white = (phantom.scene.brain.white > 0.95) & (mask == 0)
        relative = {
            sequence: {label.short: median(phantom, sequence, mask == label.value) / median(phantom, sequence, white)
                       for label in (NECROTIC_CORE, OEDEMA, ENHANCING)}
            for sequence in MRSequence
        }  # fmt: skip
        assert relative[MRSequence.T1CE]["ET"] > 1.2 > 0.9 > relative[MRSequence.T1]["ET"]
        assert relative[MRSequence.T1CE]["NCR"] < 0.75
        assert relative[MRSequence.T2]["NCR"] > relative[MRSequence.T2]["ED"] > 1.5
        assert relative[MRSequence.FLAIR]["ED"] > 1.5
        assert relative[MRSequence.T1]["ED"] < 0.95

    def test_fluid_is_dark_on_flair_and_bright_on_t2(self, phantom):
        fluid = (phantom.scene.brain.fluid > 0.9) & (phantom.truth.mask == 0)
        white = (phantom.scene.brain.white > 0.95) & (phantom.truth.mask == 0)
        assert median(phantom, MRSequence.FLAIR, fluid) < 0.7 * median(phantom, MRSequence.FLAIR, white)
        assert median(phantom, MRSequence.T2, fluid) > 2 * median(phantom, MRSequence.T2, white)

    def test_a_head_surrounds_the_brain(self):
        stripped, whole = (make(small(seed=3, skull=skull))[0] for skull in (False, True))
        np.testing.assert_array_equal(stripped.truth.mask, whole.truth.mask)
        head = whole.images[MRSequence.T1].voxels
        assert (head > 100).sum() > 1.3 * whole.brain.sum()
        around = ndimage.binary_dilation(whole.brain, CUBE, iterations=5) & ~whole.brain
        assert (head[around] > 1.2 * median(whole, MRSequence.T1, whole.brain)).mean() > 0.05  # fat of the scalp

    def test_noise_is_as_strong_as_asked(self):
        quiet, loud = (make(small(noise=noise, bias=0.0))[0].images[MRSequence.T1].voxels for noise in (0.0, 0.05))
        inside = quiet > 300
        assert (loud - quiet)[inside].std() == pytest.approx(0.05 * 420, rel=0.1)

    def test_bias_is_smooth_and_multiplicative(self):
        plain, biased = (make(small(noise=0.0, bias=bias))[0].images[MRSequence.T1].voxels for bias in (0.0, 0.2))
        inside = plain > 200
        field = np.log(np.where(inside, biased, 1) / np.where(inside, plain, 1))
        assert 0.05 < field[inside].std() < 0.4
        steps = np.abs(np.diff(field, axis=0))[inside[1:] & inside[:-1]]
        assert np.median(steps) < 0.1 * field[inside].std() + 0.005


class TestPatients:
    def test_a_seed_is_a_patient(self):
        one, again, other = (make(small(seed=seed))[0] for seed in (4, 4, 5))
        np.testing.assert_array_equal(one.images[MRSequence.T2].voxels, again.images[MRSequence.T2].voxels)
        assert not np.array_equal(one.brain, other.brain)

    def test_the_same_patient_at_any_spacing(self):
        fine, coarse = (make(small(seed=4, spacing_mm=(mm, mm, mm)))[0] for mm in (3.0, 4.0))
        assert fine.brain.sum() * fine.truth.grid.voxel_ml == pytest.approx(
            coarse.brain.sum() * coarse.truth.grid.voxel_ml, rel=0.03
        )
        assert np.linalg.norm(centre(fine.truth) - centre(coarse.truth)) < 6

    def test_thick_slices(self):
        visit = make(small(spacing_mm=(3.0, 3.0, 6.0)))[0]
        assert visit.truth.grid.spacing == (3.0, 3.0, 6.0)
        assert visit.volumes_ml["WT"] == pytest.approx(60, rel=0.1)

    def test_mass_effect_pushes_the_other_tissue_away(self):
        healthy, ill = (make(small(seed=4, tumour_ml=ml))[0].scene for ml in (0, 120))
        seed = np.argwhere(ill.labels > 0).mean(axis=0)
        direction = ndimage.center_of_mass(ill.brain.fluid) - np.array(ndimage.center_of_mass(healthy.brain.fluid))
        assert np.dot(direction, np.array(ndimage.center_of_mass(ill.brain.fluid)) - seed) > 0

    @pytest.mark.parametrize(
        "options",
        [{"spacing_mm": (0.1, 1, 1)}, {"visits": 0}, {"foci": 5}, {"tumour_ml": -1}, {"visits": 20}, {"growth": 0}],
        ids=str,
    )
    def test_impossible_wishes_are_refused(self, options):
        with pytest.raises(BrainTumorError):
            PhantomOptions(**options)

    def test_without_the_template_it_says_what_to_install(self, monkeypatch):
        anatomy._template.cache_clear()
        monkeypatch.setattr(anatomy, "find_spec", lambda _: None)
        with pytest.raises(InputNotFoundError, match="nilearn"):
            make(small())


class TestMotion:
    def test_later_visits_move_as_declared(self, growing):
        first, second = growing
        np.testing.assert_array_equal(first.motion, np.eye(4))
        turn = np.rad2deg(np.arccos((np.trace(second.motion[:3, :3]) - 1) / 2))
        assert turn == pytest.approx(8.0)
        middle = np.array([0, 18, 22, 1.0])
        assert np.linalg.norm((second.motion @ middle - middle)[:3]) == pytest.approx(6.0, abs=0.1)

    def test_undoing_the_motion_brings_the_head_back(self, growing):
        second = growing[1]
        still = make(small(**STILL, tumour_ml=96.0))[0]
        grid = still.truth.grid
        matrix = np.linalg.inv(grid.affine) @ second.motion @ grid.affine
        moved = second.images[MRSequence.T1].voxels
        back = ndimage.affine_transform(moved, matrix[:3, :3], matrix[:3, 3], order=1)
        inside = ndimage.binary_erosion(still.brain, CUBE, iterations=3)
        reference = still.images[MRSequence.T1].voxels[inside]
        corrected, raw = (np.corrcoef(reference, image[inside])[0, 1] for image in (back, moved))
        assert corrected > 0.9 > raw + 0.1

    def test_a_sequence_with_a_layout_of_its_own_agrees_with_its_truth(self, phantom):
        motion = rigid_motion(np.random.default_rng(1), 5.0, 4.0)
        layout = Layout(scan_grid("coronal", (3.0, 3.5, 4.0), tilt_deg=(5, 0, 10), reverse=True), motion)
        truth = truth_on(phantom, layout)
        np.testing.assert_allclose(centre(truth), motion[:3, :3] @ centre(phantom.truth) + motion[:3, 3], atol=1.0)
        flair = render(phantom, MRSequence.FLAIR, layout).voxels
        assert np.median(flair[truth.mask == OEDEMA.value]) > 1.4 * np.median(flair[(flair > 0) & (truth.mask == 0)])

    @pytest.mark.parametrize(("plane", "axes"), [("axial", "LPS"), ("sagittal", "PIL"), ("coronal", "LIP")])
    def test_planes(self, plane, axes):
        grid = scan_grid(plane, (2.0, 3.0, 5.0))
        assert (grid.axcodes, grid.spacing) == (axes, (2.0, 3.0, 5.0))
        assert scan_grid(plane, (2.0, 3.0, 5.0), reverse=True).axcodes[:2] == axes[:2]
        np.testing.assert_allclose(grid.to_world((np.array(grid.shape) - 1) / 2), [0, 18, 22])


class TestFiles:
    def test_nifti_the_brats_way(self, phantom, nifti_study):
        name = nifti_study.name
        assert sorted(p.name for p in nifti_study.iterdir()) == sorted(
            f"{name}_{part}.nii.gz" for part in ("t1", "t1ce", "t2", "flair", "seg")
        )
        image = nib.load(nifti_study / f"{name}_flair.nii.gz")
        assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
        np.testing.assert_array_equal(image.get_fdata(), phantom.images[MRSequence.FLAIR].voxels)
        np.testing.assert_array_equal(nib.load(nifti_study / f"{name}_seg.nii.gz").get_fdata(), phantom.truth.mask)

    def test_nifti_without_a_place_to_go(self, phantom, tmp_path):
        (tmp_path / "taken").write_text("")
        with pytest.raises(OutputError):
            write_nifti(phantom, tmp_path / "taken")

    def test_dicom_comes_back_voxel_for_voxel(self, phantom, dicom_study):
        study = read_study(dicom_study)
        assert study.study_date == phantom.date
        for sequence, image in phantom.images.items():
            np.testing.assert_array_equal(study.series[sequence].image.voxels, image.voxels)
            assert study.series[sequence].image.grid.same_as(image.grid)

    def test_a_hospital_protocol(self, phantom, tmp_path):
        layouts = clinical_layouts(1, detail_mm=4.0)
        awkward = {MRSequence.T2: Awkward(multiframe=True)}
        written = write_dicom(phantom, tmp_path, layouts=layouts, awkward=awkward)
        assert len(written[MRSequence.T2]) == 1
        study = read_study(tmp_path)
        assert {s: series.image.grid.shape for s, series in study.series.items()} == {
            s: layout.grid.shape for s, layout in layouts.items()
        }
        np.testing.assert_array_equal(layouts[MRSequence.T1CE].motion, np.eye(4))
