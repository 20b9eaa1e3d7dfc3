from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from braintumor.domain import InputNotFoundError, Study
from braintumor.export.common import ResultContext, save
from braintumor.export.sc import make_secondary_captures
from tests.export.dicom_studies import CREATED, VARIANTS, Variant, a_mask, iod_errors, write_study

AXIAL = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
CORONAL = np.random.default_rng(1).integers(0, 256, (20, 21, 3), dtype=np.uint8)
PICTURES = [("axial", AXIAL, "Slice 12, largest area — œdème"), ("coronal", CORONAL, "Middle")]


def context_of(study: Study) -> ResultContext:
    return ResultContext.of(study, a_mask(study.reference.image.grid), CREATED)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("study"), Variant())


@pytest.mark.parametrize("name", ["oblique-latin-1", "negated-japanese", "multiframe"])
def test_pictures_become_valid_images_of_one_series(name: str, tmp_path: Path) -> None:
    study = write_study(tmp_path / name, VARIANTS[name])
    captures = make_secondary_captures(study, PICTURES, context_of(study))
    paths = [save(capture, tmp_path / f"{n}.dcm") for n, capture in enumerate(captures)]
    stored = [pydicom.dcmread(path) for path in paths]
    assert [iod_errors(path) for path in paths] == [[], []]
    assert {image.SeriesInstanceUID for image in stored} == {captures[0].SeriesInstanceUID}
    assert [image.InstanceNumber for image in stored] == [1, 2]
    assert len({image.SOPInstanceUID for image in stored}) == 2
    for image, (picture, pixels, caption) in zip(stored, PICTURES, strict=True):
        assert image.PatientName == VARIANTS[name].name
        assert image.StudyInstanceUID == study.uid
        assert (image.DerivationDescription, image.ImageComments) == (picture, caption)
        assert np.array_equal(image.pixel_array, pixels)


def test_the_same_context_gives_the_same_bytes(study: Study, tmp_path: Path) -> None:
    first, again = (
        save(make_secondary_captures(study, PICTURES, context_of(study))[0], tmp_path / name) for name in ("1.dcm", "2.dcm")
    )
    assert first.read_bytes() == again.read_bytes()


def test_no_pictures_make_no_images(study: Study) -> None:
    assert make_secondary_captures(study, [], context_of(study)) == []


@pytest.mark.parametrize("pixels", [AXIAL[..., 0], AXIAL.astype(np.float32), AXIAL[..., :2]], ids=["grey", "float", "two"])
def test_what_is_no_rgb_picture_is_refused(study: Study, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        make_secondary_captures(study, [("x", pixels, "")], context_of(study))


def test_a_nifti_study_is_refused(study: Study) -> None:
    with pytest.raises(InputNotFoundError, match="NIfTI"):
        make_secondary_captures(replace(study, kind="nifti"), PICTURES, context_of(study))
