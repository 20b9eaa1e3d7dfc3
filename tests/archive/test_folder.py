"""A folder as people have them: any names, any transfer syntax, files coming and going, disks filling up."""

from __future__ import annotations

import builtins
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from braintumor.archive import FolderClient, open_store
from braintumor.archive.cache import FolderCache
from braintumor.archive.folder import index
from braintumor.domain import ArchiveError, CorruptFileError, InputNotFoundError, MRSequence, OutputError, UnknownStudyError
from braintumor.phantom.dicom import Awkward, write_series
from tests.archive.conftest import MakeSeg, Visit, folder_archive
from tests.study.conftest import head

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless]


@pytest.fixture(autouse=True)
def always_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FRESH_S", 0.0)


@pytest.fixture
def root(tmp_path: Path, visit: Visit) -> Path:
    local = folder_archive(tmp_path / "Studien für später #1?", tmp_path / "cache")
    local.add(visit.files)
    return Path(local.location)


@pytest.fixture
def client(root: Path) -> FolderClient:
    return FolderClient(root)


def first(root: Path) -> Path:
    return min(path for path in root.rglob("*.dcm"))


def pixels(client: FolderClient, path: Path, *, decompress: bool) -> np.ndarray:
    header = pydicom.dcmread(path)
    frames = client.frames(header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID, [1], decompress=decompress)
    return np.frombuffer(frames.data[0], np.uint16)[: header.Rows * header.Columns].reshape(header.Rows, header.Columns)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("multiframe", [False, True])
def test_frames_of_every_transfer_syntax(tmp_path: Path, visit: Visit, syntax: pydicom.uid.UID, multiframe: bool) -> None:
    how = Awkward(transfer_syntax=syntax, multiframe=multiframe)
    files = write_series(head(MRSequence.T2), tmp_path / "s", visit.header, MRSequence.T2, series_number=7, awkward=how)
    client = FolderClient(tmp_path)
    source = pydicom.dcmread(files[0])
    uids = (source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID)
    last = int(source.get("NumberOfFrames", 1))

    plain = client.frames(*uids, [last], decompress=True)

    assert (plain.media_type, plain.syntax) == ("application/octet-stream", ExplicitVRLittleEndian)
    expected = source.pixel_array[last - 1] if multiframe else source.pixel_array
    np.testing.assert_array_equal(np.frombuffer(plain.data[0], np.uint16).reshape(expected.shape), expected)
    if syntax.is_encapsulated:
        stored = client.frames(*uids, [last])
        assert stored.syntax == syntax
        assert stored.media_type.startswith("image/")
        assert len(stored.data[0]) < len(plain.data[0])


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda syntax: syntax.name)
def test_frames_of_the_odd_transfer_syntaxes(root: Path, client: FolderClient, syntax: pydicom.uid.UID) -> None:
    path = first(root)
    dataset = pydicom.dcmread(path)
    expected = dataset.pixel_array.copy()
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = dataset.pixel_array.byteswap().tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    np.testing.assert_array_equal(pixels(client, path, decompress=False), expected)


def test_bits_of_a_segmentation_that_end_within_a_byte(root: Path, client: FolderClient, make: MakeSeg) -> None:
    dataset = make()
    dataset.Rows, dataset.Columns = 5, 7  # 35 bits: frames begin within bytes
    bits = np.random.default_rng(3).integers(0, 2, (int(dataset.NumberOfFrames), 35)).astype(np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    dataset.PixelData = packed + bytes(len(packed) % 2)
    client.store_instances([dataset])
    frames = client.frames(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID, [2, 9])
    for frame, number in zip(frames.data, (2, 9), strict=True):
        assert len(frame) == 5
        np.testing.assert_array_equal(np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")[:35], bits[number - 1])


@pytest.mark.parametrize("numbers", [[0], [2], [1, 2], []])
def test_frame_that_is_not_there(client: FolderClient, visit: Visit, numbers: list[int]) -> None:
    facts = client.files(visit.uid)[0]
    with pytest.raises(InputNotFoundError, match="1 frames"):
        client.frames(facts.study, facts.series, facts.uid, numbers)


def test_pixels_that_end_early(root: Path, client: FolderClient) -> None:
    path = first(root)
    path.write_bytes(path.read_bytes()[:-100])
    header = pydicom.dcmread(path, stop_before_pixels=True)
    with pytest.raises(CorruptFileError, match="truncated"):
        client.frames(header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID, [1])


def test_what_is_no_study_is_passed_over(root: Path, client: FolderClient, visit: Visit) -> None:
    (root / "notes.txt").write_text("not DICOM")
    (root / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (root / "empty.dcm").touch()
    hidden = root / ".cache"
    hidden.mkdir()
    shutil.copy(first(root), hidden / "copy.dcm")
    (root / "round").symlink_to(root)  # a link in a circle
    (root / "dangling.dcm").symlink_to(root / "nowhere")
    assert len(client.files(visit.uid)) == len(visit.files)


def test_deleted_files_are_forgotten_and_changed_ones_read_again(root: Path, client: FolderClient, visit: Visit) -> None:
    assert len(client.files(visit.uid)) == 20
    path = first(root)
    dataset = pydicom.dcmread(path)
    dataset.SeriesDescription = "changed"
    dataset.save_as(path)
    described = {answer.get("0008103E", {}).get("Value", [""])[0] for answer in client.search_for_series(visit.uid)}
    assert "changed" in described
    path.unlink()
    assert len(client.files(visit.uid)) == 19
    shutil.rmtree(path.parent)
    with pytest.raises(UnknownStudyError):
        client.files(visit.uid)


def test_folder_is_left_as_it_is(root: Path, client: FolderClient, visit: Visit) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    client.search_for_studies()
    client.metadata("http://x", visit.uid)
    client.files(visit.uid)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_metadata_is_what_pydicom_says(root: Path, client: FolderClient, visit: Visit, make: MakeSeg) -> None:
    client.store_instances([make()])
    shown = json.loads(client.metadata("https://here/dicom-web", visit.uid))
    assert len(shown) == 21
    sources = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID: path for path in root.rglob("*.dcm")}
    for instance in shown:
        source = pydicom.dcmread(sources[instance["00080018"]["Value"][0]], stop_before_pixels=True)
        expected = source.to_json_dict()
        expected["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
        where = instance.pop("7FE00010")["BulkDataURI"]
        assert where.startswith(f"https://here/dicom-web/studies/{visit.uid}/series/{source.SeriesInstanceUID}/instances/")
        assert instance == expected


def test_long_binary_values_and_bad_values(root: Path, client: FolderClient, visit: Visit) -> None:
    path = first(root)
    dataset = pydicom.dcmread(path)
    block = dataset.private_block(0x0029, "BRAINTUMOR TEST", create=True)
    block.add_new(0x10, "OB", b"\x01\x02" * 2000)
    item = pydicom.Dataset()
    item.add_new(0x00091010, "OB", b"\x07" * 3000)
    dataset.ReferencedImageSequence = [pydicom.Dataset(), item]
    dataset.add_new(0x00181030, "LO", "urn:uuid")
    dataset._dict[pydicom.tag.Tag(0x00180080)] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(0x00180080), "DS", 4, b"abc ", 0, False, True
    )
    dataset.save_as(path)
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    (shown,) = json.loads(client.metadata("http://here", *uids))
    assert shown["00180080"] == {"vr": "DS"}
    private, nested = shown["00291010"]["BulkDataURI"], shown["00081140"]["Value"][1]["00091010"]["BulkDataURI"]
    assert client.bulk(*uids, private.partition("/bulkdata/")[2]) == b"\x01\x02" * 2000
    assert client.bulk(*uids, nested.partition("/bulkdata/")[2]) == b"\x07" * 3000
    for wrong in ("00291099", "x", "", "00081140/9/00091010", "00081140/0/0/0", "00100010", "../../etc/passwd", "F" * 20):
        with pytest.raises(InputNotFoundError):
            client.bulk(*uids, wrong)


def uids_of(answers: list[dict[str, Any]], tag: str = "0020000D") -> set[str]:
    return {answer[tag]["Value"][0] for answer in answers}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, {"visit", "prior", "stranger"}),
        ({"PatientID": "SECRET-ID"}, {"visit", "prior"}),
        ({"00100020": "SECRET*"}, {"visit", "prior"}),
        ({"PatientName": "secret^na?e"}, {"visit", "prior", "stranger"}),
        ({"PatientName": "*name"}, {"visit", "prior", "stranger"}),
        ({"PatientName": "name"}, set()),
        ({"StudyDate": "20240531"}, {"visit"}),
        ({"StudyDate": "20240101-20240301"}, {"prior"}),
        ({"StudyDate": "20240301-"}, {"visit"}),
        ({"StudyDate": "-20240301"}, {"prior", "stranger"}),
        ({"ModalitiesInStudy": "SEG,MR"}, {"visit", "prior", "stranger"}),
        ({"ModalitiesInStudy": "CT"}, set()),
        ({"AccessionNumber": "*"}, {"visit", "prior", "stranger"}),
        ({"StudyDescription": "Visit [a-z]*"}, set()),
        ({"NoSuchKeyword": "x", "PatientID": ""}, {"visit", "prior", "stranger"}),
    ],
)
def test_search(tmp_path: Path, visit: Visit, prior: Visit, stranger: Visit, filters: dict[str, str], found: set[str]) -> None:
    for name, one in (("visit", visit), ("prior", prior), ("stranger", stranger)):
        shutil.copytree(one.files[0].parent, tmp_path / name)
    names = {visit.uid: "visit", prior.uid: "prior", stranger.uid: "stranger"}
    answers = FolderClient(tmp_path).search_for_studies(search_filters=filters)
    assert {names[uid] for uid in uids_of(answers)} == found


def test_pages_follow_each_other(tmp_path: Path, visit: Visit, prior: Visit, stranger: Visit) -> None:
    for number, one in enumerate((visit, prior, stranger)):
        shutil.copytree(one.files[0].parent, tmp_path / str(number))
    client = FolderClient(tmp_path)
    pages = [client.search_for_studies(limit=1, offset=n)[0]["0020000D"]["Value"][0] for n in range(3)]
    assert pages == [visit.uid, prior.uid, stranger.uid]
    assert client.search_for_studies(limit=5, offset=3) == []
    assert [a["00200013"]["Value"] for a in client.search_for_instances(visit.uid, limit=2, offset=1)] == [[2], [3]]


def test_place_of_a_stored_instance(root: Path, client: FolderClient, make: MakeSeg) -> None:
    dataset = make()
    client.store_instances([dataset])
    place = root / dataset.StudyInstanceUID / dataset.SeriesInstanceUID / f"{dataset.SOPInstanceUID}.dcm"
    assert pydicom.dcmread(place).PixelData == dataset.PixelData
    assert [p.name for p in root.iterdir() if p.name.startswith(".")] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_loses_nothing_and_leaves_nothing(
    root: Path, make: MakeSeg, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(root, cache=tmp_path / "cache")
    before = sorted(root.rglob("*"))
    real = Path.open

    def full(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if mode == "xb":
            return builtins.open("/dev/full", "wb")  # noqa: PTH123
        return real(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match="No space left"):
        store.store([make()])
    monkeypatch.undo()
    assert sorted(root.rglob("*")) == before
    assert store.labels(visit.uid) == ()
    store.store([make()])
    assert len(store.labels(visit.uid)) == 1


def test_truncated_instance_is_not_stored(root: Path, client: FolderClient) -> None:
    data = first(root).read_bytes()
    for bad in (data[:-100], data[:300], b"", b"\0" * 200):
        with pytest.raises(CorruptFileError):
            client.put([bad])


def test_what_a_killed_server_left_behind_is_removed(root: Path, visit: Visit) -> None:
    incoming = root / ".braintumor-incoming"
    incoming.mkdir()
    (incoming / "half.dcm").write_bytes(b"half")
    os.utime(incoming / "half.dcm", (0, 0))
    assert len(FolderClient(root).files(visit.uid)) == 20
    assert not incoming.exists()


def test_folder_that_does_not_exist_or_goes_away(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="does not exist"):
        open_store(tmp_path / "nowhere", cache=tmp_path / "cache")
    (tmp_path / "usb").mkdir()
    store = open_store(tmp_path / "usb", cache=tmp_path / "cache")
    (tmp_path / "usb").rmdir()
    with pytest.raises(ArchiveError, match="cannot be read"):
        store.studies()


@pytest.fixture
def filled(tmp_path: Path) -> FolderCache:
    return FolderCache(tmp_path / "cache", most_bytes=2500, spare_s=60)


def test_cache_drops_the_least_recently_used(filled: FolderCache) -> None:
    def fill(folder: Path) -> None:
        (folder / "x").write_bytes(bytes(1000))

    a, b = filled.get("a", fill), filled.get("b", fill)
    os.utime(a, (1000, 1000))
    os.utime(b, (500, 500))
    c = filled.get("c", fill)
    assert (a.exists(), b.exists(), c.exists()) == (True, False, True)
    d = filled.get("d", fill)  # c was used just now, a long ago
    assert (a.exists(), c.exists(), d.exists()) == (False, True, True)


def test_cache_keeps_nothing_of_a_failed_fill(filled: FolderCache, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "x").write_bytes(b"half")
        raise ArchiveError("half", remedy="again")

    with pytest.raises(ArchiveError):
        filled.get("a", fail)
    assert list((tmp_path / "cache").iterdir()) == []
