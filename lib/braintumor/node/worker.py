"""One worker: claims a study, shows that it lives, runs it, and enters what came of it."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from braintumor.domain import (
    BrainTumorError,
    EngineError,
    NotInstalledError,
    OutputError,
    WeightsError,
)
from braintumor.node.completion import used_series
from braintumor.node.ledger import Ledger, ReceivedSeries
from braintumor.node.patience import retry_until_up
from braintumor.node.processors import Processor, processor, without_uids
from braintumor.node.schema import DatabaseDownError
from braintumor.node.settings import NodeSettings
from braintumor.node.spool import Spool
from braintumor.node.states import Reason, StudyRecord

log = logging.getLogger("braintumor.node.worker")

TOO_LONG = 75
"""Exit status of a worker process that gave up a study because of its time limit."""

_OURS = (OutputError, EngineError, WeightsError, NotInstalledError)
"""Errors that are this machine's fault and not the study's: it stays COMPLETE, for another worker or a better day."""


def owner_name() -> str:
    """A name that no other worker process ever has."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


class UnfitError(Exception):
    """The worker cannot do any study, or not now; the message is the code of the reason."""


class _DataMissingError(Exception):
    """The disk does not hold what was acknowledged."""


class Worker:
    """Does studies for one owner, one after the other.

    Parameters
    ----------
    run
        Turns images into results; that of the settings if None.
    give_up
        Called when a study takes too long, after it is entered as failed; ends the process if None, because nothing else
        stops a stage.
    """

    def __init__(
        self,
        settings: NodeSettings,
        ledger: Ledger,
        spool: Spool,
        owner: str | None = None,
        run: Processor | None = None,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        self.owner = owner or owner_name()
        self._settings, self._ledger, self._spool = settings, ledger, spool
        self._run = run or processor(settings.work)
        self._give_up = give_up or (lambda: os._exit(TOO_LONG))
        self._current: StudyRecord | None = None

    def prepare(self) -> None:
        """Load the model, so that the first study does not wait for it; raises UnfitError."""
        try:
            self._run.prepare()
        except _OURS as error:
            raise UnfitError(error.code) from error

    def one(self, pseudonym: str | None = None) -> bool:
        """Do one study, if there is one to do.

        Raises
        ------
        UnfitError
            If this machine cannot do any: its disk is full, its model is missing.
        DatabaseDownError
            If the database does not answer while a study is sought; once it has one, a worker waits for the database.
        """
        study = self._ledger.claim(self.owner, pseudonym)
        if study is None:
            return False
        self._current = study
        try:
            with self._beating(study):
                self._do(study)
        finally:
            self._current = None
        return True

    def release(self) -> None:
        """Give the present study back undone; for a process that must stop now."""
        study = self._current
        if study is not None:
            retry_until_up(lambda: self._ledger.released(study))

    def _do(self, study: StudyRecord) -> None:
        started = time.monotonic()
        log.info("study-started", extra={"facts": {"study": study.pseudonym, "attempt": study.attempts + 1}})
        out = self._spool.results(study.pseudonym, study.generation)
        try:
            with self._images(study) as images:
                manifest = self._run(images, out, datetime.fromisoformat(study.created))
        except _OURS as error:
            retry_until_up(lambda: self._ledger.released(study))
            raise UnfitError(error.code) from error
        except _DataMissingError:
            words = "An image that was received is gone from the disk, or altered. Send the study again."
            retry_until_up(lambda: self._ledger.failed(study, Reason.DATA_MISSING, words))
            log.error("data-missing", extra={"facts": {"study": study.pseudonym}})
        except BrainTumorError as error:
            code, detail = error.code, without_uids(f"{error.problem}. {error.remedy}.")
            retry_until_up(lambda: self._ledger.failed(study, code, detail))
            log.warning("study-failed", extra={"facts": {"study": study.pseudonym, "reason": code}})
        except Exception as error:
            retry_until_up(lambda: self._ledger.lost(study, self._settings.work.attempts))
            log.exception("study-crashed", extra={"facts": {"study": study.pseudonym, "error": type(error).__name__}})
        else:
            model = manifest.get("model", {})
            facts = {
                "stages": dict(manifest.get("timings_s", {})),
                "model": {"name": model.get("name", ""), "version": model.get("version", "")},
                "seconds": round(time.monotonic() - started, 3),
            }
            names = [destination.name for destination in self._settings.destinations]
            relative = str(out.relative_to(self._spool.state))
            if retry_until_up(lambda: self._ledger.produced(study, relative, names, facts)):
                log.info("study-produced", extra={"facts": {"study": study.pseudonym, "seconds": facts["seconds"]}})
                _tidy(out)
                return
            log.info("result-outdated", extra={"facts": {"study": study.pseudonym}})
        shutil.rmtree(out, ignore_errors=True)

    @contextmanager
    def _images(self, study: StudyRecord) -> Iterator[Path]:
        """The folder of the images that the rules let through: the study's own, or one of links to some of it."""
        every = self._ledger.series(study.id)
        used = used_series(every, self._settings.rules)
        folder = self._spool.instances(study.pseudonym)
        if not _is_whole(folder, used):
            raise _DataMissingError
        if len(used) == len(every):
            yield folder
            return
        chosen = folder.parent / f"chosen-{uuid.uuid4().hex[:8]}"
        chosen.mkdir(mode=0o700)
        try:
            for series in used:
                for name in series.files:
                    os.link(folder / name, chosen / name)
            yield chosen
        finally:
            shutil.rmtree(chosen, ignore_errors=True)

    @contextmanager
    def _beating(self, study: StudyRecord) -> Iterator[None]:
        """Heartbeats beside the work, and an eye on the time."""
        over = threading.Event()
        work = self._settings.work

        def beat() -> None:
            end = time.monotonic() + work.limit_s
            while not over.wait(work.lease_s / 5):
                if time.monotonic() > end:
                    retry_until_up(
                        lambda: self._ledger.failed(study, Reason.TOO_LONG, f"It took longer than {work.limit_s:g} s")
                    )
                    log.error("study-too-long", extra={"facts": {"study": study.pseudonym, "limit_s": work.limit_s}})
                    self._give_up()
                    return
                try:
                    if not self._ledger.beat(study):
                        log.warning("study-taken-over", extra={"facts": {"study": study.pseudonym}})
                        return  # what comes of it will not be entered
                except DatabaseDownError:
                    log.warning("database-down", extra={"facts": {"study": study.pseudonym}})

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _tidy(out: Path) -> None:
    """Remove what killed workers left of this generation beside the results."""
    generation = out.name.partition("-")[0]
    for left in (*out.parent.glob(f"{generation}-*"), *out.parent.glob(".partial-*"), *out.parent.parent.glob("chosen-*")):
        if left != out:
            shutil.rmtree(left, ignore_errors=True)


def _is_whole(folder: Path, used: Sequence[ReceivedSeries]) -> bool:
    """Whether every file that was acknowledged lies there in its size: one that is gone must not go unnoticed."""
    kept = {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}
    return all(kept.get(name) == size for series in used for name, size in zip(series.files, series.sizes, strict=True))
