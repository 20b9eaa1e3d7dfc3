import hashlib
import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import (
    LABELS,
    LPS_FROM_RAS,
    Author,
    Evidence,
    Flag,
    Grid,
    Image,
    Instance,
    MRSequence,
    Patient,
    Segmentation,
    Series,
    Severity,
    Study,
)
from braintumor.export.nifti import write_nifti
from braintumor.report import provenance_of
from tests.data import tilted_grid

AUTHOR = Author("model", "attention-unet", "1.2.3", "ab" * 32, "pytorch")
WHEN = datetime(2026, 1, 2, 3, 4, 5)


def a_series(sequence, grid, path=None):
    instance = Instance(f"{sequence}.nii.gz", "0" * 63 + str(list(MRSequence).index(sequence)), Path(path or "gone.nii.gz"))
    image = Image(np.zeros(grid.shape, np.float32), grid)
    return Series(f"series-{sequence}", image, (instance,), (1,) * grid.shape[2], {}, Evidence(sequence, 1.0, ("name",)))


def a_study(grids, kind="dicom", uid="1.2.840.99", paths=None):
    series = {s: a_series(s, grid, (paths or {}).get(s)) for s, grid in grids.items()}
    return Study(uid, kind, Patient("PID-42", "Doe^Jane", "19610217", "F"), date(2024, 1, 15), series)


def a_mask(grid, seed=0, uncertainty=False):
    values = np.random.default_rng(seed).choice(np.array([0, 1, 2, 4], np.uint8), grid.shape)
    doubt = np.linspace(0, 1, values.size).reshape(grid.shape).astype(np.float16) if uncertainty else None
    return Segmentation(values, grid, AUTHOR, doubt, flags=(Flag("a-flag", Severity.WARNING, "Look here."),))


def written(study, folder, uncertainty=False):
    folder.mkdir(exist_ok=True)
    masks = {s: a_mask(series.image.grid, seed=list(MRSequence).index(s)) for s, series in study.series.items()}
    case = a_mask(study.reference.image.grid, uncertainty=uncertainty)
    return masks, write_nifti(study, case, masks, folder, provenance_of(study, case, WHEN))


def named(paths, ending):
    return [path for path in paths if path.name.endswith(ending)]


def test_series_on_one_grid_share_one_mask(tmp_path):
    grid = tilted_grid()
    masks, paths = written(a_study(dict.fromkeys(MRSequence, grid)), tmp_path)
    (path,) = named(paths, "_dseg.nii.gz")
    assert "_space-orig_" in path.name
    assert path.parent.name == "anat"
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), masks[MRSequence.T1CE].mask)


def test_each_distinct_grid_has_its_own_mask_on_exactly_its_voxels(tmp_path):
    grids = {
        MRSequence.T1CE: tilted_grid(),
        MRSequence.FLAIR: tilted_grid((20, 22, 7), reverse=True),
        MRSequence.T1: tilted_grid(),
    }
    study = a_study(grids)
    masks, paths = written(study, tmp_path)
    files = {path.name.split("_space-")[1].split("_")[0]: path for path in named(paths, "_dseg.nii.gz")}
    assert set(files) == {"T1ce", "FLAIR"}
    for title, sequence in (("T1ce", MRSequence.T1CE), ("FLAIR", MRSequence.FLAIR)):
        image = nib.load(files[title])
        assert image.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(np.asarray(image.dataobj), masks[sequence].mask)
        np.testing.assert_allclose(image.affine, LPS_FROM_RAS @ grids[sequence].affine, atol=1e-4)
        assert (image.header["qform_code"], image.header["sform_code"]) == (1, 1)


@settings(max_examples=8, deadline=None)
@given(
    st.permutations([0, 1, 2]),
    st.tuples(*[st.booleans()] * 3),
    st.sampled_from([(1, 0), (0, 2), (1, 4), (0, 0)]),
    st.booleans(),
)
def test_nifti_sources_give_back_exactly_their_grid(tmp_path_factory, order, flips, codes, differ):
    """Any axis order and direction, qform only, sform only, both (and different), or none at all."""
    folder = tmp_path_factory.mktemp("bids")
    shape = (6, 7, 8)
    affine = np.zeros((4, 4))
    for axis, world in enumerate(order):
        affine[world, axis] = (1.0, 1.5, 2.5)[axis] * (-1 if flips[axis] else 1)
    affine[:, 3] = (-11.25, 7.5, 3.75, 1)
    source = nib.Nifti1Image(np.zeros(shape, np.int16), affine)
    shifted = affine + np.diag([0.0] * 4)
    shifted[0, 3] += 3.0 if differ else 0.0
    source.set_qform(shifted, codes[0])
    source.set_sform(affine, codes[1])
    source.header["descrip"] = b"Doe Jane"
    path = folder / "case_t1ce.nii.gz"
    nib.save(source, path)

    as_read = nib.load(path)
    study = a_study({MRSequence.T1CE: Grid(shape, LPS_FROM_RAS @ as_read.affine)}, "nifti", "case", {MRSequence.T1CE: path})
    masks, paths = written(study, folder / "out")
    result = nib.load(named(paths, "_dseg.nii.gz")[0])
    np.testing.assert_array_equal(result.affine, as_read.affine)
    for field in ("qform_code", "sform_code", "srow_x", "quatern_b", "quatern_d", "qoffset_x"):
        np.testing.assert_array_equal(result.header[field], as_read.header[field])
    np.testing.assert_array_equal(result.header["pixdim"][:4], as_read.header["pixdim"][:4])
    np.testing.assert_array_equal(np.asarray(result.dataobj), masks[MRSequence.T1CE].mask)
    assert bytes(result.header["descrip"]).strip(b"\0") == b""


def test_sidecar_and_table_explain_the_mask(tmp_path):
    study = a_study(dict.fromkeys(MRSequence, tilted_grid()))
    _, paths = written(study, tmp_path)
    sidecar = json.loads(named(paths, "_dseg.json")[0].read_text())
    assert sidecar["Manual"] is False
    assert sidecar["Created"] == "2026-01-02T03:04:05"
    assert sidecar["WeightsSHA256"] == AUTHOR.checksum
    assert sidecar["QualityFlags"] == ["warning: Look here."]
    assert sidecar["Sources"][0]["SHA256"] == [study.reference.instances[0].sha256]
    rows = [line.split("\t") for line in named(paths, "_dseg.tsv")[0].read_text().splitlines()]
    assert rows[0] == ["index", "name", "abbreviation", "color"]
    assert [(int(row[0]), row[2]) for row in rows[1:]] == [(label.value, label.short) for label in LABELS]


def test_data_set_description_has_what_bids_asks_of_derivatives(tmp_path):
    _, paths = written(a_study(dict.fromkeys(MRSequence, tilted_grid())), tmp_path)
    description = json.loads((tmp_path / "dataset_description.json").read_text())
    assert tmp_path / "dataset_description.json" in paths
    assert description["DatasetType"] == "derivative"
    assert {"Name", "BIDSVersion", "GeneratedBy", "SourceDatasets"} <= set(description)
    assert all(entry["Name"] for entry in description["GeneratedBy"])


def test_uncertainty_is_kept_to_a_part_in_255(tmp_path):
    study = a_study({MRSequence.FLAIR: tilted_grid()})
    _, paths = written(study, tmp_path, uncertainty=True)
    (path,) = named(paths, "_probseg.nii.gz")
    expected = a_mask(study.reference.image.grid, uncertainty=True).uncertainty
    np.testing.assert_allclose(nib.load(path).get_fdata(), expected, atol=0.5 / 255 + 1e-3)
    assert named(paths, "_probseg.json")


@pytest.mark.parametrize(
    ("kind", "uid", "start"),
    [
        ("nifti", "BraTS2021_01476", "sub-BraTS202101476_space"),
        ("nifti", "sub-07_ses-pre", "sub-07_ses-pre_space"),
        ("nifti", "sub-07", "sub-07_space"),
        ("nifti", "___", f"sub-{hashlib.sha256(b'___').hexdigest()[:12]}_space"),
        ("dicom", "1.2.3", f"sub-{hashlib.sha256(b'1.2.3').hexdigest()[:12]}_space"),
    ],
)
def test_subject_and_session_labels(tmp_path, kind, uid, start):
    grid = tilted_grid((5, 6, 7))
    source = tmp_path / "t1ce.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(grid.shape, np.uint8), LPS_FROM_RAS @ grid.affine), source)
    _, paths = written(a_study({MRSequence.T1CE: grid}, kind, uid, {MRSequence.T1CE: source}), tmp_path / "out")
    (path,) = named(paths, "_dseg.nii.gz")
    assert path.name.startswith(start)
    label = start.removeprefix("sub-").removesuffix("_space").split("_")[0]
    assert path.is_relative_to(tmp_path / "out" / f"sub-{label}")


def test_the_patient_is_nowhere_in_what_is_written(tmp_path):
    _, paths = written(a_study(dict.fromkeys(MRSequence, tilted_grid())), tmp_path)
    for path in paths:
        content = nib.load(path).header.binaryblock if path.name.endswith(".nii.gz") else path.read_bytes()
        for secret in (b"PID-42", b"Doe", b"19610217", b"2024"):
            assert secret not in content
            assert secret.decode() not in str(path.relative_to(tmp_path))


def test_a_person_as_author(tmp_path):
    study = a_study({MRSequence.T1CE: tilted_grid()})
    mask = replace(a_mask(study.reference.image.grid), author=Author("human", "reader"))
    paths = write_nifti(study, mask, {MRSequence.T1CE: mask}, tmp_path, provenance_of(study, mask, WHEN))
    assert json.loads(named(paths, "_dseg.json")[0].read_text())["Manual"] is True


def test_writing_twice_gives_the_same_bytes(tmp_path):
    study = a_study(dict.fromkeys(MRSequence, tilted_grid()))
    first, second = (written(study, tmp_path / name, uncertainty=True)[1] for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_nifti_source_that_is_gone_still_gives_the_right_grid(tmp_path):
    grid = tilted_grid()
    _, paths = written(a_study({MRSequence.T1CE: grid}, "nifti", "case"), tmp_path)
    np.testing.assert_allclose(nib.load(named(paths, "_dseg.nii.gz")[0]).affine, LPS_FROM_RAS @ grid.affine, atol=1e-4)
