from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from braintumor.domain import LABELS, Grid, MRSequence, Segmentation
from braintumor.measure import measure_case
from braintumor.report import key_images, overview
from braintumor.report.views import AXIAL, CORONAL, SAGITTAL, Scene, window


@cache
def pictures_of(stages):
    return {p.name: p for p in key_images(stages.case, stages.segmentation, stages.measurements)}


def coloured(picture, rgb, tolerance=40):
    """Bool (row, column): pixels close to a label's colour."""
    return np.abs(picture.rgb.astype(int) - rgb).max(axis=-1) < tolerance


@pytest.fixture(scope="module")
def pictures(stages):
    return pictures_of(stages)


def test_which_pictures_there_are(pictures, moved_stages, healthy_stages):
    assert list(pictures) == ["sequences", "planes", "diameters", "montage", "uncertainty"]
    assert "registration" in pictures_of(moved_stages)
    assert list(pictures_of(healthy_stages)) == ["sequences", "planes", "montage", "uncertainty"]
    sure = replace(healthy_stages.segmentation, uncertainty=None)
    assert "uncertainty" not in {p.name for p in key_images(healthy_stages.case, sure, healthy_stages.measurements)}


def test_pictures_are_rgb_bytes_and_cannot_be_changed(pictures):
    for picture in pictures.values():
        assert picture.rgb.dtype == np.uint8
        assert picture.rgb.ndim == 3
        assert picture.rgb.shape[2] == 3
        assert not picture.rgb.flags.writeable
        assert picture.caption.endswith(".")


def test_all_labels_are_outlined_in_their_colours(pictures):
    panels = pictures["sequences"].rgb.shape[0] - 60  # above the legend
    for label in LABELS:
        assert coloured(pictures["sequences"], label.rgb)[:panels].sum() > 100


def test_a_healthy_brain_shows_no_contour(healthy_stages):
    picture = pictures_of(healthy_stages)["sequences"]
    for label in LABELS:
        assert coloured(picture, label.rgb)[: picture.rgb.shape[0] - 60].sum() == 0
    assert "no tumour was segmented" in picture.caption


@pytest.mark.parametrize("direction", [(1, 1, 1), (-1, -1, 1), (1, 1, -1), (-1, 1, -1)])
def test_the_patients_left_is_on_the_images_right_however_voxels_run(make, direction):
    picture = pictures_of(make(direction=direction))["planes"]
    axial = coloured(picture, LABELS[2].rgb)[: picture.rgb.shape[0] - 60, : picture.rgb.shape[1] // 4]
    rows, columns = np.nonzero(axial)
    third = picture.rgb.shape[1] / 3
    assert columns.mean() > third / 3  # tumour at +30 mm: right of the middle of the axial panel
    assert rows.size > 50


def test_captions_of_slices_count_from_the_feet_up(make):
    upright, upside_down = make(), make(direction=(1, 1, -1))
    assert pictures_of(upright)["sequences"].caption == pictures_of(upside_down)["sequences"].caption


def test_the_slice_with_the_largest_tumour_area_is_shown(stages, pictures):
    area = (stages.segmentation.mask > 0).sum(axis=(0, 1))
    assert f"slice {area.argmax() + 1} of {area.size}" in pictures["sequences"].caption


def test_thick_slices_are_drawn_in_true_proportion(make):
    thin, thick = make(spacing=(3.0, 3.0, 3.0)), make(spacing=(3.0, 3.0, 6.0))
    for plane in (AXIAL, CORONAL, SAGITTAL):
        ratios = []
        for stages in (thin, thick):
            scene = Scene.of(stages.case, stages.segmentation)
            view = scene.view(plane, scene.mask.shape[plane.normal] // 2, 2.0)
            width, height = view.size
            ratios.append(width / height)
        assert ratios[0] == pytest.approx(ratios[1], rel=0.06)  # the frame is cut at whole slices


def test_a_point_lands_on_the_pixel_of_its_voxel(stages):
    scene = Scene.of(stages.case, stages.segmentation)
    index = np.array([33, 31, 27])
    for plane in (AXIAL, CORONAL, SAGITTAL):
        volume = np.zeros(scene.grid.shape, np.uint8)
        volume[tuple(index)] = 1
        view = scene.view(plane, int(index[plane.normal]), 4.0)
        row, column = np.argwhere(view.cut(volume))[0]
        x, y = view.pixels(index)[0]
        assert x == pytest.approx((column + 0.5) * 3.0 * 4.0)
        assert y == pytest.approx((row + 0.5) * 3.0 * 4.0)


def test_a_frame_beyond_the_volume_is_filled_with_black(stages):
    scene = Scene.of(stages.case, stages.segmentation)
    outside = (slice(-5, 10), slice(-3, scene.grid.shape[1] + 4), slice(0, scene.grid.shape[2]))
    view = scene.view(AXIAL, 25, 1.0, outside)
    cut = view.cut(np.ones(scene.grid.shape, np.uint8))
    assert cut.shape == (scene.grid.shape[1] + 7, 15)
    assert cut[:, :5].sum() == 0
    assert cut[3:-4, 5:].all()


def test_missing_sequences_are_said_on_their_panel(moved_stages, stages):
    with_t2, without = pictures_of(stages)["sequences"], pictures_of(moved_stages)["sequences"]
    assert with_t2.rgb.shape == without.rgb.shape
    height, width = without.rgb.shape[:2]
    panel = without.rgb[height // 2 : height - 80, : width // 2 - 10]
    assert np.unique(panel.reshape(-1, 3), axis=0).shape[0] < 300  # a flat panel with a few words


def test_the_registration_check_names_what_was_moved(moved_stages):
    caption = pictures_of(moved_stages)["registration"].caption
    assert caption.startswith("Registration check of FLAIR against T1ce")


def test_uncertainty_is_coloured_where_it_is_high_only(pictures, stages):
    sure = replace(stages.segmentation, uncertainty=np.zeros(stages.case.grid.shape, np.float16))
    calm = next(p for p in key_images(stages.case, sure, stages.measurements) if p.name == "uncertainty")

    def hot(picture):
        rgb = picture.rgb[:-60].astype(int)
        return ((rgb[..., 0] - rgb[..., 2]) > 60).sum()

    assert hot(pictures["uncertainty"]) > 1000
    assert hot(calm) == 0


def test_one_sequence_and_an_empty_brain_mask_still_give_pictures(make):
    only = make(drop=(MRSequence.T1, MRSequence.T1CE, MRSequence.T2), spacing=(4.0, 4.0, 8.0))
    blind = replace(only.case, brain=np.zeros(only.case.grid.shape, bool))
    names = {p.name for p in key_images(blind, only.segmentation, only.measurements)}
    assert {"sequences", "planes", "montage"} <= names


def test_tumour_without_enhancement_shows_core_diameters(make):
    stages = make(spacing=(4.0, 4.0, 4.0))
    mask = np.where(stages.segmentation.mask == 4, 1, stages.segmentation.mask).astype(np.uint8)
    segmentation = replace(stages.segmentation, mask=mask, confidence={})
    measured = measure_case(segmentation, stages.case.brain, case_id="case-7")
    caption = next(p for p in key_images(stages.case, segmentation, measured) if p.name == "diameters").caption
    assert "tumour core on T1ce" in caption


def test_another_grid_is_refused(stages):
    grid = Grid(stages.case.grid.shape, stages.case.grid.affine + np.diag([0.5, 0, 0, 0]))
    other = Segmentation(stages.segmentation.mask, grid, stages.segmentation.author)
    with pytest.raises(ValueError, match="case's grid"):
        key_images(stages.case, other, stages.measurements)


def test_the_overview_quotes_the_volumes_in_one_picture(stages, healthy_stages):
    picture = overview(stages.case, stages.segmentation, stages.measurements)
    assert picture.name == "overview"
    assert picture.rgb.shape[1] > 1000
    assert overview(healthy_stages.case, healthy_stages.segmentation, healthy_stages.measurements).rgb.any()


def test_a_constant_image_has_a_window():
    low, high = window(np.full((3, 3, 3), 7.0), np.ones((3, 3, 3), bool))
    assert high > low
