"""Expert masks: right voxels, plain refusals, and Dice with a policy for empty regions."""

import nibabel as nib
import numpy as np
import pytest

from braintumor.datasets.truth import find_truth, read_truth
from braintumor.domain import LPS_FROM_RAS, CorruptFileError, Grid, InputNotFoundError, UnusableImageError

SHAPE = (6, 5, 4)
GRID = Grid(SHAPE, np.diag([1.0, 1.0, 2.0, 1.0]))


def stored(folder, values, name="case_seg.nii.gz", affine=None):
    path = folder / name
    nib.save(nib.Nifti1Image(values, LPS_FROM_RAS @ GRID.affine if affine is None else affine), path)
    return path


def test_label_3_of_newer_editions_is_enhancing_tumour(tmp_path):
    values = np.zeros(SHAPE, np.uint8)
    values[1], values[2], values[3] = 1, 2, 3
    truth = read_truth(stored(tmp_path, values), GRID)
    assert set(np.unique(truth.mask)) == {0, 1, 2, 4}
    assert truth.author.kind == "human"


def test_a_lost_origin_does_not_move_the_mask(tmp_path):
    values = np.zeros(SHAPE, np.uint8)
    values[1:3] = 2
    wrong = LPS_FROM_RAS @ GRID.affine
    wrong[1, 3] -= 239
    assert read_truth(stored(tmp_path, values, affine=wrong), GRID).grid is GRID
    smaller = read_truth(stored(tmp_path, values[:3], "b_seg.nii.gz"), GRID)
    assert smaller.grid.shape == (3, 5, 4)


def test_wrong_values_and_broken_files_are_refused(tmp_path):
    with pytest.raises(UnusableImageError, match="known values are 0, 1, 2, 3, 4"):
        read_truth(stored(tmp_path, np.full(SHAPE, 7, np.uint8)), GRID)
    with pytest.raises(UnusableImageError, match="known values are 0, 1, 2, 3, 4"):
        read_truth(stored(tmp_path, np.full(SHAPE, 0.5, np.float32), "half_seg.nii.gz"), GRID)
    both = np.full(SHAPE, 3, np.uint8)
    both[0] = 4
    with pytest.raises(UnusableImageError, match="both 3 and 4"):
        read_truth(stored(tmp_path, both, "both_seg.nii.gz"), GRID)
    (tmp_path / "broken_seg.nii.gz").write_bytes(b"not a mask")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        read_truth(tmp_path / "broken_seg.nii.gz", GRID)


def test_one_mask_per_case(tmp_path):
    with pytest.raises(InputNotFoundError, match="holds 0"):
        find_truth(tmp_path)
    path = stored(tmp_path, np.zeros(SHAPE, np.uint8))
    assert find_truth(tmp_path) == path
    stored(tmp_path, np.zeros(SHAPE, np.uint8), "other-seg.nii.gz")
    with pytest.raises(InputNotFoundError, match="holds 2"):
        find_truth(tmp_path)
