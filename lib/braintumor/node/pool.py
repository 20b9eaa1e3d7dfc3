"""Worker processes of this node: started, watched, replaced; they end with the node, however it ends."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from braintumor.domain import BrainTumorError
from braintumor.node.ledger import Ledger
from braintumor.node.logs import configure
from braintumor.node.patience import retry_until_up
from braintumor.node.schema import Database, DatabaseDownError
from braintumor.node.settings import NodeSettings, load
from braintumor.node.spool import Spool
from braintumor.node.worker import UnfitError, Worker, owner_name

log = logging.getLogger("braintumor.node.pool")

IDLE_S = 0.5
"""How often a worker without work asks for some."""

UNFIT = 74
"""Exit status of a worker process whose machine cannot do any study (EX_IOERR)."""

_GIVE_BACK_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_PR_SET_PDEATHSIG = 1


@dataclass
class _Place:
    """One place in the pool, and the process in it."""

    process: subprocess.Popen[bytes] | None = None
    owner: str = ""
    started: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    not_before: float = 0.0


class Pool:
    """Keeps `work.workers` processes going.

    Parameters
    ----------
    file
        The settings file that the processes read again; None for the defaults.
    on_lost
        Told the owner's name when a process has ended, so that its study need not wait for the lease.
    """

    def __init__(self, file: Path | None, settings: NodeSettings, on_lost: Callable[[str], None]) -> None:
        self._file, self._settings, self._on_lost = file, settings, on_lost
        self._places = [_Place() for _ in range(settings.work.workers)]
        self._draining = False
        self._lock = threading.Lock()

    def tend(self) -> None:
        """Start what is missing, notice what ended; called again and again."""
        with self._lock:
            for place in self._places:
                self._tend(place)

    def owners(self) -> list[str]:
        """Names under which the processes that live claim studies."""
        return [p.owner for p in self._places if p.process is not None and p.process.poll() is None]

    def pids(self) -> list[int]:
        """Process numbers of those that live."""
        return [p.process.pid for p in self._places if p.process is not None and p.process.poll() is None]

    def stop(self) -> None:
        """Let each finish its study for `work.drain_s`, then have it give the study back and end."""
        with self._lock:
            self._draining = True
            alive = [p.process for p in self._places if p.process is not None and p.process.poll() is None]
            for patience_s in (self._settings.work.drain_s, _GIVE_BACK_S):  # the second signal means: now
                for process in alive:
                    process.send_signal(signal.SIGTERM)
                alive = _left(alive, patience_s)
            for process in alive:
                process.kill()
                process.wait()
            for place in self._places:
                if place.process is not None:
                    self._on_lost(place.owner)

    def _tend(self, place: _Place) -> None:
        now = time.monotonic()
        if place.process is not None:
            status = place.process.poll()
            if status is None:
                return
            facts = {"status": status, "seconds": round(now - place.started)}
            log.log(logging.INFO if status == 0 else logging.WARNING, "worker-ended", extra={"facts": facts})
            # one that lived long was of use: the pause grows only where processes end at once, again and again
            place.pause_s = (
                _FIRST_PAUSE_S if now - place.started > _LONGEST_PAUSE_S else min(2 * place.pause_s, _LONGEST_PAUSE_S)
            )
            place.not_before = now if status == 0 else now + place.pause_s
            place.process = None
            self._on_lost(place.owner)
        if now >= place.not_before and not self._draining:
            place.owner, place.started = owner_name(), now
            place.process = self._start(place.owner)

    def _start(self, owner: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "braintumor.node.pool",
            owner,
            str(os.getpid()),
            *([str(self._file)] if self._file else []),
        ]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # ourselves


def _left(processes: list[subprocess.Popen[bytes]], patience_s: float) -> list[subprocess.Popen[bytes]]:
    """Those that live on after so long."""
    end = time.monotonic() + patience_s
    while any(process.poll() is None for process in processes) and time.monotonic() < end:
        time.sleep(0.05)
    return [process for process in processes if process.poll() is None]


def serve(settings: NodeSettings, owner: str) -> int:
    """A worker process until it is asked to stop, or has done enough; returns its exit status."""
    asked = threading.Event()
    try:
        database = retry_until_up(lambda: Database(settings.database_url), asked)
    except DatabaseDownError:
        return 0
    worker = Worker(settings, Ledger(database), Spool(settings.state), owner)

    def stop(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():  # the second time: at once
            worker.release()
            os._exit(0)
        asked.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl+C goes to the node, which then asks us
    try:
        worker.prepare()
        _work(worker, asked, settings.work.studies_per_process)
    except UnfitError as error:
        log.error("worker-unfit", extra={"facts": {"reason": str(error)}})
        return UNFIT
    return 0


def _work(worker: Worker, asked: threading.Event, studies: int) -> None:
    done = 0
    while not asked.is_set() and done < studies:
        try:
            if worker.one():
                done += 1
            else:
                asked.wait(IDLE_S)
        except DatabaseDownError:
            log.warning("database-down", extra={"facts": {}})
            asked.wait(1.0)


def _end_with(parent: int) -> None:
    """Have the kernel end this process when the node does: a killed node must not leave workers behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(0)


def _main(arguments: list[str]) -> int:
    owner, parent, *file = arguments
    _end_with(int(parent))
    try:
        settings = load(Path(file[0]) if file else None)
    except BrainTumorError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    configure()
    return serve(settings, owner)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
