"""Work that outlasts a request: queued by urgency, done once for whoever asks, watched, cancelled, never silently lost."""

from __future__ import annotations

import logging
import threading
import time
import traceback
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any

from braintumor.domain import BrainTumorError, BusyError, JobState, Progress, UnknownJobError, problem

_log = logging.getLogger(__name__)

Work = Callable[[Progress], Mapping[str, Any] | None]
"""What a job does. It calls the progress, which raises `Cancelled` when the job is not wanted any more; returns facts as JSON."""


class JobKind(StrEnum):
    """What a job of the server makes or sends."""

    PREPARE = "prepare"
    SEGMENT = "segment"
    SCORE = "score"
    TRACK = "track"
    REPORT = "report"
    ARCHIVE = "archive"
    SEND = "send"


class Urgency(StrEnum):
    """Who waits: a person in front of a screen, or nobody."""

    PERSON = "person"
    BACKGROUND = "background"


class Cancelled(BaseException):
    """Raised inside work that is no longer wanted."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work as it stands at this moment.

    Attributes
    ----------
    kind, subject
        What is done (``segment``) to what (a study UID).
    share
        0..1 of `stage`.
    queued, started, ended
        Seconds since the epoch; None until then.
    problem
        ``title, detail, remedy, code`` of a failure.
    result
        What the work returned.
    """

    id: str
    kind: JobKind
    subject: str
    state: JobState = JobState.PENDING
    stage: str = ""
    share: float = 0.0
    queued: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    problem: Mapping[str, str] | None = None
    result: Mapping[str, Any] | None = None


@dataclass
class _Entry:
    job: Job
    key: str
    work: Work | None
    urgency: Urgency
    unwanted: bool = False


class Jobs:
    """An in-process queue with one worker, so that the processor serves one network at a time.

    Parameters
    ----------
    limit
        Jobs that may wait; more are refused with `BusyError` rather than promised.
    keep
        Finished jobs remembered.
    """

    def __init__(self, limit: int = 200, keep: int = 500) -> None:
        self._limit, self._keep = limit, keep
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._waiting: list[tuple[int, int, str]] = []
        self._count = 0
        self._changed = threading.Condition()
        self._closed = False
        self._worker = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._worker.start()

    def submit(self, kind: JobKind, subject: str, work: Work, *, key: str = "", urgency: Urgency = Urgency.PERSON) -> Job:
        """Queue work; if the same `key` is waiting or running, that job is returned and nothing is done twice.

        Raises
        ------
        BusyError
            If too much is waiting already, or the server is stopping.
        """
        key = key or f"{kind} {subject}"
        with self._changed:
            for entry in self._entries.values():
                if entry.key == key and not entry.job.state.over and not entry.unwanted:
                    self._hasten(entry, urgency)
                    return entry.job
            waiting = sum(1 for entry in self._entries.values() if entry.job.state is JobState.PENDING)
            if self._closed or waiting >= self._limit:
                raise BusyError("too much work is waiting already", remedy="try again in a few minutes")
            job = Job(uuid.uuid4().hex, kind, subject)
            self._entries[job.id] = _Entry(job, key, work, urgency)
            self._queue(job.id, urgency)
            self._forget()
            self._changed.notify_all()
            return job

    def get(self, job_id: str) -> Job:
        """A job as it stands; `UnknownJobError` if it was never there or is forgotten."""
        with self._changed:
            return self._entry(job_id).job

    def all(self) -> tuple[Job, ...]:
        """Every job remembered, the newest first."""
        with self._changed:
            return tuple(entry.job for entry in reversed(self._entries.values()))

    def cancel(self, job_id: str) -> Job:
        """Stop a job: at once if it waits, at its next report if it runs. A finished job stays as it is."""
        with self._changed:
            entry = self._entry(job_id)
            if entry.job.state is JobState.PENDING:
                self._set(entry, state=JobState.CANCELLED, ended=time.time())
            elif entry.job.state is JobState.RUNNING:
                entry.unwanted = True
            return entry.job

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """The job when it is over, or as it stands after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._entry(job_id).job.state.over, timeout)
            return self._entry(job_id).job

    def close(self, timeout: float = 5.0) -> None:
        """Take no more work, cancel what waits, and give what runs a moment to stop."""
        with self._changed:
            self._closed = True
            for entry in self._entries.values():
                entry.unwanted = True
                if entry.job.state is JobState.PENDING:
                    self._set(entry, state=JobState.CANCELLED, ended=time.time())
            self._changed.notify_all()
        self._worker.join(timeout)

    def _entry(self, job_id: str) -> _Entry:
        try:
            return self._entries[job_id]
        except KeyError:
            raise UnknownJobError("there is no such job", remedy="start it again; old jobs are forgotten") from None

    def _queue(self, job_id: str, urgency: Urgency) -> None:
        self._count += 1
        heappush(self._waiting, (list(Urgency).index(urgency), self._count, job_id))

    def _hasten(self, entry: _Entry, urgency: Urgency) -> None:
        """A person now waits for what was queued in the background: it moves up (its older place finds it done)."""
        if entry.job.state is JobState.PENDING and urgency is Urgency.PERSON and entry.urgency is not urgency:
            entry.urgency = urgency
            self._queue(entry.job.id, urgency)

    def _forget(self) -> None:
        over = [job_id for job_id, entry in self._entries.items() if entry.job.state.over]
        for job_id in over[: max(0, len(over) - self._keep)]:
            del self._entries[job_id]

    def _set(self, entry: _Entry, **changes: Any) -> None:
        entry.job = replace(entry.job, **changes)
        if entry.job.state.over:
            entry.work = None  # its closure may hold a volume
        self._changed.notify_all()

    def _next(self) -> _Entry | None:
        with self._changed:
            while True:
                while self._waiting:
                    entry = self._entries.get(heappop(self._waiting)[2])
                    if entry is not None and entry.job.state is JobState.PENDING:
                        self._set(entry, state=JobState.RUNNING, started=time.time())
                        return entry
                if self._closed:
                    return None
                self._changed.wait()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            work = entry.work
            changes: dict[str, Any]
            try:
                result = None if work is None else work(self._reporter(entry))
                changes = {"state": JobState.COMPLETED, "share": 1.0, "result": result}
            except Cancelled:
                changes = {"state": JobState.CANCELLED}
            except BrainTumorError as error:
                changes = {"state": JobState.FAILED, "problem": problem(error)}
            except Exception as error:  # noqa: BLE001  a job's failure must never end the worker
                _log.error("a %s job failed with %s at %s", entry.job.kind, type(error).__name__, _place(error))
                changes = {"state": JobState.FAILED, "problem": problem(error)}
            with self._changed:
                self._set(entry, ended=time.time(), **changes)

    def _reporter(self, entry: _Entry) -> Progress:
        def report(stage: str, share: float) -> None:
            if entry.unwanted:
                raise Cancelled
            with self._changed:
                self._set(entry, stage=stage, share=round(share, 3))

        return report


def _place(error: Exception) -> str:
    """Where it was raised; the message stays out of the log, for it may quote a header."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"
