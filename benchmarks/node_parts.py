"""What the node's benchmarks share: studies to send, a node with its workers, and what is true in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pydicom
from pydicom.uid import UID

from braintumor import phantom
from braintumor.node.ledger import Ledger
from braintumor.node.schema import Database
from braintumor.node.settings import NodeSettings, load
from braintumor.node.spool import Spool
from braintumor.node.states import StudyState
from deploy.dev.orthanc import AE_TITLE, Orthanc
from deploy.dev.services import free_port

ROOT = Path(__file__).resolve().parents[1]
SEGMENTATION = UID("1.2.840.10008.5.1.4.1.1.66.4")

SETTINGS = """
state = "{state}"
database = "{database}"
broker = "{broker}"
[dicom]
port = {dicom}
[http]
port = {http}
[complete]
quiet_s = {quiet}
[work]
workers = {workers}
attempts = {attempts}
lease_s = 10
[disk]
free_mb = 100
[deliver]
first_wait_s = 1
longest_wait_s = 10
[[destinations]]
name = "pacs"
kind = "dicom"
host = "127.0.0.1"
port = {pacs}
ae_title = "{title}"
"""


@dataclass
class Template:
    """A small phantom study whose copies are sent as studies of their own."""

    datasets: list[pydicom.Dataset]
    series: list[int]
    """Number of the series of each dataset."""

    @classmethod
    def make(cls, folder: Path, spacing_mm: float) -> Template:
        """Of a skull-stripped phantom: the smaller, the more studies in the same time."""
        visit = phantom.make(phantom.PhantomOptions(seed=7, spacing_mm=(spacing_mm,) * 3, skull=False))[0]
        phantom.write_dicom(visit, folder)
        datasets = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
        uids = sorted({dataset.SeriesInstanceUID for dataset in datasets})
        return cls(datasets, [uids.index(dataset.SeriesInstanceUID) + 1 for dataset in datasets])

    def write(self, number: int, folder: Path) -> str:
        """Write the study of a number into a folder; returns its UID."""
        folder.mkdir(parents=True)
        root = f"1.2.826.0.1.3680043.10.543.77.{os.getpid()}.{number}"
        for index, (dataset, series) in enumerate(zip(self.datasets, self.series, strict=True)):
            dataset.StudyInstanceUID = root
            dataset.PatientID = f"CAMPAIGN-{number}"
            dataset.SeriesInstanceUID = f"{root}.{series}"
            dataset.FrameOfReferenceUID = f"{root}.9"
            dataset.SOPInstanceUID = f"{root}.8.{index + 1}"
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.save_as(folder / f"{index:04}.dcm", enforce_file_format=True)
        return root


@dataclass
class Process:
    """A process in a group of its own, that can be killed as a whole and started again."""

    name: str
    command: list[str]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(self.command, stderr=log, stdout=log, start_new_session=True, cwd=ROOT)

    def kill(self) -> None:
        if self.running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()

    def stop(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.terminate()
            try:
                self.running.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class Site:
    """A node with its settings, its destination, and its workers."""

    folder: Path
    pacs: Orthanc
    settings_file: Path
    settings: NodeSettings
    node: Process
    workers: list[Process] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, database: str, broker: str, workers: int, quiet_s: float, attempts: int = 20) -> Site:
        """Settings are written; nothing runs yet but the destination."""
        pacs = Orthanc(folder / "pacs", dicom=free_port())
        pacs.start()
        file = folder / "node.toml"
        values = {"dicom": free_port(), "http": free_port(), "quiet": quiet_s, "pacs": pacs.dicom, "title": AE_TITLE}
        inside = 0 if broker else workers
        file.write_text(
            SETTINGS.format(
                state=folder / "state", database=database, broker=broker, workers=inside, attempts=attempts, **values
            )
        )
        command = [sys.executable, "-m", "braintumor", "node"]
        node = Process("node", [*command, "start", "--settings", str(file)], folder / "node.log")
        site = cls(folder, pacs, file, load(file), node)
        if broker:
            outside = folder / "worker.toml"
            outside.write_text(file.read_text().replace("workers = 0", "workers = 1"))
            site.workers = [
                Process(f"worker-{n}", [*command, "worker", "--settings", str(outside)], folder / f"worker-{n}.log")
                for n in range(workers)
            ]
        return site

    def start(self) -> None:
        for process in (self.node, *self.workers):
            process.start()
        self.wait_ready()

    def wait_ready(self, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.settings.http.port}/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.1)
        raise SystemExit(f"the node did not become ready; see {self.node.log}")

    def stop(self) -> None:
        for process in (*self.workers, self.node):
            process.stop()
        self.pacs.stop()

    def ledger(self) -> Ledger:
        return Ledger(Database(self.settings.database_url))

    def spool(self) -> Spool:
        return Spool(self.settings.state)

    def send(self, study: Path) -> tuple[bool, list[Path]]:
        """Send with DCMTK; whether all went well, and the files that were acknowledged."""
        command = ["storescu", "-v", "-to", "20", "-td", "60", "-ta", "20", "-aec", "BRAINTUMOR"]
        address = ["127.0.0.1", str(self.settings.dicom.port)]
        files = sorted(study.glob("*.dcm"))
        done = subprocess.run([*command, *address, *map(str, files)], capture_output=True, text=True, check=False)
        acknowledged, sending = [], None
        for line in (done.stdout + done.stderr).splitlines():
            if "Sending file:" in line:
                sending = Path(line.split("Sending file:", 1)[1].strip())
            elif "Received Store Response (Success)" in line and sending is not None:
                acknowledged.append(sending)
        return done.returncode == 0 and len(acknowledged) == len(files), acknowledged

    def stow(self, study: Path) -> tuple[bool, list[Path]]:
        """Send by STOW-RS; whether all went well, and the files that were acknowledged."""
        files = sorted(study.glob("*.dcm"))
        boundary = b"campaign-boundary"
        parts = [b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n" + f.read_bytes() + b"\r\n" for f in files]
        body = b"".join(parts) + b"--" + boundary + b"--\r\n"
        kind = f'multipart/related; type="application/dicom"; boundary={boundary.decode()}'
        try:
            answer = httpx.post(
                f"http://127.0.0.1:{self.settings.http.port}/dicom-web/studies",
                content=body,
                headers={"Content-Type": kind, "Accept": "application/dicom+json"},
                timeout=60,
            )
            kept = answer.json().get("00081199", {}).get("Value", []) if answer.status_code in (200, 202, 409) else []
        except (httpx.HTTPError, ValueError):
            return False, []
        uids = {item["00081155"]["Value"][0] for item in kept}
        acknowledged = [f for f in files if str(pydicom.dcmread(f, specific_tags=["SOPInstanceUID"]).SOPInstanceUID) in uids]
        return answer.status_code == 200, acknowledged

    def delivered(self, study_uid: str) -> Counter[str]:
        """Instances of a study at the destination, counted by SOP Instance UID."""
        answer = httpx.get(f"{self.pacs.url}/studies/{study_uid}/instances", timeout=30)
        if answer.status_code != 200 or not answer.content:
            return Counter()
        return Counter(item["00080018"]["Value"][0] for item in answer.json())

    def segmentations(self, study_uid: str) -> int:
        """SEG instances of a study at the destination."""
        answer = httpx.get(f"{self.pacs.url}/studies/{study_uid}/instances", params={"SOPClassUID": SEGMENTATION}, timeout=30)
        return len(answer.json()) if answer.status_code == 200 and answer.content else 0


def wait_until_settled(ledger: Ledger, pseudonyms: Sequence[str], seconds: float) -> dict[str, StudyState]:
    """State of each study once none is on its way any more, or the time is over."""
    end = time.monotonic() + seconds
    still = (StudyState.ACKNOWLEDGED, StudyState.FAILED, StudyState.IGNORED)
    while True:
        found = {p: ledger.find(p) for p in pseudonyms}
        if all(s is not None and s.state in still for s in found.values()) or time.monotonic() > end:
            return {p: s.state for p, s in found.items() if s is not None}
        time.sleep(1)
