from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from braintumor.domain import LPS_FROM_RAS, GeometryError, Grid, Region, Segmentation, Severity, canonical
from braintumor.measure import MIN_LESION_ML, as_dict, measure_case
from braintumor.measure.atlas import load_atlas
from tests.measure.shapes import ellipsoid, grid, segmentation

few = settings(max_examples=8, deadline=None)
HEAD = (66.0, 84.0, 62.0)
"""Half-axes of a brain-sized ellipsoid, mm."""


def head(spacing=(3.0, 3.0, 3.0), turn_deg=(0.0, 0.0, 0.0), centre=(0.0, 0.0, 0.0)):
    """A grid in the patient's axes, and a brain on it that lies turned in the scanner."""
    g = grid(tuple(int(190 / s) for s in spacing), spacing, centre=centre)
    return g, ellipsoid(g, HEAD, centre, turn_deg)


def codes(measurements):
    return {flag.code: flag.severity for flag in measurements.flags}


def tumour(g, centre=(35.0, 0.0, 0.0)):
    return segmentation(
        g, ED=ellipsoid(g, (20, 18, 16), centre), NCR=ellipsoid(g, (12, 12, 12), centre), ET=ellipsoid(g, (9, 9, 9), centre)
    )


def test_every_region_and_label_is_measured_and_nested_volumes_add_up():
    g, brain = head()
    seg = tumour(g)
    measured = measure_case(seg, brain, case_id="case")
    assert set(measured.regions) == {"WT", "TC", "ET", "NCR", "ED"}
    volume = {key: region.volume_ml for key, region in measured.regions.items()}
    assert volume["WT"] == pytest.approx(np.count_nonzero(seg.mask) * 0.027)
    assert volume["WT"] == pytest.approx(volume["TC"] + volume["ED"])
    assert volume["TC"] == pytest.approx(volume["ET"] + volume["NCR"])
    assert measured.brain_ml == pytest.approx(np.count_nonzero(brain) * 0.027)
    for key, region in measured.regions.items():
        assert region.name == key
        assert len(region.area_mm2) == g.shape[2]
        assert sum(region.area_mm2) * 3.0 / 1000 == pytest.approx(region.volume_ml)
    whole = measured.regions["WT"]
    assert whole.simpson_ml == pytest.approx(whole.volume_ml, rel=0.02)
    assert whole.centroid_lps == pytest.approx((35, 0, 0), abs=0.3)
    assert whole.diameters.longest_mm == pytest.approx(40, abs=3)
    assert np.argmax(whole.area_mm2) == pytest.approx(whole.diameters.slice_index, abs=1)
    assert measured.slice_spacing_mm == pytest.approx(3.0)
    assert codes(measured) == {}


@few
@given(
    spacing=st.sampled_from([(2.0, 2.0, 2.0), (1.5, 2.5, 4.0)]),
    turn=st.tuples(*[st.floats(-25, 25)] * 3),
    place=st.tuples(*[st.floats(-5, 5)] * 3),
)
def test_an_oblique_anisotropic_grid_measures_the_same_ball(spacing, turn, place):
    g = grid((32, 26, 18), spacing, turn, centre=(100, -50, 20))
    centre = np.array((100, -50, 20)) + place
    measured = measure_case(segmentation(g, ET=ellipsoid(g, (14, 14, 14), centre)), None, case_id="x").regions["ET"]
    assert measured.volume_ml == pytest.approx(4 / 3 * np.pi * 14**3 / 1000, rel=0.04)
    assert measured.centroid_lps == pytest.approx(tuple(centre), abs=0.4)
    assert measured.max_diameter_3d_mm == pytest.approx(28, abs=max(spacing))
    assert measured.diameters.longest_mm == pytest.approx(28, abs=max(spacing[:2]))


def test_an_empty_mask_is_measured_as_nothing():
    g, brain = head()
    measured = measure_case(segmentation(g), brain, case_id="case")
    assert codes(measured) == {"no-tumour": Severity.INFO}
    assert measured.lesions == ()
    assert measured.brain_ml > 1000
    for region in measured.regions.values():
        assert (region.volume_ml, region.simpson_ml, max(region.area_mm2)) == (0.0, 0.0, 0.0)
        assert len(region.area_mm2) == g.shape[2]
        assert {region.max_diameter_3d_mm, region.diameters, region.centroid_lps, region.side, region.lobe} == {None}


def test_a_single_voxel_is_measured_but_is_a_speck_and_no_lesion():
    g = grid((9, 9, 9))
    where = np.zeros(g.shape, bool)
    where[4, 4, 4] = True
    measured = measure_case(segmentation(g, ET=where), None, case_id="case")
    whole = measured.regions["WT"]
    assert whole.volume_ml == pytest.approx(0.001)
    assert whole.max_diameter_3d_mm == 0.0
    assert whole.diameters.product_mm2 == pytest.approx(1.0)
    assert measured.lesions == ()
    assert "1 separate speck of less than 0.05 mL" in next(f.message for f in measured.flags if f.code == "small-components")


def test_a_tumour_in_one_slice_keeps_its_slice_number():
    g = grid((20, 20, 9), (1.0, 1.0, 5.0))
    where = np.zeros(g.shape, bool)
    where[5:15, 6:16, 6] = True
    measured = measure_case(segmentation(g, ET=where), None, case_id="case")
    assert measured.regions["ET"].diameters.slice_index == 6
    assert measured.lesions[0].diameters.slice_index == 6
    np.testing.assert_array_equal(np.flatnonzero(measured.regions["ET"].area_mm2), [6])
    assert measured.regions["ET"].area_mm2[6] == pytest.approx(100.0)
    assert measured.regions["ET"].diameters.longest_ends[0][2] == pytest.approx(g.to_world((0, 0, 6))[2])


@pytest.mark.parametrize(
    ("box", "touches"),
    [
        (np.s_[2:6, 2:6, 2:6], False),
        (np.s_[0:4, 2:6, 2:6], True),
        (np.s_[2:6, 2:10, 2:6], True),
        (np.s_[2:6, 2:6, 0:4], True),
    ],
)
def test_a_tumour_at_the_edge_of_the_volume_is_flagged(box, touches):
    g = grid((10, 10, 10))
    where = np.zeros(g.shape, bool)
    where[box] = True
    assert ("touches-border" in codes(measure_case(segmentation(g, ED=where), None, case_id="c"))) == touches


@pytest.mark.parametrize(("spacing", "severity"), [(3.0, None), (4.0, Severity.INFO), (6.0, Severity.WARNING)])
def test_thick_slices_are_flagged(spacing, severity):
    g = grid((8, 8, 8), (1.0, 1.0, spacing))
    assert codes(measure_case(segmentation(g), None, case_id="c")).get("thick-slices") == severity


def test_a_brain_mask_on_another_grid_is_refused():
    g = grid((8, 8, 8))
    with pytest.raises(GeometryError, match="shape"):
        measure_case(segmentation(g), np.zeros((8, 8, 9), bool), case_id="c")


# --- side and lobe ---------------------------------------------------------------------------------------------------


@few
@given(
    turn=st.tuples(st.floats(-15, 15), st.floats(-12, 12), st.floats(-12, 12)),
    centre=st.tuples(*[st.floats(-60, 60)] * 3),
)
def test_the_side_is_the_patients_however_the_head_lies_and_turns_with_a_mirror(turn, centre):
    g, brain = head((4.0, 4.0, 4.0), turn, centre)
    left = ellipsoid(g, (14, 14, 14), np.add(centre, (30, 5, 10)))
    right = ellipsoid(g, (14, 14, 14), np.add(centre, (-30, 5, 10)))
    assert measure_case(segmentation(g, ED=left), brain, case_id="c").regions["WT"].side == "left"
    assert measure_case(segmentation(g, ED=right), brain, case_id="c").regions["WT"].side == "right"


def test_midline_and_both_sides_are_told_apart():
    g, brain = head()
    sides = {
        "midline": ellipsoid(g, (6, 10, 10)),
        "both": ellipsoid(g, (30, 10, 10)),
        "left": ellipsoid(g, (14, 10, 10), (12, 0, 0)),  # reaches the midline, but hardly beyond
    }
    for side, where in sides.items():
        measured = measure_case(segmentation(g, ED=where), brain, case_id="c")
        assert measured.regions["WT"].side == side
        assert measured.lesions[0].side == side


@pytest.mark.parametrize("turn", [-15, 15])
def test_the_midline_turns_with_a_turned_head(turn):
    # the lesion is 15 mm to one side of the scanner's middle, but the head is turned so that its midline runs through it
    atlas = load_atlas()
    rotation = np.eye(4)
    rotation[:3, :3] = Rotation.from_euler("z", turn, degrees=True).as_matrix()
    g = Grid(atlas.grid.shape, rotation @ atlas.grid.affine)
    centre = (rotation @ [0, 60, 20, 1])[:3]
    assert abs(centre[0]) > 15
    where = ellipsoid(g, (5, 5, 5), centre)
    assert measure_case(segmentation(g, ED=where), atlas.distance < 0, case_id="c").regions["WT"].side == "midline"


def test_a_brain_cut_off_by_the_field_of_view_still_has_its_midline():
    g, brain = head(centre=(40, 0, 0))
    slab = g.cropped((slice(0, g.shape[0]), slice(0, g.shape[1]), slice(25, 42)))
    where = ellipsoid(slab, (12, 12, 12), (20, 0, 10))
    measured = measure_case(segmentation(slab, ED=where), brain[:, :, 25:42], case_id="c")
    assert measured.regions["WT"].side == "right"


@pytest.mark.parametrize(
    ("place", "lobe"),
    [
        ((35, -45, 15), "frontal"),
        ((-35, 55, 42), "parietal"),
        ((52, 20, -22), "temporal"),
        ((20, 88, 0), "occipital"),
        ((-38, -5, 2), "insula"),
        ((14, 18, 8), "deep"),
        ((-25, 60, -42), "cerebellum"),
        ((0, 30, -38), "brainstem"),
    ],
)
def test_lobes_are_found_in_the_standard_brain_moved_and_resized(place, lobe):
    atlas = load_atlas()
    move = np.array([[1.08, 0, 0, 12], [0, 0.95, 0, -30], [0, 0, 1.05, 55], [0, 0, 0, 1.0]])
    g = Grid(atlas.grid.shape, move @ atlas.grid.affine)
    where = ellipsoid(g, (6, 6, 6), (move @ [*place, 1])[:3])
    found, share = measure_case(segmentation(g, ED=where), atlas.distance < 0, case_id="c").regions["WT"].lobe
    assert found == lobe
    assert 0.5 < share <= 1.0


@pytest.mark.parametrize("brain", [None, "empty"])
def test_without_a_brain_mask_side_and_lobe_are_unknown_and_it_is_said(brain):
    g = grid((20, 20, 20))
    mask = None if brain is None else np.zeros(g.shape, bool)
    measured = measure_case(segmentation(g, ED=ellipsoid(g, (6, 6, 6))), mask, case_id="c")
    assert codes(measured) == {"no-brain-mask": Severity.WARNING}
    assert (measured.regions["WT"].side, measured.regions["WT"].lobe) == (None, None)
    assert measured.lesions[0].side == "unknown"
    assert measured.brain_ml == 0.0


def test_a_brain_mask_that_is_no_brain_is_not_trusted():
    g, _ = head((4.0, 4.0, 4.0))
    rods = np.zeros(g.shape, bool)
    rods[4:6, 4:44, 4:6] = rods[40:42, 4:44, 40:42] = rods[4:44, 24:26, 4:6] = True
    measured = measure_case(segmentation(g, ED=ellipsoid(g, (12, 12, 12))), rods, case_id="c")
    assert codes(measured)["poor-brain-match"] == Severity.WARNING
    assert measured.regions["WT"].side is None


# --- lesions ---------------------------------------------------------------------------------------------------------


def two_lesions():
    g, brain = head()
    big, small = ellipsoid(g, (18, 18, 18), (35, 0, 0)), ellipsoid(g, (9, 9, 9), (-35, 10, 5))
    return g, brain, segmentation(g, ED=big | small, ET=ellipsoid(g, (6, 6, 6), (-35, 10, 5)))


def test_lesions_are_listed_largest_first_and_add_up_to_the_whole():
    _, brain, seg = two_lesions()
    measured = measure_case(seg, brain, case_id="case")
    first, second = measured.lesions
    assert (first.number, second.number) == (1, 2)
    assert (first.tracking_id, second.tracking_id) == ("Lesion 1", "Lesion 2")
    assert (first.side, second.side) == ("left", "right")
    assert first.centroid_lps == pytest.approx((35, 0, 0), abs=1)
    for region in Region:
        assert first.volume_ml[region] + second.volume_ml[region] == pytest.approx(measured.regions[region].volume_ml)
    assert first.volume_ml["ET"] == 0.0
    assert second.volume_ml["ET"] > 0.5
    assert measured.regions["WT"].diameters == first.diameters
    assert second.diameters.longest_mm == pytest.approx(18, abs=3)


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    g = grid((12, 12, 12), (5.0, 5.0, 5.0))
    where = np.zeros(g.shape, bool)
    where[3, 3, 3] = where[4, 4, 4] = where[8, 8, 8] = True
    measured = measure_case(segmentation(g, ED=where), None, case_id="c", min_lesion_ml=0.1)
    assert [round(lesion.volume_ml["WT"], 3) for lesion in measured.lesions] == [0.25, 0.125]


def test_specks_are_counted_in_volumes_and_flag_but_not_listed():
    g = grid((30, 30, 30))
    where = ellipsoid(g, (6, 6, 6))
    where[2, 2, 2] = where[26, 26, 26] = True
    measured = measure_case(segmentation(g, ED=where), None, case_id="c")
    assert len(measured.lesions) == 1
    assert measured.regions["WT"].volume_ml == pytest.approx(measured.lesions[0].volume_ml["WT"] + 0.002)
    flag = next(f for f in measured.flags if f.code == "small-components")
    assert flag.severity == Severity.INFO
    assert "2 separate specks" in flag.message
    assert len(measure_case(segmentation(g, ED=where), None, case_id="c", min_lesion_ml=0.0005).lesions) == 3
    assert pytest.approx(50 * g.voxel_ml) == MIN_LESION_ML


def uids(seg, case_id="case"):
    return [lesion.tracking_uid for lesion in measure_case(seg, None, case_id=case_id).lesions]


def test_tracking_uids_are_valid_repeatable_and_belong_to_one_mask_of_one_case():
    g, _, seg = two_lesions()
    same_in_other_memory_order = Segmentation(np.asfortranarray(seg.mask), g, seg.author)
    edited = seg.mask.copy()
    edited[tuple(np.argwhere(edited == 2)[0])] = 1
    known = uids(seg)
    assert len(set(known)) == 2
    assert all(len(uid) <= 64 and set(uid) <= set("0123456789.") for uid in known)
    assert uids(same_in_other_memory_order) == known
    assert not set(known) & set(uids(seg, case_id="other"))
    assert not set(known) & set(uids(Segmentation(edited, g, seg.author)))


# --- table -----------------------------------------------------------------------------------------------------------


def test_the_table_survives_json_and_says_what_was_measured():
    _, brain, seg = two_lesions()
    measured = measure_case(seg, brain, case_id="case")
    table = as_dict(measured)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    whole = table["regions"]["WT"]
    assert whole["volume_ml"] == pytest.approx(measured.regions["WT"].volume_ml, abs=5e-4)
    assert whole["diameters"]["slice_index"] == measured.regions["WT"].diameters.slice_index
    assert whole["lobe"]["name"] == measured.regions["WT"].lobe[0]
    assert whole["side"] == "both"
    assert len(whole["area_mm2"]) == seg.grid.shape[2]
    assert [lesion["tracking_uid"] for lesion in table["lesions"]] == [x.tracking_uid for x in measured.lesions]


def test_the_table_has_none_for_what_is_absent():
    g = grid((4, 4, 4))
    table = as_dict(measure_case(segmentation(g), None, case_id="c"))
    absent = ("max_diameter_3d_mm", "diameters", "centroid_lps", "side", "lobe")
    assert all(region[key] is None for region in table["regions"].values() for key in absent)
    assert table["flags"] == [{"code": "no-tumour", "severity": "info", "message": "No voxel was segmented as tumour."}]
    assert table["lesions"] == []


# --- real data -------------------------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_a_real_case_is_measured_plausibly(brats: Path):
    folder = brats / "BraTS2021_01480"
    label, t1 = (nib.load(next(folder.glob(f"*_{kind}.nii.gz"))) for kind in ("seg", "t1"))
    g = Grid(label.shape, LPS_FROM_RAS @ label.affine)
    turn = canonical(g)
    mask = turn.apply(np.asarray(label.dataobj).astype(np.uint8))
    brain = turn.apply(np.asarray(t1.dataobj) > 0)
    g = turn.grid(g)
    seg = Segmentation(mask, g, segmentation(grid((1, 1, 1))).author)
    measured = measure_case(seg, brain, case_id="case")
    whole = measured.regions["WT"]
    assert whole.volume_ml == pytest.approx(np.count_nonzero(mask) / 1000)
    assert whole.simpson_ml == pytest.approx(whole.volume_ml, rel=0.01)
    # the tumour lies in the half of the image where the patient's left is (i runs to the left)
    assert np.argwhere(mask)[:, 0].mean() > np.argwhere(brain)[:, 0].mean() + 10
    assert (whole.side, whole.lobe[0]) == ("left", "temporal")
    assert 1000 < measured.brain_ml < 1800
