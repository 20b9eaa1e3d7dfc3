"""NIfTI cases under every naming habit: which file is what, where its voxels lie, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from braintumor.domain import LPS_FROM_RAS, MRSequence, errors
from braintumor.study import find_sequences, inspect, read_study
from tests.study.conftest import head, save_nifti

ALL = (MRSequence.T1, MRSequence.T1CE, MRSequence.T2, MRSequence.FLAIR)


def case(folder: Path, *names: str) -> Path:
    for name, sequence in zip(names, ALL, strict=False):
        save_nifti(folder / name, sequence)
    return folder


@pytest.mark.parametrize(
    ("names", "uid"),
    [
        (("C_1_t1.nii.gz", "C_1_t1ce.nii.gz", "C_1_t2.nii.gz", "C_1_flair.nii.gz"), "C_1"),
        (("C-1-t1n.nii.gz", "C-1-t1c.nii.gz", "C-1-t2w.nii.gz", "C-1-t2f.nii.gz"), "C-1"),
        (("t1.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "flair.nii.gz"), "case"),
        (("T1.nii", "T1Gd.nii", "T2.nii", "FLAIR.nii"), "case"),
        (("BT_001_0000.nii.gz", "BT_001_0001.nii.gz", "BT_001_0002.nii.gz", "BT_001_0003.nii.gz"), "BT_001"),
        (
            (
                "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
                "sub-01/ses-2/anat/sub-01_ses-2_ce-gadolinium_T1w.nii.gz",
                "sub-01/ses-2/anat/sub-01_ses-2_acq-tse_T2w.nii.gz",
                "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz",
            ),
            "sub-01_ses-2",
        ),
    ],
    ids=["brats2015-2021", "brats2023", "plain", "capitals", "nnunet", "bids"],
)
def test_naming_habits(tmp_path: Path, names: tuple[str, ...], uid: str) -> None:
    folder = case(tmp_path / "case", *names)

    assert dict(find_sequences(folder)) == {s: folder / n for s, n in zip(ALL, names, strict=True)}
    study = read_study(folder)

    assert (study.kind, study.uid, study.study_date, study.patient.patient_id) == ("nifti", uid, None, "")
    assert list(study.series) == list(ALL)
    for sequence, series in study.series.items():
        np.testing.assert_array_equal(series.image.voxels, head(sequence).voxels)
        assert series.image.voxels.dtype == np.float32
        assert series.image.grid.same_as(head(sequence).grid, tolerance_mm=1e-4)
        assert series.evidence.sequence is sequence
        assert series.instances[0].sha256 == hashlib.sha256(series.instances[0].path.read_bytes()).hexdigest()
        assert series.frames == tuple(range(1, 11))
    assumed = "channel-order-assumed" in [f.code for f in study.flags]
    assert assumed is (uid == "BT_001")


@pytest.mark.parametrize("key", ["channel_names", "modality"])
def test_nnunet_channels_by_dataset_json(tmp_path: Path, key: str) -> None:
    images = case(tmp_path / "imagesTs", "A_0000.nii.gz", "A_0001.nii.gz", "A_0002.nii.gz", "A_0003.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps({key: {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}}))

    study = read_study(images)

    found = {s: series.instances[0].uid for s, series in study.series.items()}
    assert found == {
        MRSequence.FLAIR: "A_0000.nii.gz",
        MRSequence.T1: "A_0001.nii.gz",
        MRSequence.T1CE: "A_0002.nii.gz",
        MRSequence.T2: "A_0003.nii.gz",
    }
    assert study.flags == ()


def test_labels_and_strangers_are_left_out(tmp_path: Path) -> None:
    folder = case(tmp_path, "C_t1.nii.gz", "C_t1ce.nii.gz", "C_t2.nii.gz", "C_flair.nii.gz", "C_seg.nii.gz")
    save_nifti(folder / "C_seg.nii.gz", MRSequence.T1)
    assert list(read_study(folder).unused) == ["C_seg.nii.gz"]


def test_one_case_of_a_shared_folder(tmp_path: Path) -> None:
    for name in ("A", "B"):
        case(tmp_path, *(f"{name}_000{n}.nii.gz" for n in range(4)))

    with pytest.raises(errors.PatientMismatchError, match="2 cases") as caught:
        read_study(tmp_path)
    assert "FOLDER/CASE" in caught.value.remedy
    assert [p.code for p in inspect(tmp_path).problems] == ["mixed-patients"]

    assert read_study(tmp_path / "B").uid == "B"


def test_two_files_for_one_sequence(tmp_path: Path) -> None:
    folder = case(tmp_path, "sub-1_run-1_T1w.nii.gz", "sub-1_ce-gd_T1w.nii.gz", "sub-1_T2w.nii.gz")
    save_nifti(folder / "sub-1_run-2_T1w.nii.gz", MRSequence.T1)

    with pytest.raises(errors.AmbiguousSequenceError, match=r"sub-1_run-1_T1w\.nii\.gz, sub-1_run-2_T1w.*--t1 FILE"):
        read_study(folder)
    assert [p.code for p in inspect(folder).problems] == ["ambiguous-sequence"]

    study = read_study(folder, overrides={MRSequence.T1: "sub-1_run-2_T1w"})
    assert study.series[MRSequence.T1].uid == "sub-1_run-2_T1w"
    assert study.unused == {"sub-1_run-1_T1w.nii.gz": "T1 was named by the user"}


def test_override_that_names_no_file(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz")
    with pytest.raises(errors.InputNotFoundError, match="--t2 nothing does not name one"):
        read_study(folder, overrides={MRSequence.T2: "nothing"})


def test_affine_keeps_world_positions_and_scaling_is_applied(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz")
    stored = np.asarray(head(MRSequence.T1CE).voxels, np.int16)
    affine = LPS_FROM_RAS @ head(MRSequence.T1CE).grid.affine
    image = nib.Nifti1Image(stored, affine)
    image.header.set_slope_inter(0.5, 10)
    image.to_filename(folder / "t1ce.nii.gz")
    data = gzip.decompress((folder / "t1ce.nii.gz").read_bytes())  # nibabel resets the scaling when it writes
    header = nib.Nifti1Header(data[:348])
    header["scl_slope"], header["scl_inter"] = 0.5, 10
    (folder / "t1ce.nii.gz").write_bytes(gzip.compress(header.binaryblock + data[348:352] + stored.tobytes("F")))

    read_back = read_study(folder).reference.image

    np.testing.assert_allclose(read_back.voxels, stored * 0.5 + 10)
    index = np.array([3.0, 5.0, 7.0])
    ras = nib.affines.apply_affine(nib.load(folder / "t1ce.nii.gz").affine, index)
    np.testing.assert_allclose(read_back.grid.to_world(index), ras * (-1, -1, 1), atol=1e-4)


def test_nifti_2_and_a_trailing_axis_of_one(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz")
    image = head(MRSequence.T1CE)
    affine = LPS_FROM_RAS @ image.grid.affine
    nib.save(nib.Nifti2Image(np.asarray(image.voxels)[..., None], affine), folder / "t1ce.nii")

    np.testing.assert_array_equal(read_study(folder).reference.image.voxels, image.voxels)


def test_qform_alone_is_used(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz")
    _recode(folder / "t1ce.nii.gz", sform=0, qform=1)
    study = read_study(folder)
    assert study.reference.image.grid.same_as(head(MRSequence.T1CE).grid, tolerance_mm=1e-3)


def test_disagreeing_affines_are_flagged(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "flair.nii.gz")
    _recode(folder / "t1ce.nii.gz", sform=1, qform=1)
    assert read_study(folder).flags == ()
    _recode(folder / "t1ce.nii.gz", sform=1, qform=1, shift=25.0)
    assert [f.code for f in read_study(folder).flags] == ["nifti-affines-disagree"]


def _recode(path: Path, *, sform: int, qform: int, shift: float = 0.0) -> None:
    image = nib.load(path)
    moved = image.affine.copy()
    moved[0, 3] += shift
    fresh = nib.Nifti1Image(np.asarray(image.dataobj), image.affine)
    fresh.set_qform(moved, qform)
    fresh.set_sform(image.affine, sform)
    fresh.to_filename(path)


def refused(folder: Path, error: type[errors.BrainTumorError], *says: str) -> None:
    with pytest.raises(error) as caught:
        read_study(folder)
    for words in says:
        assert words in str(caught.value)
    assert error.code in [p.code for p in inspect(folder).problems]


def test_no_affine_is_made_up(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz")
    _recode(folder / "t1ce.nii.gz", sform=0, qform=0)
    refused(folder, errors.GeometryError, "t1ce.nii.gz", "neither sform nor qform")


def test_degenerate_affine(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz")
    image = nib.Nifti1Image(np.asarray(head(MRSequence.T1).voxels), None)
    image.header.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), 1)
    image.header["qform_code"] = 0
    image.to_filename(folder / "t1ce.nii.gz")
    refused(folder, errors.GeometryError, "t1ce.nii.gz", "degenerate")


def test_four_dimensions(tmp_path: Path) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz")
    save_nifti(folder / "t1ce.nii.gz", MRSequence.T1, data=np.ones((40, 36, 10, 4), np.float32))
    refused(folder, errors.GeometryError, "t1ce.nii.gz", "4 dimensions", "split")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated(tmp_path: Path, share: float, suffix: str) -> None:
    folder = case(tmp_path, f"t1{suffix}", f"t1ce{suffix}")
    broken = folder / f"t1ce{suffix}"
    data = broken.read_bytes()
    broken.write_bytes(data[: int(share * len(data))])
    refused(folder, errors.CorruptFileError, str(broken), "truncated")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.full((40, 36, 10), np.nan, np.float32), "not finite"),
        (np.where(np.arange(40 * 36 * 10).reshape(40, 36, 10) == 5, np.inf, 1).astype(np.float32), "not finite"),
        (np.full((40, 36, 10), 7, np.int16), "every voxel is 7"),
        (np.arange(40, dtype=np.int16).reshape(1, 1, 40), "1x1x40"),
    ],
    ids=["nan", "infinite", "constant", "tiny"],
)
def test_unusable_images(tmp_path: Path, data: np.ndarray, says: str) -> None:
    folder = case(tmp_path, "t1.nii.gz", "t1ce.nii.gz")
    save_nifti(folder / "t1ce.nii.gz", MRSequence.T1CE, data=data)
    refused(folder, errors.UnusableImageError, "t1ce.nii.gz", says)


def test_too_few(tmp_path: Path) -> None:
    refused(case(tmp_path, "t1.nii.gz"), errors.MissingSequenceError, "only T1")
    refused(tmp_path / "t1.nii.gz", errors.MissingSequenceError, "only T1")


def test_a_zipped_case_is_named_by_its_archive(tmp_path: Path) -> None:
    folder = case(tmp_path / "any", "t1.nii.gz", "t1ce.nii.gz")
    with zipfile.ZipFile(tmp_path / "Case7.zip", "w") as out:
        for path in folder.iterdir():
            out.write(path, path.name)
    assert read_study(tmp_path / "Case7.zip").uid == "Case7"


@pytest.mark.realdata
def test_real_brats_case(brats: Path) -> None:
    study = read_study(brats / "BraTS2021_01657")
    assert list(study.series) == list(ALL)
    assert study.reference.image.grid.shape == (240, 240, 155)
    assert study.reference.image.grid.axcodes == "LPS"
    assert study.flags == ()


@pytest.mark.realdata
def test_real_raw_case_keeps_its_four_grids(raw_case: Path) -> None:
    study = read_study(raw_case)
    assert study.uid == "TCGA-FG-6692"
    shapes = {s: series.image.grid.shape for s, series in study.series.items()}
    assert shapes[MRSequence.FLAIR] == (208, 256, 26)
    assert shapes[MRSequence.T1CE] == (256, 224, 26)
    assert study.reference.image.grid.spacing == pytest.approx((0.898438, 0.898438, 5.5), abs=1e-4)
