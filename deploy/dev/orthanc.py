"""Runs Debian's Orthanc with its DICOMweb plugin on the loopback interface: the real PACS of demos and tests.

    python deploy/dev/orthanc.py --port 8042 --storage FOLDER

Packages ``orthanc`` and ``orthanc-dicomweb``. For development: unencrypted, and without a password unless one is given.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file: the project's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.dev.local_server import LocalServer

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def missing() -> str | None:
    """What is not installed, in words; None if Orthanc can run."""
    if _program() is None:
        return "Orthanc is not installed (Debian package orthanc)"
    return None if PLUGIN.exists() else "Orthanc's DICOMweb plugin is not installed (Debian package orthanc-dicomweb)"


class Orthanc(LocalServer):
    """One Orthanc process, see `LocalServer`.

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

    name = "Orthanc"
    ends_on = signal.SIGINT  # it closes its database on this one

    def __init__(self, storage: Path | None = None, port: int | None = None, user: tuple[str, str] | None = None) -> None:
        super().__init__("/dicom-web", port)
        self.user = user
        self._storage = storage
        self._scratch: Path | None = None

    def start(self) -> None:
        """Start it and wait until it answers; raises RuntimeError."""
        program, absent = _program(), missing()
        if program is None or absent is not None:
            raise RuntimeError(absent)
        self._scratch = Path(tempfile.mkdtemp(prefix="braintumor-orthanc-"))
        settings = self._scratch / "orthanc.json"
        settings.write_text(json.dumps(self._settings(), indent=1), encoding="utf-8")
        self._launch([program, str(settings)])

    def stop(self) -> None:
        """Ask it to end, wait, and remove its temporary files."""
        super().stop()
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

    def _question(self) -> urllib.request.Request:
        request = urllib.request.Request(f"{self.url}/studies?limit=1")  # noqa: S310
        if self.user is not None:
            request.add_header("Authorization", "Basic " + b64encode(":".join(self.user).encode()).decode())
        return request


def _program() -> str | None:
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8042)
    parser.add_argument("--storage", type=Path, help="folder to keep the images in; temporary if not given")
    arguments = parser.parse_args()
    return Orthanc(arguments.storage, arguments.port).run_until_asked()


if __name__ == "__main__":
    sys.exit(_main())
