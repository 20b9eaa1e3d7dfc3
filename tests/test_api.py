"""The public API: quick to import, typed, complete, and a batch that survives bad studies and interruptions."""

import csv
import subprocess
import sys

import pytest

import braintumor as bt


def test_the_import_loads_nothing_heavy():
    heavy = "torch", "pydicom", "SimpleITK", "openvino", "highdicom", "nibabel", "typer"
    script = f"import sys, braintumor; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented():
    for name in set(bt.__all__) - {"__version__"}:
        assert getattr(bt, name).__doc__, name
    assert set(bt.__all__) <= set(dir(bt))


def test_packages_stay_reachable_beside_the_names():
    import braintumor.evaluate
    import braintumor.track

    assert braintumor.track.TrackOptions is bt.TrackOptions
    assert braintumor.evaluate.evaluate_masks is bt.evaluate_masks


@pytest.fixture(scope="module")
def batch(dicom_study, tmp_path_factory):
    place = tmp_path_factory.mktemp("batch")
    (place / "empty").mkdir()
    (place / "=1+1").symlink_to(place / "empty")
    entries = bt.run_many([dicom_study, place / "empty", place / "=1+1"], place / "out")
    with (place / "out" / "volumes.csv").open(newline="") as file:
        return place, entries, list(csv.DictReader(file))


def test_a_study_that_fails_does_not_stop_the_others(batch):
    _, (good, empty, _), table = batch
    assert good.error is None
    assert float(table[0]["WT_ml"]) == pytest.approx(good.manifest["measurements"]["regions"]["WT"]["volume_ml"], abs=1e-3)
    assert isinstance(empty.error, bt.BrainTumorError)
    assert table[1]["error"].startswith("input-not-found: ")
    assert table[1]["WT_ml"] == ""


def test_a_name_is_never_a_formula_of_the_table(batch):
    assert batch[2][2]["study"] == "'=1+1"


def test_a_batch_that_was_stopped_goes_on(batch, dicom_study):
    place, *_ = batch
    before = (place / "out" / dicom_study.name / "result.json").stat().st_mtime_ns
    again = bt.run_many([dicom_study], place / "out")
    assert again[0].manifest["measurements"]
    assert (place / "out" / dicom_study.name / "result.json").stat().st_mtime_ns == before


def test_results_of_another_study_of_the_same_name_are_never_taken(batch, dicom_study, nifti_study, tmp_path):
    (tmp_path / dicom_study.name).symlink_to(nifti_study)
    (entry,) = bt.run_many([tmp_path / dicom_study.name], batch[0] / "out")
    assert entry.manifest is None
    assert "other images" in entry.error.problem


def test_a_damaged_result_is_said(batch, dicom_study, tmp_path):
    (tmp_path / "out" / dicom_study.name).mkdir(parents=True)
    (tmp_path / "out" / dicom_study.name / "result.json").write_text("{")
    (entry,) = bt.run_many([dicom_study], tmp_path / "out")
    assert entry.error.code == "corrupt-file"


def test_two_studies_of_one_name_are_refused_before_anything_runs(dicom_study, tmp_path):
    with pytest.raises(bt.BrainTumorError, match="Two studies are called"):
        bt.run_many([dicom_study, tmp_path / dicom_study.name], tmp_path / "out")
    assert not (tmp_path / "out").exists()
