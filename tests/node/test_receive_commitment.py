"""Storage Commitment (PS3.4 J) with real requestors: pynetdicom on one or two associations, and Orthanc."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from braintumor.node.receive.commitment import Peer
from tests.node.receive_peers import TITLE, free_port, receiving, storescu

MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
REQUESTOR = "SCANNER"


class Answers:
    """What a requestor hears."""

    def __init__(self) -> None:
        self.events: list[tuple[int, Dataset]] = []
        self._come = threading.Event()

    def handle(self, event: evt.Event) -> tuple[int, None]:
        self.events.append((event.request.EventTypeID, event.event_information))
        self._come.set()
        return 0x0000, None

    def one(self) -> tuple[int, Dataset]:
        assert self._come.wait(15), "no answer came"
        return self.events[0]


def action(references: list[tuple[str, str]], transaction: str = "1.2.3.4") -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = []
    for class_uid, sop_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = class_uid, sop_uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def association_to(port: int, answers: Answers | None = None) -> Any:
    handlers = [] if answers is None else [(evt.EVT_N_EVENT_REPORT, answers.handle)]
    contexts = [build_context(StorageCommitmentPushModel)]
    found = AE(REQUESTOR).associate("127.0.0.1", port, contexts, ae_title=TITLE, evt_handlers=handlers)
    assert found.is_established
    return found


def ask(association: Any, asked: Dataset, kind: int = 1, instance: str = StorageCommitmentPushModelInstance) -> int:
    status, _ = association.send_n_action(asked, kind, StorageCommitmentPushModel, instance)
    return int(status.Status)


def references(files: list[Path]) -> list[tuple[str, str]]:
    return [(d.SOPClassUID, d.SOPInstanceUID) for d in map(pydicom.dcmread, files)]


def test_the_answer_comes_on_the_same_association(tmp_path: Path, files: list[Path]) -> None:
    answers = Answers()
    with receiving(tmp_path) as node:
        storescu(node.port, files)
        association = association_to(node.port, answers)
        assert ask(association, action(references(files))) == 0x0000
        kind, answer = answers.one()
        association.release()
    assert (kind, answer.TransactionUID) == (1, "1.2.3.4")
    assert {i.ReferencedSOPInstanceUID for i in answer.ReferencedSOPSequence} == {uid for _, uid in references(files)}
    assert "FailedSOPSequence" not in answer
    assert node.committed == [pydicom.dcmread(files[0]).StudyInstanceUID]


def test_what_is_missing_is_said_instance_by_instance(tmp_path: Path, files: list[Path]) -> None:
    answers = Answers()
    (_, kept), (_, unsent) = references(files[:2])
    with receiving(tmp_path) as node:
        storescu(node.port, files[:1])
        damaged = storescu(node.port, files[2:3])[0] == 0 and node.spool.find([references(files)[2][1]])
        assert damaged
        next(iter(damaged.values())).write_bytes(b"lost")
        association = association_to(node.port, answers)
        asked = [(MR, kept), (MR, unsent), (CT, generate_uid()), (CT, kept), references(files)[2]]
        assert ask(association, action(asked)) == 0x0000
        kind, answer = answers.one()
        association.release()
    assert kind == 2
    assert [i.ReferencedSOPInstanceUID for i in answer.ReferencedSOPSequence] == [kept]
    assert [i.FailureReason for i in answer.FailedSOPSequence] == [0x0112, 0x0122, 0x0119, 0x0110]


@contextmanager
def listening(answers: Answers) -> Iterator[int]:
    entity = AE(REQUESTOR)
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    port = free_port()
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, answers.handle)])
    try:
        yield port
    finally:
        server.shutdown()


def test_a_requestor_that_has_left_hears_at_its_own_address(tmp_path: Path, files: list[Path]) -> None:
    answers = Answers()
    with listening(answers) as port, receiving(tmp_path, peers={REQUESTOR: Peer("127.0.0.1", port)}) as node:
        storescu(node.port, files)
        association = association_to(node.port)
        assert ask(association, action(references(files))) == 0x0000
        association.release()
        assert answers.one()[0] == 1


def test_an_address_where_nobody_listens_leaves_the_open_association(tmp_path: Path, files: list[Path]) -> None:
    answers = Answers()
    with receiving(tmp_path, peers={REQUESTOR: Peer("127.0.0.1", free_port())}) as node:
        association = association_to(node.port, answers)
        assert ask(association, action(references(files))) == 0x0000
        assert answers.one()[0] == 2
        association.release()


def test_a_requestor_that_left_and_is_not_known_still_completes_its_study(tmp_path: Path, files: list[Path]) -> None:
    with receiving(tmp_path) as node:
        storescu(node.port, files)
        association = association_to(node.port)
        ask(association, action(references(files)))
        association.release()
        deadline = time.monotonic() + 15
        while not node.committed and time.monotonic() < deadline:
            time.sleep(0.02)
    assert len(node.committed) == 1


def unreferenced() -> Dataset:
    asked = action([])
    del asked.ReferencedSOPSequence
    return asked


@pytest.mark.parametrize(
    ("asked", "kind", "instance", "status"),
    [
        (action([(MR, "1.2.3")]), 2, StorageCommitmentPushModelInstance, 0x0123),
        (action([(MR, "1.2.3")]), 1, "1.2.3", 0x0112),
        (unreferenced(), 1, StorageCommitmentPushModelInstance, 0x0115),
    ],
)
def test_wrong_requests_are_refused(tmp_path: Path, asked: Dataset, kind: int, instance: str, status: int) -> None:
    with receiving(tmp_path) as node:
        association = association_to(node.port)
        assert ask(association, asked, kind, instance) == status
        association.release()
    assert not node.committed


def test_orthanc_as_the_requestor(tmp_path: Path, files: list[Path]) -> None:
    """Sends a study and asks for commitment, as a PACS does; it takes the answer on its own port only."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if program is None:
        pytest.skip("Orthanc is not installed (Debian package orthanc)")
    dicom_port, http_port = free_port(), free_port()
    with receiving(tmp_path / "node", peers={"ORTHANC": Peer("127.0.0.1", dicom_port)}) as node:
        settings = {
            "StorageDirectory": str(tmp_path / "orthanc"),
            "IndexDirectory": str(tmp_path / "orthanc"),
            "HttpPort": http_port,
            "DicomPort": dicom_port,
            "DicomAet": "ORTHANC",
            "AuthenticationEnabled": False,
            "DicomModalities": {"node": {"AET": TITLE, "Host": "127.0.0.1", "Port": node.port, "AllowStorageCommitment": True}},
        }
        (tmp_path / "orthanc.json").write_text(json.dumps(settings))
        with subprocess.Popen([program, str(tmp_path / "orthanc.json")], stderr=subprocess.DEVNULL) as orthanc:
            try:
                wait_for(http_port)
                instances = [rest(http_port, "instances", path.read_bytes())["ID"] for path in files]
                sent = rest(
                    http_port, "modalities/node/store", json.dumps({"Resources": instances, "StorageCommitment": True}).encode()
                )
                transaction = sent["StorageCommitmentTransactionUID"]
                report: dict[str, Any] = {"Status": "Pending"}
                deadline = time.monotonic() + 30
                while report["Status"] == "Pending" and time.monotonic() < deadline:
                    time.sleep(0.1)
                    report = rest(http_port, f"storage-commitment/{transaction}")
            finally:
                orthanc.terminate()
    assert (report["Status"], len(report["Success"]), report["Failures"]) == ("Success", len(files), [])
    assert len(node.kept) == len(files)
    assert node.committed == [pydicom.dcmread(files[0]).StudyInstanceUID]


def rest(port: int, path: str, data: bytes | None = None) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", data, timeout=20) as answer:
        return json.load(answer)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            rest(port, "system")
        except OSError:
            assert time.monotonic() < deadline, "Orthanc does not answer"
            time.sleep(0.1)
        else:
            return
