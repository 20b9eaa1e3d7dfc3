"""The node's HTTP side: pages and metrics of how it stands, and STOW-RS, in a thread of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import uvicorn
from fastapi import FastAPI

from braintumor import __version__
from braintumor.domain import DatabaseError, SettingsError
from braintumor.node import metrics, pages
from braintumor.node.deliver import Deliverer
from braintumor.node.ledger import Ledger
from braintumor.node.outbox import Outbox
from braintumor.node.pages import Check, DestinationStanding, WorkerStanding
from braintumor.node.pool import Pool
from braintumor.node.receive import stow
from braintumor.node.receive.inlets import count
from braintumor.node.settings import NodeSettings
from braintumor.node.spool import Arrival, Spool
from braintumor.node.states import StudyRecord, StudyState

TOKEN = "BRAINTUMOR_NODE_TOKEN"  # noqa: S105  # the name of the variable
"""Environment variable with the bearer token of STOW-RS and retries."""

_START_S = 20.0


class Core(Protocol):
    """What the pages ask of the part of the node that has a database."""

    ledger: Ledger
    outbox: Outbox
    deliverer: Deliverer
    pool: Pool | None


class LiveNodeView:
    """How the node stands, also while it has no database yet."""

    def __init__(
        self, settings: NodeSettings, spool: Spool, core: Callable[[], Core | None], receiving: Callable[[], bool]
    ) -> None:
        self._settings, self._spool, self._core, self._receiving = settings, spool, core, receiving

    @property
    def _open(self) -> Core:
        core = self._core()
        if core is None:
            raise DatabaseError("The node's database does not answer yet", remedy="Check that it runs")
        return core

    def recent(self, limit: int) -> Sequence[StudyRecord]:
        """See `NodeView`."""
        return self._open.ledger.recent(limit)

    def study(self, pseudonym: str) -> StudyRecord | None:
        """See `NodeView`."""
        return self._open.ledger.find(pseudonym)

    def events(self, pseudonym: str) -> Sequence[tuple[str, int, str, Mapping[str, Any]]]:
        """See `NodeView`."""
        return self._open.ledger.events(pseudonym)

    def counts(self) -> Mapping[StudyState, int]:
        """See `NodeView`."""
        return self._open.ledger.counts()

    def oldest_seconds(self) -> Mapping[StudyState, float]:
        """See `metrics.Facts`."""
        return self._open.ledger.oldest_seconds()

    def waiting(self) -> Mapping[str, int]:
        """See `metrics.Facts`."""
        return self._open.outbox.waiting()

    def destinations(self) -> Sequence[DestinationStanding]:
        """See `NodeView`."""
        core = self._open
        waiting, status = core.outbox.waiting(), core.deliverer.status()
        return [
            DestinationStanding(
                name=one.name,
                kind=one.kind,
                waiting=waiting.get(one.name, 0),
                last_success=_iso(status[one.name].last_success),
                last_failure=_iso(status[one.name].last_failure),
                last_reason=status[one.name].fault,
            )
            for one in self._settings.destinations
        ]

    def workers(self) -> Sequence[WorkerStanding]:
        """Workers that have a study, wherever they run, and those of this node that wait for one."""
        core = self._core()
        if core is None:
            return []
        try:
            busy = core.ledger.running()
        except DatabaseError:
            return []
        found = [WorkerStanding(_host(study.owner), "busy", study.pseudonym, study.changed) for study in busy]
        if core.pool is not None:
            owners = {study.owner for study in busy}
            found += [WorkerStanding(_host(name), "idle") for name in core.pool.owners() if name not in owners]
        return found

    def checks(self) -> Mapping[str, Check]:
        """See `NodeView`."""
        floor = self._settings.disk.free_mb
        free = self.free_bytes() // 1_000_000
        disk = f"above the floor of {floor} MB" if free >= floor else f"below the floor of {floor} MB: nothing is accepted"
        receiving = self._receiving()
        return {
            "database": self._database(),
            "disk": Check(free >= floor, disk),
            "receiving": Check(receiving, "open" if receiving else "closed"),
        }

    def free_bytes(self) -> int:
        """See `NodeView`."""
        return self._spool.free_bytes

    def retry(self, pseudonym: str) -> bool:
        """See `NodeView`."""
        return self._open.ledger.retry(pseudonym)

    def _database(self) -> Check:
        try:
            self._open.ledger.last_news()
        except DatabaseError as error:
            return Check(ok=False, words=error.problem)
        return Check(ok=True, words="answers")


class WorkerCounts:
    """The gauges' side of the view: workers as numbers."""

    def __init__(self, view: LiveNodeView) -> None:
        self.counts, self.oldest_seconds, self.waiting = view.counts, view.oldest_seconds, view.waiting
        self._view = view

    def workers(self) -> Mapping[str, int]:
        """See `metrics.Facts`."""
        found = [worker.state for worker in self._view.workers()]
        return {state: found.count(state) for state in metrics.WORKER_STATES}


class Web:
    """The web server; a context manager.

    Attributes
    ----------
    receiving
        Tells whether instances are received; set once the doors are open.
    """

    def __init__(
        self, settings: NodeSettings, spool: Spool, core: Callable[[], Core | None], on_kept: Callable[[Arrival], None]
    ) -> None:
        self.receiving: Callable[[], bool] = lambda: False
        self._settings = settings.http
        token = os.environ.get(TOKEN) or None
        view = LiveNodeView(settings, spool, core, lambda: self.receiving())
        self._standing = metrics.Standing(WorkerCounts(view), view.free_bytes)
        app = FastAPI(title="Brain tumour node", version=__version__, docs_url=None, redoc_url=None)
        app.include_router(pages.router(view, token))
        if self._settings.stow:
            app.include_router(stow.router(spool, on_kept, count, token))
        config = uvicorn.Config(
            app, self._settings.host, self._settings.port, log_config=None, access_log=False, server_header=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def __enter__(self) -> Web:
        if self._settings.enabled:
            metrics.REGISTRY.register(self._standing)
            self._thread.start()
            end = time.monotonic() + _START_S
            while not self._server.started:
                if not self._thread.is_alive() or time.monotonic() > end:
                    metrics.REGISTRY.unregister(self._standing)
                    raise SettingsError(
                        f"The web server cannot listen on {self._settings.host}:{self._settings.port}",
                        remedy="Choose another http.port, or stop what has it",
                    )
                time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._settings.enabled:
            self._server.should_exit = True
            self._thread.join(10)
            metrics.REGISTRY.unregister(self._standing)


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds")


def _host(owner: str) -> str:
    """Host and process of an owner's name, without the random part."""
    return owner.rpartition(":")[0]
