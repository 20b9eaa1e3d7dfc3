"""The face goes, in every series and kind of object; the brain stays bit for bit; burnt-in text is found and blanked."""

import highdicom as hd
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from braintumor import phantom
from braintumor.deidentify import DeidentificationError, DeidentifyOptions, create_key, deidentify, find_text
from braintumor.deidentify.burnt import blank
from braintumor.deidentify.instance import ExclusionError, refuse_contours_of_the_face
from braintumor.domain import MRSequence, canonical
from braintumor.phantom.head import around
from braintumor.study import read_study
from tests.data import dciodvfy

OPTIONS = phantom.PhantomOptions(seed=7, spacing_mm=(3.0, 3.0, 3.0))


@pytest.fixture(scope="module")
def head():
    return phantom.make(OPTIONS)[0]


@pytest.fixture(scope="module")
def place(head, tmp_path_factory):
    """A study with a face, FLAIR as one enhanced multi-frame object, and segmentations of the face and of the brain."""
    folder = tmp_path_factory.mktemp("face")
    phantom.write_dicom(head, folder / "in", awkward={MRSequence.FLAIR: phantom.Awkward(multiframe=True)})
    images = [pydicom.dcmread(path) for path in sorted((folder / "in" / "1_t1").glob("*.dcm"))]
    order = canonical(read_study(folder / "in").series[MRSequence.T1].image.grid)
    for name, mask in (("face", face_of(head)[0]), ("brain", head.brain)):
        segmented(images, order.undo(mask).transpose(2, 1, 0)).save_as(folder / "in" / f"{name}.dcm")
    return folder


def segmented(images, mask):
    description = hd.seg.SegmentDescription(
        1, "Skin", codes.SCT.Tissue, codes.SCT.Skin, hd.seg.SegmentAlgorithmTypeValues.MANUAL
    )
    return hd.seg.Segmentation(
        images, mask.astype(np.uint8), hd.seg.SegmentationTypeValues.BINARY, [description], hd.UID(), 90, hd.UID(), 1,
        "braintumor", "braintumor", "1", "1"
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(place):
    return deidentify(place / "in", place / "out", create_key(place / "key"))


def volume(folder, sequence):
    image = read_study(folder).series[sequence].image
    return canonical(image.grid).apply(image.voxels)


def face_of(head):
    """Voxels of the skin of the face, and of the eyes, on the visit's grid."""
    shape = head.brain.shape
    layers = around(head.scene.brain, OPTIONS.seed)
    skin, eyes = np.zeros(shape, bool), np.zeros(shape, bool)
    skin.ravel()[layers.where[layers.depth < 5]] = True
    eyes.ravel()[layers.where[layers.eye < 9]] = True
    points = head.truth.grid.to_world(np.moveaxis(np.indices(shape), 0, -1))
    return skin & (points[..., 1] < -60) & (points[..., 2] < -20), eyes


@pytest.mark.parametrize("sequence", list(MRSequence))
def test_the_face_is_gone_and_the_brain_is_as_it_was(head, place, report, sequence):
    before, after = volume(place / "in", sequence), volume(report.folder, sequence)
    assert (after[head.brain] == before[head.brain]).all()
    face, eyes = face_of(head)
    tissue = before > 0.1 * np.percentile(before, 99)
    assert (after[face & tissue] == after.min()).mean() > 0.95
    assert (after[eyes & tissue] == after.min()).mean() > 0.5  # the rest lies within the margin around the brain
    back = head.truth.grid.to_world(np.moveaxis(np.indices(head.brain.shape), 0, -1))[..., 2] > 60
    assert (after[back] == before[back]).all()  # vault and scalp stay


def test_the_proof_is_in_the_report(report):
    assert len(report.proofs) == 4
    for proof in report.proofs.values():
        assert proof.untouched is True
        assert proof.face == "removed"
        assert proof.removed_voxels == proof.head_voxels > 1000
        assert proof.slices == 64
    assert report.written == {"MR Image Storage": 192, "Enhanced MR Image Storage": 1, "Segmentation Storage": 1}


def test_the_enhanced_object_stays_valid(place, report):
    def enhanced(folder):
        for path in sorted(folder.rglob("*.dcm")):
            if "NumberOfFrames" in pydicom.dcmread(path, stop_before_pixels=True):
                return path
        raise AssertionError("no multi-frame object")

    assert set(dciodvfy(enhanced(report.folder))) <= set(dciodvfy(enhanced(place / "in")))


def test_segments_of_the_face_stay(report):
    assert [(e.kind, e.reason) for e in report.excluded] == [("Segmentation Storage", "a segment reaches into the face")]
    assert report.written["Segmentation Storage"] == 1  # that of the brain


class _Plane:
    """A region below z = 0."""

    def erases(self, points):
        return points[..., 2] < 0


@pytest.mark.parametrize(("depth", "refused"), [("-5", True), ("5", False)])
def test_contours_of_the_face_stay(depth, refused):
    dataset, roi, contour = Dataset(), Dataset(), Dataset()
    contour.ContourData = ["0", "0", depth, "1", "1", depth]
    roi.ContourSequence = [contour]
    dataset.ROIContourSequence = [roi]
    if refused:
        with pytest.raises(ExclusionError, match="contour"):
            refuse_contours_of_the_face(dataset, _Plane())
    else:
        refuse_contours_of_the_face(dataset, _Plane())


def test_without_a_brain_nothing_leaves_unless_asked(place, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    rng = np.random.default_rng(0)
    for path in sorted((place / "in" / "1_t1").glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = rng.integers(0, 200, (dataset.Rows, dataset.Columns)).astype(np.uint16).tobytes()
        dataset.save_as(source / path.name)
    with pytest.raises(DeidentificationError, match="brain outline"):
        deidentify(source, tmp_path / "out", create_key(tmp_path / "key"))
    assert not (tmp_path / "out").exists()
    report = deidentify(source, tmp_path / "out", create_key(tmp_path / "key2"), options=DeidentifyOptions(deface=False))
    assert [proof.face for proof in report.proofs.values()] == ["not asked"]


def large_slice(head, level=None):
    """A slice of the phantom at the size of a real one, and the brightness of text."""
    voxels = head.images[MRSequence.T2].voxels[:, :, 36].T
    values = np.asarray(Image.fromarray(voxels.astype(np.float32)).resize((256, 256), Image.Resampling.BILINEAR))
    return values.astype(np.uint16), float(values.max()) * (level or 1.0)


def burn(values, words, size, spot, level):
    """White letters, anti-aliased; also which pixels they are."""
    layer = Image.new("L", values.shape[::-1])
    ImageDraw.Draw(layer).text(spot, words, fill=255, font=ImageFont.load_default(size))
    strokes = np.asarray(layer, np.float32) / 255
    return (values * (1 - strokes) + level * strokes).astype(values.dtype), strokes > 0.3


@pytest.mark.parametrize("level", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("size", [10, 12, 16, 24])
def test_text_in_a_corner_is_found_and_blanked_whole(head, size, level):
    values, white = large_slice(head, level)
    burnt, strokes = burn(values, "DOE^JO 61", size, (3, 3), white)
    found = find_text(burnt)
    assert found.boxes or found.on_head
    if not found.on_head:
        blank(burnt, found.boxes, 0)
        assert not burnt[strokes].any()
        assert (burnt[128:] == values[128:]).all()


def test_large_text_on_the_head_is_found(head):
    values, white = large_slice(head, 1.5)
    assert find_text(burn(values, "DOE^JO 1961", 24, (60, 110), white)[0]).on_head


def test_clean_slices_raise_no_alarm(head):
    for image in head.images.values():
        for k in range(image.voxels.shape[2]):
            found = find_text(image.voxels[:, :, k].T.astype(np.uint16))
            assert (found.boxes, found.on_head) == ((), False)
    assert find_text(np.zeros((64, 64), np.uint16)).boxes == ()


def test_text_is_blanked_on_the_way_out(head, place, tmp_path):
    source = tmp_path / "in"
    values, white = large_slice(head)
    template = pydicom.dcmread(sorted((place / "in" / "2_t2").glob("*.dcm"))[36])
    burnt, strokes = burn(values, "DOE JOHN", 14, (3, 3), white)
    template.Rows, template.Columns = burnt.shape
    template.PixelData = burnt.tobytes()
    source.mkdir()
    template.save_as(source / "one.dcm")
    report = deidentify(source, tmp_path / "out", create_key(tmp_path / "key"), options=DeidentifyOptions(deface=False))
    (written,) = report.folder.rglob("*.dcm")
    after = pydicom.dcmread(written)
    assert not after.pixel_array[strokes].any()
    assert after.BurnedInAnnotation == "NO"
    (proof,) = report.proofs.values()
    assert (proof.text_slices, proof.text_pixels > 50) == (1, True)


@pytest.mark.realdata
@pytest.mark.campaign
def test_a_real_head(raw_case, tmp_path):
    phantom.case_to_dicom(raw_case, tmp_path / "in")
    report = deidentify(tmp_path / "in", tmp_path / "out", create_key(tmp_path / "key"))
    for proof in report.proofs.values():
        assert proof.untouched is True
        assert proof.removed_voxels == proof.head_voxels > 50_000
        assert proof.text_slices == 0
    before, after = read_study(tmp_path / "in"), read_study(tmp_path / "out")
    assert {s: v.evidence.confidence for s, v in before.series.items()} == {
        s: v.evidence.confidence for s, v in after.series.items()
    }
