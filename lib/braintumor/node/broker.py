"""Workers on several hosts: Celery carries a study's pseudonym, the database says whose it is."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.exceptions import CeleryError
from celery.signals import setup_logging
from kombu.exceptions import OperationalError

from braintumor.node.ledger import Ledger
from braintumor.node.logs import configure
from braintumor.node.schema import Database, DatabaseDownError
from braintumor.node.settings import NodeSettings, load
from braintumor.node.spool import Spool
from braintumor.node.worker import UnfitError, Worker

log = logging.getLogger("braintumor.node.broker")

TASK = "braintumor.segment"
SETTINGS = "BRAINTUMOR_NODE_SETTINGS"
"""Environment variable by which Celery's own command line finds the settings file."""

_UNFIT_WAIT_S = 30


def make_app(settings: NodeSettings) -> Celery:
    """The Celery application of a broker's URL.

    A message is acknowledged after the work, so a killed worker's message comes again; whoever gets it asks the database,
    which gives a study to one owner only. No result is kept in the broker: the database has it.
    """
    app = Celery("braintumor-node", broker=settings.broker, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,  # a study in the hands of a busy worker would wait while another worker is idle
        task_ignore_result=True,
        task_default_queue=settings.work.queue,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"visibility_timeout": int(settings.work.limit_s) + 60, "socket_timeout": 10},
        worker_max_tasks_per_child=settings.work.studies_per_process,
        worker_hijack_root_logger=False,
    )
    return app


class Dispatcher:
    """Tells the broker of studies that are COMPLETE; a message that got lost is sent again."""

    def __init__(self, settings: NodeSettings) -> None:
        self._app, self._queue = make_app(settings), settings.work.queue

    def send(self, pseudonym: str) -> bool:
        """Whether the broker has the message."""
        try:
            self._app.send_task(TASK, args=[pseudonym], queue=self._queue, retry=False)
        except (OperationalError, CeleryError, OSError) as error:
            log.warning("broker-down", extra={"facts": {"error": type(error).__name__}})
            return False
        return True

    def close(self) -> None:
        """Let go of the connection."""
        self._app.close()


def worker_app() -> Celery:
    """The application with its task, for a worker process."""
    file = os.environ.get(SETTINGS)
    settings = load(Path(file) if file else None)
    app = make_app(settings)
    setup_logging.connect(lambda **_: configure(), weak=False)
    held: dict[str, Worker] = {}

    def worker() -> Worker:
        if "it" not in held:  # made in the process that works, not in the one that forks it
            made = Worker(settings, Ledger(Database(settings.database_url)), Spool(settings.state))
            made.prepare()
            held["it"] = made
        return held["it"]

    @app.task(name=TASK, bind=True, max_retries=None)  # type: ignore[untyped-decorator]
    def segment(task: Task[Any, Any], pseudonym: str) -> None:
        try:
            worker().one(pseudonym)
        except (UnfitError, DatabaseDownError) as error:
            log.warning("worker-unfit", extra={"facts": {"study": pseudonym, "reason": type(error).__name__}})
            raise task.retry(countdown=_UNFIT_WAIT_S) from None

    return app


def serve(settings_file: Path | None, settings: NodeSettings) -> int:
    """A Celery worker with `work.workers` processes, until it is stopped."""
    if settings_file is not None:
        os.environ[SETTINGS] = str(settings_file.resolve())
    count = max(1, settings.work.workers)
    worker_app().worker_main(
        [
            *("worker", "--pool", "prefork", "--concurrency", str(count), "--queues", settings.work.queue),
            *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "-n", f"braintumor-{os.getpid()}@%h"),
        ]
    )
    return 0
