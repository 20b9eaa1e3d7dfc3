"""Which mask belongs to which, in the layouts that people have."""

import numpy as np
import pytest

from braintumor.domain import InputNotFoundError
from braintumor.evaluate.pairs import key_of, pair, truths
from tests.evaluate.volumes import case_folder, save, tumour


def paired(predictions, truth, **options):
    return {p.name: [path.name for path in p.predicted] for p in pair(predictions, truth, **options).pairs}


@pytest.fixture
def truth(tmp_path):
    for name in ("BraTS2021_01", "BraTS2021_02"):
        case_folder(tmp_path / "truth", name, tumour(), images=False)
    return tmp_path / "truth"


def empty(path):
    return save(path, np.zeros((3, 3, 3), np.uint8))


@pytest.mark.parametrize(
    "layout",
    [
        "{}.nii.gz",
        "{}_seg.nii.gz",
        "{}-seg.nii",
        "{}/anything.nii.gz",
        "{}/{}_seg.nii.gz",
        "{}/nifti/sub-hash/anat/sub-hash_space-orig_desc-tumour_dseg.nii.gz",
    ],
)
def test_layouts_of_predictions(truth, tmp_path, layout):
    for name in ("BraTS2021_01", "BraTS2021_02"):
        path = empty(tmp_path / "out" / layout.replace("{}", name))
    (tmp_path / "out" / "plans.json").write_text("{}")
    assert list(paired(tmp_path / "out", truth)) == ["BraTS2021_01", "BraTS2021_02"]
    assert paired(tmp_path / "out", truth)["BraTS2021_02"] == [path.name]


def test_bids_derivatives_keep_all_grids_of_a_case(truth, tmp_path):
    for name in ("BraTS202101", "BraTS202102"):
        for space in ("T1ce", "FLAIR"):
            empty(tmp_path / "out" / f"sub-{name}" / "anat" / f"sub-{name}_space-{space}_desc-tumour_dseg.nii.gz")
        empty(tmp_path / "out" / f"sub-{name}" / "anat" / f"sub-{name}_space-case_desc-uncertainty_probseg.nii.gz")
    found = paired(tmp_path / "out", truth)
    assert found["BraTS2021_01"] == [f"sub-BraTS202101_space-{s}_desc-tumour_dseg.nii.gz" for s in ("FLAIR", "T1ce")]


def test_a_mask_beside_other_images_of_a_folder_is_told_by_its_name(truth, tmp_path):
    for name in ("BraTS2021_01", "BraTS2021_02"):
        empty(tmp_path / "out" / name / f"{name}_seg.nii.gz")
        empty(tmp_path / "out" / name / f"{name}_uncertainty.nii.gz")
    assert len(paired(tmp_path / "out", truth)) == 2
    empty(tmp_path / "out" / "BraTS2021_01" / "second_seg.nii.gz")
    with pytest.raises(InputNotFoundError, match="one predicted mask"):
        pair(tmp_path / "out", truth)


def test_layouts_of_truth(tmp_path):
    empty(tmp_path / "labelsTr" / "case_1.nii.gz")
    empty(tmp_path / "labelsTr" / "case_2.nii.gz")
    assert [t.name for t in truths(tmp_path / "labelsTr")] == ["case_1", "case_2"]
    folder = case_folder(tmp_path / "cases", "BraTS-GLI-00001-000", tumour())
    assert truths(tmp_path / "cases")[0].folder == folder
    single = truths(folder)
    assert [(t.name, t.folder) for t in single] == [("BraTS-GLI-00001-000", folder)]
    one = empty(tmp_path / "p.nii.gz"), empty(tmp_path / "t.nii.gz")
    assert pair(*one).pairs[0].predicted == (one[0],)


def test_case_folders_without_a_mask_are_no_truth(tmp_path):
    case_folder(tmp_path, "labelled", tumour())
    empty(tmp_path / "unlabelled" / "unlabelled_flair.nii.gz")
    assert [t.name for t in truths(tmp_path)] == ["labelled"]


def test_what_has_no_partner_is_named_and_refused_unless_allowed(truth, tmp_path):
    empty(tmp_path / "out" / "BraTS2021_01.nii.gz")
    empty(tmp_path / "out" / "stranger.nii.gz")
    with pytest.raises(InputNotFoundError, match=r"without a prediction: BraTS2021_02; 1 without a truth: stranger"):
        pair(tmp_path / "out", truth)
    found = pair(tmp_path / "out", truth, allow_missing=True)
    assert (len(found.pairs), found.without_prediction, found.without_truth) == (1, ("BraTS2021_02",), ("stranger",))


def test_nothing_in_common_is_refused_even_if_allowed(truth, tmp_path):
    empty(tmp_path / "out" / "stranger.nii.gz")
    with pytest.raises(InputNotFoundError, match="No predicted mask has the name"):
        pair(tmp_path / "out", truth, allow_missing=True)


def test_two_masks_for_one_case_are_refused(truth, tmp_path):
    empty(tmp_path / "out" / "BraTS2021_01.nii.gz")
    empty(tmp_path / "out" / "brats2021-01_seg.nii.gz")
    with pytest.raises(InputNotFoundError, match="Two masks claim one case"):
        pair(tmp_path / "out", truth)


def test_absent_and_empty_places(truth, tmp_path):
    with pytest.raises(InputNotFoundError, match="do not exist"):
        pair(tmp_path / "nowhere", truth)
    (tmp_path / "void").mkdir()
    with pytest.raises(InputNotFoundError, match="No predicted mask"):
        pair(tmp_path / "void", truth)
    with pytest.raises(InputNotFoundError, match="No expert mask"):
        pair(truth, tmp_path / "void")


def test_names_are_compared_by_letters_and_digits():
    assert key_of("sub-BraTSGLI00001000") == key_of("BraTS-GLI-00001-000")
    assert key_of("case_1") != key_of("case_11")
