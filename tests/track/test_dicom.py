"""Tracking as DICOM, on a phantom pair whose tumour, motion and dates are known: valid, exact, traceable, and one patient's."""

import json
import shutil
from dataclasses import replace
from datetime import datetime

import highdicom as hd
import numpy as np
import pydicom
import pytest

from braintumor import phantom as generator
from braintumor import pipeline, track
from braintumor import preprocess as case_stage
from braintumor import study as study_stage
from braintumor.domain import InputNotFoundError, MRSequence, Patient, Region
from braintumor.phantom import Awkward, study_header
from braintumor.preprocess import on_grid
from braintumor.track import Visit
from braintumor.track.dicom import left_out
from braintumor.track.dicom.common import Prior, TrackContext
from braintumor.track.dicom.prior import make_prior_series
from braintumor.track.dicom.registration import make_registration
from braintumor.track.dicom.report import make_report
from braintumor.track.dicom.seg import make_change_seg, make_lesion_seg
from braintumor.track.lesions import find_instances
from tests.data import dciodvfy

CREATED = datetime(2024, 6, 1, 12, 30)
SINGLE = ("lesions", "change", "measurements", "registration-1")


def write_visit(visit, folder, **how):
    """The visit's T1ce and FLAIR as DICOM; two sequences are half the work of four."""
    generator.write_dicom(visit, folder, **how)
    for unused in ("1_t1", "2_t2"):
        shutil.rmtree(folder / unused)
    return folder


@pytest.fixture(scope="module")
def studies(two_visits, tmp_path_factory):
    """Folders of the prior and the current DICOM study."""
    home = tmp_path_factory.mktemp("studies")
    return [write_visit(visit, home / name) for visit, name in zip(two_visits, ("before", "now"), strict=True)]


@pytest.fixture(scope="module")
def timeline(two_visits, studies):
    """Both visits with their true masks, compared."""
    visits = []
    for truth, folder in zip(two_visits, studies, strict=True):
        study = study_stage.read_study(folder)
        case = case_stage.prepare_case(study)
        visits.append(Visit(study, case, on_grid(truth.truth, case.grid), study.study_date))
    return track.compare(visits[::-1])


@pytest.fixture(scope="module")
def made(timeline, tmp_path_factory):
    return track.write_timeline(timeline, tmp_path_factory.mktemp("made") / "out", CREATED)


@pytest.fixture(scope="module")
def context(timeline):
    return TrackContext.between(timeline, CREATED)


def first_prior(timeline):
    return Prior(1, timeline.visits[0], timeline.alignments[0])


def with_prior(timeline, **changed):
    """The timeline with another prior study in the place of its own."""
    before, now = timeline.visits
    return replace(timeline, visits=(replace(before, study=replace(before.study, **changed)), now))


def segments_of(made, name, timeline):
    """(instance in k order, row, column, segment) of an object, by the instances it refers to, and its segments."""
    seg = hd.seg.segread(made.folder / "dicom" / f"{name}.dcm")
    uids = [instance.uid for instance in timeline.visits[-1].study.reference.instances]
    return seg.get_pixels_by_source_instance(uids) > 0, seg.SegmentSequence


def groups_of(made):
    """Per measurement group: time point, Tracking UID, numbers by meaning."""
    report = hd.sr.srread(made.folder / "dicom" / "measurements.dcm")
    measured = next(i for i in report.ContentSequence if i.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements")
    found = []
    for group in measured.ContentSequence:
        values = {item.ConceptNameCodeSequence[0].CodeMeaning: item for item in group.ContentSequence}
        numbers = {
            name: float(item.MeasuredValueSequence[0].NumericValue)
            for name, item in values.items()
            if item.ValueType == "NUM" and item.RelationshipType == "CONTAINS"
        }
        found.append((values["Time Point"].TextValue, values["Tracking Unique Identifier"].UID, numbers))
    return found


@pytest.mark.parametrize("name", [*SINGLE, "prior-1/0001", "prior-1/0030"])
def test_objects_are_valid_and_of_the_current_study(made, timeline, name):
    path = made.folder / "dicom" / f"{name}.dcm"
    assert dciodvfy(path) == []
    dataset = pydicom.dcmread(path)
    assert dataset.StudyInstanceUID == timeline.visits[-1].study.uid
    assert (dataset.PatientID, dataset.PatientName) == ("PHANTOM-0007", "Phantom^Glioma")


def test_every_file_is_listed_in_the_timeline(made):
    listed = {name for kind in ("dicom", "dicom-prior") for name in made.outputs[kind]}
    assert listed == {str(p.relative_to(made.folder)) for p in (made.folder / "dicom").rglob("*.dcm")}
    told = json.loads((made.folder / "timeline.json").read_text())["outputs"]
    assert told["dicom"] == [f"dicom/{name}.dcm" for name in sorted(SINGLE)]
    assert len(told["dicom-prior"]) == 64


def test_lesion_segments_are_the_true_lesions_with_the_timelines_identity(made, timeline, two_visits):
    pixels, described = segments_of(made, "lesions", timeline)
    truth = two_visits[1].truth
    labels = find_instances(truth.region(Region.WT), truth.grid).labels.transpose(2, 1, 0)
    tracks = [t for t in made.manifest["lesions"] if t["appearances"][-1]["number"]]
    assert pixels.shape[-1] == len(described) == len(tracks)
    for n, (segment, track_) in enumerate(zip(described, tracks, strict=True)):
        assert np.array_equal(pixels[..., n], labels == track_["appearances"][-1]["number"])
        assert (segment.TrackingUID, segment.TrackingID) == (track_["tracking_uid"], track_["tracking_id"])
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Neoplasm"


def test_change_segments_add_up_to_both_tumours(made, timeline, two_visits):
    pixels, described = segments_of(made, "change", timeline)
    growth, shrinkage, unchanged = np.moveaxis(pixels, -1, 0)
    assert np.array_equal(growth | unchanged, two_visits[1].truth.region(Region.WT).transpose(2, 1, 0))
    assert not (pixels.sum(axis=-1) > 1).any()
    before = (shrinkage | unchanged).sum() * two_visits[0].truth.grid.voxel_ml
    assert before == pytest.approx(two_visits[0].volumes_ml["WT"], rel=0.04)
    assert [s.SegmentLabel for s in described] == ["Growth", "Shrinkage", "At both visits"]
    assert {s.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator for s in described} == {"99BRAINTUMOR"}


def test_report_has_the_volumes_of_every_visit_and_their_change(made, timeline, two_visits):
    groups = groups_of(made)
    content = made.manifest
    lesion = content["lesions"][0]
    by_visit = {when: numbers for when, uid, numbers in groups if uid == lesion["tracking_uid"]}
    assert list(by_visit) == ["2024-01-15", "2024-04-14"]
    for appearance, numbers in zip(lesion["appearances"], by_visit.values(), strict=True):
        assert numbers["Volume"] == pytest.approx(appearance["volume_ml"]["value"], abs=0.001)
    true = two_visits[1].volumes_ml["WT"] - two_visits[0].volumes_ml["WT"]
    assert by_visit["2024-04-14"]["Change of volume since the visit before"] == pytest.approx(true, rel=0.05)
    told = [v["volume_ml"][r]["value"] for v in content["visits"] for r in ("WT", "TC", "ET")]
    regions = {n: uid for n, (_, uid, _) in enumerate(groups) if uid not in {t["tracking_uid"] for t in content["lesions"]}}
    found = [groups[n][2]["Volume"] for n in list(regions)[:6]]
    assert found == pytest.approx(told, abs=0.001)
    assert len(set(list(regions.values())[:6])) == 3  # a region keeps its identity from visit to visit


def test_report_gives_rano_as_an_aid_with_its_rule_and_what_is_missing(made):
    text = pydicom.dcmread(made.folder / "dicom" / "measurements.dcm").ContentSequence[-1].ContentSequence[0].TextValue
    assert "not a diagnosis" in text
    assert "PD" in text
    assert made.manifest["rano"][-1]["rule"] in text
    assert all(missing in text for missing in made.manifest["rano"][-1]["inputs_missing"])


def test_registration_moves_landmarks_of_the_prior_onto_the_current(made, timeline, two_visits):
    dataset = pydicom.dcmread(made.folder / "dicom" / "registration-1.dcm")
    fixed, moving = dataset.RegistrationSequence
    frames = [visit.study.reference.attributes["frame_of_reference_uid"] for visit in timeline.visits]
    assert [moving.FrameOfReferenceUID, fixed.FrameOfReferenceUID] == frames
    assert dataset.FrameOfReferenceUID == frames[1]
    step = moving.MatrixRegistrationSequence[0].MatrixSequence[0]
    matrix = np.array(step.FrameOfReferenceTransformationMatrix, float).reshape(4, 4)
    before = two_visits[0]
    landmarks = before.truth.grid.to_world(np.argwhere(before.brain)[::500])
    true = two_visits[1].motion @ np.linalg.inv(before.motion)
    apart = (landmarks @ matrix[:3, :3].T + matrix[:3, 3]) - (landmarks @ true[:3, :3].T + true[:3, 3])
    assert np.linalg.norm(apart, axis=1).max() < 1.0
    assert np.abs(landmarks @ true[:3, :3].T + true[:3, 3] - landmarks).max() > 15  # there was something to correct


def test_registered_prior_says_what_it_is_and_fits_the_current_image(made, timeline):
    files = [pydicom.dcmread(made.folder / name) for name in made.outputs["dicom-prior"]]
    before, now = (visit.study.reference for visit in timeline.visits)
    first = files[0]
    assert first.SeriesDescription == "T1ce of 2024-01-15, registered"
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "OTHER", "REGISTERED PRIOR"]
    assert "NOT of this study's date" in first.DerivationDescription
    assert (first.StudyDate, first.AcquisitionDate) == ("20240414", "20240115")
    sources = {item.ReferencedSOPInstanceUID for file in files for item in file.get("SourceImageSequence", ())}
    assert sources <= {instance.uid for instance in before.instances}
    assert len(sources) > 50
    for k, file in enumerate(files):
        assert np.allclose(file.ImagePositionPatient, now.image.grid.to_world((0, 0, k)), atol=1e-3)
    moved = np.stack([file.pixel_array.T for file in files], axis=-1).astype(float)
    brain = (now.image.voxels > 0) & (moved > 0)
    agreement = np.corrcoef(moved[brain], now.image.voxels[brain])[0, 1]
    assert agreement > np.corrcoef(before.image.voxels[brain], now.image.voxels[brain])[0, 1] + 0.3


def test_the_reader_never_takes_a_registered_prior_for_this_visits_image(made, studies, tmp_path):
    folder = shutil.copytree(studies[1], tmp_path / "now")
    shutil.copytree(made.folder / "dicom", folder / "dicom")
    uid = pydicom.dcmread(made.folder / made.outputs["dicom-prior"][0]).SeriesInstanceUID
    study, alone = study_stage.read_study(folder), study_stage.read_study(studies[1])
    assert {s: series.uid for s, series in study.series.items()} == {s: series.uid for s, series in alone.series.items()}
    assert "earlier visit" in study.unused[uid]
    assert study.flags == alone.flags
    shutil.rmtree(folder / "4_t1ce")  # even where this visit has no such sequence of its own
    assert MRSequence.T1CE not in study_stage.read_study(folder, require=1).series


def test_the_same_comparison_gives_the_same_objects(made, timeline, tmp_path):
    again = track.write_timeline(timeline, tmp_path / "again", CREATED)
    for name in (*made.outputs["dicom"], *made.outputs["dicom-prior"]):
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes(), name


def test_another_time_makes_new_instances_of_the_same_lesions(timeline, context):
    later = TrackContext.between(timeline, datetime(2024, 6, 2))
    one, other = make_lesion_seg(timeline, context), make_lesion_seg(timeline, later)
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert [s.TrackingUID for s in one.SegmentSequence] == [s.TrackingUID for s in other.SegmentSequence]


def test_run_anew_keeps_every_tracking_uid(made, timeline, studies, folders, tmp_path):
    """Here from the prior's files and the current visit as it was segmented already."""
    mask = next(folders[0].glob("*_seg.nii.gz"))
    options = track.TrackOptions(notes=(track.VisitNotes(), track.VisitNotes(mask=mask)))
    again = pipeline.track_visits([timeline.visits[-1], studies[0]], tmp_path / "out", options)
    kept = [[t["tracking_uid"] for t in found.manifest["lesions"]] for found in (made, again)]
    assert kept[0] == kept[1]
    assert [v["date"] for v in again.manifest["visits"]] == ["2024-01-15", "2024-04-14"]


def test_pixels_of_another_patient_id_are_not_written(timeline, tmp_path):
    other = with_prior(timeline, patient=Patient("SOMEONE-ELSE", "Else^Someone", "19700101", "O"))
    found = track.write_timeline(other, tmp_path / "out", CREATED)
    assert found.outputs["dicom"] == ("dicom/change.dcm", "dicom/lesions.dcm", "dicom/measurements.dcm")
    assert "dicom-prior" not in found.outputs
    flag = next(f for f in found.manifest["flags"] if f["code"] == "prior-of-other-patient")
    assert flag["severity"] == "serious"
    written = b"".join(path.read_bytes() for path in (tmp_path / "out" / "dicom").iterdir())
    assert flag["message"].encode() in written  # the report says it too
    assert not any(word in written for word in (b"SOMEONE", b"Else^", other.visits[0].study.reference.uid.encode()))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"kind": "nifti"}, "prior-not-dicom"),
        ({"patient": Patient()}, "prior-patient-not-checked"),
        ({"patient": Patient("SOMEONE-ELSE")}, "prior-of-other-patient"),
        ({}, None),
    ],
)
def test_which_priors_are_left_out_and_that_it_is_said(timeline, changed, code):
    assert [f.code for f in left_out(with_prior(timeline, **changed))] == ([code] if code else [])


def test_a_current_visit_from_nifti_has_no_dicom_and_no_flag_about_it(timeline, tmp_path):
    before, now = timeline.visits
    nifti = replace(timeline, visits=(before, replace(now, study=replace(now.study, kind="nifti"))))
    found = track.write_timeline(nifti, tmp_path / "out", CREATED)
    assert not (tmp_path / "out" / "dicom").exists()
    assert set(found.outputs) == {"timeline", "trend", "change", "prior"}
    assert left_out(nifti) == ()


def test_a_source_file_that_is_gone_leaves_nothing_behind(timeline, tmp_path):
    study = timeline.visits[0].study
    series = study.series[MRSequence.T1CE]
    lost = replace(series.instances[0], path=tmp_path / "gone.dcm")
    spoilt = {**study.series, MRSequence.T1CE: replace(series, instances=(lost, *series.instances[1:]))}
    with pytest.raises(InputNotFoundError, match="can no longer be read"):
        track.write_timeline(with_prior(timeline, series=spoilt), tmp_path / "out", CREATED)
    assert list(tmp_path.iterdir()) == []


def test_one_frame_of_reference_for_both_visits_is_not_mapped_onto_itself(timeline, context, two_visits, tmp_path):
    """Some anonymisers do that: then the images alone say what the matrix moves."""
    frame = timeline.visits[1].study.reference.attributes["frame_of_reference_uid"]
    patient = Patient("PHANTOM-0007", "Phantom^Glioma", "19600101", "O")
    header = replace(study_header(9, patient, two_visits[0].date), frame_of_reference_uid=frame)
    study = study_stage.read_study(write_visit(two_visits[0], tmp_path / "same", header=header))
    other = with_prior(timeline, uid=study.uid, series=study.series)
    made = make_registration(other, first_prior(other), context)
    moving = made.RegistrationSequence[1]
    assert "FrameOfReferenceUID" not in moving
    assert len(moving.ReferencedImageSequence) == 64
    made.save_as(tmp_path / "registration.dcm")
    assert dciodvfy(tmp_path / "registration.dcm") == []


def test_an_enhanced_prior_is_registered_frame_by_frame(timeline, context, two_visits, tmp_path):
    awkward = dict.fromkeys(MRSequence, Awkward(multiframe=True))
    study = study_stage.read_study(write_visit(two_visits[0], tmp_path / "enhanced", awkward=awkward))
    other = with_prior(timeline, uid=study.uid, series=study.series)
    slices = make_prior_series(other, first_prior(other), context)
    middle = slices[30]
    [source] = middle.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == study.reference.instances[0].uid
    assert 1 < len(source.ReferencedFrameNumber) < 64
    middle.save_as(tmp_path / "slice.dcm")
    assert dciodvfy(tmp_path / "slice.dcm") == []


def test_a_tumour_that_is_gone_leaves_a_report_and_no_lesion_object(timeline, context, tmp_path):
    gone = replace(timeline, tracks=(), change_map=np.zeros_like(timeline.change_map))
    assert make_lesion_seg(gone, context) is None
    report = make_report(gone, None, make_change_seg(gone, context), [], [], context)
    report.save_as(tmp_path / "report.dcm")
    assert dciodvfy(tmp_path / "report.dcm") == []
