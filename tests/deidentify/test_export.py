"""What leaves: no original value, valid objects, right references, exact intervals, and a way back for who has the vault."""

import json
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from braintumor import phantom, pipeline
from braintumor.deidentify import DeidentificationError, DeidentifyOptions, Vault, create_key, deidentify
from braintumor.domain import MRSequence, OutputError, Patient
from braintumor.study import read_study
from tests.data import dciodvfy
from tests.deidentify.planted import SECRETS, leaks, pixels, plant, uids_of

WORDS = "a passphrase of words"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return create_key(tmp_path_factory.mktemp("key") / "project.key")


@pytest.fixture(scope="module")
def planted(dicom_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted") / "study"
    return folder, plant(dicom_study, folder)


@pytest.fixture(scope="module")
def exported(planted, key, tmp_path_factory):
    place = tmp_path_factory.mktemp("exported")
    return deidentify(planted[0], place / "out", key, Vault(place / "vault", WORDS))


@pytest.fixture
def results(dicom_results):
    return dicom_results


def files(report):
    return sorted(report.folder.rglob("*.dcm"))


def first_of_each_series(paths):
    chosen = {}
    for path in paths:
        chosen.setdefault(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID, path)
    return list(chosen.values())


def test_no_original_value_is_left_in_any_byte(planted, exported):
    folder, copies = planted
    original = pydicom.dcmread(copies[0])
    assert leaks(folder, SECRETS) == set(SECRETS)  # the search finds them where they are
    assert leaks(exported.folder, (*SECRETS, original.StudyDate)) == set()
    assert leaks(exported.folder, uids_of(copies)) == set()
    assert exported.written == {"MR Image Storage": len(copies)}
    assert not exported.excluded


def test_private_unknown_and_overlay_attributes_are_gone_and_counted(planted, exported):
    for path in files(exported)[::50]:
        dataset = pydicom.dcmread(path)
        assert not [e for e in dataset.iterall() if e.tag.is_private or e.tag.group == 0x6000]
    report = json.loads((exported.folder / "deidentification.json").read_text())
    count = len(planted[1])
    assert report["private_attributes_removed"] == {
        "SIEMENS CSA HEADER": count,
        "of a creator that is not publicly known": count,
    }
    assert report["attributes"]["PatientName"] == {"replaced": count}
    assert report["attributes"]["OtherPatientIDs"] == {"removed": count}
    assert report["attributes"]["EvaluatorName"] == {"removed": count}


def test_the_header_says_what_was_done(exported):
    dataset = pydicom.dcmread(files(exported)[0])
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    assert dataset.BurnedInAnnotation == dataset.RecognizableVisualFeatures == "NO"
    codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113102", "113103", "113104", "113105", "113107", "113108"]
    assert dataset.PatientName == dataset.PatientID == next(iter(exported.studies))
    assert (dataset.PatientAge, dataset.PatientSex, dataset.PatientWeight) == ("090Y", "M", 71.5)
    assert dataset.AnatomicRegionSequence[0].CodeMeaning == "Brain structure"
    nested = dataset.SourceImageSequence[0]
    assert (nested.PatientID, nested.ContentDate) == (dataset.PatientID, dataset.StudyDate)
    assert nested.ReferencedSOPInstanceUID == dataset.SOPInstanceUID


def test_characteristics_go_when_asked(planted, key, tmp_path):
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(planted[1][0], one)
    report = deidentify(one, tmp_path / "out", key, options=DeidentifyOptions(characteristics=False, device=True, deface=False))
    dataset = pydicom.dcmread(files(report)[0])
    assert "PatientAge" not in dataset
    assert "PatientWeight" not in dataset
    assert dataset.PatientSex == ""
    assert dataset.DeviceSerialNumber == "SN-900417"
    assert "RecognizableVisualFeatures" not in dataset
    codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert "113108" not in codes
    assert "113102" not in codes
    assert "113109" in codes


def test_objects_stay_valid(dicom_study, results, exported, key, tmp_path):
    derived = deidentify(results / "dicom", tmp_path / "derived", key, options=DeidentifyOptions(deface=False))
    before = first_of_each_series([*sorted(dicom_study.rglob("*.dcm")), *sorted((results / "dicom").glob("*.dcm"))])
    known = {error for path in before for error in dciodvfy(path)}
    for path in (*first_of_each_series(files(exported)), *files(derived)):
        assert set(dciodvfy(path)) <= known


def test_dicom_validator_finds_nothing_new(dicom_study, exported):
    standard = Path.home() / "dicom-validator"
    if not any(standard.glob("*/json/*")):
        pytest.skip("dicom-validator has not downloaded the standard, which needs the network once")
    for folder in (dicom_study, exported.folder):
        path = sorted(folder.rglob("*.dcm"))[0]
        command = ["validate_iods", "-src", str(standard), "-e", "local", "--suppress-vr-warnings", str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout


def test_the_program_reads_the_same_study(planted, exported):
    assert {proof.face for proof in exported.proofs.values()} == {"no face"}
    assert {proof.untouched for proof in exported.proofs.values()} == {True}
    before, after = read_study(planted[0]), read_study(exported.folder)
    for sequence in MRSequence:
        one, two = before.series[sequence], after.series[sequence]
        assert two.evidence == one.evidence  # skull-stripped: there is no face, and every voxel is as it was
        assert (two.image.voxels == one.image.voxels).all()
        assert two.image.grid.same_as(one.image.grid)
        assert two.attributes["Manufacturer"] == one.attributes["Manufacturer"]


def test_visits_keep_their_interval_and_their_patient_across_runs(key, tmp_path):
    days = (date(2024, 2, 27), date(2024, 5, 30))
    dates = []
    visit = phantom.make(phantom.PhantomOptions(seed=3, spacing_mm=(8.0, 8.0, 8.0), skull=False))[0]
    for number, day in enumerate(days):
        header = phantom.study_header(f"visit {number}", Patient("P-1", "Doe^Jo", "19700101", "O"), day)
        phantom.write_dicom(visit, tmp_path / f"visit-{number}", header=header)
        report = deidentify(
            tmp_path / f"visit-{number}", tmp_path / f"out-{number}", key, options=DeidentifyOptions(deface=False)
        )
        dataset = pydicom.dcmread(files(report)[0])
        dates.append((dataset.PatientID, date.fromisoformat(dataset.StudyDate), dataset.StudyTime))
    (first, early, time), (second, late, _) = dates
    assert first == second
    assert late - early == days[1] - days[0]
    assert early < days[0]
    assert time == "090000"  # the time of day stays


def test_references_of_results_follow_their_images(dicom_study, results, key, tmp_path):
    report = deidentify([dicom_study, results], tmp_path / "out", key, options=DeidentifyOptions(deface=False))
    by_kind = {}
    for path in files(report):
        dataset = pydicom.dcmread(path)
        by_kind.setdefault(dataset.Modality, []).append(dataset)
    images = {d.SOPInstanceUID for d in by_kind["MR"]}
    (seg,) = by_kind["SEG"]
    (sr,) = by_kind["SR"]
    for item in seg.ReferencedSeriesSequence:
        assert item.SeriesInstanceUID in {d.SeriesInstanceUID for d in by_kind["MR"]}
        assert {i.ReferencedSOPInstanceUID for i in item.ReferencedInstanceSequence} <= images
    assert seg.FrameOfReferenceUID in {d.FrameOfReferenceUID for d in by_kind["MR"]}
    referred = {e.value for e in sr.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
    assert seg.SOPInstanceUID in referred
    assert len({d.PatientID for group in by_kind.values() for d in group}) == 1
    original = pydicom.dcmread(results / "dicom" / "segmentation.dcm")
    assert (seg.pixel_array == original.pixel_array).all()
    assert [s.SegmentLabel for s in seg.SegmentSequence] == [s.SegmentLabel for s in original.SegmentSequence]
    reasons = {e.kind: e.reason for e in report.excluded}  # pictures and the PDF
    assert set(reasons) == {"Secondary Capture Image Storage", "Encapsulated PDF Storage"}


def test_the_pipeline_runs_on_what_left(exported, tmp_path):
    seg = pydicom.dcmread(pipeline.run(exported.folder, tmp_path / "out").folder / "dicom" / "segmentation.dcm")
    assert seg.PatientID == next(iter(exported.studies))
    images = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in files(exported)}
    assert {i.ReferencedSOPInstanceUID for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence} <= images


def test_the_vault_leads_back(planted, exported):
    originals = Vault(exported.folder.parent / "vault", WORDS).read()
    ((pseudonym, person),) = originals.people.items()
    assert (person.patient_id, person.name, person.birth_date) == ("PID-77431902", "Zwetschgenbaum^Ottokar", "19431107")
    dataset = pydicom.dcmread(files(exported)[0])
    moved = date.fromisoformat(dataset.StudyDate) - date.fromisoformat(pydicom.dcmread(planted[1][0]).StudyDate)
    assert moved.days == person.shift_days < 0
    assert dataset.PatientID == pseudonym
    assert uids_of(planted[1]) == set(originals.uids.values())
    assert originals.uids[dataset.SOPInstanceUID] in uids_of(planted[1])


def test_a_vault_in_the_output_is_refused(planted, key, tmp_path):
    with pytest.raises(DeidentificationError, match="inside the output"):
        deidentify(planted[0], tmp_path / "out", key, Vault(tmp_path / "out" / "deep" / "vault", WORDS))
    assert not (tmp_path / "out").exists()


def test_a_vault_of_another_key_is_refused_before_any_work(planted, exported, tmp_path):
    vault = Vault(exported.folder.parent / "vault", WORDS)
    with pytest.raises(DeidentificationError, match="another key"):
        deidentify(planted[0], tmp_path / "out", create_key(tmp_path / "key"), vault)


def test_a_dry_run_writes_nothing(planted, key, tmp_path):
    vault = Vault(tmp_path / "vault", WORDS)
    report = deidentify(planted[0], tmp_path / "out", key, vault, DeidentifyOptions(deface=False), dry_run=True)
    assert sum(report.written.values()) == len(planted[1])
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_holds_something_is_refused(planted, key, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        deidentify(planted[0], tmp_path, key)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, "burnt into"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen shot"),
        ({"ConversionType": "WSD"}, "screen shot"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}, "no MR image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "Modality": "DOC"}, "no MR image"),
        ({"PixelData": b"\0\0"}, "cannot be decoded"),
    ],
)
def test_what_may_show_a_name_stays_and_is_listed(dicom_study, key, tmp_path, change, reason):
    source = tmp_path / "in"
    source.mkdir()
    good, bad = sorted(dicom_study.rglob("*.dcm"))[:2]
    shutil.copy(good, source)
    dataset = pydicom.dcmread(bad)
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.save_as(source / "bad.dcm")
    (source / "notes.txt").write_text("no DICOM")
    report = deidentify(source, tmp_path / "out", key, options=DeidentifyOptions(deface=False))
    assert [e.uid for e in report.excluded] == [key.uid(dataset.SOPInstanceUID)]
    assert reason in report.excluded[0].reason
    assert report.not_dicom == 1
    assert len(files(report)) == 1


def test_compressed_pixels_leave_uncompressed_and_unchanged(dicom_study, key, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    path = sorted(dicom_study.rglob("*.dcm"))[30]
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.save_as(source / "one.dcm")
    report = deidentify(source, tmp_path / "out", key, options=DeidentifyOptions(deface=False))
    (written,) = files(report)
    assert pydicom.dcmread(written).file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (pixels(written) == pixels(path)).all()


def test_a_report_text_loses_its_words_and_keeps_its_codes(results, key, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    dataset = pydicom.dcmread(results / "dicom" / "measurements.dcm")
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "Herr Zwetschgenbaum has an oedema"
    item.ConceptNameCodeSequence = dataset.ConceptNameCodeSequence
    dataset.ContentSequence.append(item)
    dataset.save_as(source / "sr.dcm")
    report = deidentify(source, tmp_path / "out", key, options=DeidentifyOptions(deface=False))
    written = pydicom.dcmread(files(report)[0])
    assert written.ContentSequence[-1].TextValue == "oedema"
    assert written.ConceptNameCodeSequence[0].CodeMeaning == dataset.ConceptNameCodeSequence[0].CodeMeaning
