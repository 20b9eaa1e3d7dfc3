"""The DICOM door with real senders: DCMTK's storescu and pynetdicom, with TLS, at once, and killed."""

from __future__ import annotations

import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, build_context

from braintumor.domain import SettingsError
from braintumor.node.receive.dimse import StorageService
from braintumor.node.settings import Dicom, Tls
from braintumor.node.spool import Spool
from tests.data import ROOT, dciodvfy
from tests.node.receive_peers import (
    CT,
    MR,
    TITLE,
    changed,
    copies,
    dcmtk,
    eventually,
    free_port,
    receiving,
    send,
    send_echo,
    series,
    storescu,
    threads_of,
)


def test_echo(tmp_path: Path) -> None:
    with receiving(tmp_path) as node:
        assert dcmtk("echoscu", "-aec", TITLE, "127.0.0.1", node.port).returncode == 0


def test_a_series_is_kept_as_it_was_sent(tmp_path: Path, files: list[Path]) -> None:
    with receiving(tmp_path) as node:
        assert storescu(node.port, files)[0] == 0

    assert len(node.kept) == len(node.arrivals) == node.counts["new"] == len(files)
    assert node.nothing_unfinished
    sent = {pydicom.dcmread(path).SOPInstanceUID: pydicom.dcmread(path) for path in files}
    for path in node.kept:
        kept = pydicom.dcmread(path)
        assert kept == sent[kept.SOPInstanceUID]
        assert (kept.file_meta.MediaStorageSOPClassUID, kept.file_meta.MediaStorageSOPInstanceUID) == (
            kept.SOPClassUID,
            kept.SOPInstanceUID,
        )
        assert kept.SOPInstanceUID not in path.name
    assert dciodvfy(node.kept[0]) == dciodvfy(files[0])
    arrival = node.arrivals[0]
    assert (arrival.calling, arrival.modality, arrival.study_uid) == (
        "SENDER",
        "MR",
        next(iter(sent.values())).StudyInstanceUID,
    )


@pytest.mark.parametrize(
    ("tool", "option", "syntax"),
    [
        (("dcmcjpeg",), "-xs", "1.2.840.10008.1.2.4.70"),
        (("dcmcjpls",), "-xt", JPEGLSLossless),
        (("dcmcrle",), "-xr", RLELossless),
        (("dcmconv", "+ti"), "-xi", ImplicitVRLittleEndian),
        (("dcmconv", "+tb"), "-xb", ExplicitVRBigEndian),
        (("dcmconv", "+td"), "-xd", DeflatedExplicitVRLittleEndian),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_transfer_syntaxes_stay_and_a_repeat_in_another_is_the_same(
    tmp_path: Path, files: list[Path], tool: tuple[str, ...], option: str, syntax: str
) -> None:
    other = tmp_path / "other.dcm"
    made = dcmtk(*tool, files[0], other)
    assert made.returncode == 0, made.stderr
    with receiving(tmp_path / "node") as node:
        assert storescu(node.port, [other], option)[0] == 0
        assert storescu(node.port, [files[0]])[0] == 0

    assert (len(node.kept), node.counts["new"], node.counts["same"]) == (1, 1, 1)
    kept = pydicom.dcmread(node.kept[0])
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert (kept.pixel_array == pydicom.dcmread(files[0]).pixel_array).all()


def test_jpeg_2000(tmp_path: Path) -> None:
    compressed = series(tmp_path / "j2k", transfer_syntax=JPEG2000Lossless)
    with receiving(tmp_path / "node") as node:
        assert storescu(node.port, compressed[:2], "-xv")[0] == 0
    assert pydicom.dcmread(node.kept[0]).file_meta.TransferSyntaxUID == JPEG2000Lossless


def test_what_cannot_be_read_is_refused_when_it_is_negotiated(tmp_path: Path) -> None:
    with receiving(tmp_path) as node:
        contexts = [build_context(MR, MPEG2MPML), build_context(CT), build_context(MR)]
        association = AE().associate("127.0.0.1", node.port, contexts, ae_title=TITLE)
        refused = {(c.abstract_syntax, c.result) for c in association.rejected_contexts}
        accepted = [c.abstract_syntax for c in association.accepted_contexts]
        association.release()
    assert refused == {(MR, 4), (CT, 3)}  # PS3.8 table 9-18: transfer syntaxes, abstract syntax not supported
    assert accepted == [MR]


@pytest.mark.parametrize(
    ("settings", "titles", "reason"),
    [
        ({}, {"called": "OTHER"}, "called-ae-title"),
        ({"calling": ("SCANNER",)}, {"calling": "SENDER"}, "calling-ae-title"),
    ],
)
def test_wrong_ae_titles_are_rejected(
    tmp_path: Path, files: list[Path], settings: dict[str, Any], titles: dict[str, str], reason: str
) -> None:
    with receiving(tmp_path, **settings) as node:
        status, output = storescu(node.port, files[:1], **titles)
    assert status != 0
    assert "Rejected" in output
    assert node.counts == {reason: 1}
    assert not node.kept


def test_a_listed_sender_may_send(tmp_path: Path, files: list[Path]) -> None:
    with receiving(tmp_path, calling=("SCANNER", "SENDER")) as node:
        assert storescu(node.port, files[:1])[0] == 0


def test_more_associations_than_allowed_are_rejected_until_one_ends(tmp_path: Path) -> None:
    with receiving(tmp_path, associations=1) as node:
        first = AE().associate("127.0.0.1", node.port, [build_context(MR)], ae_title=TITLE)
        second = AE().associate("127.0.0.1", node.port, [build_context(MR)], ae_title=TITLE)
        assert (first.is_established, second.is_rejected) == (True, True)
        first.release()
        assert eventually(lambda: send_echo(node.port))


def test_a_repeat_is_a_success_and_other_content_a_conflict(tmp_path: Path, files: list[Path]) -> None:
    original, other = changed(files[0]), changed(files[0], ImageComments="altered")
    with receiving(tmp_path) as node:
        assert send(node.port, [original, original, other, original]) == [0x0000, 0x0000, 0xC111, 0x0000]
    assert len(node.kept) == 1
    assert pydicom.dcmread(node.kept[0]).ImageComments != "altered"
    aside = list(node.spool.state.rglob("conflicts/*.dcm"))
    assert [pydicom.dcmread(path).ImageComments for path in aside] == ["altered"]
    assert node.counts == {"new": 1, "same": 2, "conflict": 1}


def test_corrupt_and_contradicting_data_sets(tmp_path: Path, files: list[Path]) -> None:
    """Sent as raw bytes, as no library would."""
    whole = pydicom.dcmread(files[0])
    stream = files[0].read_bytes()
    data = stream[144 + struct.unpack_from("<I", stream, 140)[0] :]
    uid = whole.SOPInstanceUID
    other_uid = uid[:-1] + ("1" if uid[-1] != "1" else "2")
    cases = {
        data[: len(data) // 2]: 0xC001,
        data[:20]: 0xC000,
        b"\x00\xff" * 300: 0xC000,
        data.replace(uid.encode(), other_uid.encode(), 1): 0xA900,
        data.replace(b"1.2.840.10008.5.1.4.1.1.4\0", b"1.2.840.10008.5.1.4.1.1.2\0", 1): 0x0122,
        data: 0x0000,
    }
    with receiving(tmp_path) as node:
        association = AE().associate("127.0.0.1", node.port, [build_context(MR)], ae_title=TITLE)
        statuses = [raw_store(association, MR, whole.SOPInstanceUID, dataset) for dataset in cases]
        association.release()
    assert statuses[1:] == list(cases.values())[1:]
    assert statuses[0] in (0xC000, 0xC001)
    assert len(node.kept) == 1
    assert node.nothing_unfinished


def raw_store(association: Any, class_uid: str, sop_uid: str, data: bytes) -> int:
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = class_uid, sop_uid
    request.DataSet = BytesIO(data)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(response.Status)


def test_no_space_is_said_before_anything_is_written(tmp_path: Path, files: list[Path]) -> None:
    with receiving(tmp_path, free_mb=10**9) as node:
        assert send(node.port, [changed(files[0])]) == [0xA700]
    assert not node.kept
    assert node.counts == {"out-of-space": 1}


def test_an_error_nobody_foresaw_is_a_failure_and_the_service_lives(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving(tmp_path) as node:
        with monkeypatch.context() as broken:
            broken.setattr(node.spool, "keep", lambda *_: 1 / 0)
            assert send(node.port, [changed(files[0])]) == [0xC211]
        assert send(node.port, [changed(files[0])]) == [0x0000]
    assert "intake-failed" in caplog.messages


def test_logs_name_no_patient_and_no_uid(tmp_path: Path, files: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving(tmp_path) as node:
        send(
            node.port,
            [changed(files[0]), changed(files[0], ImageComments="altered"), changed(files[1], Modality="SECRET" * 20)],
        )
    header = pydicom.dcmread(files[0])
    told = " ".join(
        f"{record.getMessage()} {record.__dict__.get('facts')}" for record in caplog.records if "braintumor" in record.name
    )
    assert "conflict" in told
    everything = " ".join(record.getMessage() for record in caplog.records) + told
    for secret in ("SECRET", "Secret", str(header.SOPInstanceUID), str(header.StudyInstanceUID)):
        assert secret not in everything


def test_two_senders_at_once(tmp_path: Path, files: list[Path]) -> None:
    others = series(tmp_path / "others", "second study")
    outcomes: list[int] = []
    with receiving(tmp_path / "node") as node:
        threads = [
            threading.Thread(target=lambda f=f: outcomes.append(storescu(node.port, f)[0])) for f in (files, others, files)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == [0, 0, 0]
    assert len(node.kept) == len(files) + len(others)
    assert node.counts == {"new": len(files) + len(others), "same": len(files)}


@pytest.mark.campaign
def test_what_was_acknowledged_survives_the_kill_of_the_node(tmp_path: Path, files: list[Path]) -> None:
    many = copies(files[5], tmp_path / "many", 300)
    port = free_port()
    program = (
        "import sys, time; from pathlib import Path; from braintumor.node.receive.dimse import StorageService;"
        "from braintumor.node.settings import Dicom; from braintumor.node.spool import Spool;"
        f"s = StorageService(Dicom(ae_title='{TITLE}', port={port}), Spool(Path(sys.argv[1])), lambda a: None);"
        "s.start(); print('ready', flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'lib'}"}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "node")], stdout=subprocess.PIPE, env=environment, cwd=ROOT
    ) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == b"ready\n"
        acknowledged = []
        sender = AE()
        sender.dimse_timeout = 2.0
        association = sender.associate("127.0.0.1", port, [build_context(MR)], ae_title=TITLE)
        for number, path in enumerate(many):
            status = association.send_c_store(path) if association.is_established else pydicom.Dataset()
            if status.get("Status") == 0x0000:
                acknowledged.append(pydicom.dcmread(path).SOPInstanceUID)
            if number == 60:
                threading.Thread(target=lambda: node.send_signal(signal.SIGKILL)).start()
            if not association.is_established:
                break
        node.wait(20)
        association.abort()
    spool = Spool(tmp_path / "node")
    found = spool.find(acknowledged)
    assert 60 < len(acknowledged) < len(many)
    assert set(found) == set(acknowledged)
    assert all(pydicom.dcmread(path).pixel_array.any() for path in found.values())


def certificate(folder: Path, name: str, ca: Path | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    signed = [] if ca is None else ["-CA", str(ca), "-CAkey", str(ca.with_suffix(".key"))]
    command_line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subject = ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*command_line, *subject, *signed], check=True, capture_output=True)
    return pem


def test_tls_with_certificates_on_both_sides(tmp_path: Path, files: list[Path]) -> None:
    ca = certificate(tmp_path / "tls", "ca")
    own, peer = certificate(tmp_path / "tls", "node", ca), certificate(tmp_path / "tls", "peer", ca)
    stranger = certificate(tmp_path / "tls", "stranger")
    tls = Tls(certificate=own, key=own.with_suffix(".key"), ca=ca)
    with receiving(tmp_path / "node", tls=tls, patience_s=5.0) as node, socket.create_connection(("127.0.0.1", node.port)):
        # the open connection never begins its handshake, and must not hold up the others
        trusted = ("+cf", str(ca))
        good = storescu(node.port, files[:1], "+tls", str(peer.with_suffix(".key")), str(peer), *trusted)
        assert good[0] == 0, good[1]
        assert storescu(node.port, files[:1], "+tls", str(stranger.with_suffix(".key")), str(stranger), *trusted)[0] != 0
        assert storescu(node.port, files[:1], "+tla", *trusted)[0] != 0  # anonymous
        assert storescu(node.port, files[:1])[0] != 0  # not encrypted
    assert node.counts == {"new": 1}


def test_wrong_certificates_and_taken_ports_are_settings_errors(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    spool = Spool(tmp_path / "node")
    tls = Tls(certificate=broken, key=broken)
    with pytest.raises(SettingsError, match="cannot be used"):
        StorageService(Dicom(port=free_port(), tls=tls), spool, lambda arrival: None).start()
    with receiving(tmp_path / "other") as node, pytest.raises(SettingsError, match="cannot listen"):
        StorageService(Dicom(port=node.port), spool, lambda arrival: None).start()


def test_a_stopped_service_leaves_no_thread_and_can_be_started_again(tmp_path: Path, files: list[Path]) -> None:
    with receiving(tmp_path) as node:
        association = AE().associate("127.0.0.1", node.port, [build_context(MR)], ae_title=TITLE)
        assert node.service is not None
        node.service.stop()
        assert not node.service.running
        assert eventually(lambda: not threads_of("AcceptorThread"))
        association.abort()
        node.service.start()
        assert storescu(node.port, files[:1])[0] == 0


@pytest.mark.campaign
def test_memory_does_not_grow_with_the_instances_of_one_association(tmp_path: Path, files: list[Path]) -> None:
    import psutil

    many = copies(files[0], tmp_path / "many", 1_000)
    process = psutil.Process()
    with receiving(tmp_path / "node") as node:
        before = process.memory_info().rss
        assert storescu(node.port, many)[0] == 0
        grown = process.memory_info().rss - before
    assert len(node.kept) == 1_000
    assert grown < 30e6  # python -m benchmarks.receiving --instances 10000 --kilobytes 2
