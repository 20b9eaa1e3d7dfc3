"""The whole line through its public door: same study, same mask, by every way in; all outputs, none with patient data."""

import json

import nibabel as nib
import numpy as np
import pytest

from braintumor import pipeline
from braintumor.domain import MRSequence, OutputError, Region, WeightsError
from braintumor.export import read_seg
from braintumor.study import read_study


@pytest.fixture(scope="module")
def seen():
    """What the run of `from_nifti` says of its progress: (stage, share)."""
    return []


@pytest.fixture(scope="module")
def from_nifti(nifti_study, seen, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "nifti"
    return pipeline.run(nifti_study, out, progress=lambda stage, share: seen.append((stage, share)))


def dseg(folder):
    """The mask in RAS order, whatever the file's own axis order."""
    entries = json.loads((folder / "result.json").read_text())["outputs"]["nifti"]
    paths = [entry["path"] for entry in entries if entry["path"].endswith("_dseg.nii.gz")]
    return nib.as_closest_canonical(nib.load(folder / paths[0]))


def test_dicom_and_nifti_of_one_study_give_the_same_mask(dicom_results, from_nifti):
    one, other = dseg(dicom_results), dseg(from_nifti.folder)
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-3)
    assert np.array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))


def test_the_manifest_names_every_file_and_its_hash(dicom_results):
    manifest = json.loads((dicom_results / "result.json").read_text())
    named = {entry["path"] for entries in manifest["outputs"].values() for entry in entries} | {"result.json"}
    there = {str(path.relative_to(dicom_results)) for path in dicom_results.rglob("*") if path.is_file()}
    assert named == there
    assert set(manifest["timings_s"]) >= {"study", "case", "engine", "segment", "measure", "findings", "write dicom"}
    assert manifest["model"]["checksum_sha256"]
    hashes = {i["sha256"] for series in manifest["input"]["series"].values() for i in series["instances"]}
    assert len(hashes) == sum(len(s["instances"]) for s in manifest["input"]["series"].values())


def test_no_patient_data_outside_the_patients_own_documents(dicom_results, dicom_study):
    patient = read_study(dicom_study).patient
    assert patient.patient_id
    family = patient.name.split("^")[0]
    for path in dicom_results.rglob("*"):
        if path.suffix in {".json", ".tsv", ".gz", ".stl", ".glb"} and path.parent.name != "report":
            content = path.read_bytes()
            assert patient.patient_id.encode() not in content
            assert family.encode() not in content


def test_seg_volume_agrees_with_the_measured_one(dicom_results, dicom_study):
    seg = read_seg(dicom_results / "dicom/segmentation.dcm")
    reference = read_study(dicom_study).series[MRSequence.T1CE]
    assert seg.grid.same_as(reference.image.grid)
    measured = json.loads((dicom_results / "result.json").read_text())["measurements"]["regions"]["WT"]["volume_ml"]
    assert seg.region(Region.WT).sum() * seg.grid.voxel_ml == pytest.approx(measured, rel=0.05, abs=0.5)


def test_the_phantoms_tumour_is_found(from_nifti, phantom):
    truth = phantom.volumes_ml["WT"] if "WT" in phantom.volumes_ml else sum(phantom.volumes_ml.values())
    assert from_nifti.manifest["measurements"]["regions"]["WT"]["volume_ml"] == pytest.approx(truth, rel=0.5)


def test_nothing_is_written_when_a_stage_fails(nifti_study, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(WeightsError):
        pipeline.run(nifti_study, out, pipeline.RunOptions(model=tmp_path))
    assert not out.exists()


def test_output_is_checked_before_the_input(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(OutputError):
        pipeline.run(tmp_path / "absent", tmp_path)


@pytest.mark.usefixtures("from_nifti")
def test_progress_names_the_stages_in_order(seen):
    finished = [stage for stage, share in seen if share == 1.0]
    assert list(dict.fromkeys(finished)) == list(pipeline.STAGES)
