"""Serves demo studies with the viewer, from a folder or from a real PACS: ``python deploy/dev/demo.py demo/study``."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom

if __package__ in (None, ""):  # started as a file: the project's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from braintumor.archive import open_store
from deploy.dev.orthanc import Orthanc, missing


def main() -> int:
    """Exit status of the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", type=Path, help="folder of DICOM studies")
    parser.add_argument("--pacs", choices=("folder", "orthanc"), default="folder", help="what stands behind the viewer")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with _archive(options.studies, options.pacs) as address:
        command = [sys.executable, "-m", "braintumor", "serve", address, "--port", str(options.port)]
        command += ["--state", str(options.studies.parent / "state")]
        try:
            return subprocess.run(command, check=False).returncode  # noqa: S603  our own program
        except KeyboardInterrupt:
            return 0


@contextlib.contextmanager
def _archive(studies: Path, pacs: str) -> Iterator[str]:
    if pacs == "folder":
        yield str(studies)
        return
    absent = missing()
    if absent is not None:
        raise SystemExit(f"{absent}; install it, or run the demo without PACS=orthanc")
    with Orthanc(storage=studies.parent / "orthanc") as running:
        store = open_store(running.url)
        for folder in sorted(path for path in studies.rglob("*") if path.is_dir()):
            instances = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
            if instances:
                print(f"storing {len(instances)} instances of {folder.relative_to(studies)} in Orthanc", flush=True)
                store.store(instances)
        yield running.url


if __name__ == "__main__":
    sys.exit(main())
