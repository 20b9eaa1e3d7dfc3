"""Runs Debian's Orthanc with its DICOMweb plugin on the loopback interface: the real PACS of demos and tests.

    python deploy/dev/orthanc.py --port 8042 --storage FOLDER [--dicom 4242]

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file: the project's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.dev.local_server import LocalServer

AE_TITLE = "ORTHANC"
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
    dicom
        Port of its DICOM service (C-STORE, C-FIND, Storage Commitment), which takes calls to `AE_TITLE` only; off if None.
        Unlike the web service it listens on all interfaces: Orthanc has no setting for that.
    peers
        AE title -> host and port of those it answers commitment requests to.

    Attributes
    ----------
    url
        Of its DICOMweb service, once started.
    """

    name = "Orthanc"
    ends_on = signal.SIGINT  # it closes its database on this one

    def __init__(
        self,
        storage: Path | None = None,
        port: int | None = None,
        user: tuple[str, str] | None = None,
        dicom: int | None = None,
        peers: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        super().__init__("/dicom-web", port)
        self.user = user
        self.dicom = dicom
        self._peers = dict(peers or {})
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

    def kill(self) -> None:
        """End it as a power cut does: it has no time for anything. `start` begins again with the same storage."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.stop()

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
            **self._dicom(),
            "WebDavEnabled": False,
            "HttpCompressionEnabled": False,  # on the loopback interface compression only costs time
            "SaveJobs": False,
            "AuthenticationEnabled": self.user is not None,
            "RegisteredUsers": {} if self.user is None else dict([self.user]),
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
        }

    def _dicom(self) -> dict[str, Any]:
        if self.dicom is None:
            return {"DicomServerEnabled": False}
        return {
            "DicomServerEnabled": True,
            "DicomPort": self.dicom,
            "DicomAet": AE_TITLE,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "OverwriteInstances": False,
            "DicomModalities": {
                title: {"AET": title, "Host": host, "Port": port, "AllowStorageCommitment": True}
                for title, (host, port) in self._peers.items()
            },
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
    parser.add_argument("--dicom", type=int, help="port of its DICOM service; off if not given")
    arguments = parser.parse_args()
    return Orthanc(arguments.storage, arguments.port, dicom=arguments.dicom).run_until_asked()


if __name__ == "__main__":
    sys.exit(_main())
