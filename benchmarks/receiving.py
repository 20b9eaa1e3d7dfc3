"""How fast the node receives: ``python -m benchmarks.receiving [--instances 600] [--kilobytes 512]``.

Printed: instances and megabytes a second from DCMTK's storescu to the node, to the node without its fsync calls, and to DCMTK's
storescp (which does not sync), in turns; the node's memory; and how long Storage Commitment needs to find instances among many
studies.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import pydicom
from pydicom.uid import generate_uid

from benchmarks import machine
from braintumor.domain import Grid, Image, MRSequence, Patient
from braintumor.node.spool import Spool
from braintumor.phantom.dicom import study_header, write_series

ROOT = Path(__file__).resolve().parents[1]
TITLE = "NODE"
_NODE = """
import os, sys, time
from pathlib import Path
from braintumor.node.receive.dimse import StorageService
from braintumor.node.settings import Dicom
from braintumor.node.spool import Spool
if sys.argv[3] == "unsynced":
    os.fsync = lambda handle: None
with StorageService(Dicom(ae_title="NODE", port=int(sys.argv[2])), Spool(Path(sys.argv[1])), lambda arrival: None):
    print("ready", flush=True)
    time.sleep(10_000)
"""


def main() -> None:
    options = _options()
    print(machine.facts())
    with tempfile.TemporaryDirectory(prefix="braintumor-receiving-") as scratch:
        files = make_instances(Path(scratch) / "files", options.instances, options.kilobytes)
        size_mb = sum(path.stat().st_size for path in files.iterdir()) / 1e6
        seconds: dict[str, list[float]] = {name: [] for name in options.receivers}
        for turn in range(options.turns):
            for name, taken in seconds.items():
                place = Path(scratch) / f"{name}-{turn}"
                place.mkdir()
                with _receiver(name, place) as (port, process):
                    before = process.memory_info().rss
                    taken.append(send(port, files))
                    grown = (process.memory_info().rss - before) / 1e6
                print(f"{name}: {taken[-1]:.2f} s, memory +{grown:.0f} MB", flush=True)
        for name, taken in seconds.items():
            middle = statistics.median(taken)
            print(f"{name}: {options.instances / middle:.0f} instances/s, {size_mb / middle:.1f} MB/s")
    if options.studies:
        find(options.studies, options.files)


def make_instances(folder: Path, count: int, kilobytes: int) -> Path:
    """MR slices of one study, with noise in them."""
    side = max(16, round((kilobytes * 1024 / 2) ** 0.5))
    voxels = np.random.default_rng(1).integers(0, 900, (side, side, 1)).astype(np.float32)
    header = study_header("receiving", Patient("P-1", "Bench^Mark", "19600101", "F"), date(2024, 5, 31))
    image = Image(voxels, Grid((side, side, 1), np.eye(4)))
    first = write_series(image, folder, header, MRSequence.FLAIR, series_number=1)[0]
    dataset = pydicom.dcmread(first)
    first.unlink()
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
        dataset.save_as(folder / f"{number:05d}.dcm")
    return folder


def send(port: int, folder: Path) -> float:
    """Seconds that storescu needs for a folder on one association."""
    started = time.perf_counter()
    subprocess.run(["storescu", "-R", "-aec", TITLE, "+sd", "127.0.0.1", str(port), str(folder)], check=True)
    return time.perf_counter() - started


@contextmanager
def _receiver(name: str, place: Path) -> Iterator[tuple[int, psutil.Process]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    ours = [sys.executable, "-c", _NODE, str(place), str(port), name.partition(" ")[2]]
    command = ["storescp", "-pdu", "131072", "-aet", TITLE, "-od", str(place), "+uf", str(port)] if name == "storescp" else ours
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'lib'}"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            while not _listens(port):
                time.sleep(0.05)
            yield port, psutil.Process(process.pid)
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def find(studies: int, files: int) -> None:
    """Seconds to find instances of the latest study, and others that are not there, among many studies."""
    with tempfile.TemporaryDirectory(prefix="braintumor-find-") as scratch:
        spool = Spool(Path(scratch))
        for number in range(studies):
            folder = spool.instances(f"S-{number:012d}")
            folder.mkdir(parents=True)
            for name in range(files):
                (folder / f"{name:026d}.dcm").touch()
        folder = spool.instances("S-latest")
        folder.mkdir(parents=True)
        here = [f"1.2.{number}" for number in range(600)]
        for uid in here:
            (folder / spool.file(uid)).touch()
        for what, wanted in (("of the latest study", here), ("that are not there", [f"1.3.{n}" for n in range(600)])):
            started = time.perf_counter()
            found = spool.find(wanted)
            print(f"600 {what}, among {studies} studies: {time.perf_counter() - started:.3f} s, found {len(found)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=600)
    parser.add_argument("--kilobytes", type=int, default=512)
    parser.add_argument("--receivers", nargs="+", default=["node", "node unsynced", "storescp"])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=20, help="of each of the many studies")
    return parser.parse_args()


if __name__ == "__main__":
    main()
