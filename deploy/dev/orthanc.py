"""Runs Debian's Orthanc with its DICOMweb plugin on the loopback interface: the real PACS of demos and tests.

    python deploy/dev/orthanc.py --port 8042 --storage FOLDER

Packages ``orthanc`` and ``orthanc-dicomweb``. For development: unencrypted, and without a password unless one is given.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PATIENCE_S = 30.0


def missing() -> str | None:
    """What is not installed, in words; None if Orthanc can run."""
    if _program() is None:
        return "Orthanc is not installed (Debian package orthanc)"
    return None if PLUGIN.exists() else "Orthanc's DICOMweb plugin is not installed (Debian package orthanc-dicomweb)"


class Orthanc:
    """One Orthanc process; a context manager that stops it cleanly.

    Parameters
    ----------
    storage
        Where it keeps its data; a temporary folder, removed at the end, if None.
    port
        A free one is chosen if None.
    user
        Name and password of the one account; open to everybody on this machine if None.

    Attributes
    ----------
    url
        Of its DICOMweb service, once started.
    """

    def __init__(self, storage: Path | None = None, port: int | None = None, user: tuple[str, str] | None = None) -> None:
        self.port = port or _free_port()
        self.user = user
        self.url = f"http://127.0.0.1:{self.port}/dicom-web"
        self._storage = storage
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None

    def __enter__(self) -> Orthanc:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        RuntimeError
            If it is not installed, ends at once, or does not answer within `PATIENCE_S`.
        """
        program, absent = _program(), missing()
        if program is None or absent is not None:
            raise RuntimeError(absent)
        self._scratch = Path(tempfile.mkdtemp(prefix="braintumor-orthanc-"))
        settings, log = self._scratch / "orthanc.json", self._scratch / "orthanc.log"
        settings.write_text(json.dumps(self._settings(), indent=1), encoding="utf-8")
        with log.open("wb") as output:
            self._process = subprocess.Popen([program, str(settings)], stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-1500:]
                self.stop()
                raise RuntimeError(f"Orthanc did not start on port {self.port}; it said:\n{said}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, wait, and remove its temporary files."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGINT)  # Orthanc closes its database on this one
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _settings(self) -> dict[str, Any]:
        place = self._storage or (self._scratch or Path()) / "storage"
        place.mkdir(parents=True, exist_ok=True)
        return {
            "Name": "braintumor-dev",
            "StorageDirectory": str(place.resolve()),
            "IndexDirectory": str(place.resolve()),
            "Plugins": [str(PLUGIN)],
            "HttpPort": self.port,
            "RemoteAccessAllowed": False,
            "DicomServerEnabled": False,
            "WebDavEnabled": False,
            "HttpCompressionEnabled": False,  # on the loopback interface compression only costs time
            "SaveJobs": False,
            "AuthenticationEnabled": self.user is not None,
            "RegisteredUsers": {} if self.user is None else dict([self.user]),
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
        }

    def _answers(self) -> bool:
        request = urllib.request.Request(f"{self.url}/studies?limit=1")  # noqa: S310
        if self.user is not None:
            request.add_header("Authorization", "Basic " + b64encode(":".join(self.user).encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _program() -> str | None:
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8042)
    parser.add_argument("--storage", type=Path, help="folder to keep the images in; temporary if not given")
    arguments = parser.parse_args()
    ended = {"asked": False}

    def end(number: int, frame: types.FrameType | None) -> None:
        ended["asked"] = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        with Orthanc(arguments.storage, arguments.port) as server:
            print(server.url, flush=True)
            while not ended["asked"] and server.running:
                time.sleep(0.2)
            return 0 if ended["asked"] else 1
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(_main())
