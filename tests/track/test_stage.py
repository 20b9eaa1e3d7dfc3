"""`braintumor track` end to end on phantoms with known volumes and dates, and what it says to bad input."""

import json
import shutil
from datetime import date

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from braintumor import cli, pipeline
from braintumor import phantom as generator
from braintumor.domain import CorruptFileError, OutputError, Patient, PatientMismatchError, RegistrationError, VisitsError
from braintumor.phantom import StudyHeader, study_header
from braintumor.track import Clinical, Criteria, Event, TrackOptions, VisitNotes

JANUARY, APRIL = date(2024, 1, 15), date(2024, 4, 14)


def mask_of(folder):
    return folder / f"{folder.name}_seg.nii.gz"


def notes(*folders, dates=(APRIL, JANUARY), **more):
    return tuple(VisitNotes(mask=mask_of(f), date=d, **more) for f, d in zip(folders, dates, strict=True))


@pytest.fixture(scope="module")
def made(folders, tmp_path_factory):
    """The follow-up beside its prior, everything known."""
    out = tmp_path_factory.mktemp("made") / "out"
    before, now = folders
    known = notes(now, before, steroid_mg=0.0, clinical=Clinical.STABLE)
    criteria = Criteria(baseline=JANUARY, radiotherapy_end=date(2023, 12, 1))
    return pipeline.track_visits([now, before], out, TrackOptions(criteria, known, (Event(date(2024, 2, 1), "Chemotherapy"),)))


def test_volumes_and_their_change_are_the_phantoms(made, two_visits):
    for number, visit in enumerate(two_visits):
        for region in ("WT", "TC", "ET"):
            told = made.manifest["visits"][number]["volume_ml"][region]["value"]
            assert told == pytest.approx(visit.volumes_ml[region], rel=0.03, abs=0.2)
    true = two_visits[1].volumes_ml["WT"] - two_visits[0].volumes_ml["WT"]
    change = made.manifest["changes"][0]["regions"]["WT"]
    assert change["ml"]["value"] == pytest.approx(true, abs=max(0.2, 0.03 * true))
    assert change["words"] == "grown"
    doubling = 90 * np.log(2) / np.log(two_visits[1].volumes_ml["WT"] / two_visits[0].volumes_ml["WT"])
    assert change["doubling_time_days"] == pytest.approx(doubling, rel=0.03)


def test_the_lesion_is_followed_and_said_to_have_grown(made):
    largest = made.manifest["lesions"][0]
    assert [a["state"] for a in largest["appearances"]] == ["present", "grown"]


def test_rano_is_given_with_nothing_missing(made):
    first, last = made.manifest["rano"]
    assert (first["category"], last["category"], last["standing"]) == ("not assessable", "PD", "PD")
    assert last["inputs_missing"] == []
    assert "not a diagnosis" in made.manifest["notice"]


def test_change_map_adds_up(made, two_visits):
    image = nib.load(made.folder / "change-map.nii.gz")
    values = np.asarray(image.dataobj)
    voxel = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    growth, shrinkage, both = (float((values == v).sum() * voxel) for v in (1, 2, 3))
    assert growth + both == pytest.approx(two_visits[1].volumes_ml["WT"], rel=0.03)
    assert both + shrinkage == pytest.approx(two_visits[0].volumes_ml["WT"], rel=0.03)
    assert shrinkage < 0.1 * both


def test_pictures_and_prior_are_there(made):
    assert Image.open(made.folder / "trend.png").size == (1520, 800)
    assert "Chemotherapy" in (made.folder / "trend.svg").read_text()
    assert Image.open(made.folder / "change-overlay.png").width > 300
    prior = nib.load(made.folder / "prior-1.nii.gz")
    assert prior.shape == nib.load(made.folder / "change-map.nii.gz").shape
    assert json.loads((made.folder / "timeline.json").read_text()) == made.manifest


def test_identities_are_kept_from_an_earlier_timeline(made, folders, tmp_path):
    content = json.loads((made.folder / "timeline.json").read_text())
    content["lesions"][0]["tracking_uid"] = "2.25.4242"
    (tmp_path / "old.json").write_text(json.dumps(content))
    before, now = folders
    options = TrackOptions(notes=notes(now, before), previous=tmp_path / "old.json")
    again = pipeline.track_visits([now, before], tmp_path / "out", options)
    assert again.manifest["lesions"][0]["tracking_uid"] == "2.25.4242"


def test_an_earlier_timeline_that_is_none_is_refused(folders, tmp_path):
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(CorruptFileError, match="timeline"):
        pipeline.track_visits(folders, tmp_path / "out", TrackOptions(notes=notes(*folders), previous=tmp_path / "old.json"))


def test_named_in_the_wrong_order_and_without_contrast(folders, tmp_path):
    """The dates decide, and a prior without T1ce is aligned on FLAIR; RANO says why it says nothing."""
    before, now = folders
    bare = shutil.copytree(before, tmp_path / before.name)
    (bare / f"{bare.name}_t1ce.nii.gz").unlink()
    found = pipeline.track_visits(
        [bare, now], tmp_path / "out", TrackOptions(notes=notes(bare, now, dates=(JANUARY, APRIL)))
    ).manifest
    assert [v["date"] for v in found["visits"]] == ["2024-01-15", "2024-04-14"]
    assert found["visits"][0]["alignment_to_current"]["sequence"] == "flair"
    assert {"order-by-date", "no-contrast", "other-sequences"} <= {f["code"] for f in found["flags"]}
    assert (found["rano"], found["rano_not_assessed"]) == ([], "a visit has no T1ce")


def test_empty_masks_without_dates(folders, tmp_path):
    before, now = folders
    copies = [shutil.copytree(f, tmp_path / f.name) for f in (now, before)]
    for copy in copies:
        image = nib.load(mask_of(copy))
        nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), mask_of(copy))
    found = pipeline.track_visits(copies, tmp_path / "out", TrackOptions(notes=notes(*copies, dates=(None, None)))).manifest
    assert [f["code"] for f in found["flags"]].count("empty-mask") == 2
    change = found["changes"][0]["regions"]["WT"]
    assert (change["words"], change["percent"], change["undefined"]) == ("no measurable change", None, "a date is missing")
    assert (found["lesions"], found["rano"]) == ([], [])


def test_a_mask_of_tumour_or_not_is_flagged_for_what_its_one_value_means(folders, tmp_path):
    before, now = folders
    copies = [shutil.copytree(f, tmp_path / f.name) for f in (now, before)]
    image = nib.load(mask_of(copies[0]))
    whole = (np.asarray(image.dataobj) > 0).astype(np.uint8)
    nib.save(nib.Nifti1Image(whole, image.affine), mask_of(copies[0]))
    found = pipeline.track_visits(copies, tmp_path / "out", TrackOptions(notes=notes(*copies))).manifest
    words = [flag["message"] for flag in found["flags"] if flag["code"] == "mask-of-one-value"]
    assert len(words) == 1
    assert words[0].startswith("Visit 2 (2024-04-14):")


def test_the_same_visit_twice(folders, tmp_path):
    again = shutil.copytree(folders[0], tmp_path / folders[0].name)
    with pytest.raises(VisitsError, match="twice"):
        pipeline.track_visits([folders[0], again], tmp_path / "out", TrackOptions(notes=notes(folders[0], again)))
    assert not (tmp_path / "out").exists()


def test_three_visits_without_dates(folders, tmp_path):
    third = shutil.copytree(folders[0], tmp_path / folders[0].name)
    image = nib.load(third / f"{third.name}_flair.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), third / f"{third.name}_flair.nii.gz")
    every = [*folders, third]
    options = TrackOptions(notes=notes(*every, dates=(None, None, APRIL)))
    with pytest.raises(VisitsError, match="no date"):
        pipeline.track_visits(every, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_one_visit(folders, tmp_path):
    with pytest.raises(VisitsError, match="one visit"):
        pipeline.track_visits(folders[:1], tmp_path / "out", TrackOptions(notes=notes(*folders[:1], dates=(APRIL,))))


def test_a_prior_that_cannot_be_aligned_leaves_nothing_behind(folders, tmp_path):
    before, now = folders
    spoilt = shutil.copytree(before, tmp_path / before.name)
    for path in [spoilt / f"{spoilt.name}_{s}.nii.gz" for s in ("t1ce", "flair")]:
        image = nib.load(path)
        voxels = np.asarray(image.dataobj)
        noise = np.random.default_rng(3).integers(100, 900, voxels.shape)
        nib.save(nib.Nifti1Image(np.where(voxels > 0, noise, 0).astype(np.int16), image.affine), path)
    with pytest.raises(RegistrationError):
        pipeline.track_visits([now, spoilt], tmp_path / "out", TrackOptions(notes=notes(now, spoilt)))
    assert sorted(p.name for p in tmp_path.iterdir()) == [spoilt.name]


def test_a_full_output_folder_is_refused_at_once(folders, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError):
        pipeline.track_visits(folders, tmp_path, TrackOptions(notes=notes(*folders)))


@pytest.fixture(scope="module")
def strangers(two_visits, folders, tmp_path_factory):
    """The two visits as DICOM, the second under another patient's ID."""
    home = tmp_path_factory.mktemp("dicom")
    other: StudyHeader = study_header(8, Patient("SOMEONE-ELSE", "Else^Someone", "19700101", "O"), two_visits[1].date)
    generator.write_dicom(two_visits[0], home / "before")
    generator.write_dicom(two_visits[1], home / "now", header=other)
    return home / "now", home / "before", (mask_of(folders[1]), mask_of(folders[0]))


def test_different_patients_are_refused(strangers, tmp_path):
    now, before, masks = strangers
    options = TrackOptions(notes=tuple(VisitNotes(mask=m) for m in masks))
    with pytest.raises(PatientMismatchError) as refused:
        pipeline.track_visits([now, before], tmp_path / "out", options)
    assert "SOMEONE" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_different_patients_by_force_are_marked_and_dicom_dates_are_used(strangers, tmp_path):
    now, before, masks = strangers
    options = TrackOptions(notes=tuple(VisitNotes(mask=m) for m in masks), force=True)
    found = pipeline.track_visits([now, before], tmp_path / "out", options).manifest
    assert found["flags"][0]["code"] == "different-patients"
    assert [v["date"] for v in found["visits"]] == ["2024-01-15", "2024-04-14"]
    assert "SOMEONE" not in (tmp_path / "out" / "timeline.json").read_text()


def test_command_line_says_wrong_use_plainly(folders, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["track", *map(str, folders), "-o", str(tmp_path / "out"), "--date", "2024-01-01"])
    assert stop.value.code == 2
    assert "once for each of the 2 visits" in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_command_line_with_surgery_between(folders, tmp_path, capsys):
    before, now = folders
    words = ["track", str(now), str(before), "-o", str(tmp_path / "out"), "--pre-operative", "2", "--json"]
    for folder, day in ((now, APRIL), (before, JANUARY)):
        words += ["--mask", str(mask_of(folder)), "--date", day.isoformat()]
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["extent_of_resection_percent"]["WT"]["value"] == pytest.approx(-50, abs=3)
