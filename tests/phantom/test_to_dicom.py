"""NIfTI cases as DICOM studies: the same voxels in the same places."""

import itertools

import nibabel as nib
import numpy as np
import pydicom
import pytest

from braintumor.domain import GeometryError, Grid, InputNotFoundError
from braintumor.phantom import Vendor, case_to_dicom
from braintumor.phantom.to_dicom import legal_stack
from braintumor.study import read_study
from tests.data import counting_image, dciodvfy

ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1.0, -1.0), repeat=3)
]


def oriented(order, signs):
    """A small image whose axes run along the patient's axes in this order and these directions."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    affine[:3, 3] = (5, -7, 11)
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * (1.0 + axis)
    return counting_image(Grid((5, 4, 3), affine))


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_legal_stack_is_the_same_volume(order, signs):
    image = oriented(order, signs)
    stack = legal_stack(image)
    assert np.linalg.det(stack.grid.affine[:3, :3]) > 0
    assert abs(stack.grid.directions[:, 2] @ image.grid.directions[:, 2]) == 1
    assert stack.grid.axcodes[:2] in ("LP", "PI", "LI")
    for index in np.ndindex(*image.grid.shape):
        i, j, k = np.rint(stack.grid.to_index(image.grid.to_world(index))).astype(int)
        assert stack.voxels[i, j, k] == image.voxels[index]


def test_a_brats_case_comes_back_voxel_for_voxel(phantom, nifti_study, tmp_path):
    assert case_to_dicom(nifti_study, tmp_path / "study", vendor=Vendor.PHILIPS) == tmp_path / "study"
    study = read_study(tmp_path / "study")
    assert study.study_date is None
    assert study.patient.patient_id == nifti_study.name
    for sequence, image in phantom.images.items():
        np.testing.assert_array_equal(study.series[sequence].image.voxels, image.voxels)
        assert study.series[sequence].image.grid.same_as(image.grid)


def case_of(voxels, folder, shear=0.0):
    """A NIfTI case of a single T1."""
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    affine[0, 2] = shear
    nib.Nifti1Image(voxels, affine).to_filename(folder / "CASE_t1.nii.gz")
    return folder


def test_uids_follow_from_seed_and_case(tmp_path):
    case = case_of(np.random.default_rng(0).integers(0, 99, (34, 33, 9), np.int16), tmp_path)
    uids = []
    for number, seed in enumerate((1, 1, 2)):
        first = next(iter(case_to_dicom(case, tmp_path / str(number), seed=seed).rglob("*_0001.dcm")))
        uids.append(pydicom.dcmread(first).SOPInstanceUID)
    assert uids[0] == uids[1] != uids[2]


def test_fractions_are_rounded_and_say_so(tmp_path):
    case = case_of(np.random.default_rng(0).normal(0, 1, (34, 33, 9)).astype(np.float32), tmp_path)
    files = sorted(case_to_dicom(case, tmp_path / "out").rglob("*.dcm"))
    assert "largest error" in pydicom.dcmread(files[0]).ImageComments
    assert dciodvfy(files[0]) == []


def test_a_folder_without_images(tmp_path):
    with pytest.raises(InputNotFoundError):
        case_to_dicom(tmp_path, tmp_path / "out")


def test_a_sheared_file_is_refused(tmp_path):
    case_of(np.random.default_rng(0).integers(0, 99, (34, 33, 9), np.int16), tmp_path, shear=0.4)
    with pytest.raises(GeometryError, match="right angles"):
        case_to_dicom(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.realdata
@pytest.mark.campaign
def test_a_real_case_keeps_every_voxel(brats, tmp_path):
    case = brats / "Brats17_TCIA_639_1"
    study = case_to_dicom(case, tmp_path / "study")
    for folder, sequence in zip(sorted(study.iterdir()), ("t1", "t2", "flair", "t1ce"), strict=True):
        theirs = np.asarray(nib.load(case / f"{case.name}_{sequence}.nii.gz").dataobj)
        for k, path in ((k, folder / f"{folder.name[0]:0>3}_{k + 1:04d}.dcm") for k in range(0, 155, 30)):
            np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, theirs[:, :, k].T)
