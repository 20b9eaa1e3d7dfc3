"""The node itself: receives, completes, has the work done, delivers; one per state folder."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from braintumor import __version__
from braintumor.domain import BusyError
from braintumor.node import metrics
from braintumor.node.broker import Dispatcher
from braintumor.node.completion import Completion
from braintumor.node.deliver import CommitmentInbox, Deliverer, open_destination
from braintumor.node.leases import Leases
from braintumor.node.ledger import Ledger
from braintumor.node.outbox import Outbox
from braintumor.node.patience import retry_until_up
from braintumor.node.pool import Pool
from braintumor.node.receive import Receivers
from braintumor.node.registrar import Registrar
from braintumor.node.schema import Database, DatabaseDownError
from braintumor.node.settings import NodeSettings
from braintumor.node.spool import Arrival, Spool
from braintumor.node.states import StudyState
from braintumor.node.web import Web

log = logging.getLogger("braintumor.node")

TICK_S = 0.25
_RETENTION_EVERY_S = 600.0
_DISPATCH_IDLE_S, _DISPATCH_AGAIN_S = 15.0, 600.0
"""Messages may be lost, so they are sent again: where no worker has had a study for so long, and anyway after so long."""


class Node:
    """Everything that runs in the node's own process.

    Receiving starts first and needs no database; all else starts when the database answers.

    Parameters
    ----------
    file
        The settings file that worker processes read again; None for the defaults.
    """

    def __init__(self, settings: NodeSettings, file: Path | None = None) -> None:
        self.settings, self._file = settings, file
        self.spool = Spool(settings.state, settings.disk.free_mb)
        self._stop = threading.Event()
        self._inbox = CommitmentInbox()
        self._core: _Core | None = None

    def run(self) -> None:
        """Serve until `stop` is called.

        Raises
        ------
        BusyError
            If another node runs on the same state folder.
        DatabaseError
            If the database's URL is of no use, or its tables are of a newer version.
        """
        with ExitStack() as stack:
            stack.enter_context(StateFolderLock(self.settings.state / "lock"))
            self.spool.clear_incoming()
            web = stack.enter_context(Web(self.settings, self.spool, lambda: self._core, self._kept))
            inlets = stack.enter_context(Receivers(self.settings, self.spool, self._kept, self._committed, self._inbox))
            web.receiving = inlets.running
            log.info("node-started", extra={"facts": {"pid": os.getpid()}})
            core = self._open()
            if core is not None:
                stack.callback(core.stop)
                self._core = core  # before it reads the disk: what comes from now on is told to it, what came before it finds
                with suppress(DatabaseDownError):  # asked to stop while it is down
                    retry_until_up(core.start, self._stop)
                    core.serve(self._stop)
            log.info("node-stopping", extra={"facts": {}})

    def stop(self) -> None:
        """Have `run` end: what arrives is refused, what runs may finish for `work.drain_s`."""
        self._stop.set()

    def _kept(self, arrival: Arrival) -> None:
        core = self._core
        if core is not None:
            core.registrar.put(arrival)

    def _committed(self, study_uid: str) -> None:
        core = self._core
        if core is not None:
            core.completion.signal(self.spool.pseudonym(study_uid))

    def _open(self) -> _Core | None:
        """The part that needs the database, as soon as there is one; None if the node is to stop before."""
        try:
            database = retry_until_up(lambda: Database(self.settings.database_url), self._stop)
        except DatabaseDownError:
            return None
        return _Core(self.settings, self._file, self.spool, database, self._inbox)


class _Core:
    """What works on the state machine."""

    def __init__(
        self, settings: NodeSettings, file: Path | None, spool: Spool, database: Database, inbox: CommitmentInbox
    ) -> None:
        self.settings, self.spool, self.database = settings, spool, database
        self.ledger, self.outbox = Ledger(database), Outbox(database)
        self.completion = Completion(settings, self.ledger)
        self.leases = Leases(self.ledger, settings.work)
        late = settings.complete.late == "rerun"
        self.registrar = Registrar(self.ledger, spool, self.completion.touch, rerun_late=late)
        calling = settings.dicom.ae_title
        outlets = [(one, open_destination(one, calling=calling, inbox=inbox)) for one in settings.destinations]
        count, observe = metrics.count_delivery, metrics.observe_delivery_seconds
        self.deliverer = Deliverer(self.outbox, outlets, settings.deliver, spool, count=count, observe=observe)
        inbox.on_report(self.deliverer.wake)
        self.pool = None if settings.broker else Pool(file, settings, self._lost)
        self.dispatcher = Dispatcher(settings) if settings.broker else None
        self._dispatched: dict[tuple[str, int, int], float] = {}
        self._busy = time.monotonic()
        self._news = 0
        metrics.set_build(__version__, "", "")  # the model is known as soon as a worker has used one
        metrics.name_destinations(one.name for one in settings.destinations)
        self._next_retention = time.monotonic()

    def start(self) -> None:
        self._news = self.ledger.last_news()
        self.completion.start()
        self.registrar.start()
        self.deliverer.start()

    def stop(self) -> None:
        if self.pool is not None:
            self.pool.stop()
        self.registrar.stop()
        self.deliverer.stop()
        if self.dispatcher is not None:
            self.dispatcher.close()
        self.database.close()

    def serve(self, stop: threading.Event) -> None:
        while not stop.wait(TICK_S):
            try:
                self.completion.tick()
                self.leases.tick()
                if self.pool is not None:
                    self.pool.tend()
                self._dispatch()
                self._tell()
                self._retain()
            except DatabaseDownError:
                log.warning("database-down", extra={"facts": {}})
                stop.wait(1.0)
            except Exception:  # a fault of ours in one part must not stop all others for good
                log.exception("tick-failed", extra={"facts": {}})
                stop.wait(1.0)

    def _lost(self, owner: str) -> None:
        try:
            self.leases.owner_lost(owner)
        except DatabaseDownError:
            log.warning("database-down", extra={"facts": {}})  # its lease will tell

    def _dispatch(self) -> None:
        """Tell the broker of every study that waits for a worker."""
        if self.dispatcher is None:
            return
        now, waiting = time.monotonic(), {}
        if self.leases.watching:
            self._busy = now
        for study in self.ledger.in_state(StudyState.COMPLETE):
            key = (study.pseudonym, study.revision, study.attempts)
            sent = self._dispatched.get(key)
            idle = sent is not None and now - max(sent, self._busy) > _DISPATCH_IDLE_S
            if sent is None or idle or now - sent > _DISPATCH_AGAIN_S:
                if not self.dispatcher.send(study.pseudonym):
                    break  # the broker is down: the rest would wait in vain as well
                sent = now
            waiting[key] = sent
        self._dispatched = waiting

    def _tell(self) -> None:
        """Into log and metrics: what happened since the last look, by this process or any other."""
        for number, pseudonym, code, facts in self.ledger.news(self._news):
            self._news = number
            log.info(code, extra={"facts": {"study": pseudonym, **facts}})
            if code == "produced":
                metrics.observe_stages(facts.get("stages", {}))
                model = facts.get("model", {})
                metrics.set_build(__version__, model.get("name", ""), model.get("version", ""))
                self.deliverer.wake()
            elif code in ("failed", "study-failed"):
                metrics.count_failed(str(facts.get("reason", "")))
            elif code == "study-acknowledged":
                study = self.ledger.find(pseudonym)
                if study is not None and study.generation == 1:  # later ones did not begin with the first image
                    since = datetime.fromisoformat(study.first_received)
                    metrics.observe_study_seconds(max(0.0, (datetime.now(UTC) - since).total_seconds()))

    def _retain(self) -> None:
        """Remove studies that have been done with for long enough."""
        if time.monotonic() < self._next_retention:
            return
        self._next_retention = time.monotonic() + _RETENTION_EVERY_S
        for study in self.ledger.removable(datetime.now(UTC) - timedelta(days=self.settings.disk.keep_days)):
            self.spool.remove(study.pseudonym)
            self.ledger.remove(study)
            log.info("study-removed", extra={"facts": {"study": study.pseudonym}})


class StateFolderLock:
    """Holds the state folder's lock, which the kernel releases however the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> StateFolderLock:
        self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise BusyError("Another node runs on this state folder", remedy="Stop it, or name another folder") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
