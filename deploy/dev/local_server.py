"""What the real servers of demos and tests share: a process on the loopback interface that is started, awaited and stopped."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self


class LocalServer:
    """One server process; a context manager that stops it. A kind of server says how in `start` and `_question`.

    Parameters
    ----------
    port
        A free one is chosen if None.

    Attributes
    ----------
    url
        Of its service, once started.
    """

    name = "the server"
    patience_s = 30.0
    """How long it may take until it answers."""
    ends_on = signal.SIGTERM

    def __init__(self, path: str, port: int | None = None) -> None:
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
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
            If it is not installed, ends at once, or does not answer within `patience_s`.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._process is not None and self.running:
            self._process.send_signal(self.ends_on)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def run_until_asked(self) -> int:
        """Serve until SIGTERM or SIGINT; exit status for a command."""
        asked: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda which, _frame: asked.append(which))
        try:
            with self:
                print(self.url, flush=True)
                while not asked and self.running:
                    time.sleep(0.2)
                return 0 if asked else 1
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1

    def _question(self) -> urllib.request.Request:
        """What it answers with status 200 when it is ready."""
        raise NotImplementedError

    def _launch(self, command: Sequence[str], folder: Path | None = None) -> None:
        with tempfile.TemporaryFile() as log:
            self._process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
            deadline = time.monotonic() + self.patience_s
            while not self._answers():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    log.seek(0)
                    said = log.read().decode("utf-8", "replace")[-1500:]
                    raise RuntimeError(f"{self.name} did not start on port {self.port}; it said:\n{said}")
                time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self._question(), timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
