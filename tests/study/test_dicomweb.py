"""A study fetched over DICOMweb is the study in the folder, byte for byte."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from braintumor.domain import InputNotFoundError, MRSequence, OutputError
from braintumor.phantom.dicom import StudyHeader
from braintumor.study import inspect, read_study
from braintumor.study.dicomweb import download
from tests.study.conftest import WriteStudy, head


@pytest.fixture
def folder(write_study: WriteStudy) -> Path:
    return write_study(only=(MRSequence.T1CE, MRSequence.FLAIR))


@pytest.fixture
def store(folder: Path, header: StudyHeader) -> Iterator[str]:
    """A WADO-RS origin server for one study (PS3.18 10.4), on the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != f"/dicom-web/studies/{header.study_uid}":
                self.send_error(404)
                return
            assert "transfer-syntax=*" in self.headers["Accept"]
            start = b"--part\r\nContent-Type: application/dicom\r\n\r\n"
            body = b"".join(start + p.read_bytes() + b"\r\n" for p in sorted(folder.iterdir())) + b"--part--\r\n"
            self.send_response(200)
            self.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=part')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/dicom-web"
    server.shutdown()
    server.server_close()


def hashes(paths: Iterator[Path]) -> set[str]:
    return {hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_study_from_a_server(store: str, folder: Path, header: StudyHeader) -> None:
    study = read_study(f"{store}/studies/{header.study_uid}")

    assert {i.sha256 for s in study.series.values() for i in s.instances} == hashes(folder.iterdir())
    np.testing.assert_array_equal(study.reference.image.voxels, head(MRSequence.T1CE).voxels)
    assert study.patient == header.patient


def test_study_of_a_local_folder_by_file_url(folder: Path, header: StudyHeader) -> None:
    before = sorted(folder.iterdir())

    found = inspect(f"{folder.as_uri()}/studies/{header.study_uid}")

    assert set(found.chosen) == {MRSequence.T1CE, MRSequence.FLAIR}
    assert sorted(folder.iterdir()) == before


def test_study_the_server_does_not_have(store: str) -> None:
    with pytest.raises(InputNotFoundError, match=r"did not deliver the study \(404\).*Check the address"):
        read_study(f"{store}/studies/1.2.3")


def test_server_that_does_not_answer() -> None:
    with pytest.raises(InputNotFoundError, match="did not deliver the study"):
        read_study("http://127.0.0.1:9/dicom-web/studies/1.2.3")


@pytest.mark.parametrize(
    "url", ["http://host/dicom-web", "http://host/dicom-web/studies/not a uid", "https://h/studies/1.2/series/3"]
)
def test_url_without_a_study(url: str) -> None:
    with pytest.raises(InputNotFoundError, match="does not name a DICOMweb study"):
        read_study(url)


def test_full_disk(store: str, header: StudyHeader, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="could not be kept"):
        download(f"{store}/studies/{header.study_uid}", tmp_path / "nowhere")


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>Welcome</html>"), (503, b"")])
def test_server_that_answers_something_else(status: int, body: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(InputNotFoundError, match="did not deliver the study"):
        read_study(f"http://127.0.0.1:{server.server_port}/dicom-web/studies/1.2.3")
    server.shutdown()
    server.server_close()
