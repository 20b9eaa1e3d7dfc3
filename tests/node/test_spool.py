"""The spool: durable before it answers, one file for each instance, and nothing half."""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from braintumor.domain import DuplicateInstanceError, OutputError
from braintumor.node import spool as spool_module
from braintumor.node.comparison import same_content
from braintumor.node.spool import Announced, IngestOutcome, Refusal, RefusalError, Spool
from tests.node.receive_peers import changed, copies, dcmtk, series


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "node")


def refusal(spool: Spool, content: bytes, announced: Announced | None = None) -> Refusal:
    with pytest.raises(RefusalError) as refused:
        spool.keep(content, "TEST", announced)
    return refused.value.reason


def test_an_instance_is_kept_once_and_found_by_its_uids(spool: Spool, files: list[Path]) -> None:
    content, header = files[0].read_bytes(), pydicom.dcmread(files[0])
    kept, arrival = spool.keep(content, "SCANNER")
    assert (kept, spool.keep(content, "SCANNER")[0]) == (IngestOutcome.NEW, IngestOutcome.SAME)
    path = spool.instances(spool.pseudonym(header.StudyInstanceUID)) / arrival.file
    assert path.read_bytes() == content
    assert header.SOPInstanceUID in spool.find([header.SOPInstanceUID])
    assert spool.find([header.SOPInstanceUID, "1.2.3"]) == {header.SOPInstanceUID: path}
    assert spool.recovered(path).sha256 == arrival.sha256
    assert (arrival.size, arrival.description, arrival.series_uid) == (
        len(content),
        header.SeriesDescription,
        header.SeriesInstanceUID,
    )
    assert [found for _, found in spool.kept()] == [path]


def test_no_name_on_the_disk_tells_a_uid(spool: Spool, files: list[Path]) -> None:
    header = pydicom.dcmread(files[0])
    spool.keep(files[0].read_bytes(), "SCANNER")
    names = " ".join(str(path.relative_to(spool.state)) for path in spool.state.rglob("*"))
    assert header.StudyInstanceUID not in names
    assert header.SOPInstanceUID not in names
    assert Spool(spool.state).pseudonym("1.2.3") == spool.pseudonym("1.2.3")
    assert Spool(spool.state.with_name("other")).pseudonym("1.2.3") != spool.pseudonym("1.2.3")


def test_other_content_under_a_uid_is_put_aside(spool: Spool, files: list[Path]) -> None:
    content = files[0].read_bytes()
    spool.keep(content, "SCANNER")
    for _ in range(2):  # a repeated conflict needs no second place
        with pytest.raises(DuplicateInstanceError) as error:
            spool.keep(changed(files[0], ImageComments="altered"), "SCANNER")
    assert len(list(spool.state.rglob("conflicts/*.dcm"))) == 1
    assert [path.read_bytes() for _, path in spool.kept()] == [content]
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.name,
)
def test_the_same_instance_in_another_transfer_syntax(tmp_path: Path, files: list[Path], syntax: pydicom.uid.UID) -> None:
    other = series(tmp_path / "other", transfer_syntax=syntax)
    assert same_content(files[0].read_bytes(), other[0].read_bytes())
    assert not same_content(files[0].read_bytes(), changed(other[0], ImageComments="altered"))
    assert not same_content(files[0].read_bytes(), files[1].read_bytes())


def test_pixels_and_private_attributes_count_and_damage_is_never_the_same(files: list[Path]) -> None:
    dataset = pydicom.dcmread(files[5])
    content = files[5].read_bytes()
    pixels = bytearray(dataset.PixelData)
    pixels[len(pixels) // 2] ^= 1
    assert not same_content(content, changed(files[5], PixelData=bytes(pixels)))
    assert not same_content(content, content[:-10])
    assert not same_content(b"", content)
    assert same_content(b"x", b"x")


def test_reasons_of_refusal(spool: Spool, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    content, header = files[0].read_bytes(), pydicom.dcmread(files[0])
    assert refusal(spool, b"") is refusal(spool, b"words" * 100) is Refusal.UNREADABLE
    assert refusal(spool, content[:-1]) is refusal(spool, content[: len(content) // 2]) is Refusal.INCOMPLETE
    assert refusal(spool, changed(files[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.2")) is Refusal.NOT_MR
    assert refusal(spool, changed(files[0], StudyInstanceUID="")) is Refusal.NO_UID
    uids = (header.SOPClassUID, header.SOPInstanceUID, header.StudyInstanceUID)
    for wrong in range(3):
        said = [uid if place != wrong else "1.2.3" for place, uid in enumerate(uids)]
        assert refusal(spool, content, Announced(*said)) is Refusal.MISMATCH
    monkeypatch.setattr(spool_module, "LARGEST_INSTANCE", 1000)
    assert refusal(spool, content) is Refusal.TOO_LARGE
    assert not list(spool.kept())
    assert not list((spool.state / "incoming").iterdir())


def test_a_compressed_instance_that_is_cut_is_refused(spool: Spool, tmp_path: Path) -> None:
    content = series(tmp_path / "jls", transfer_syntax=JPEGLSLossless)[5].read_bytes()
    assert refusal(spool, content[:-20]) is Refusal.UNREADABLE


def test_a_bomb_is_refused_before_it_is_unpacked(
    spool: Spool, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "LARGEST_INSTANCE", 10_000_000)
    assert dcmtk("dcmconv", "+td", files[0], tmp_path / "deflated.dcm").returncode == 0
    content = (tmp_path / "deflated.dcm").read_bytes()
    start = 144 + struct.unpack_from("<I", content, 140)[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(20_000_000)) + packer.flush()
    assert len(bomb) < 50_000
    assert refusal(spool, content[:start] + bomb) is Refusal.TOO_LARGE
    assert spool.keep(content, "TEST")[0] is IngestOutcome.NEW


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_and_nothing_else_happens(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    spool = Spool(tmp_path_factory.getbasetemp() / "any")
    for data in (content, bytes(128) + b"DICM" + content):
        with pytest.raises(RefusalError):
            spool.keep(data, "TEST")


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150)
@given(st.data())
def test_damaged_instances_are_kept_or_refused(tmp_path_factory: pytest.TempPathFactory, files: list[Path], data: Any) -> None:
    spool = Spool(tmp_path_factory.getbasetemp() / "damaged")
    content = bytearray(files[0].read_bytes())
    for place in data.draw(st.lists(st.integers(0, 1500), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        _, arrival = spool.keep(bytes(content), "TEST")
    except (RefusalError, DuplicateInstanceError):
        return
    assert (arrival.modality + arrival.description).isprintable()


def test_what_a_database_does_not_take_is_left_out(spool: Spool, files: list[Path]) -> None:
    _, arrival = spool.keep(changed(files[0], SeriesDescription="T1\0 post\x07"), "TEST")
    assert arrival.description == "T1 post"


def test_many_threads_with_the_same_and_other_instances(spool: Spool, files: list[Path], tmp_path: Path) -> None:
    contents = [path.read_bytes() for path in copies(files[0], tmp_path / "copies", 20)]
    outcomes: Counter[IngestOutcome] = Counter()
    start = threading.Barrier(4)

    def send() -> None:
        start.wait()
        outcomes.update([spool.keep(content, "TEST")[0] for content in contents])

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {IngestOutcome.NEW: 20, IngestOutcome.SAME: 60}
    assert sorted(path.read_bytes() for _, path in spool.kept()) == sorted(contents)
    assert not list((spool.state / "incoming").iterdir())


def test_a_disk_that_fills_up_leaves_nothing(spool: Spool, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    content = files[0].read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken, pytest.raises(OutputError, match="full"):
        broken.setattr(os, "fsync", full)
        spool.keep(content, "TEST")
    assert not list((spool.state / "incoming").iterdir())
    spool.keep(content, "TEST")  # and there is space again
    assert len(list(spool.kept())) == 1
    with pytest.raises(OutputError, match="almost full"):
        Spool(spool.state, free_mb=10**9).keep(content, "TEST")


def test_file_and_names_are_synced_before_keep_returns(
    spool: Spool, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def record(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", record)
    _, arrival = spool.keep(files[0].read_bytes(), "TEST")
    folder = spool.instances(spool.pseudonym(arrival.study_uid))
    assert synced[0] == folder.parents[1]
    assert synced[1] == folder.parent
    assert synced[2].parent == spool.state / "incoming"
    assert synced[3:] == [folder]
    synced.clear()
    Spool(spool.state).keep(files[0].read_bytes(), "TEST")  # another process, and nobody knows how far the first one came
    assert synced == [folder]


def test_what_a_killed_node_left_is_cleared(spool: Spool, files: list[Path]) -> None:
    spool.keep(files[0].read_bytes(), "TEST")
    (spool.state / "incoming" / "half").write_bytes(b"half")
    (spool.state / "incoming" / "removed-1").mkdir()
    (spool.state / "incoming" / "removed-1" / "x").write_bytes(b"x")
    assert spool.clear_incoming() == 2
    assert not list((spool.state / "incoming").iterdir())
    assert len(list(spool.kept())) == 1


def test_a_removed_study_can_come_again(spool: Spool, files: list[Path]) -> None:
    content = files[0].read_bytes()
    _, arrival = spool.keep(content, "TEST")
    pseudonym = spool.pseudonym(arrival.study_uid)
    Spool(spool.state).remove(pseudonym)  # by another process
    assert not spool.find([arrival.sop_uid])
    assert spool.keep(content, "TEST")[0] is IngestOutcome.NEW
    spool.remove(pseudonym)
    spool.remove(pseudonym)
    assert not spool.find([arrival.sop_uid])


def test_instances_of_many_studies_are_found_in_one_go(spool: Spool, files: list[Path]) -> None:
    uids = []
    for _ in range(5):
        uids.append(generate_uid())
        spool.keep(changed(files[0], StudyInstanceUID=generate_uid(), SOPInstanceUID=uids[-1]), "TEST")
    assert set(spool.find([*uids, "1.2.3"])) == set(uids)
    assert all(pydicom.dcmread(path).SOPInstanceUID == uid for uid, path in spool.find(uids).items())
