"""Every kind of bad DICOM input: refused by the right error, which names the file and the remedy and no patient."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import RLELossless

from braintumor.domain import MRSequence, Patient, errors
from braintumor.phantom.dicom import Awkward, StudyHeader, write_series
from braintumor.study import inspect, read_study
from tests.study.conftest import WriteStudy, head


def refused(folder: Path, error: type[errors.BrainTumorError], *says: str) -> errors.BrainTumorError:
    """`read_study` raises it, `inspect` lists it instead; the message says the words and no patient data."""
    with pytest.raises(error) as caught:
        read_study(folder)
    assert error.code in [p.code for p in inspect(folder).problems]
    message = str(caught.value)
    for words in says:
        assert words in message
    assert caught.value.remedy
    assert "Muster" not in message
    assert "P-1" not in message
    return caught.value


def edit(paths: list[Path], change: Callable[[pydicom.Dataset], None]) -> None:
    for path in paths:
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)


def test_missing_slice_is_refused_not_stretched(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T2: Awkward(missing_slices=(4,))})
    refused(folder, errors.GeometryError, "A slice is missing between 003_0004.dcm and 003_0005.dcm", "10.00 mm", "5.00 mm")


def test_several_missing_slices_are_counted(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T2: Awkward(missing_slices=(4, 5))})
    refused(folder, errors.GeometryError, "2 slices are missing between 003_0004.dcm and 003_0005.dcm")


def test_missing_frame_of_an_enhanced_object_is_refused(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T2: Awkward(multiframe=True, missing_slices=(4,))})
    refused(folder, errors.GeometryError, "003_0001.dcm frame 4", "003_0001.dcm frame 5")


def test_duplicate_position_is_refused(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T1: Awkward(duplicate_slices=(3,))})
    refused(folder, errors.GeometryError, "001_0004.dcm and 001_0005.dcm lie at the same position")


def test_tilted_slice_is_refused(write_study: WriteStudy) -> None:
    refused(write_study({MRSequence.FLAIR: Awkward(tilt_slice=6)}), errors.GeometryError, "004_0007.dcm is tilted")


def test_uneven_spacing_is_refused(write_study: WriteStudy) -> None:
    refused(write_study({MRSequence.FLAIR: Awkward(uneven_slice=6)}), errors.GeometryError, "unevenly spaced", "004_0007.dcm")


@pytest.mark.parametrize(
    ("keyword", "value", "says"),
    [
        ("PixelSpacing", [2.5, 2.5], "another pixel spacing"),
        ("ImagePositionPatient", None, "does not say where"),
        ("PixelSpacing", [0, 0], "does not say where"),
        ("RescaleSlope", 0, "does not say where"),
    ],
)
def test_one_slice_with_other_geometry_is_refused(write_study: WriteStudy, keyword: str, value: object, says: str) -> None:
    folder = write_study()
    edit([folder / "003_0004.dcm"], lambda d: setattr(d, keyword, value))
    refused(folder, errors.GeometryError, "003_0004.dcm", says)


def test_slice_of_another_size_is_refused(write_study: WriteStudy) -> None:
    folder = write_study()

    def crop(dataset: pydicom.Dataset) -> None:
        pixels = dataset.pixel_array[:-2]
        dataset.Rows, dataset.PixelData = pixels.shape[0], pixels.tobytes()

    edit([folder / "003_0004.dcm"], crop)
    refused(folder, errors.GeometryError, "003_0004.dcm", "another image size")


def test_sheared_stack_is_refused(write_study: WriteStudy) -> None:
    folder = write_study()
    for k, path in enumerate(sorted(folder.glob("003_*.dcm"))):
        edit(
            [path],
            lambda d, k=k: setattr(d, "ImagePositionPatient", [d.ImagePositionPatient[0] + k, *d.ImagePositionPatient[1:]]),
        )
    refused(folder, errors.GeometryError, "sideways")


def test_orientation_that_is_none_is_refused(write_study: WriteStudy) -> None:
    folder = write_study()
    edit(sorted(folder.glob("003_*.dcm")), lambda d: setattr(d, "ImageOrientationPatient", [1, 0, 0, 1, 0, 0]))
    refused(folder, errors.GeometryError, "perpendicular")


def test_ct_is_refused(tmp_path: Path, header: StudyHeader) -> None:
    write_series(head(MRSequence.T1), tmp_path, header, MRSequence.T1, series_number=1, awkward=Awkward(modality="CT"))
    refused(tmp_path, errors.ModalityError, "CT, not MR", "001_0001.dcm")


def test_ct_beside_mr_is_left_out(write_study: WriteStudy, header: StudyHeader) -> None:
    folder = write_study()
    write_series(head(MRSequence.T1), folder, header, MRSequence.T1, series_number=9, awkward=Awkward(modality="CT"))
    assert list(read_study(folder).unused.values()) == ["images of modality CT, not MR"]


@pytest.mark.parametrize(("patient", "what"), [(Patient("P-2", "Other^One"), "patients"), (None, "studies")])
def test_two_patients_or_studies_are_refused(
    write_study: WriteStudy, header: StudyHeader, patient: Patient | None, what: str
) -> None:
    folder = write_study()
    other = replace(header, study_uid="1.2.3", patient=patient or header.patient)
    write_series(head(MRSequence.T1), folder, other, MRSequence.T1, series_number=9)
    error = refused(folder, errors.PatientMismatchError, f"2 {what}", "001_0001.dcm", "009_0001.dcm")
    assert "P-2" not in str(error)
    assert inspect(folder).counts[what] == 2


def test_patients_without_id_are_told_apart_by_name(write_study: WriteStudy, header: StudyHeader) -> None:
    folder = write_study(patient=Patient("", "A^B"))
    write_series(head(MRSequence.T1), folder, replace(header, patient=Patient("", "C^D")), MRSequence.T1, series_number=9)
    refused(folder, errors.PatientMismatchError, "2 patients")


def test_truncated_file_is_named(write_study: WriteStudy) -> None:
    folder = write_study()
    broken = folder / "002_0003.dcm"
    broken.write_bytes(broken.read_bytes()[:-100])
    refused(folder, errors.CorruptFileError, str(broken), "truncated")


def test_truncated_compressed_file_is_named(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T1CE: Awkward(transfer_syntax=RLELossless)})
    broken = folder / "002_0003.dcm"
    broken.write_bytes(broken.read_bytes()[:-100])
    refused(folder, errors.CorruptFileError, "002_0003.dcm")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
def test_a_file_cut_anywhere_is_never_used(tmp_path_factory: pytest.TempPathFactory, header: StudyHeader, share: float) -> None:
    folder = tmp_path_factory.mktemp("cut")
    first, *_ = write_series(head(MRSequence.T1CE), folder, header, MRSequence.T1CE, series_number=1)
    data = first.read_bytes()
    first.write_bytes(data[: int(share * len(data))])
    with pytest.raises(errors.CorruptFileError, match=first.name):
        read_study(folder)


def test_compressed_pixels_that_do_not_decode_are_refused(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T1CE: Awkward(transfer_syntax=RLELossless)})
    edit([folder / "002_0003.dcm"], lambda d: setattr(d, "Rows", 2 * d.Rows))
    edit(sorted(set(folder.glob("002_*.dcm")) - {folder / "002_0003.dcm"}), lambda d: setattr(d, "Rows", 2 * d.Rows))
    with pytest.raises(errors.CorruptFileError, match="cannot be decoded"):
        read_study(folder)


def test_fewer_pixels_than_the_header_says_are_refused(write_study: WriteStudy) -> None:
    folder = write_study()
    edit(sorted(folder.glob("002_*.dcm")), lambda d: setattr(d, "Rows", d.Rows + 2))
    with pytest.raises(errors.CorruptFileError, match="contradict its header"):
        read_study(folder)


def test_file_that_changes_while_it_is_read_is_refused(write_study: WriteStudy) -> None:
    folder = write_study()
    victim = folder / "002_0003.dcm"

    def change_it(share: float) -> None:
        if share >= 0.6 and victim.stat().st_mtime_ns != 1:
            data = bytearray(victim.read_bytes())
            data[-1] ^= 0xFF
            victim.write_bytes(data)
            os.utime(victim, ns=(1, 1))

    with pytest.raises(errors.CorruptFileError, match="SHA-256"):
        read_study(folder, progress=change_it)


def test_file_that_disappears_while_it_is_read_is_refused(write_study: WriteStudy) -> None:
    folder = write_study()
    with pytest.raises(errors.CorruptFileError, match=r"002_0003\.dcm can no longer be read"):
        read_study(folder, progress=lambda share: (folder / "002_0003.dcm").unlink(missing_ok=True) if share >= 0.6 else None)


def test_empty_image_is_refused(write_study: WriteStudy) -> None:
    folder = write_study()
    edit(sorted(folder.glob("002_*.dcm")), lambda d: setattr(d, "PixelData", bytes(len(d.PixelData))))
    with pytest.raises(errors.UnusableImageError, match=r"every voxel is 0.*002_0001\.dcm"):
        read_study(folder)


@pytest.mark.parametrize("shape", [(1, 1, 10), (40, 36, 3), (31, 40, 20)])
def test_images_too_small_are_refused(tmp_path: Path, header: StudyHeader, shape: tuple[int, int, int]) -> None:
    for number, sequence in enumerate((MRSequence.T1CE, MRSequence.FLAIR)):
        image = head(MRSequence.T1, shape)
        if shape[0] == 1:
            image = replace(image, voxels=np.arange(10.0).reshape(shape))
        write_series(image, tmp_path, header, sequence, series_number=number + 1)
    refused(tmp_path, errors.UnusableImageError, "x".join(map(str, shape)), "at least 32x32 pixels and 8 slices")


def test_too_few_sequences_are_refused(write_study: WriteStudy) -> None:
    refused(write_study(only=(MRSequence.FLAIR,)), errors.MissingSequenceError, "only FLAIR", "at least 2", "--t1ce")


def test_the_minimum_can_be_raised(write_study: WriteStudy) -> None:
    folder = write_study(only=(MRSequence.T1, MRSequence.T1CE))
    assert len(read_study(folder).series) == 2
    with pytest.raises(errors.MissingSequenceError, match="only T1 and T1ce"):
        read_study(folder, require=4)


def test_not_an_image_at_all(tmp_path: Path) -> None:
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7 hello")
    for function in (read_study, inspect):
        with pytest.raises(errors.InputNotFoundError, match="none of its 1 files is an image"):
            function(tmp_path)


def test_only_derived_objects(write_study: WriteStudy) -> None:
    folder = write_study(only=(MRSequence.T1,))
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()

    def as_report(dataset: pydicom.Dataset) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
        dataset.Modality = "SR"
        del dataset.Rows, dataset.PixelData

    edit(list(folder.iterdir()), as_report)
    with pytest.raises(errors.InputNotFoundError, match="Comprehensive 3D SR"):
        read_study(folder)


def test_file_named_dicom_that_is_none(write_study: WriteStudy) -> None:
    folder = write_study()
    (folder / "002_0003.dcm").write_bytes(b"")
    refused(folder, errors.CorruptFileError, "002_0003.dcm is named as DICOM")


@pytest.mark.parametrize("name", ["nowhere", "nowhere/CASE"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.InputNotFoundError, match="does not exist"):
        read_study(tmp_path / name)


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(errors.InputNotFoundError, match="empty"):
        read_study(tmp_path)


def test_every_refusal_has_its_own_exit_code() -> None:
    kinds = (
        errors.InputNotFoundError,
        errors.CorruptFileError,
        errors.GeometryError,
        errors.ModalityError,
        errors.PatientMismatchError,
        errors.MissingSequenceError,
        errors.AmbiguousSequenceError,
        errors.UnusableImageError,
        errors.UnsafeArchiveError,
    )
    assert len({kind.exit_code for kind in kinds}) == len(kinds)
