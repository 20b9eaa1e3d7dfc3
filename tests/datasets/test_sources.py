"""Training data as users have it: every layout gives the same patients, images and labels, and nothing is guessed."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from braintumor.datasets import find_cases, patient_of, read
from braintumor.domain import (
    AmbiguousSequenceError,
    BrainTumorError,
    CorruptFileError,
    InputNotFoundError,
    MissingSequenceError,
    MRSequence,
    Region,
    UnusableImageError,
)
from braintumor.preprocess import prepare_case
from tests.data import real_data

SHAPE = (34, 36, 10)
AFFINE = np.diag([-1.0, -1.0, 3.0, 1.0])
LEVEL = {MRSequence.T1: 100, MRSequence.T1CE: 200, MRSequence.T2: 300, MRSequence.FLAIR: 400}
NEW = {MRSequence.T1: "t1n", MRSequence.T1CE: "t1c", MRSequence.T2: "t2w", MRSequence.FLAIR: "t2f"}
MSD = {
    "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
}
NNUNET = {
    "channel_names": {"0": "T1", "1": "T1ce", "2": "T2", "3": "Flair"},
    "labels": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]},
    "file_ending": ".nii.gz",
}


def image(sequence):
    """Voxels whose level tells which sequence they are; 0 around, as skull-stripped data is."""
    voxels = np.zeros(SHAPE, np.int16)
    voxels[4:30, 4:32, 1:9] = LEVEL[sequence] + np.arange(8)
    return voxels


def mask(*values):
    """Blocks of 10 voxels, one for each value, in this order along i."""
    voxels = np.zeros(SHAPE, np.uint8)
    for n, value in enumerate(values):
        voxels[6 + n, 10:20, 4] = value
    return voxels


def save(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)


def describe(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content))


def brats(folder, name, values, names=None, separator="_", folders=True):
    place = folder / name if folders else folder
    for sequence in MRSequence:
        token = names[sequence] if names else sequence.value
        save(place / f"{name}{separator}{token}.nii.gz", image(sequence))
    save(place / f"{name}{separator}seg.nii.gz", mask(*values))


def brats_2020(folder):
    brats(folder / "HGG", "BraTS20_Training_001", (1, 2, 4))
    brats(folder / "LGG", "BraTS20_Training_002", (1, 2, 4))


def brats_2021(folder):
    brats(folder, "BraTS2021_00000", (1, 2, 4))
    brats(folder, "BraTS2021_00002", (1, 2, 4))


def brats_one_folder(folder):
    brats(folder, "A", (1, 2, 4), folders=False)
    brats(folder, "A_B", (1, 2, 4), folders=False)


def brats_2023(folder):
    brats(folder, "BraTS-GLI-00005-000", (1, 2, 3), NEW, "-")
    brats(folder, "BraTS-GLI-00005-001", (1, 2, 3), NEW, "-")


def msd(folder):
    order = (MRSequence.FLAIR, MRSequence.T1, MRSequence.T1CE, MRSequence.T2)
    for name in ("BRATS_001", "BRATS_002"):
        save(folder / "imagesTr" / f"{name}.nii.gz", np.stack([image(s) for s in order], axis=-1))
        save(folder / "labelsTr" / f"{name}.nii.gz", mask(2, 1, 3))
        (folder / "imagesTr" / f"._{name}.nii.gz").write_bytes(b"macOS")
    describe(folder, MSD)


def nnunet(folder):
    for name in ("case", "case_1"):
        for channel, sequence in enumerate(MRSequence):
            save(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz", image(sequence))
        save(folder / "labelsTr" / f"{name}.nii.gz", mask(2, 1, 3))
    describe(folder, NNUNET)


def bids(folder):
    for visit in ("ses-1", "ses-2"):
        anat, name = folder / "sub-01" / visit / "anat", f"sub-01_{visit}"
        tokens = ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")
        for sequence, token in zip(MRSequence, tokens, strict=True):
            save(anat / f"{name}_{token}.nii.gz", image(sequence))
        save(folder / "derivatives" / "expert" / "sub-01" / visit / "anat" / f"{name}_desc-x_dseg.nii.gz", mask(7, 2, 1))
    table = "index\tname\n1\tEnhancing tumour\n2\tPeritumoral oedema\n7\tNecrotic or non-enhancing core\n"
    (folder / "derivatives" / "expert" / "dseg.tsv").write_text(table)


LAYOUTS = [brats_2020, brats_2021, brats_one_folder, brats_2023, msd, nnunet, bids]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_gives_the_same_images_and_labels(tmp_path, layout):
    layout(tmp_path)
    cases = find_cases(tmp_path)
    assert len(cases) == len({case.name for case in cases}) == 2
    assert len({case.patient for case in cases}) == (1 if layout in (brats_2023, bids) else 2)
    for case in cases:
        assert case.regions == set(Region)
        study, truth = read(case)
        assert study.uid == case.name
        assert list(study.series) == list(MRSequence)
        for sequence, series in study.series.items():
            assert series.image.voxels[10, 10, 1] == LEVEL[sequence]
        assert [int(truth.mask[6 + n, 12, 4]) for n in range(4)] == [1, 2, 4, 0]
        assert truth.grid is study.reference.image.grid
    assert prepare_case(study).present == tuple(MRSequence)


def test_visits_of_newer_editions_belong_to_one_patient():
    assert patient_of("BraTS-GLI-00005-001") == patient_of("BraTS-GLI-00005-100") == "BraTS-GLI-00005"
    assert patient_of("Brats18_TCIA02_607_1") == "Brats18_TCIA02_607_1"


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("BraTS2021_00001", (1, 2, 3), "value 3, which is non-enhancing core in BraTS 2015 and enhancing tumour since 2023"),
        ("BraTS-GLI-02000-101", (1, 2, 4), "value 4, which is the resection cavity"),
        ("BraTS2021_00001", (1, 2, 9), "holds 9; known values"),
    ],
)
def test_values_that_differ_between_editions_are_refused_until_they_are_named(tmp_path, name, values, words):
    brats(tmp_path, name, values)
    case = find_cases(tmp_path)[0]
    with pytest.raises(UnusableImageError, match=words) as refused:
        read(case)
    assert "dataset.json" in refused.value.remedy
    describe(tmp_path, {"labels": {"NETC": 1, "SNFH": 2, "enhancing tumor": values[-1]}})
    assert int(read(find_cases(tmp_path)[0])[1].mask[8, 12, 4]) == 4


def test_a_resection_cavity_is_not_tumour(tmp_path):
    brats(tmp_path, "BraTS-GLI-02000-101", (1, 2, 3, 4), NEW, "-")
    truth = read(find_cases(tmp_path)[0])[1]
    assert [int(truth.mask[6 + n, 12, 4]) for n in range(4)] == [1, 2, 4, 0]
    (tmp_path / "post").mkdir()
    brats(tmp_path / "post", "BraTS-GLI-02001-100", (2, 4), NEW, "-")
    describe(tmp_path / "post", {"labels": {"NETC": 1, "SNFH": 2, "ET": 3, "RC": 4}})
    truth = read(find_cases(tmp_path / "post")[0])[1]
    assert [int(truth.mask[6 + n, 12, 4]) for n in range(2)] == [2, 0]


def test_cohorts_with_other_values_are_refused(tmp_path):
    brats(tmp_path, "BraTS-PED-00001-000", (1, 2, 3), NEW, "-")
    with pytest.raises(UnusableImageError, match="cohort PED"):
        find_cases(tmp_path)


@pytest.mark.parametrize(
    ("labels", "regions", "stored"),
    [
        ({"background": 0, "tumor": 1}, {Region.WT}, [2]),
        ({"0": "background", "1": "Whole-tumour"}, {Region.WT}, [2]),
        ({"edema": 1, "tumor core": 2}, {Region.WT, Region.TC}, [2, 1]),
        ({"enhancing tumor": 1}, {Region.ET}, [4]),
        ({"edema": 1, "enhancing tumor": 2}, {Region.ET}, [2, 4]),
        ({"whole tumor": [1, 2], "enhancing tumor": 2}, {Region.WT, Region.ET}, [2, 4]),
    ],
)
def test_partial_labels_say_which_regions_were_drawn(tmp_path, labels, regions, stored):
    nnunet(tmp_path)
    describe(tmp_path, {**NNUNET, "labels": labels})
    for name in ("case", "case_1"):
        save(tmp_path / "labelsTr" / f"{name}.nii.gz", mask(*range(1, len(stored) + 1)))
    case = find_cases(tmp_path)[0]
    assert case.regions == regions
    assert [int(read(case)[1].mask[6 + n, 12, 4]) for n in range(len(stored))] == stored


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ({**NNUNET, "labels": {"background": 0, "gland": 1}}, UnusableImageError, "'gland' is not known"),
        ({**NNUNET, "labels": {"edema": 1, "necrosis": 1}}, UnusableImageError, "contradict"),
        ({**NNUNET, "labels": {"edema": 1, "resection cavity": 1}}, UnusableImageError, "contradict"),
        ({**NNUNET, "labels": {"edema": "many"}}, UnusableImageError, "has the value many"),
        ({**NNUNET, "labels": {"edema": 1}}, UnusableImageError, "mark neither"),
        ({**NNUNET, "labels": {}}, InputNotFoundError, "No label is named"),
        ({**NNUNET, "channel_names": {"0": "CT"}}, MissingSequenceError, "'CT', which is none of"),
        ({**NNUNET, "channel_names": {"0": "T1", "1": "T1w"}}, MissingSequenceError, "as another one is"),
        ({"labels": {"edema": 1}}, MissingSequenceError, "No channel is named"),
        (["no", "object"], InputNotFoundError, "cannot be read"),
    ],
)
def test_unclear_descriptions_are_refused_with_the_remedy(tmp_path, content, error, words):
    nnunet(tmp_path)
    describe(tmp_path, content)
    with pytest.raises(error, match=words) as refused:
        find_cases(tmp_path)
    assert refused.value.path == str(tmp_path / "dataset.json")


def remove_mask(folder):
    brats_2021(folder)
    next(folder.rglob("*_seg.nii.gz")).rename(folder / "BraTS2021_00000" / "W39_1998.09.19_Segm.nii.gz")


def remove_image(folder):
    nnunet(folder)
    (folder / "imagesTr" / "case_0002.nii.gz").unlink()


def remove_description(folder):
    msd(folder)
    (folder / "dataset.json").unlink()


def remove_table(folder):
    bids(folder)
    (folder / "derivatives" / "expert" / "dseg.tsv").unlink()


def spoil_table(folder):
    bids(folder)
    (folder / "derivatives" / "expert" / "dseg.tsv").write_text("1 edema\n")


def add_mask(folder):
    bids(folder)
    first = next(folder.rglob("*_dseg.nii.gz"))
    shutil.copy(first, first.with_name("sub-01_ses-1_desc-y_dseg.nii.gz"))


def remove_images(folder):
    bids(folder)
    shutil.rmtree(folder / "sub-01" / "ses-2")


def remove_derivatives(folder):
    bids(folder)
    shutil.rmtree(folder / "derivatives")


def same_name_twice(folder):
    for part in ("HGG", "LGG"):
        brats(folder / part, "Brats18_1", (1, 2, 4))


@pytest.mark.parametrize(
    ("spoiled", "error", "words"),
    [
        (lambda folder: None, InputNotFoundError, "no labelled cases in a layout"),
        (remove_mask, InputNotFoundError, "BraTS2021_00000 has 0 masks"),
        (same_name_twice, InputNotFoundError, "Two cases are called Brats18_1"),
        (remove_image, InputNotFoundError, "mask case has no image case_0002"),
        (remove_description, InputNotFoundError, "needs a dataset.json"),
        (remove_table, InputNotFoundError, "Nothing says what the values"),
        (spoil_table, UnusableImageError, "mark neither"),
        (add_mask, InputNotFoundError, "has 2 masks"),
        (remove_images, InputNotFoundError, "belongs to no images"),
        (remove_derivatives, InputNotFoundError, "No mask below derivatives"),
    ],
)
def test_what_is_missing_is_named(tmp_path, spoiled, error, words):
    spoiled(tmp_path)
    with pytest.raises(error, match=words):
        find_cases(tmp_path)
    with pytest.raises(InputNotFoundError, match="does not exist"):
        find_cases(tmp_path / "absent")


def test_rivals_and_too_few_sequences_are_refused(tmp_path):
    brats_2021(tmp_path)
    place = tmp_path / "BraTS2021_00000"
    shutil.copy(place / "BraTS2021_00000_t1ce.nii.gz", place / "BraTS2021_00000_t1c.nii.gz")
    with pytest.raises(AmbiguousSequenceError, match="candidates for T1ce"):
        find_cases(tmp_path)
    for path in place.glob("*t1*"):
        path.unlink()
    case = find_cases(tmp_path)[0]
    assert [flag.code for flag in read(case)[0].flags] == ["missing-sequence"] * 2
    (place / "BraTS2021_00000_flair.nii.gz").unlink()
    with pytest.raises(MissingSequenceError):
        find_cases(tmp_path)


def test_broken_files_are_refused_when_they_are_read(tmp_path):
    msd(tmp_path)
    (tmp_path / "imagesTr" / "BRATS_001.nii.gz").write_bytes(b"not an image")
    save(tmp_path / "imagesTr" / "BRATS_002.nii.gz", image(MRSequence.T1))
    one, other = find_cases(tmp_path)
    with pytest.raises(CorruptFileError, match="image cannot be read"):
        read(one)
    with pytest.raises(CorruptFileError, match="should hold 4 volumes"):
        read(other)
    brats_2021(tmp_path / "brats")
    case = find_cases(tmp_path / "brats")[0]
    case.truth.write_bytes(b"not a mask")
    with pytest.raises(BrainTumorError, match="mask cannot be read"):
        read(case)
    save(case.truth, np.full(SHAPE, 0.5, np.float32))
    with pytest.raises(UnusableImageError, match=r"holds 0\.5"):
        read(case)


@pytest.mark.realdata
def test_real_cases_are_found_as_they_are():
    folder = real_data("brats")
    cases = find_cases(folder)
    assert [case.name for case in cases] == sorted(path.name for path in folder.iterdir())
    assert all(case.patient == case.name and set(case.volumes) == set(MRSequence) for case in cases)


def test_cases_that_are_links_are_found(tmp_path):
    """People collect cases by links; a folder of links held no case before."""
    elsewhere = tmp_path / "elsewhere" / "BraTS20_Training_001"
    for sequence, token in zip(LEVEL, ("t1", "t1ce", "t2", "flair"), strict=True):
        save(elsewhere / f"BraTS20_Training_001_{token}.nii.gz", image(sequence))
    save(elsewhere / "BraTS20_Training_001_seg.nii.gz", mask(1, 2, 4))
    data = tmp_path / "data"
    data.mkdir()
    (data / elsewhere.name).symlink_to(elsewhere)
    assert [case.name for case in find_cases(data)] == ["BraTS20_Training_001"]
