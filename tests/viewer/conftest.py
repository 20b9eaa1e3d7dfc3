"""A running server on three phantom patients, on a folder and on a real Orthanc, and a headless Chromium to look at it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from braintumor import phantom
from deploy.dev import chromium as system_chromium
from tests import orthanc
from tests.data import ROOT
from tests.viewer.driver import PATIENCE_S, Viewer

DIST = ROOT / "ohif-config" / "dist" / "index.html"
SHOTS = Path(os.environ.get("BRAINTUMOR_SHOTS", ROOT / "build" / "viewer"))


@dataclass(frozen=True)
class Served:
    """Where the server answers, and which archive is behind it."""

    base_url: str
    archive: str


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def chromium():
    """The browser of the operating system."""
    program = system_chromium.program()
    if program is None:
        pytest.skip("no chromium (Debian package chromium; or name one with BRAINTUMOR_CHROMIUM)")
    return program


@pytest.fixture(scope="session")
def patients(tmp_path_factory):
    """One study each of three patients; training needs two to measure on one it did not see, the third is for other tests."""
    folder = tmp_path_factory.mktemp("patients")
    for seed in (7, 8, 9):
        visit = phantom.make(phantom.PhantomOptions(seed=seed, spacing_mm=(3.0, 3.0, 3.0), skull=False))[0]
        phantom.write_dicom(visit, folder / f"patient-{seed}")
    return folder


@pytest.fixture(params=["folder", "orthanc"], scope="session")
def served(request, patients, tmp_path_factory):
    """`braintumor serve` in a process of its own, as a user starts it."""
    base = tmp_path_factory.mktemp("served")
    if request.param == "folder":
        shutil.copytree(patients, base / "studies")
        yield from serve(base / "studies", base, "folder")
        return
    with orthanc.running() as pacs:
        orthanc.add(pacs, sorted(patients.rglob("*.dcm")))
        yield from serve(pacs.url, base, "orthanc")


def serve(studies, base, archive):
    """A server in a process of its own while the test runs."""
    if not DIST.is_file():
        pytest.skip("the viewer is not fetched (braintumor viewer fetch)")
    port = _free_port()
    command = [sys.executable, "-m", "braintumor", "serve", str(studies), "--port", str(port)]
    options = ["--state", str(base / "state"), "--steps", "2"]
    with (base / "server.log").open("w") as log:
        process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_up(f"http://127.0.0.1:{port}", process, base / "server.log")
            yield Served(f"http://127.0.0.1:{port}", archive)
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_up(url, process, log):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if requests.get(f"{url}/api/about", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    pytest.fail("the server did not come up: " + log.read_text()[-2000:])


@pytest.fixture(scope="package")
def base_url(served):
    """Address of a running server with three patients."""
    return served.base_url


@pytest.fixture(scope="package")
def browser(chromium):
    """One browser for the tests of this folder; Playwright's event loop would be in the way of others (asyncio.run refuses)."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(system_chromium.FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def viewer(served, browser):
    """A page of the viewer; what went wrong in the browser fails the test."""
    return browse(browser, served.base_url, served.archive)


def browse(browser, base_url, name):
    """A `Viewer` on a server, its screenshots in a folder of that name."""
    shots = SHOTS / name
    shots.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1600, "height": 950})
    page.set_default_timeout(PATIENCE_S * 1000)
    return Viewer(page, base_url, shots)
