"""Senders, instances and a receiving service for the tests of `braintumor.node.receive`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_context

from braintumor.domain import MRSequence, Patient
from braintumor.node.receive.dimse import StorageService
from braintumor.node.settings import Dicom
from braintumor.node.spool import Arrival, Spool
from braintumor.phantom.dicom import Awkward, study_header, write_series
from tests.study.conftest import head

TITLE = "NODE"
MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"


def series(folder: Path, seed: str = "receive", **awkward: Any) -> list[Path]:
    """Ten small slices of one series."""
    header = study_header(seed, Patient("SECRET-ID", "Secret^Name", "19600101", "F"), date(2024, 5, 31))
    return write_series(head(MRSequence.FLAIR), folder, header, MRSequence.FLAIR, series_number=1, awkward=Awkward(**awkward))


def encoded(dataset: pydicom.Dataset) -> bytes:
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def changed(path: Path, **values: Any) -> bytes:
    """The instance of a file with other values, e.g. of another class; its file meta agrees with it."""
    dataset = deepcopy(pydicom.dcmread(path))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return encoded(dataset)


def copies(path: Path, folder: Path, count: int) -> list[Path]:
    """Different instances with the content of one."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = pydicom.dcmread(path)
    files = []
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=[path.name, str(number)]
        )
        files.append(folder / f"{number:05d}.dcm")
        files[-1].write_bytes(encoded(dataset))
    return files


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Receiver:
    """A running service and what it told."""

    spool: Spool
    port: int
    arrivals: list[Arrival] = field(default_factory=list)
    committed: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    service: StorageService | None = None

    def count(self, code: str) -> None:
        self.counts[str(code)] += 1

    @property
    def kept(self) -> list[Path]:
        return [path for _, path in self.spool.kept()]

    @property
    def nothing_unfinished(self) -> bool:
        return not list((self.spool.state / "incoming").iterdir())


@contextmanager
def receiving(
    state: Path, *, free_mb: int = 0, peers: Any = None, patience_s: float = 20.0, **settings: Any
) -> Iterator[Receiver]:
    """A service on a free port for the length of a block."""
    found = Receiver(Spool(state, free_mb), free_port())
    dicom = Dicom(ae_title=TITLE, port=found.port, **settings)
    told = (found.arrivals.append, found.committed.append, found.count)
    with StorageService(dicom, found.spool, *told, peers=peers, patience_s=patience_s) as found.service:
        yield found


def tool(name: str) -> str:
    """A program of DCMTK, or skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} (Debian package dcmtk) is not installed")
    return found


def dcmtk(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [tool(name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def storescu(port: int, files: Sequence[Path], *options: str, called: str = TITLE, calling: str = "SENDER") -> tuple[int, str]:
    """Exit status and output of a sender that proposes what its files need."""
    done = dcmtk("storescu", "-v", "-R", "-aec", called, "-aet", calling, *options, "127.0.0.1", port, *files)
    return done.returncode, done.stdout + done.stderr


def send_echo(port: int) -> bool:
    return dcmtk("echoscu", "-aec", TITLE, "127.0.0.1", port).returncode == 0


def send(port: int, contents: list[bytes], *, syntax: str = ExplicitVRLittleEndian, calling: str = "SENDER") -> list[int]:
    """Statuses that pynetdicom hears for instances sent on one association."""
    entity = AE(calling)
    classes = {str(pydicom.dcmread(pydicom.filebase.DicomBytesIO(c), stop_before_pixels=True).SOPClassUID) for c in contents}
    association = entity.associate("127.0.0.1", port, [build_context(c, syntax) for c in classes], ae_title=TITLE)
    assert association.is_established
    try:
        return [association.send_c_store(pydicom.dcmread(pydicom.filebase.DicomBytesIO(c))).get("Status", -1) for c in contents]
    finally:
        association.release()


def eventually(condition: Any, seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def threads_of(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if name in thread.name]
