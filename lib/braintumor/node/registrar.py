"""From the disk into the database: every instance that is kept is entered, also those of before a crash."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, Full, Queue

from braintumor.domain import BrainTumorError
from braintumor.node.ledger import Ledger
from braintumor.node.patience import retry_until_up
from braintumor.node.schema import DatabaseDownError
from braintumor.node.spool import Arrival, Spool

log = logging.getLogger("braintumor.node.registrar")

_BATCH = 500
_HELD = 100_000
"""Arrivals kept in memory while the database is down; beyond, the disk is read again afterwards."""


class Registrar:
    """A thread that enters arrivals; those who receive never wait for the database.

    Parameters
    ----------
    on_entered
        Told the pseudonym of a study whose new instances are in the database.
    """

    def __init__(self, ledger: Ledger, spool: Spool, on_entered: Callable[[str], None], *, rerun_late: bool) -> None:
        self._ledger, self._spool, self._entered, self._rerun = ledger, spool, on_entered, rerun_late
        self._queue: Queue[Arrival] = Queue(_HELD)
        self._rescan = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registrar", daemon=True)

    def start(self) -> None:
        """Read the disk for what the database does not know, then enter what arrives."""
        self._rescan.set()
        self._thread.start()

    def stop(self) -> None:
        """Enter what has arrived, and end."""
        self._stop.set()
        self._thread.join(10)

    def put(self, arrival: Arrival) -> None:
        """Take an arrival; never waits."""
        try:
            self._queue.put_nowait(arrival)
        except Full:
            self._rescan.set()

    def _run(self) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            try:
                if self._rescan.is_set():
                    self._rescan.clear()
                    self._adopt()
                self._enter(self._batch())
            except DatabaseDownError:
                return  # asked to stop while it is down: the disk has everything, and the next start enters it

    def _batch(self) -> list[Arrival]:
        batch: list[Arrival] = []
        try:
            batch.append(self._queue.get(timeout=0.2))
            while len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        return batch

    def _enter(self, batch: list[Arrival]) -> None:
        studies: dict[str, list[Arrival]] = {}
        for arrival in batch:
            studies.setdefault(self._spool.pseudonym(arrival.study_uid), []).append(arrival)
        for pseudonym, arrivals in studies.items():
            try:
                if self._received(pseudonym, arrivals):
                    self._entered(pseudonym)
            except DatabaseDownError:
                raise
            except Exception:
                # one study that cannot be entered must not keep out all others; the next start tries it again
                log.exception("instances-not-entered", extra={"facts": {"study": pseudonym}})

    def _received(self, pseudonym: str, arrivals: list[Arrival]) -> bool:
        return retry_until_up(lambda: self._ledger.received(pseudonym, arrivals, rerun_late=self._rerun), self._stop)

    def _adopt(self) -> None:
        """Enter files that lie on the disk and that the database does not know."""
        present: dict[str, list[str]] = {}
        for pseudonym, path in self._spool.kept():
            present.setdefault(pseudonym, []).append(path.name)
        for pseudonym, names in present.items():
            known = retry_until_up(partial(self._ledger.known_files, pseudonym), self._stop)
            unknown = [name for name in names if name not in known]
            for start in range(0, len(unknown), _BATCH):
                self._enter(self._recovered(pseudonym, unknown[start : start + _BATCH]))
            if unknown:
                log.warning("instances-recovered", extra={"facts": {"study": pseudonym, "count": len(unknown)}})

    def _recovered(self, pseudonym: str, names: list[str]) -> list[Arrival]:
        found = []
        for name in names:
            try:
                found.append(self._spool.recovered(self._spool.instances(pseudonym) / name))
            except (BrainTumorError, OSError) as error:
                log.error("instance-unreadable", extra={"facts": {"study": pseudonym, "error": type(error).__name__}})
        return found
