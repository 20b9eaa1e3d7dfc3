"""A volume written as a DICOM series: legal, exact, and wrong only where asked."""

from dataclasses import replace
from datetime import date

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    CTImageStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

from braintumor.domain import GeometryError, Grid, Image, MRSequence, OutputError, Patient, UnusableImageError, grid_from_dicom
from braintumor.phantom import Awkward, Vendor, series_uid, study_header, write_series
from braintumor.phantom.planes import quantise
from tests.data import counting_image, dciodvfy, tilted_grid

PATIENT = Patient("P1", "Doe^Jane", "19500101", "F")
HEADER = study_header("test", PATIENT, date(2024, 5, 6))

VARIANTS = {
    "plain": Awkward(),
    "implicit": Awkward(transfer_syntax=ImplicitVRLittleEndian),
    "rle": Awkward(transfer_syntax=RLELossless),
    "jpeg-ls": Awkward(transfer_syntax=JPEGLSLossless),
    "jpeg-2000": Awkward(transfer_syntax=JPEG2000Lossless),
    "per-slice-rescale": Awkward(per_slice_rescale=True),
    "shuffled": Awkward(shuffle=True),
    "ct": Awkward(modality="CT"),
    "multiframe": Awkward(multiframe=True),
    "multiframe-rescale": Awkward(multiframe=True, per_slice_rescale=True),
    "multiframe-jpeg-2000": Awkward(multiframe=True, transfer_syntax=JPEG2000Lossless),
}


def write(image, folder, awkward=None, sequence=MRSequence.T1CE, header=HEADER, **more):
    return write_series(image, folder, header, sequence, series_number=4, awkward=awkward, **more)


def slices(paths):
    """(position, orientation, values) of every stored slice or frame, in file order, rescaled as DICOM says."""
    found = []
    for path in paths:
        dataset = pydicom.dcmread(path)
        frames = dataset.get("PerFrameFunctionalGroupsSequence")
        if frames is None:
            pixels = dataset.pixel_array * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
            found.append((dataset.ImagePositionPatient, dataset.ImageOrientationPatient, pixels))
            continue
        for frame, pixels in zip(frames, dataset.pixel_array, strict=True):
            rescale = frame.PixelValueTransformationSequence[0]
            found.append(
                (
                    frame.PlanePositionSequence[0].ImagePositionPatient,
                    frame.PlaneOrientationSequence[0].ImageOrientationPatient,
                    pixels * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept),
                )
            )
    return found


def volume(paths):
    """The series as an image again, slices in file order."""
    found, first = slices(paths), pydicom.dcmread(paths[0])
    voxels = np.stack([values.T for _, _, values in found], axis=-1)
    if "PixelSpacing" in first:
        spacing = first.PixelSpacing
    else:
        spacing = first.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    orientation = found[0][1]
    grid = grid_from_dicom(orientation[:3], orientation[3:], found[0][0], found[-1][0], spacing, voxels.shape)
    return Image(voxels, grid)


@pytest.mark.parametrize("reverse", [False, True], ids=["along-normal", "against-normal"])
@pytest.mark.parametrize("name", VARIANTS)
def test_voxels_and_places_come_back(name, reverse, tmp_path):
    image = counting_image(tilted_grid(reverse=reverse))
    back = volume(write(image, tmp_path, VARIANTS[name]))
    np.testing.assert_array_equal(np.rint(back.voxels), image.voxels)
    assert back.grid.same_as(image.grid, 1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_satisfy_the_standard(name, tmp_path):
    for path in write(counting_image(tilted_grid()), tmp_path, VARIANTS[name])[:2]:
        assert dciodvfy(path) == []


@pytest.mark.parametrize("multiframe", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("sequence", list(MRSequence))
@pytest.mark.parametrize("vendor", list(Vendor))
def test_every_protocol_satisfies_the_standard(vendor, sequence, multiframe, tmp_path):
    image, header = counting_image(tilted_grid((8, 6, 2))), replace(HEADER, vendor=vendor)
    path = write(image, tmp_path, Awkward(multiframe=multiframe), sequence, header)[0]
    assert dciodvfy(path) == []


def test_pixel_spacing_is_between_rows_first(tmp_path):
    dataset = pydicom.dcmread(write(counting_image(tilted_grid((9, 7, 3), (1.0, 2.0, 5.0))), tmp_path)[0])
    assert [float(v) for v in dataset.PixelSpacing] == [2.0, 1.0]
    assert (dataset.Columns, dataset.Rows) == (9, 7)
    assert float(dataset.SpacingBetweenSlices) == 5.0


def test_thick_two_dimensional_slices_leave_a_gap(tmp_path):
    dataset = pydicom.dcmread(write(counting_image(tilted_grid()), tmp_path, sequence=MRSequence.FLAIR)[0])
    assert float(dataset.SliceThickness) < float(dataset.SpacingBetweenSlices) == 4.0


def test_sequences_differ_in_their_attributes(tmp_path):
    image = counting_image(tilted_grid((8, 6, 2)))
    heads = {s: pydicom.dcmread(write(image, tmp_path / s, sequence=s)[0]) for s in MRSequence}
    assert heads[MRSequence.FLAIR].InversionTime > 2000
    assert heads[MRSequence.T2].EchoTime > 60 > heads[MRSequence.T1].EchoTime
    assert [s for s, head in heads.items() if head.get("ContrastBolusAgent")] == [MRSequence.T1CE]


def test_a_description_of_ones_own(tmp_path):
    paths = write(counting_image(tilted_grid((8, 6, 2))), tmp_path, description="t1 post")
    assert pydicom.dcmread(paths[0]).SeriesDescription == "t1 post"


def test_uids_follow_from_the_seed_and_are_unique(tmp_path):
    image = counting_image(tilted_grid((8, 6, 4)))
    once, again = (write(image, tmp_path / name, Awkward(duplicate_slices=(1,))) for name in "ab")
    uids = [[pydicom.dcmread(p).SOPInstanceUID for p in paths] for paths in (once, again)]
    assert uids[0] == uids[1]
    assert len(set(uids[0])) == 5
    assert pydicom.dcmread(once[0]).SeriesInstanceUID == series_uid(HEADER, 4)
    assert once[0].read_bytes() == again[0].read_bytes()
    assert study_header("other", PATIENT, date(2024, 5, 6)).study_uid != HEADER.study_uid
    assert study_header("test", PATIENT, date(2024, 5, 7)).study_uid != HEADER.study_uid


class TestFaults:
    image = counting_image(tilted_grid((10, 8, 6)))

    def test_missing_slice(self, tmp_path):
        heights = self.heights(write(self.image, tmp_path, Awkward(missing_slices=(2,))))
        np.testing.assert_allclose(np.diff(heights), [4, 8, 4, 4], atol=1e-6)

    def test_duplicate_slice(self, tmp_path):
        heights = self.heights(write(self.image, tmp_path, Awkward(duplicate_slices=(2,))))
        np.testing.assert_allclose(np.diff(heights), [4, 4, 0, 4, 4, 4], atol=1e-6)

    def test_uneven_slice(self, tmp_path):
        heights = self.heights(write(self.image, tmp_path, Awkward(uneven_slice=3)))
        np.testing.assert_allclose(np.diff(heights), [4, 4, 5.6, 2.4, 4], atol=1e-6)

    def test_tilted_slice(self, tmp_path):
        normals = [np.cross(o[:3], o[3:]) for _, o, _ in slices(write(self.image, tmp_path, Awkward(tilt_slice=3)))]
        angles = np.rad2deg(np.arccos(np.clip(np.array(normals) @ normals[0], -1, 1)))
        np.testing.assert_allclose(angles, [0, 0, 0, 5, 0, 0], atol=1e-3)

    def test_shuffled_names_and_numbers(self, tmp_path):
        paths = write(self.image, tmp_path, Awkward(shuffle=True))
        numbers = [pydicom.dcmread(p).InstanceNumber for p in paths]
        assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
        assert numbers != sorted(numbers)
        assert sorted(paths) != paths

    def test_another_modality(self, tmp_path):
        classes = {
            m: pydicom.dcmread(write(self.image, tmp_path / m, Awkward(modality=m))[0]).SOPClassUID for m in ("MR", "CT")
        }
        assert classes == {"MR": MRImageStorage, "CT": CTImageStorage}

    def test_slopes_differ_from_slice_to_slice(self, tmp_path):
        ramp = Image(self.image.voxels * np.arange(1, 7), self.image.grid)
        slopes = [pydicom.dcmread(p).RescaleSlope for p in write(ramp, tmp_path, Awkward(per_slice_rescale=True))]
        assert len(set(slopes)) == 6
        assert min(slopes) < 0.5

    @staticmethod
    def heights(paths):
        found = slices(paths)
        normal = np.cross(found[0][1][:3], found[0][1][3:])
        return [float(np.dot(position, normal)) for position, _, _ in found]


@pytest.mark.parametrize(
    ("character_set", "name", "escape"),
    [
        ("ISO_IR 100", "Müller^Jörg", b"M\xfcller"),
        ("ISO_IR 192", "Ørsted^Žofie", "Ørsted".encode()),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", b"\x1b$B"),
    ],
    ids=["latin-1", "utf-8", "japanese"],
)
def test_names_in_other_scripts(character_set, name, escape, tmp_path):
    header = replace(HEADER, patient=replace(PATIENT, name=name), character_set=character_set)
    for multiframe in (False, True):
        path = write(
            counting_image(tilted_grid((8, 6, 2))), tmp_path / str(multiframe), Awkward(multiframe=multiframe), header=header
        )[0]
        assert str(pydicom.dcmread(path).PatientName) == name
        assert escape in path.read_bytes()
        assert dciodvfy(path) == []


class TestQuantisation:
    def test_integers_stay_as_they_are(self):
        kept = quantise(np.array([0.0, 65535.0]))
        assert kept.identity
        assert kept.max_error == 0

    def test_negative_integers_are_shifted_and_exact(self, tmp_path):
        image = counting_image(tilted_grid())
        image = Image(image.voxels - 500, image.grid)
        np.testing.assert_array_equal(volume(write(image, tmp_path)).voxels, image.voxels)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
    def test_no_value_moves_further_than_declared(self, values):
        voxels = np.array(values, np.float32)
        how = quantise(voxels)
        back = how.store(voxels) * how.slope + how.intercept
        assert np.abs(back - voxels).max() <= how.max_error * (1 + 1e-6) + 1e-9 * np.abs(voxels).max()

    @pytest.mark.parametrize("multiframe", [False, True])
    def test_rounding_is_declared_in_the_header(self, multiframe, tmp_path):
        image = counting_image(tilted_grid())
        image = Image(image.voxels * 0.37, image.grid)
        paths = write(image, tmp_path, Awkward(multiframe=multiframe))
        dataset = pydicom.dcmread(paths[0])
        assert dataset.ImageType[0] == "DERIVED"
        declared = float(dataset.ImageComments.split("largest error ")[1].rstrip("."))
        assert 0 < np.abs(volume(paths).voxels - image.voxels).max() <= declared * 1.01
        assert dciodvfy(paths[0]) == []

    def test_constant_slices_survive_a_rescale_of_their_own(self, tmp_path):
        image = Image(np.full((8, 6, 2), 7.0), tilted_grid((8, 6, 2)))
        assert (volume(write(image, tmp_path, Awkward(per_slice_rescale=True))).voxels == 7).all()

    def test_what_is_not_a_number_is_refused(self, tmp_path):
        image = Image(np.full((8, 6, 2), np.nan), tilted_grid((8, 6, 2)))
        with pytest.raises(UnusableImageError, match="not finite"):
            write(image, tmp_path)


class TestRefusals:
    image = counting_image(tilted_grid((8, 6, 2)))

    def test_sheared_volume(self, tmp_path):
        affine = np.eye(4)
        affine[0, 2] = 0.3
        with pytest.raises(GeometryError, match="right angles"):
            write(counting_image(Grid((8, 6, 2), affine)), tmp_path)

    def test_files_are_never_overwritten(self, tmp_path):
        before = [p.read_bytes() for p in write(self.image, tmp_path)]
        with pytest.raises(OutputError):
            write(counting_image(self.image.grid, seed=1), tmp_path)
        assert [p.read_bytes() for p in sorted(tmp_path.iterdir())] == before

    def test_a_file_in_the_place_of_the_folder(self, tmp_path):
        (tmp_path / "taken").write_text("")
        with pytest.raises(OutputError):
            write(self.image, tmp_path / "taken")

    def test_slices_too_small_for_jpeg_2000(self, tmp_path):
        with pytest.raises(UnusableImageError, match="8x6"):
            write(self.image, tmp_path, Awkward(transfer_syntax=JPEG2000Lossless))

    def test_enhanced_series_without_a_date(self, tmp_path):
        with pytest.raises(ValueError, match="study date"):
            write(self.image, tmp_path, Awkward(multiframe=True), header=study_header("x", PATIENT, None))


def test_a_study_without_a_date_is_legal(tmp_path):
    path = write(counting_image(tilted_grid((8, 6, 2))), tmp_path, header=study_header("x", PATIENT, None))[0]
    assert pydicom.dcmread(path).StudyDate == ""
    assert dciodvfy(path) == []
