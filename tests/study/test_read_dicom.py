"""DICOM studies that are in order, however they are written: geometry, values, provenance, names."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from braintumor.domain import MRSequence, Patient, Severity
from braintumor.phantom.dicom import Awkward, StudyHeader, Vendor, write_series
from braintumor.study import inspect, read_study
from tests.study.conftest import SPACING, WriteStudy, head


def test_four_series_are_found_and_come_back_voxel_for_voxel(write_study: WriteStudy, header: StudyHeader) -> None:
    shares: list[float] = []
    study = read_study(write_study(), progress=shares.append)

    assert (study.kind, study.uid, study.study_date) == ("dicom", header.study_uid, header.study_date)
    assert study.patient == header.patient
    assert list(study.series) == list(MRSequence)
    assert study.unused == {}
    assert study.flags == ()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for sequence, series in study.series.items():
        np.testing.assert_array_equal(series.image.voxels, head(sequence).voxels)
        assert series.image.voxels.dtype == np.float32
        assert series.image.grid.same_as(head(sequence).grid, tolerance_mm=1e-6)
        assert series.evidence.sequence is sequence
        assert series.evidence.confidence >= 0.85
        assert series.attributes["frame_of_reference_uid"] == header.frame_of_reference_uid
        assert series.attributes["Modality"] == "MR"


def test_anisotropic_pixel_spacing_is_not_swapped(write_study: WriteStudy) -> None:
    study = read_study(write_study())

    assert study.reference.image.grid.spacing == SPACING
    written = pydicom.dcmread(study.reference.instances[0].path, stop_before_pixels=True)
    assert [float(v) for v in written.PixelSpacing] == [SPACING[1], SPACING[0]]


def test_each_slice_uses_its_own_rescale_slope(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T2: Awkward(per_slice_rescale=True)})
    slopes = {float(pydicom.dcmread(p, stop_before_pixels=True).get("RescaleSlope", 1)) for p in folder.glob("003_*")}
    assert len(slopes) > 5

    voxels = read_study(folder).series[MRSequence.T2].image.voxels

    np.testing.assert_allclose(voxels, head(MRSequence.T2).voxels, atol=1.01 * max(slopes))
    assert all(voxels[:, :, k].max() > 100 for k in range(voxels.shape[2]) if head(MRSequence.T2).voxels[:, :, k].any())


@pytest.mark.parametrize(
    "awkward",
    [
        Awkward(multiframe=True),
        Awkward(multiframe=True, transfer_syntax=RLELossless),
        Awkward(transfer_syntax=JPEG2000Lossless),
        Awkward(transfer_syntax=JPEGLSLossless),
        Awkward(transfer_syntax=RLELossless),
        Awkward(transfer_syntax=ImplicitVRLittleEndian),
        Awkward(shuffle=True),
    ],
    ids=["enhanced", "enhanced-rle", "jpeg2000", "jpegls", "rle", "implicit", "shuffled"],
)
def test_every_encoding_gives_the_same_volume(write_study: WriteStudy, awkward: Awkward) -> None:
    series = read_study(write_study(dict.fromkeys(MRSequence, awkward))).series

    assert list(series) == list(MRSequence)
    for sequence in MRSequence:
        np.testing.assert_array_equal(series[sequence].image.voxels, head(sequence).voxels)
        assert series[sequence].image.grid.same_as(head(sequence).grid, tolerance_mm=1e-5)
    frames = series[MRSequence.T1].frames
    assert frames == (tuple(range(1, 11)) if awkward.multiframe else (1,) * 10)
    assert len(series[MRSequence.T1].instances) == (1 if awkward.multiframe else 10)


def test_enhanced_frames_use_their_own_rescale(write_study: WriteStudy) -> None:
    study = read_study(write_study({MRSequence.T1: Awkward(multiframe=True, per_slice_rescale=True)}))

    np.testing.assert_allclose(study.series[MRSequence.T1].image.voxels, head(MRSequence.T1).voxels, atol=0.2)


def test_instances_are_in_slice_order_with_the_hash_of_their_bytes(write_study: WriteStudy) -> None:
    series = read_study(write_study({MRSequence.T1CE: Awkward(shuffle=True)})).reference

    for k, instance in enumerate(series.instances):
        stored = pydicom.dcmread(instance.path)
        assert instance.uid == stored.SOPInstanceUID
        assert instance.sha256 == hashlib.sha256(instance.path.read_bytes()).hexdigest()
        np.testing.assert_allclose(stored.ImagePositionPatient, series.image.grid.to_world((0, 0, k)), atol=1e-5)
        np.testing.assert_array_equal(stored.pixel_array.T, series.image.voxels[:, :, k])


@pytest.mark.parametrize("vendor", list(Vendor))
def test_all_vendors_are_understood(write_study: WriteStudy, vendor: Vendor) -> None:
    study = read_study(write_study(vendor=vendor))

    found = {sequence: series.image.voxels for sequence, series in study.series.items()}
    for sequence in MRSequence:
        np.testing.assert_array_equal(found[sequence], head(sequence).voxels)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Иванова^Анна"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_names_are_decoded_by_their_character_set(write_study: WriteStudy, character_set: str, name: str) -> None:
    folder = write_study(only=(MRSequence.T1CE, MRSequence.FLAIR), character_set=character_set, patient=Patient("P", name))

    assert read_study(folder).patient.name == name


def test_zip_is_read_as_its_folder_and_cleaned_up_with_the_study(write_study: WriteStudy, tmp_path: Path) -> None:
    folder, archive = write_study(only=(MRSequence.T1, MRSequence.T1CE)), tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in folder.iterdir():
            out.write(path, f"deep/{path.name}")

    study = read_study(archive)

    unpacked = study.reference.instances[0].path
    assert unpacked.is_file()
    np.testing.assert_array_equal(study.reference.image.voxels, head(MRSequence.T1CE).voxels)
    del study
    assert not unpacked.exists()


def _signed_axes() -> st.SearchStrategy[np.ndarray]:
    """Right-angled axes in any order, with any signs, turned by any small angles: 3x3, columns i, j, k."""

    def build(order: tuple[int, ...], signs: tuple[int, ...], angles: tuple[float, ...]) -> np.ndarray:
        matrix = np.eye(3)[:, list(order)] * signs
        for axis, angle in enumerate(angles):
            a, b = [n for n in range(3) if n != axis]
            turn = np.eye(3)
            turn[[a, b, a, b], [a, b, b, a]] = np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)
            matrix = turn @ matrix
        return matrix

    return st.builds(
        build,
        st.permutations(range(3)).map(tuple),
        st.tuples(*[st.sampled_from((-1, 1))] * 3),
        st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    )


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(axes=_signed_axes())
def test_voxels_keep_their_world_position_in_any_orientation(
    tmp_path_factory: pytest.TempPathFactory, header: StudyHeader, axes: np.ndarray
) -> None:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * (1.5, 2.5, 4.0), (10.0, -70.0, 33.0)
    folder = tmp_path_factory.mktemp("oriented")
    for number, sequence in enumerate((MRSequence.T1CE, MRSequence.FLAIR)):
        write_series(head(sequence, (34, 33, 8), affine), folder, header, sequence, series_number=number + 1)
    written = head(MRSequence.T1CE, (34, 33, 8), affine)

    image = read_study(folder).reference.image

    index = np.argwhere(image.voxels > 250)
    back = np.rint(written.grid.to_index(image.grid.to_world(index))).astype(int)
    np.testing.assert_array_equal(written.voxels[tuple(back.T)], image.voxels[tuple(index.T)])
    np.testing.assert_allclose(written.grid.to_world(back), image.grid.to_world(index), atol=1e-3)
    assert np.linalg.det(image.grid.affine[:3, :3]) > 0


def test_missing_sequences_are_flagged_not_hidden(write_study: WriteStudy) -> None:
    study = read_study(write_study(only=(MRSequence.T1, MRSequence.T2, MRSequence.FLAIR)))

    flags = {f.code: f for f in study.flags}
    assert set(flags) == {"missing-sequence", "contrast-unknown"}  # no header says that the one T1 is without agent
    assert flags["missing-sequence"].severity is Severity.SERIOUS
    assert "T1ce" in flags["missing-sequence"].message
    assert study.reference_sequence is MRSequence.FLAIR


def test_one_missing_plain_sequence_is_a_warning(write_study: WriteStudy) -> None:
    study = read_study(write_study(only=(MRSequence.T1, MRSequence.T1CE, MRSequence.FLAIR)))

    assert [(f.code, f.severity) for f in study.flags] == [("missing-sequence", Severity.WARNING)]


def test_foreign_files_and_exact_copies_do_no_harm(write_study: WriteStudy) -> None:
    folder = write_study()
    (folder / "readme.txt").write_text("notes")
    (folder / ".DS_Store").write_bytes(b"\0")
    original = next(folder.glob("002_*.dcm"))
    (folder / "copy of it.dcm").write_bytes(original.read_bytes())

    study = read_study(folder)

    assert [f.code for f in study.flags] == ["duplicate-files"]
    assert len(study.reference.instances) == 10
    assert inspect(folder).counts == {"files": 42, "not_dicom": 1, "copies": 1, "patients": 1, "studies": 1}


def test_derived_objects_are_left_out_with_their_reason(write_study: WriteStudy) -> None:
    folder = write_study()
    dataset = pydicom.dcmread(next(folder.glob("001_*.dcm")))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "OT", "1.2.3.4", "1.2.3.4.5"
    dataset.save_as(folder / "screenshot.dcm")

    assert read_study(folder).unused == {"1.2.3.4": "not an acquired MR image: Secondary Capture Image Storage"}


def test_signed_and_narrow_pixels_are_decoded(write_study: WriteStudy) -> None:
    folder = write_study(only=(MRSequence.T1CE, MRSequence.FLAIR))
    for path in folder.glob("001_*.dcm"):
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array.astype(np.int16) - 200
        dataset.PixelRepresentation, dataset.RescaleIntercept, dataset.RescaleSlope = 1, 200, 1
        dataset.PixelData = (stored & 0x0FFF).astype("<u2").tobytes()  # 12 bits, the sign not extended
        dataset.save_as(path)

    np.testing.assert_array_equal(read_study(folder).reference.image.voxels, head(MRSequence.T1CE).voxels)


def test_lossy_compression_is_flagged(write_study: WriteStudy) -> None:
    folder = write_study()
    for path in folder.glob("002_*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.LossyImageCompression = "01"
        dataset.save_as(path)

    assert [f.code for f in read_study(folder).flags] == ["lossy-compression"]


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_rare_transfer_syntaxes(write_study: WriteStudy, syntax: UID) -> None:
    folder = write_study(only=(MRSequence.T1CE, MRSequence.FLAIR))
    for path in folder.glob("001_*.dcm"):
        dataset = pydicom.dcmread(path)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        fresh = pydicom.Dataset({e.tag: e for e in dataset})
        fresh.file_meta = dataset.file_meta
        fresh.file_meta.TransferSyntaxUID = syntax
        fresh.save_as(path, enforce_file_format=True)

    np.testing.assert_array_equal(read_study(folder).reference.image.voxels, head(MRSequence.T1CE).voxels)


def test_dicomdir_is_no_image(write_study: WriteStudy) -> None:
    folder = write_study()
    directory = pydicom.Dataset()
    directory.FileSetID = "DISC"
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)

    study = read_study(folder)

    assert list(study.unused) == ["DICOMDIR"]
    assert list(study.series) == list(MRSequence)


@pytest.mark.parametrize(
    ("written", "expected"), [("", date(2024, 2, 29)), ("no date", date(2024, 2, 29)), ("20231231", date(2023, 12, 31))]
)
def test_study_date_falls_back_to_the_acquisition(write_study: WriteStudy, written: str, expected: date) -> None:
    folder = write_study()
    for path in folder.iterdir():
        data = path.read_bytes()
        at = data.index(b"\x08\x00\x20\x00DA") + 8  # Study Date, explicit VR
        path.write_bytes(data[:at] + written.ljust(8).encode() + data[at + 8 :])
    assert read_study(folder).study_date == expected


def test_numbers_that_are_none_are_as_good_as_absent(write_study: WriteStudy) -> None:
    folder = write_study()
    for path in folder.glob("004_*.dcm"):
        data = path.read_bytes()
        at = data.index(b"\x18\x00\x81\x00DS") + 8  # Echo Time, explicit VR
        path.write_bytes(data[:at] + b"ab" + data[at + 2 :])

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom would quote the value, which may be anything
        evidence = read_study(folder).series[MRSequence.FLAIR].evidence

    assert evidence.reasons == ("the description says FLAIR or dark fluid",)


@pytest.mark.realdata
def test_real_siemens_stack_is_understood(brats: Path) -> None:
    found = inspect(brats.parent / "dicom" / "VS-SEG-001_t1_mpr_tra.zip")

    (entry,) = found.series
    assert (entry["taken_for"], entry["images"]) == ("t1", 20)
    assert entry["grid"]["spacing_mm"] == [0.410156, 0.410156, 1.5]
    assert entry["grid"]["shape"] == [512, 512, 20]
    assert [p.code for p in found.problems] == ["missing-sequence"]
    assert "contrast-unknown" in [f.code for f in found.flags]
