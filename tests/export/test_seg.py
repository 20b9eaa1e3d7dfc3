from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from braintumor.domain import (
    ANATOMIC_REGION,
    LABELS,
    SEGMENT_CATEGORY,
    Author,
    CorruptFileError,
    GeometryError,
    Grid,
    Image,
    InputNotFoundError,
    MRSequence,
    OutputError,
    Segmentation,
    Series,
    Study,
)
from braintumor.export.common import ResultContext, save
from braintumor.export.seg import SegKind, make_seg, read_seg
from braintumor.phantom.dicom import Awkward
from tests.export.dicom_studies import (
    CREATED,
    MODEL,
    OBLIQUE,
    SEGMENT_NUMBERS,
    SHAPE,
    STRAIGHT,
    VARIANTS,
    Variant,
    a_mask,
    iod_errors,
    some_measurements,
    write_study,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("straight"), Variant())


def written(study: Study, segmentation: Segmentation, path: Path, **options: object) -> Path:
    context = ResultContext.of(study, segmentation, CREATED)
    return save(make_seg(study, segmentation, some_measurements(), context, **options), path)  # type: ignore[arg-type]


def source_geometry(series: Series) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(instance.path) for instance in series.instances])
    return reader.Execute()


def tumour_points(seg: pydicom.Dataset) -> dict[int, np.ndarray]:
    """Segment number -> LPS of its voxels, from each frame's own position: no library's idea of a volume is involved."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    row, column = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    points: dict[int, list[np.ndarray]] = {number: [] for number in SEGMENT_NUMBERS}
    size = seg.Rows * seg.Columns
    for n, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
        r, c = np.nonzero(bits[n * size : (n + 1) * size].reshape(seg.Rows, seg.Columns))
        origin = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        world = origin + np.outer(c * between_columns, row) + np.outer(r * between_rows, column)
        points[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber].append(world)
    return {number: np.concatenate(parts) for number, parts in points.items()}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_source_gives_a_valid_object_on_the_sources_voxels(name: str, tmp_path: Path) -> None:
    variant = VARIANTS[name]
    study = write_study(tmp_path / name, variant)
    segmentation = a_mask(study.reference.image.grid)
    path = written(study, segmentation, tmp_path / "seg.dcm")

    assert iod_errors(path) == []
    seg = pydicom.dcmread(path)
    assert seg.PatientName == variant.name
    assert seg.StudyInstanceUID == study.uid
    for number, points in tumour_points(seg).items():
        label = LABELS[number - 1]
        index = study.reference.image.grid.to_index(points)
        assert np.allclose(index, np.rint(index), atol=1e-3)
        assert {tuple(v) for v in np.rint(index).astype(int)} == {
            tuple(v) for v in np.argwhere(segmentation.mask == label.value)
        }
    back = read_seg(path)
    assert back.grid.same_as(study.reference.image.grid)
    assert np.array_equal(back.mask, segmentation.mask)


@pytest.mark.parametrize("name", ["oblique-latin-1", "negated-japanese", "negated-columns-utf-8"])
def test_simpleitk_finds_the_tumour_at_the_same_source_voxels(name: str, tmp_path: Path) -> None:
    study = write_study(tmp_path / name, VARIANTS[name])
    segmentation = a_mask(study.reference.image.grid)
    seg = pydicom.dcmread(written(study, segmentation, tmp_path / "seg.dcm"))
    image = source_geometry(study.reference)
    stored = SimpleITK.GetArrayFromImage(image).astype(float)
    for number, points in tumour_points(seg).items():
        expected = np.sort(study.reference.image.voxels[segmentation.mask == LABELS[number - 1].value].astype(float))
        found = [stored[image.TransformPhysicalPointToIndex(tuple(map(float, point)))[::-1]] for point in points]
        assert np.allclose(np.sort(found), expected)


def test_every_frame_refers_to_the_instance_at_its_position(study: Study, tmp_path: Path) -> None:
    seg = pydicom.dcmread(written(study, a_mask(STRAIGHT), tmp_path / "seg.dcm"))
    positions = {}
    for instance in study.reference.instances:
        positions[instance.uid] = list(pydicom.dcmread(instance.path, stop_before_pixels=True).ImagePositionPatient)
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert positions[source.ReferencedSOPInstanceUID] == list(frame.PlanePositionSequence[0].ImagePositionPatient)
        assert source.SpatialLocationsPreserved == "YES"
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == study.reference.uid
    assert {i.ReferencedSOPInstanceUID for i in referenced.ReferencedInstanceSequence} == set(positions)


def test_an_absent_segment_is_described_and_said_to_be_absent(study: Study, tmp_path: Path) -> None:
    segmentation = a_mask(STRAIGHT, values=(2,))
    seg = pydicom.dcmread(written(study, segmentation, tmp_path / "seg.dcm"))  # NCR measures 0, ET measures something
    assert [item.SegmentNumber for item in seg.SegmentSequence] == SEGMENT_NUMBERS
    texts = [item.SegmentDescription for item in seg.SegmentSequence]
    assert texts == ["looked for, none found", "12.35 mL", "12.35 mL, too small for the voxels of this series"]
    unmeasured = make_seg(study, segmentation, None, ResultContext.of(study, segmentation, CREATED))
    texts = [item.SegmentDescription for item in unmeasured.SegmentSequence]
    assert texts == ["looked for, none found", "Peritumoral oedema", "looked for, none found"]
    assert np.array_equal(read_seg(tmp_path / "seg.dcm").mask, segmentation.mask)


def test_codes_names_and_colours_come_from_the_label_table(study: Study) -> None:
    segmentation = a_mask(STRAIGHT)
    seg = make_seg(study, segmentation, None, ResultContext.of(study, segmentation, CREATED))
    for label, item in zip(LABELS, seg.SegmentSequence, strict=True):
        kind, category = item.SegmentedPropertyTypeCodeSequence[0], item.SegmentedPropertyCategoryCodeSequence[0]
        region = item.AnatomicRegionSequence[0]
        assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == (
            label.code.value,
            label.code.scheme,
            label.code.meaning,
        )
        assert category.CodeValue == SEGMENT_CATEGORY.value
        assert region.CodeValue == ANATOMIC_REGION.value
        assert item.SegmentLabel == label.name
        shown = hd.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb()
        assert np.abs(np.subtract(shown, label.rgb)).max() <= 1
        assert item.TrackingUID.startswith("2.25.")
    assert len({item.TrackingUID for item in seg.SegmentSequence}) == len(LABELS)


def test_all_slices_have_frames_unless_empty_ones_are_to_be_left_out(study: Study, tmp_path: Path) -> None:
    segmentation = a_mask(STRAIGHT)
    full = pydicom.dcmread(written(study, segmentation, tmp_path / "full.dcm"))
    sparse_path = written(study, segmentation, tmp_path / "sparse.dcm", omit_empty_frames=True)
    assert full.NumberOfFrames == len(LABELS) * SHAPE[2]
    assert pydicom.dcmread(sparse_path).NumberOfFrames < full.NumberOfFrames / 2
    assert iod_errors(sparse_path) == []
    assert read_seg(sparse_path).mask.shape[2] < SHAPE[2]
    assert np.array_equal(read_seg(sparse_path, STRAIGHT).mask, segmentation.mask)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), filling=st.floats(0, 0.5), kind=st.sampled_from(SegKind), sparse=st.booleans())
def test_any_mask_comes_back_unchanged(study: Study, seed: int, filling: float, kind: SegKind, sparse: bool) -> None:
    chance = np.random.default_rng(seed)
    mask = np.where(chance.random(SHAPE) < filling, chance.choice([1, 2, 4], SHAPE), 0).astype(np.uint8)
    segmentation = Segmentation(mask, STRAIGHT, MODEL)
    context = ResultContext.of(study, segmentation, CREATED)
    back = read_seg(make_seg(study, segmentation, None, context, kind=kind, omit_empty_frames=sparse), STRAIGHT)
    assert np.array_equal(back.mask, mask)
    assert back.author == MODEL
    assert back.flags == ()


@pytest.mark.parametrize(
    ("author", "algorithm_type"),
    [
        (MODEL, "AUTOMATIC"),
        (Author("human", "Doe^Jane"), "MANUAL"),
        (Author("human", "山田花子", "0.1", "ab" * 32), "SEMIAUTOMATIC"),
    ],
)
def test_the_author_is_kept(study: Study, tmp_path: Path, author: Author, algorithm_type: str) -> None:
    path = written(study, a_mask(STRAIGHT, author), tmp_path / "seg.dcm")
    seg = pydicom.dcmread(path)
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {algorithm_type}
    assert read_seg(path).author == author
    assert iod_errors(path) == []


def test_the_same_context_gives_the_same_bytes_and_a_change_new_uids(study: Study, tmp_path: Path) -> None:
    segmentation = a_mask(STRAIGHT)
    first, again = (written(study, segmentation, tmp_path / name) for name in ("1.dcm", "2.dcm"))
    assert first.read_bytes() == again.read_bytes()
    other = pydicom.dcmread(written(study, a_mask(STRAIGHT, values=(1, 2)), tmp_path / "3.dcm"))
    seg = pydicom.dcmread(first)
    assert other.SOPInstanceUID != seg.SOPInstanceUID
    assert [i.TrackingUID for i in other.SegmentSequence] == [i.TrackingUID for i in seg.SegmentSequence]
    later = ResultContext.of(study, segmentation, CREATED.replace(year=2025))
    assert later.uid("x") != ResultContext.of(study, segmentation, CREATED).uid("x")


def test_each_of_the_series_can_be_the_one_referred_to(study: Study, tmp_path: Path) -> None:
    flair = study.series[MRSequence.FLAIR]
    path = written(study, a_mask(STRAIGHT), tmp_path / "flair.dcm", series=flair)
    on_flair, on_t1ce = pydicom.dcmread(path), pydicom.dcmread(written(study, a_mask(STRAIGHT), tmp_path / "t1ce.dcm"))
    assert on_flair.ReferencedSeriesSequence[0].SeriesInstanceUID == flair.uid
    assert on_flair.SeriesInstanceUID != on_t1ce.SeriesInstanceUID
    assert on_flair.SeriesNumber != on_t1ce.SeriesNumber


@pytest.mark.parametrize("in_shared", [False, True])
def test_frames_of_one_stack_are_found_where_an_instance_holds_more(tmp_path: Path, in_shared: bool) -> None:
    """Some scanners store several stacks in one enhanced instance, and orientation and spacing with every frame or once."""
    study = write_study(tmp_path / "study", Variant(OBLIQUE, Awkward(multiframe=True)))
    series = study.reference
    path = series.instances[0].path
    stored = pydicom.dcmread(path)
    shared, frames = stored.SharedFunctionalGroupsSequence[0], stored.PerFrameFunctionalGroupsSequence
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        group = getattr(shared if keyword in shared else frames[0], keyword)
        for holder in (shared, *frames):
            holder.pop(keyword, None)
        for holder in (shared,) if in_shared else frames:
            setattr(holder, keyword, group)
    stored.save_as(path)
    box = (slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(4, 14))
    image = Image(series.image.voxels[box], series.image.grid.cropped(box))
    stack = replace(series, image=image, frames=series.frames[4:14])
    study = replace(study, series={MRSequence.T1CE: stack})
    segmentation = Segmentation(a_mask(OBLIQUE).mask[box], image.grid, MODEL)

    written_path = written(study, segmentation, tmp_path / "seg.dcm")
    assert iod_errors(written_path) == []
    assert np.array_equal(read_seg(written_path, image.grid).mask, segmentation.mask)
    for frame in pydicom.dcmread(written_path).PerFrameFunctionalGroupsSequence:
        number = int(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        source = stored.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0].ImagePositionPatient
        assert list(source) == list(frame.PlanePositionSequence[0].ImagePositionPatient)


def test_a_source_with_gaps_in_its_header_still_gives_a_valid_object(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", Variant())
    for instance in study.reference.instances:
        dataset = pydicom.dcmread(instance.path)
        for keyword in ("AccessionNumber", "StudyID", "ReferringPhysicianName", "SliceThickness", "FrameOfReferenceUID"):
            delattr(dataset, keyword)
        dataset.add_new("PatientSex", "CS", "U")
        dataset["PatientBirthDate"]._value = "unknown"
        dataset.save_as(instance.path)
    path = written(study, a_mask(STRAIGHT), tmp_path / "seg.dcm")
    seg = pydicom.dcmread(path)
    assert (seg.PatientSex, seg.PatientBirthDate, seg.AccessionNumber) == ("", "", "")
    assert iod_errors(path) == []
    assert np.array_equal(read_seg(path, STRAIGHT).mask, a_mask(STRAIGHT).mask)


def test_no_name_reaches_warnings_or_logs(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    study = write_study(tmp_path / "study", Variant(name="Secretname"))
    seg = pydicom.dcmread(written(study, a_mask(STRAIGHT), tmp_path / "seg.dcm"))
    assert seg.PatientName == "Secretname"
    assert "Secretname" not in caplog.text
    assert not [w for w in recwarn if "Secretname" in str(w.message)]


def test_a_mask_on_another_grid_or_of_another_study_is_refused(study: Study) -> None:
    segmentation = a_mask(OBLIQUE)
    context = ResultContext.of(study, segmentation, CREATED)
    with pytest.raises(ValueError, match="not on the grid"):
        make_seg(study, segmentation, None, context)
    with pytest.raises(ValueError, match="does not belong"):
        make_seg(study, a_mask(STRAIGHT), None, context, series=replace(study.reference))


def test_a_nifti_study_has_nothing_to_refer_to(study: Study) -> None:
    segmentation = a_mask(STRAIGHT)
    with pytest.raises(InputNotFoundError, match="to-dicom"):
        make_seg(replace(study, kind="nifti"), segmentation, None, ResultContext.of(study, segmentation, CREATED))


def test_sources_that_changed_or_vanished_are_noticed(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", Variant())
    first, second = (instance.path for instance in study.reference.instances[:2])
    segmentation = a_mask(STRAIGHT)
    context = ResultContext.of(study, segmentation, CREATED)
    original = second.read_bytes()
    second.write_bytes(first.read_bytes())
    with pytest.raises(CorruptFileError, match="any more"):
        make_seg(study, segmentation, None, context)
    second.write_bytes(b"no DICOM")
    with pytest.raises(CorruptFileError, match="any more"):
        make_seg(study, segmentation, None, context)
    second.write_bytes(original)
    first.unlink()
    with pytest.raises(InputNotFoundError, match="no longer"):
        make_seg(study, segmentation, None, context)


def test_an_existing_file_is_not_overwritten(study: Study, tmp_path: Path) -> None:
    path = written(study, a_mask(STRAIGHT), tmp_path / "seg.dcm")
    before = path.read_bytes()
    with pytest.raises(OutputError):
        written(study, a_mask(STRAIGHT), path)
    assert path.read_bytes() == before


def foreign(
    study: Study, stacked: np.ndarray, segments: list[tuple[str, pydicom.sr.coding.Code]], kind: str = "BINARY"
) -> hd.seg.Segmentation:
    """What another program would write: `stacked` is (slice, row, column, segment)."""
    algorithm = hd.AlgorithmIdentificationSequence("other", codes.DCM.ArtificialIntelligence, "9")
    algorithm[0].AlgorithmParameters = "free text"
    described = [
        hd.seg.SegmentDescription(n, label, codes.SCT.MorphologicallyAbnormalStructure, code, "AUTOMATIC", algorithm)
        for n, (label, code) in enumerate(segments, 1)
    ]
    sources = [pydicom.dcmread(i.path, stop_before_pixels=True) for i in study.reference.instances]
    uids = {"series_instance_uid": hd.UID(), "sop_instance_uid": hd.UID()}
    about = {"manufacturer": "x", "manufacturer_model_name": "x", "software_versions": "1", "device_serial_number": "1"}
    return hd.seg.Segmentation(sources, stacked, kind, described, series_number=9, instance_number=1, **uids, **about)


def stack(*masks: np.ndarray) -> np.ndarray:
    return np.stack([mask.transpose(2, 1, 0) for mask in masks], axis=3).astype(np.uint8)


TISSUE = pydicom.sr.coding.Code("85756007", "SCT", "Tissue")


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_segments_are_known_by_code_or_name_never_by_position(study: Study, kind: str) -> None:
    mask = a_mask(STRAIGHT).mask
    edema = pydicom.sr.coding.Code("79654002", "SCT", "Edema")
    segments = [("whatever", edema), ("ET", TISSUE), ("necrotic or Non-enhancing core ", TISSUE)]
    back = read_seg(foreign(study, stack(mask == 2, mask == 4, mask == 1), segments, kind), STRAIGHT)
    assert np.array_equal(back.mask, mask)
    assert back.author == Author("model", "other", "9")


def test_unknown_segments_are_left_out_and_flagged(study: Study) -> None:
    mask = a_mask(STRAIGHT).mask
    back = read_seg(foreign(study, stack(mask == 1, mask == 2), [("Spleen", codes.SCT.Spleen), ("ED", TISSUE)]), STRAIGHT)
    assert set(np.unique(back.mask)) == {0, 2}
    assert [flag.code for flag in back.flags] == ["unknown-segment"]
    with pytest.raises(CorruptFileError, match="has no segment"):
        read_seg(foreign(study, stack(mask == 1), [("Spleen", codes.SCT.Spleen)]))


def test_overlap_is_resolved_by_the_label_table_and_flagged(study: Study) -> None:
    mask = a_mask(STRAIGHT).mask
    back = read_seg(foreign(study, stack(mask == 4, mask > 0), [("ET", TISSUE), ("ED", TISSUE)]), STRAIGHT)
    assert np.array_equal(back.mask == 4, mask == 4)
    (flag,) = back.flags
    assert flag.code == "overlapping-segments"
    assert str(int((mask == 4).sum())) in flag.message


@pytest.mark.parametrize(
    "other",
    [
        Grid(SHAPE, STRAIGHT.affine @ np.diag([1, 1, 2, 1])),
        Grid(SHAPE, STRAIGHT.affine + np.array([[0, 0, 0, 0.4], [0] * 4, [0] * 4, [0] * 4])),
        STRAIGHT.cropped((slice(0, 48), slice(0, 40), slice(0, 10))),
    ],
    ids=["spacing", "shift", "too-small"],
)
def test_a_segmentation_that_is_not_on_the_grid_is_refused(study: Study, other: Grid) -> None:
    segmentation = a_mask(STRAIGHT)
    seg = make_seg(study, segmentation, None, ResultContext.of(study, segmentation, CREATED))
    with pytest.raises(GeometryError, match="not voxels of"):
        read_seg(seg, other)


def test_uneven_frames_are_refused(study: Study, tmp_path: Path) -> None:
    segmentation = a_mask(STRAIGHT)
    seg = make_seg(study, segmentation, None, ResultContext.of(study, segmentation, CREATED))
    for frame in seg.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        position[2] = float(position[2]) * 1.01 ** (float(position[2]) - 10)
    with pytest.raises(GeometryError, match="evenly"):
        read_seg(pydicom.dcmread(save(seg, tmp_path / "uneven.dcm")))


def test_what_is_no_segmentation_is_refused(study: Study, tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("not DICOM")
    with pytest.raises(CorruptFileError, match="not a readable"):
        read_seg(tmp_path / "text.dcm")
    with pytest.raises(CorruptFileError, match="not a readable"):
        read_seg(study.reference.instances[0].path)
    with pytest.raises(InputNotFoundError):
        read_seg(tmp_path / "absent.dcm")
