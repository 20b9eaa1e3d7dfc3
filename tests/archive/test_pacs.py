"""What a PACS can do wrong ends in plain words, and nothing incomplete is ever handed on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from braintumor.archive import PacsTimeouts, StudyStore, open_store
from braintumor.domain import ArchiveError, InputNotFoundError
from tests import orthanc
from tests.archive.conftest import MakeSeg, Visit, folder_archive
from tests.archive.served import Faults, app_of, serving


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def url(faults: Faults, visit: Visit, tmp_path: Path) -> Iterator[str]:
    local = folder_archive(tmp_path / "held", tmp_path / "none")
    local.add(visit.files)
    app = faults.install(app_of(open_store(local.location, cache=tmp_path / "its-cache")))
    with serving(app) as address:
        yield f"{address}/dicom-web"


@pytest.fixture
def store(url: str, tmp_path: Path) -> StudyStore:
    return open_store(url, cache=tmp_path / "cache", limits=PacsTimeouts(connect_s=2, read_s=1.5))


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_half_a_study_is_refused_and_not_kept(store: StudyStore, faults: Faults, visit: Visit, tmp_path: Path) -> None:
    def without_the_last(body: bytes) -> bytes:
        return body[: body.rindex(b"\r\n--", 0, -60)] + body[body.rindex(b"\r\n--") :]

    faults.cut = without_the_last
    with pytest.raises(ArchiveError, match="has 10 instances and delivered 9"):
        store.fetch(visit.uid)
    assert kept(tmp_path) == []

    faults.cut = None
    assert len(list(store.fetch(visit.uid).iterdir())) == 20


def test_instance_cut_off_in_its_pixels(store: StudyStore, faults: Faults, visit: Visit, tmp_path: Path) -> None:
    faults.cut = lambda body: body[:-1000]
    with pytest.raises(ArchiveError, match="delivered 9 of them whole"):
        store.fetch(visit.uid)
    assert kept(tmp_path) == []


def test_answer_that_is_not_dicom(store: StudyStore, faults: Faults, visit: Visit) -> None:
    faults.cut = lambda body: b"<html>" + body[:50]
    with pytest.raises(ArchiveError):
        store.fetch(visit.uid)


def test_pacs_that_is_down(tmp_path: Path, make: MakeSeg, visit: Visit) -> None:
    store = open_store("http://127.0.0.1:9/dicom-web", cache=tmp_path, limits=PacsTimeouts(connect_s=0.5))
    for ask in (store.studies, lambda: store.fetch(visit.uid), lambda: store.store([make()])):
        with pytest.raises(ArchiveError, match=r"no complete answer.*Check that it runs"):
            ask()


def test_slow_pacs(store: StudyStore, faults: Faults) -> None:
    faults.delay_s = 4.0
    started = time.monotonic()
    with pytest.raises(ArchiveError):
        store.studies()
    assert time.monotonic() - started < 10


def test_reading_is_repeated_when_the_pacs_is_busy(store: StudyStore, faults: Faults, visit: Visit) -> None:
    faults.statuses = [503, 503]
    assert store.study(visit.uid).uid == visit.uid


def test_writing_is_not_repeated(store: StudyStore, faults: Faults, make: MakeSeg) -> None:
    assert store.labels(make().StudyInstanceUID) == ()
    faults.seen.clear()
    faults.statuses = [200, 503]  # first the question whether it is there already, answered with nothing
    with pytest.raises(ArchiveError, match="503"):
        store.store([make()])
    assert [method for method, _, _ in faults.seen].count("POST") == 1


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_refusal_with_a_status(store: StudyStore, faults: Faults, status: int) -> None:
    faults.statuses = [status]
    with pytest.raises(ArchiveError, match=str(status)):
        store.studies()


FAILED = b'{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["%s"]},"00081197":{"vr":"US","Value":[272]}}]}}'


def test_store_that_the_pacs_reports_as_failed(store: StudyStore, faults: Faults, make: MakeSeg) -> None:
    dataset = make()
    faults.forgetful = FAILED % dataset.SOPInstanceUID.encode()
    with pytest.raises(ArchiveError, match="did not keep 1"):
        store.store([dataset])


def test_store_confirmed_in_general_but_not_kept(store: StudyStore, faults: Faults, make: MakeSeg) -> None:
    faults.forgetful = b"{}"
    with pytest.raises(ArchiveError, match="did not keep 1"):
        store.store([make()])


@pytest.mark.parametrize("how", [{"user": "reader", "password": "se cret"}, {"token": "abc.def"}])
def test_credentials_go_to_the_pacs(url: str, faults: Faults, tmp_path: Path, how: dict[str, str]) -> None:
    open_store(url, cache=tmp_path / "c", **how).studies()
    expected = "Bearer abc.def" if "token" in how else "Basic cmVhZGVyOnNlIGNyZXQ="
    assert {sent for _, _, sent in faults.seen} == {expected}


def test_credentials_in_the_address_are_taken_out_of_it(url: str, faults: Faults, tmp_path: Path) -> None:
    store = open_store(url.replace("://", "://reader:se%20cret@"), cache=tmp_path / "c")
    store.studies()
    assert store.location == url
    assert faults.seen[0][2] == "Basic cmVhZGVyOnNlIGNyZXQ="


def test_password_of_a_real_pacs(tmp_path: Path) -> None:
    with orthanc.running(("reader", "se cret")) as server:
        assert open_store(server.url, user="reader", password="se cret", cache=tmp_path).studies() == ()
        with pytest.raises(ArchiveError, match="401"):
            open_store(server.url, user="reader", password="wrong", cache=tmp_path).studies()


@pytest.mark.parametrize("url", ["http://", "https://[", "http://host:port/dicom-web", "http://host/dicom-web?x=1"])
def test_unusable_address(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="not a DICOMweb address"):
        open_store(url, cache=tmp_path)


def test_study_that_grows_while_it_is_fetched(store: StudyStore, faults: Faults, visit: Visit, tmp_path: Path) -> None:
    extra = tmp_path / "held" / "late.dcm"

    def late(body: bytes) -> bytes:
        if not extra.exists():
            dataset = pydicom.dcmread(visit.files[0])
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
            dataset.save_as(extra, enforce_file_format=True)
            time.sleep(1.1)  # the served folder looks again after a second
        return body

    faults.cut = late
    with pytest.raises(ArchiveError, match=r"changed while it was fetched|has 10 instances"):
        open_store(store.location, cache=tmp_path / "cache").fetch(visit.uid)
    assert kept(tmp_path) == []
