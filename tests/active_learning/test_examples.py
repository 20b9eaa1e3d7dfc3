"""Examples, their division by patient, and the mixture with old cases."""

import json
import shutil
from datetime import datetime

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor import study
from braintumor.active_learning import prepare, read_example, write_example
from braintumor.active_learning.examples import read_identity
from braintumor.active_learning.heldout import divide
from braintumor.active_learning.mixture import Replay, mixture, on_disk
from braintumor.domain import LPS_FROM_RAS, Author, CorruptFileError, GeometryError, MRSequence, Region, Segmentation
from braintumor.export.common import ResultContext
from braintumor.export.seg import make_seg
from braintumor.train.data import FRAME, Slices
from tests.active_learning.small import example

CONTEXT = ResultContext("0" * 64, datetime(2026, 11, 21, 12, 0, 0))


def test_an_example_survives_its_file(tmp_path):
    item = example("a", patient="someone", weight=2.0)
    write_example(item, tmp_path / "a.npz")
    found = read_example(tmp_path / "a.npz")
    assert (found.name, found.patient, found.weight) == ("a", "someone", 2.0)
    assert read_identity(tmp_path / "a.npz") == ("a", "someone", 2.0)
    assert found.label.author.name == "A. Notator"
    one, other = item.slices(), found.slices()
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.labels, other.labels)
    world = [np.argwhere(e.label.mask) @ e.case.grid.affine[:3, :3].T + e.case.grid.affine[:3, 3] for e in (item, found)]
    assert np.allclose(*world)


def test_a_damaged_file_is_an_error_of_its_own(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK")
    for read in (read_example, read_identity):
        with pytest.raises(CorruptFileError):
            read(tmp_path / "a.npz")
    with pytest.raises(CorruptFileError):
        Replay.find(tmp_path)


def test_a_label_from_a_seg_lands_where_it_was_drawn(dicom_study, phantom, tmp_path):
    """The SEG refers to FLAIR, the case is on another grid object: the label's volume and place stay."""
    found = study.read_study(dicom_study)
    series = found.series[MRSequence.FLAIR]
    mask = np.zeros(series.image.grid.shape, np.uint8)
    i, j, k = (n // 2 for n in mask.shape)
    mask[i : i + 8, j : j + 6, k : k + 4] = 4
    drawn = Segmentation(mask, series.image.grid, Author("human", "A. Notator"))
    make_seg(found, drawn, None, CONTEXT, series=series).save_as(tmp_path / "seg.dcm")
    for uid in (series.uid, ""):
        item = prepare("a", "p", dicom_study, tmp_path / "seg.dcm", uid)
        wanted = series.image.grid.to_world(np.argwhere(mask)).mean(axis=0)
        got = item.case.grid.to_world(np.argwhere(item.label.region(Region.ET))).mean(axis=0)
        assert np.abs(wanted - got).max() < 1.0
        volumes = [seg.region(Region.ET).sum() * seg.grid.voxel_ml for seg in (drawn, item.label)]
        assert volumes[1] == pytest.approx(volumes[0], rel=0.05)


def test_a_label_of_another_study_is_refused(dicom_study, tmp_path):
    found = study.read_study(dicom_study)
    series = found.series[MRSequence.FLAIR]
    drawn = Segmentation(np.full(series.image.grid.shape, 4, np.uint8), series.image.grid, Author("human", "A"))
    seg = make_seg(found, drawn, None, CONTEXT, series=series)
    for frame in seg.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0]
        position.ImagePositionPatient = [float(v) + 40.5 for v in position.ImagePositionPatient]
    seg.save_as(tmp_path / "seg.dcm")
    with pytest.raises(GeometryError):
        prepare("a", "p", dicom_study, tmp_path / "seg.dcm")


def test_a_nifti_label_is_on_the_reference(nifti_study, tmp_path):
    grid = study.read_study(nifti_study).reference.image.grid
    mask = np.zeros(grid.shape, np.uint8)
    mask[10:20, 12:18, 9:14] = 2
    nib.save(nib.Nifti1Image(mask, LPS_FROM_RAS @ grid.affine), tmp_path / "mask.nii.gz")
    item = prepare("a", "p", nifti_study, tmp_path / "mask.nii.gz")
    assert item.label.region(Region.WT).sum() * item.label.grid.voxel_ml == pytest.approx(300 * grid.voxel_ml, rel=0.05)


@given(st.lists(st.lists(st.text("abcdef", min_size=1, max_size=3), max_size=8), min_size=1, max_size=4))
def test_a_patient_never_changes_sides(tmp_path_factory, visits):
    path = tmp_path_factory.mktemp("division") / "division.json"
    sides = {}
    for patients in visits:
        division = divide(patients, path, 0.3, salt="s")
        assert division.train | division.heldout == set(patients)
        assert not division.train & division.heldout
        for patient in patients:
            side = patient in division.heldout
            assert sides.setdefault(patient, side) == side
    if len(set(visits[0])) > 1:
        assert any(sides.values())


def test_the_division_names_nobody_keeps_its_rule_and_is_never_guessed(tmp_path):
    path = tmp_path / "division.json"
    first = divide(["Doe^Jane", "Roe^Richard", "Poe^Edgar"], path, 0.5)
    assert "Doe" not in path.read_text()
    assert divide(["Doe^Jane", "Roe^Richard", "Poe^Edgar"], path, 0.0) == first  # the file's share, not this one
    assert json.loads(path.read_text())["share"] == 0.5
    path.write_text('{"salt"')
    with pytest.raises(CorruptFileError):
        divide(["Doe^Jane"], path)


def item(name, slices, contiguous=True):
    return Slices(name, np.zeros((slices, 4, *FRAME), np.float16), np.zeros((slices, *FRAME), np.uint8), contiguous)


@pytest.mark.parametrize(("new", "old", "wanted"), [(1, 9, 0.5), (9, 1, 0.5), (2, 6, 0.25), (3, 3, 0.5)])
def test_old_cases_get_their_share_of_the_draws(new, old, wanted):
    fresh = [(item(f"n{n}", 3), 1.0) for n in range(new)]
    listed = mixture(fresh, [item(f"o{n}", 3) for n in range(old)], wanted)
    share = np.mean([part.name.startswith("o") for part in listed])
    assert share == pytest.approx(wanted, abs=0.12)


def test_an_example_weighs_what_it_was_given():
    listed = mixture([(item("light", 2), 0.5), (item("heavy", 2), 2.0)], [], 0.5)
    names = [part.name for part in listed]
    assert names.count("heavy") == 4 * names.count("light")


def test_slices_on_disk_are_those_of_the_example_and_stay_out_of_memory(tmp_path):
    write_example(example("a"), tmp_path / "a.npz")
    found = on_disk(tmp_path / "a.npz", tmp_path / "slices")
    assert isinstance(found.images, np.memmap)
    assert np.array_equal(found.images, example("a").slices().images)
    shutil.copy(tmp_path / "a.npz", tmp_path / "b.npz")
    assert Replay.find(tmp_path).examples == (tmp_path / "a.npz", tmp_path / "b.npz")
    assert Replay.find(None) == Replay.find(tmp_path / "absent") == Replay()
