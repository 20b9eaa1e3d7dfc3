"""DICOMweb archives, FHIR servers and folders: what arrives, what is refused, and what is confirmed."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
import requests
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from braintumor.domain import SettingsError
from braintumor.node.deliver import Delivery, DeliveryConfirmation, Fault, OutletError, open_destination
from braintumor.node.settings import DestinationSettings, Tls
from deploy.dev import fhir_server
from deploy.dev.fhir_server import FhirServer
from deploy.dev.orthanc import Orthanc
from tests import orthanc
from tests.archive.served import serving
from tests.node.delivering import Authority, another, copied, demanding, free_port, parcel_of

SECRETS = {"BRAINTUMOR_THE_PACS_USER": "node", "BRAINTUMOR_THE_PACS_PASSWORD": "pass:word"}


@pytest.fixture
def parcel(results: Path) -> Delivery:
    return parcel_of(results)


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with orthanc.running(user=("node", "pass:word")) as server:
        yield server


def web(url: str, **settings: Any) -> DestinationSettings:
    return DestinationSettings(**{"name": "the-pacs", "kind": "dicomweb", "url": url} | settings)


# DICOMweb


def test_everything_arrives_as_it_was_written_and_once(pacs: Orthanc, results: Path) -> None:
    everything = parcel_of(results, "segmentation", "measurements", "report")
    outlet = open_destination(web(pacs.url), environment=SECRETS)
    assert outlet.confirm(everything) is DeliveryConfirmation.MISSING
    for _ in range(2):
        outlet.send(everything)
        assert outlet.confirm(everything) is DeliveryConfirmation.KEPT
    base, auth = pacs.url.removesuffix("/dicom-web"), ("node", "pass:word")
    assert len(requests.get(f"{base}/instances", auth=auth, timeout=10).json()) == len(everything.items)
    for item in everything.items:
        (found,) = requests.post(f"{base}/tools/lookup", data=item.reference().sop_uid, auth=auth, timeout=10).json()
        content = requests.get(f"{base}/instances/{found['ID']}/file", auth=auth, timeout=10).content
        assert pydicom.dcmread(io.BytesIO(content)) == pydicom.dcmread(item.path)


def test_wrong_password(pacs: Orthanc, parcel: Delivery) -> None:
    for environment in ({}, SECRETS | {"BRAINTUMOR_THE_PACS_PASSWORD": "wrong"}):
        with pytest.raises(OutletError) as caught:
            open_destination(web(pacs.url), environment=environment).send(parcel)
        assert (caught.value.fault, caught.value.status) == (Fault.REJECTED, "HTTP 401")
        assert "word" not in str(caught.value)


def test_nobody_there(parcel: Delivery) -> None:
    outlet = open_destination(web(f"http://127.0.0.1:{free_port()}/dicom-web"), environment={})
    for call in (outlet.send, outlet.confirm):
        with pytest.raises(OutletError) as caught:
            call(parcel)
        assert (caught.value.fault, caught.value.permanent, caught.value.down) == (Fault.UNREACHABLE, False, True)


def answering(status: int, body: Any = None, held: list[Any] | None = None) -> FastAPI:
    """A service that gives one answer to what is stored, and has what `held` says; it wants a token."""
    app = FastAPI()

    @app.post("/studies")
    async def store(request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer secret":
            return Response(status_code=401)
        return Response(json.dumps(body or {}), status, media_type="application/dicom+json")

    @app.get("/studies/{study}/series/{series}/instances")
    async def search() -> Response:
        if held is None:
            return Response(status_code=404)
        return Response(json.dumps(held), 200, media_type="application/dicom+json")

    return app


def stored(app: FastAPI, parcel: Delivery) -> OutletError | None:
    with serving(app) as url:
        try:
            open_destination(web(url), environment={"BRAINTUMOR_THE_PACS_TOKEN": "secret"}).send(parcel)
        except OutletError as error:
            return error
    return None


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (400, Fault.REFUSED),
        (403, Fault.REJECTED),
        (404, Fault.REJECTED),
        (409, Fault.REFUSED),
        (413, Fault.REFUSED),
        (429, Fault.UNREACHABLE),
        (500, Fault.FAILED),
        (503, Fault.UNREACHABLE),
        (507, Fault.NO_SPACE),
    ],
)
def test_refusals_with_a_status(parcel: Delivery, status: int, fault: Fault) -> None:
    error = stored(answering(status), parcel)
    assert error is not None
    assert (error.fault, error.status) == (fault, f"HTTP {status}")


@pytest.mark.parametrize(
    ("reason", "fault"), [(0xA700, Fault.NO_SPACE), (0xA900, Fault.REFUSED), (0xC000, Fault.REFUSED), (0x0110, Fault.FAILED)]
)
def test_refusals_instance_by_instance(parcel: Delivery, reason: int, fault: Fault) -> None:
    item = {"00081155": {"vr": "UI", "Value": ["1.2"]}, "00081197": {"vr": "US", "Value": [reason]}}
    error = stored(answering(202, {"00081198": {"vr": "SQ", "Value": [item]}}), parcel)
    assert error is not None
    assert (error.fault, error.status) == (fault, f"0x{reason:04X}")


def test_an_archive_that_refuses_what_it_has_already(parcel: Delivery) -> None:
    item = {"00081155": {"vr": "UI", "Value": ["1.2"]}, "00081197": {"vr": "US", "Value": [0x0111]}}
    held = [{"00080018": {"vr": "UI", "Value": [item.reference().sop_uid]}} for item in parcel.items]
    assert stored(answering(202, {"00081198": {"vr": "SQ", "Value": [item]}}, held), parcel) is None
    assert stored(answering(409, held=held), parcel) is None


def test_answers_of_something_else(parcel: Delivery) -> None:
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def login(path: str) -> Response:
        return Response("<html>please log in</html>", 200, media_type="text/html")

    error = stored(app, parcel)
    assert error is not None
    assert not error.permanent


def test_tls_with_certificates_on_both_sides(parcel: Delivery, tmp_path: Path) -> None:
    class Full(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(507)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    ours, theirs = Authority(tmp_path, "hospital"), Authority(tmp_path, "stranger")
    certificate, key = ours.issue("node")
    with ThreadingHTTPServer(("127.0.0.1", 0), Full) as server:
        server.socket = demanding(ours).wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for authority, fault in ((ours, Fault.NO_SPACE), (theirs, Fault.REJECTED)):
            tls = Tls(certificate=certificate, key=key, ca=authority.certificate)
            outlet = open_destination(web(f"https://localhost:{server.server_port}", tls=tls), environment={})
            with pytest.raises(OutletError) as caught:
                outlet.send(parcel)
            assert caught.value.fault is fault
        server.shutdown()


def test_settings_that_cannot_work(tmp_path: Path) -> None:
    token = Tls(certificate=tmp_path / "c", key=tmp_path / "k", ca=tmp_path / "a")
    for settings in (
        web("ftp://pacs"),
        web("https://pacs", verify="commitment"),
        web("http://fhir.example/r4", kind="fhir"),
        web("https://fhir.example/r4", kind="fhir", tls=token),
    ):
        with pytest.raises(SettingsError, match="the-pacs"):
            open_destination(settings, environment={})
    with pytest.raises(SettingsError, match="token"):
        open_destination(web("https://fhir.example/r4", kind="fhir"), environment=SECRETS)


# FHIR


@pytest.fixture(scope="module")
def fhir() -> Iterator[FhirServer]:
    reason = fhir_server.missing()
    if reason is not None:
        pytest.skip(reason)
    with FhirServer() as server:
        yield server


def test_the_report_goes_to_a_fhir_server_as_a_draft(fhir: FhirServer, results: Path) -> None:
    parcel = parcel_of(results, kind="fhir")
    outlet = open_destination(web(fhir.url, kind="fhir"), environment={})
    assert outlet.confirm(parcel) is DeliveryConfirmation.MISSING
    for _ in range(2):
        outlet.send(parcel)
        assert outlet.confirm(parcel) is DeliveryConfirmation.KEPT
    found = httpx.post(f"{fhir.url}/DiagnosticReport/_search", data={"_count": "10"}).raise_for_status().json()
    assert [entry["resource"]["status"] for entry in found["entry"]] == ["preliminary"]


def test_no_fhir_server_there(results: Path) -> None:
    outlet = open_destination(web(f"http://127.0.0.1:{free_port()}", kind="fhir"), environment={})
    for call in (outlet.send, outlet.confirm):
        with pytest.raises(OutletError) as caught:
            call(parcel_of(results, kind="fhir"))
        assert caught.value.down


@pytest.mark.parametrize(
    ("status", "fault"),
    [(403, Fault.REJECTED), (422, Fault.REFUSED), (413, Fault.REFUSED), (409, Fault.FAILED), (500, Fault.FAILED)],
)
def test_what_the_answer_of_a_fhir_server_means(results: Path, status: int, fault: Fault) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    def found(path: str) -> dict[str, str]:
        return (
            {"resourceType": "CapabilityStatement"} if path == "metadata" else {"resourceType": "Bundle", "type": "searchset"}
        )

    @app.post("/{path:path}")
    def posted(path: str) -> Response:
        if path.endswith("_search"):
            return JSONResponse({"resourceType": "Bundle", "type": "searchset"})
        return JSONResponse({"resourceType": "OperationOutcome"}, status_code=status)

    with serving(app) as address:
        outlet = open_destination(web(address, kind="fhir"), environment={})
        with pytest.raises(OutletError) as caught:
            outlet.send(parcel_of(results, kind="fhir"))
    assert caught.value.fault is fault
    assert caught.value.status == f"HTTP {status}"
    assert caught.value.permanent == (fault is Fault.REFUSED)


# Folders


def folder(place: Path) -> DestinationSettings:
    return DestinationSettings(name="share", kind="folder", folder=place)


def test_a_folder_gets_whole_results_once(results: Path, tmp_path: Path) -> None:
    parcel = parcel_of(results, "segmentation", "report", kind="folder")
    outlet = open_destination(folder(tmp_path))
    assert outlet.confirm(parcel) is DeliveryConfirmation.MISSING
    for _ in range(2):
        outlet.send(parcel)
        assert outlet.confirm(parcel) is DeliveryConfirmation.KEPT
    written = {path.relative_to(tmp_path / "S-abc" / "1"): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {str(path): content for path, content in written.items()} == {item.path.name: item.read() for item in parcel.items}


def test_a_repeated_run_replaces_its_results(results: Path, tmp_path: Path) -> None:
    outlet = open_destination(folder(tmp_path))
    outlet.send(parcel_of(results, "segmentation", "report"))
    again = parcel_of(another(results, tmp_path.parent / f"{tmp_path.name}-other"), "segmentation")
    assert outlet.confirm(again) is DeliveryConfirmation.MISSING
    outlet.send(again)
    assert outlet.confirm(again) is DeliveryConfirmation.KEPT
    assert [path.name for path in tmp_path.rglob("*.dcm")] == ["segmentation.dcm"]


def test_what_a_killed_node_left_is_removed(parcel: Delivery, tmp_path: Path) -> None:
    (tmp_path / ".partial-abc").mkdir()
    (tmp_path / ".partial-abc" / "half.dcm").write_bytes(b"half")
    open_destination(folder(tmp_path)).send(parcel)
    assert [path.name for path in tmp_path.iterdir()] == ["S-abc"]


def test_nothing_half_appears(results: Path, tmp_path: Path) -> None:
    copy = copied(results, tmp_path / "copy")
    parcel, target = parcel_of(copy), tmp_path / "target"
    target.mkdir()
    parcel.items[1].path.write_bytes(b"altered")
    with pytest.raises(OutletError) as caught:
        open_destination(folder(target)).send(parcel)
    assert caught.value.fault is Fault.DATA_MISSING
    assert list(target.iterdir()) == []


def test_a_folder_that_is_not_mounted(parcel: Delivery, tmp_path: Path) -> None:
    with pytest.raises(OutletError) as caught:
        open_destination(folder(tmp_path / "none")).send(parcel)
    assert caught.value.down
    assert not (tmp_path / "none").exists()
