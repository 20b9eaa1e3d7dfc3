"""STOW-RS with a real client over a real server, and messages that no client should send."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from braintumor.node.receive import stow
from braintumor.node.spool import Arrival, Spool
from tests.archive.served import serving
from tests.node.receive_peers import changed

CT = "1.2.840.10008.5.1.4.1.1.2"
BOUNDARY = "7d1c"
TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


class Door:
    """A router on its own, and what it told."""

    def __init__(self, state: Path, free_mb: int = 0, token: str | None = None, limit: int = stow.LIMIT) -> None:
        self.spool, self.arrivals, self.counts = Spool(state, free_mb), list[Arrival](), Counter[str]()
        self.app = FastAPI()
        self.app.include_router(
            stow.router(self.spool, self.arrivals.append, lambda code: self.counts.update([str(code)]), token, limit)
        )
        self.client = TestClient(self.app)

    def post(self, body: bytes, study: str = "", kind: str = TYPE, **headers: str) -> Any:
        where = f"/dicom-web/studies/{study}" if study else "/dicom-web/studies"
        return self.client.post(where, content=body, headers={"Content-Type": kind, **headers})

    @property
    def kept(self) -> list[Path]:
        return [path for _, path in self.spool.kept()]


def message(*contents: bytes, kind: str = "application/dicom") -> bytes:
    parts = b"".join(f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n" for content in contents)
    return parts + f"--{BOUNDARY}--\r\n".encode()


def reasons(answer: Any, sequence: str = "00081198") -> list[int]:
    return [item["00081197"]["Value"][0] for item in answer.json().get(sequence, {}).get("Value", [])]


def test_a_real_client_stores_a_study(tmp_path: Path, files: list[Path]) -> None:
    door = Door(tmp_path)
    datasets = [pydicom.dcmread(path) for path in files]
    with serving(door.app) as url:
        answer = DICOMwebClient(f"{url}/dicom-web").store_instances(datasets, study_instance_uid=datasets[0].StudyInstanceUID)
    assert {item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence} == {d.SOPInstanceUID for d in datasets}
    assert len(door.kept) == len(door.arrivals) == door.counts["new"] == len(files)
    assert {pydicom.dcmread(path).SOPInstanceUID for path in door.kept} == {d.SOPInstanceUID for d in datasets}
    assert door.arrivals[0].calling == stow.CALLING


def test_each_instance_has_its_own_answer(tmp_path: Path, files: list[Path]) -> None:
    door = Door(tmp_path)
    first = files[0].read_bytes()
    other, ct = changed(files[0], ImageComments="altered"), changed(files[1], SOPClassUID=CT)

    answer = door.post(message(first, first, other, ct, b"no DICOM", first[:-100]))

    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/dicom+json"
    assert len(answer.json()["00081199"]["Value"]) == 2
    assert reasons(answer) == [0xC111, 0x0122, 0xC001]
    assert reasons(answer, "0008119A") == [0xC000]
    assert door.counts == {"new": 1, "same": 1, "conflict": 1, "not-mr": 1, "unreadable": 1, "incomplete": 1}


def test_statuses_of_whole_messages(tmp_path: Path, files: list[Path]) -> None:
    content = files[0].read_bytes()
    study = pydicom.dcmread(files[0]).StudyInstanceUID
    door = Door(tmp_path / "a")
    assert door.post(message(changed(files[0], SOPClassUID=CT))).status_code == 409
    wrong = door.post(message(content), study="1.2.3")
    assert (wrong.status_code, reasons(wrong)) == (409, [0xA900])
    assert not door.kept
    assert door.post(message(content), study=study).status_code == 200
    assert door.post(message(content)).status_code == 200
    full = Door(tmp_path / "b", free_mb=10**9).post(message(content))
    assert (full.status_code, reasons(full)) == (507, [0xA700])


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dicom", message(b"x"), 415),
        ('multipart/related; type="application/dicom+json"; boundary=7d1c', message(b"x"), 415),
        (TYPE, message(b"x", kind="application/dicom+xml"), 415),
        ('multipart/related; type="application/dicom"', message(b"x"), 400),
        (f'multipart/related; type="application/dicom"; boundary={"a" * 71}', message(b"x"), 400),
        (TYPE, b"", 400),
        (TYPE, b"no parts at all", 400),
        (TYPE, message(), 400),
        (TYPE, message(b"x")[:-8], 400),
    ],
)
def test_messages_of_another_kind(tmp_path: Path, kind: str, body: bytes, status: int) -> None:
    answer = Door(tmp_path).post(body, kind=kind)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_message_that_is_cut_off_keeps_what_came_whole(tmp_path: Path, files: list[Path]) -> None:
    door = Door(tmp_path)
    answer = door.post(message(files[0].read_bytes(), files[1].read_bytes())[:-500])
    assert answer.status_code == 202
    assert len(answer.json()["00081199"]["Value"]) == len(door.kept) == 1
    assert not list((tmp_path / "incoming").iterdir())


def test_only_who_knows_the_token(tmp_path: Path, files: list[Path]) -> None:
    door, body = Door(tmp_path, token="geheim-ü"), message(files[0].read_bytes())
    for wrong in ({}, {"Authorization": "Bearer geheim"}, {"Authorization": "Basic geheim"}):
        refused = door.post(body, **wrong)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert not door.kept
    assert Door(tmp_path, token="secret").post(body, Authorization="Bearer secret").status_code == 200


def test_messages_and_instances_have_a_limit(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    content = files[0].read_bytes()
    door = Door(tmp_path, limit=len(message(content)))
    assert door.post(message(content)).status_code == 200
    assert door.post(message(content, content)).status_code == 413

    def unannounced() -> Iterator[bytes]:
        yield message(content)
        yield bytes(100)

    streamed = door.client.post("/dicom-web/studies", content=unannounced(), headers={"Content-Type": TYPE})
    assert streamed.status_code == 413
    monkeypatch.setattr(stow, "LARGEST_INSTANCE", 1000)
    large = door.post(message(content))
    assert (large.status_code, reasons(large, "0008119A")) == (409, [0xA700])


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_parts_are_found_however_the_message_is_cut(contents: list[bytes], cuts: list[int]) -> None:
    contents = [content.replace(b"--" + BOUNDARY.encode(), b"") for content in contents]
    body, found = message(*contents), []
    collector = stow._Collector(BOUNDARY.encode())
    for number in range(len(body)):
        size = cuts[number % len(cuts)]
        found += collector.feed(body[:size])
        body = body[size:]
        if not body:
            break
    assert found == contents
    assert collector.ended


@contextmanager
def half_sent(url: str, body: bytes) -> Iterator[None]:
    """A client that dies after half of its message."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.putrequest("POST", "/dicom-web/studies")
    connection.putheader("Content-Type", TYPE)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[: len(body) // 2])
    connection.close()
    yield


def test_clients_that_die_and_clients_at_once(tmp_path: Path, files: list[Path]) -> None:
    door = Door(tmp_path)
    statuses: list[int] = []

    def store(url: str, path: Path) -> None:
        done = requests.post(f"{url}/dicom-web/studies", message(path.read_bytes()), headers={"Content-Type": TYPE}, timeout=20)
        statuses.append(done.status_code)

    with serving(door.app) as url, half_sent(url, message(files[0].read_bytes())):
        threads = [threading.Thread(target=store, args=(url, path)) for path in files[1:5] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 8
    assert len(door.kept) == 4
    assert not list((tmp_path / "incoming").iterdir())
