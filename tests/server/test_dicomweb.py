"""The DICOMweb door, asked as OHIF asks it and as other people's clients do, over a folder and before a PACS."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from fastapi.testclient import TestClient
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless

from braintumor.archive import PacsTimeouts, open_store
from braintumor.archive.folder import index
from braintumor.domain import MRSequence
from braintumor.phantom.dicom import Awkward, write_series
from tests import orthanc
from tests.archive.conftest import Archive, MakeSeg, Visit, archive, folder_archive, make, pacs, prior, visit  # noqa: F401
from tests.archive.served import Faults, app_of, serving
from tests.study.conftest import head

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PLAIN = (("application/octet-stream", "1.2.840.10008.1.2.1"),)
OHIF_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"


@pytest.fixture(autouse=True)
def always_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are looked through at every request, so that no test has to wait for what it has just added."""
    monkeypatch.setattr(index, "FRESH_S", 0.0)


@pytest.fixture
def web(archive: Archive, visit: Visit) -> Iterator[TestClient]:  # noqa: F811
    """Our door before a folder, before our own service and before Orthanc, with one study."""
    archive.add(visit.files)
    with TestClient(app_of(archive.open()), base_url="http://viewer") as client:
        yield client


@pytest.fixture
def local(tmp_path: Path, visit: Visit) -> Iterator[TestClient]:  # noqa: F811
    place = folder_archive(tmp_path / "local", tmp_path / "cache")
    place.add(visit.files)
    with TestClient(app_of(place.open()), base_url="http://viewer") as client:
        yield client


def parts(response: Any) -> list[tuple[str, bytes]]:
    """Content type and content of each part of a multipart answer."""
    assert response.status_code == 200, response.text
    boundary = response.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    pieces = (b"\r\n" + response.content).split(b"\r\n--" + boundary)[1:-1]
    found = []
    for piece in pieces:
        top, _, content = piece.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in top.decode().strip().split("\r\n"))
        found.append(({k.lower(): v for k, v in lines.items()}["content-type"], content))
    return found


def test_a_study_as_ohif_opens_it(web: TestClient, visit: Visit) -> None:  # noqa: F811
    listed = web.get(
        "/dicom-web/studies", params={"limit": 101, "offset": 0, "fuzzymatching": "false", "PatientName": "*Secret*"}
    )
    assert [s["0020000D"]["Value"] for s in listed.json()] == [[visit.uid]]
    assert listed.headers["content-type"].startswith("application/dicom+json")
    series = web.get(f"/dicom-web/studies/{visit.uid}/series", params={"includefield": "0008103E"}).json()
    assert sorted(s["00201209"]["Value"][0] for s in series) == [10, 10]
    for one in series:
        path = f"/dicom-web/studies/{visit.uid}/series/{one['0020000E']['Value'][0]}"
        metadata = web.get(f"{path}/metadata").json()
        assert len(metadata) == 10
        for instance in metadata:
            uid = instance["00080018"]["Value"][0]
            source = next(d for d in map(pydicom.dcmread, visit.files) if uid == d.SOPInstanceUID)
            assert [float(v) for v in instance["00200032"]["Value"]] == pytest.approx(
                [float(v) for v in source.ImagePositionPatient]
            )
            answer = web.get(f"{path}/instances/{uid}/frames/1", headers={"Accept": OHIF_FRAMES})
            ((kind, frame),) = parts(answer)
            assert kind.startswith("application/octet-stream")
            assert frame[: len(source.PixelData)] == source.PixelData


def test_addresses_point_to_us_and_lead_to_the_data(web: TestClient, visit: Visit) -> None:  # noqa: F811
    metadata = web.get(f"/dicom-web/studies/{visit.uid}/metadata").json()
    source = pydicom.dcmread(visit.files[0])
    instance = next(m for m in metadata if m["00080018"]["Value"][0] == source.SOPInstanceUID)
    where = instance["7FE00010"]["BulkDataURI"]
    assert where.startswith(f"http://viewer/dicom-web/studies/{visit.uid}/")
    answer = web.get(where, headers={"Accept": "multipart/related; type=application/octet-stream"})
    assert parts(answer)[0][1][: len(source.PixelData)] == source.PixelData


def test_the_common_client_reads_and_writes(archive: Archive, visit: Visit, make: MakeSeg) -> None:  # noqa: F811
    archive.add(visit.files)
    with serving(app_of(archive.open())) as url:
        client = DICOMwebClient(f"{url}/dicom-web")
        assert len(client.search_for_studies()) == 1
        source = pydicom.dcmread(visit.files[3])
        uids = (source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID)
        assert client.retrieve_instance(*uids).PixelData == source.PixelData
        assert len(client.retrieve_study(visit.uid)) == 20
        assert client.retrieve_instance_frames(*uids, [1], media_types=PLAIN)[0][: len(source.PixelData)] == source.PixelData
        seg = make()
        answer = client.store_instances([seg])
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [seg.SOPInstanceUID]
        back = client.retrieve_instance(seg.StudyInstanceUID, seg.SeriesInstanceUID, seg.SOPInstanceUID)
        assert back.PixelData == seg.PixelData
    assert [v.uid for v in archive.open().labels(visit.uid)] == [seg.SOPInstanceUID]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, JPEGLSLossless], ids=lambda syntax: syntax.name)
def test_transfer_syntaxes_are_negotiated(tmp_path: Path, visit: Visit, syntax: pydicom.uid.UID) -> None:  # noqa: F811
    how = Awkward(transfer_syntax=syntax, multiframe=True)
    (path,) = write_series(head(MRSequence.T2), tmp_path / "s", visit.header, MRSequence.T2, series_number=7, awkward=how)
    source = pydicom.dcmread(path)
    root = f"/dicom-web/studies/{visit.uid}/series/{source.SeriesInstanceUID}/instances/{source.SOPInstanceUID}"
    with TestClient(app_of(open_store(tmp_path, cache=tmp_path / ".cache"))) as web:
        stored = parts(web.get(f"{root}/frames/1,3", headers={"Accept": OHIF_FRAMES}))
        plain = parts(web.get(f"{root}/frames/1,3", headers={"Accept": "multipart/related; type=application/octet-stream"}))
        assert [kind for kind, _ in plain] == [f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"] * 2
        for (_, frame), number in zip(plain, (1, 3), strict=True):
            np.testing.assert_array_equal(np.frombuffer(frame, np.uint16), source.pixel_array[number - 1].ravel())
        if syntax.is_compressed:
            assert stored[0][0] == f"image/jls; transfer-syntax={syntax}"
            assert len(stored[0][1]) < len(plain[0][1])
        else:
            assert stored == plain
        ((_, same),) = parts(
            web.get(root, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
        )
        assert same == path.read_bytes()
        ((_, converted),) = parts(web.get(root, headers={"Accept": 'multipart/related; type="application/dicom"'}))
        received = pydicom.dcmread(io.BytesIO(converted))
        assert received.file_meta.TransferSyntaxUID == (syntax if syntax.is_compressed else ExplicitVRLittleEndian)
        np.testing.assert_array_equal(received.pixel_array, source.pixel_array)
        assert web.get(f"{root}/frames/1", headers={"Accept": "multipart/related; type=video/mp4"}).status_code == 406
        assert web.get(root, headers={"Accept": "text/html"}).status_code == 406


def test_pictures(local: TestClient, visit: Visit) -> None:  # noqa: F811
    source = pydicom.dcmread(visit.files[5])
    series = f"/dicom-web/studies/{visit.uid}/series/{source.SeriesInstanceUID}"
    for path, size in (
        (f"{series}/instances/{source.SOPInstanceUID}/rendered", (40, 36)),
        (f"{series}/instances/{source.SOPInstanceUID}/frames/1/rendered?window=400,800,linear", (40, 36)),
        (f"{series}/instances/{source.SOPInstanceUID}/rendered?viewport=20,20", (20, 18)),
        (f"{series}/thumbnail", (40, 36)),
        (f"/dicom-web/studies/{visit.uid}/thumbnail", (40, 36)),
    ):
        for kind in ("image/png", "image/jpeg"):
            answer = local.get(path, headers={"Accept": kind})
            assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
            picture = Image.open(io.BytesIO(answer.content))
            assert picture.size == size
            assert np.asarray(picture).std() > 10


def test_nothing_found_is_no_failure_and_nonsense_is_refused(local: TestClient, visit: Visit) -> None:  # noqa: F811
    for path in (
        "studies?PatientID=nobody",
        "studies/1.2.3/series",
        "studies/1.2.3/series/1.2.3/instances",
        "series?Modality=CT",
    ):
        answer = local.get(f"/dicom-web/{path}")
        assert (answer.status_code, answer.json()) == (200, [])
    source = pydicom.dcmread(visit.files[0])
    instance = f"studies/{visit.uid}/series/{source.SeriesInstanceUID}/instances/{source.SOPInstanceUID}"
    for path, status in (
        ("studies/1.2.3/metadata", 404),
        (f"{instance}/frames/2", 404),
        (f"{instance}/frames/0", 404),
        (f"{instance}/frames/x", 422),
        (f"{instance}/bulkdata/00100010", 404),
        (f"{instance}/rendered?window=a,b", 422),
        (f"{instance}/rendered?window=1e,-", 422),
        ("studies?limit=-1", 422),
        ("studies/..%2f..%2fetc", 404),
        ("studies/abc", 422),
    ):
        answer = local.get(f"/dicom-web/{path}", headers={"Accept": "*/*"})
        assert (path, answer.status_code) == (path, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "SECRET" not in answer.text


def multipart(*contents: bytes) -> dict[str, Any]:
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + c + b"\r\n" for c in contents) + b"--b--\r\n"
    return {"content": body, "headers": {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}}


def test_what_is_stored_is_kept_byte_for_byte(local: TestClient, prior: Visit) -> None:  # noqa: F811
    files = [path.read_bytes() for path in prior.files]
    answer = local.post(f"/dicom-web/studies/{prior.uid}", **multipart(*files))
    assert answer.status_code == 200
    assert len(answer.json()["00081199"]["Value"]) == 20
    back = parts(local.get(f"/dicom-web/studies/{prior.uid}", headers={"Accept": AS_STORED}))
    assert {content for _, content in back} == set(files)
    assert local.post("/dicom-web/studies", **multipart(*files)).status_code == 200  # again the same: still there once


def test_answer_to_a_store_says_what_was_kept(local: TestClient, visit: Visit, prior: Visit) -> None:  # noqa: F811
    changed = pydicom.dcmread(visit.files[0])
    changed.PatientComments = "other content"
    buffer = io.BytesIO()
    changed.save_as(buffer, enforce_file_format=True)
    good, duplicate, damaged = prior.files[0].read_bytes(), buffer.getvalue(), prior.files[1].read_bytes()[:-50]

    answer = local.post("/dicom-web/studies", **multipart(good, duplicate, damaged))

    assert answer.status_code == 202
    said = answer.json()
    assert len(said["00081199"]["Value"]) == 1
    assert [item["00081197"]["Value"] for item in said["00081198"]["Value"]] == [[0x0111]]
    assert [item["00081197"]["Value"] for item in said["0008119A"]["Value"]] == [[0xC000]]
    assert local.post("/dicom-web/studies/1.2.3", **multipart(good)).status_code == 409
    assert local.post("/dicom-web/studies", **multipart()).status_code == 400
    assert local.post("/dicom-web/studies", content=good, headers={"Content-Type": "application/dicom"}).status_code == 415


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def before_pacs(visit: Visit, faults: Faults, tmp_path: Path) -> Iterator[TestClient]:  # noqa: F811
    """Our door before a PACS whose faults can be switched on."""
    held = folder_archive(tmp_path / "held", tmp_path / "none")
    held.add(visit.files)
    with serving(faults.install(app_of(held.open()))) as url:
        store = open_store(
            f"{url}/dicom-web",
            user="reader",
            password="word",
            cache=tmp_path / "c",
            limits=PacsTimeouts(connect_s=1, read_s=1.5),
        )
        with TestClient(app_of(store), base_url="http://viewer") as client:
            yield client


def test_proxy_introduces_itself_and_hands_on_no_cookie(before_pacs: TestClient, faults: Faults) -> None:
    answer = before_pacs.get("/dicom-web/studies", headers={"Authorization": "Bearer viewer", "Cookie": "a=b"})
    assert answer.status_code == 200
    assert faults.seen == [("GET", "/dicom-web/studies", "Basic cmVhZGVyOndvcmQ=")]


@pytest.mark.parametrize(("said", "told"), [(401, 502), (403, 502), (500, 502), (503, 502), (404, 404)])
def test_status_of_the_pacs(before_pacs: TestClient, faults: Faults, said: int, told: int) -> None:
    faults.statuses = [said]
    assert before_pacs.get("/dicom-web/studies").status_code == told


def test_slow_pacs_is_a_504(before_pacs: TestClient, faults: Faults) -> None:
    faults.delay_s = 4.0
    answer = before_pacs.get("/dicom-web/studies")
    assert answer.status_code == 504
    assert answer.json()["code"] == "archive"


def test_pacs_that_is_down_is_a_502(tmp_path: Path) -> None:
    with TestClient(app_of(open_store("http://127.0.0.1:9/dicom-web", cache=tmp_path))) as client:
        answer = client.get("/dicom-web/studies")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["admin", "..", "studies/../../system", "studies/%2e%2e/%2e%2e/system", "system/..;/x", ""])
def test_proxy_leads_nowhere_else(before_pacs: TestClient, faults: Faults, path: str) -> None:
    kind = type(before_pacs.base_url)  # of httpx, or of httpx2 where that is installed: starlette prefers it
    url = kind("http://viewer").copy_with(raw_path=f"/dicom-web/{path}".encode())
    assert before_pacs.get(url).status_code == 404
    assert before_pacs.post("/dicom-web/studies/1.2/series").status_code == 404
    assert before_pacs.delete("/dicom-web/studies/1.2").status_code == 405
    assert faults.seen == []


def test_proxy_does_not_hold_up_others(visit: Visit, faults: Faults, tmp_path: Path) -> None:  # noqa: F811
    import threading
    import time

    held = folder_archive(tmp_path / "held", tmp_path / "none")
    held.add(visit.files)
    with serving(faults.install(app_of(held.open()))) as upstream:
        app = app_of(open_store(f"{upstream}/dicom-web", cache=tmp_path / "c"))
        app.get("/alive")(lambda: "yes")
        with serving(app) as url:
            requests.get(f"{url}/alive", timeout=5)
            faults.delay_s = 1.5
            slow = [threading.Thread(target=requests.get, args=(f"{url}/dicom-web/studies",)) for _ in range(50)]
            for thread in slow:
                thread.start()
            time.sleep(0.3)
            started = time.monotonic()
            assert requests.get(f"{url}/alive", timeout=5).json() == "yes"
            assert time.monotonic() - started < 1.0
            for thread in slow:
                thread.join()


def test_password_protected_orthanc(visit: Visit, tmp_path: Path) -> None:  # noqa: F811
    with orthanc.running(("reader", "word")) as server:
        for user, status in (("reader", 200), ("nobody", 502)):
            store = open_store(server.url, user=user, password="word", cache=tmp_path / "c")
            with TestClient(app_of(store)) as client:
                answer = client.get("/dicom-web/studies")
                assert answer.status_code == status
                assert "word" not in json.dumps(dict(answer.headers)) + answer.text.replace("password", "")
