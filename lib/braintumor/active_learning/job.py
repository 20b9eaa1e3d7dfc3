"""A retraining as a folder: ``job.json`` says what to do, ``status.json`` how far it is, the rest is what it goes on from."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from braintumor.active_learning.gate import Gate, GateVerdict
from braintumor.domain import BusyError, InputNotFoundError, JobState, OutputError, write_json
from braintumor.train.loop import TrainConfig

TUNE: dict[str, Any] = {
    "steps": 300,
    "batch": 8,
    "size": [128, 128],
    "full_steps": 60,
    "full_batch": 4,
    "learning_rate": 3e-4,
    "warmup": 30,
    "ema": 0.99,
}
"""`braintumor.train.loop.TrainConfig` of a retraining: fewer steps at a fraction of the rate that made the shipped weights,
because it starts from good ones."""


@dataclass(frozen=True, slots=True)
class Source:
    """One submitted label, and the study it belongs to.

    Attributes
    ----------
    name, patient, weight
        See `braintumor.active_learning.examples.Example`.
    study, label, series
        What `braintumor.active_learning.examples.prepare` makes the example from.
    prepared
        Or the example itself, written by `braintumor.active_learning.examples.write_example`.
    """

    name: str
    patient: str = field(repr=False)
    weight: float = 1.0
    study: str = ""
    label: str = ""
    series: str = ""
    prepared: str = ""


@dataclass(frozen=True, slots=True)
class RetrainJob:
    """What a retraining shall do; relative paths start from the job's folder.

    Attributes
    ----------
    registry, shipped
        See `braintumor.active_learning.registry.Registry`; '' for the packaged model.
    sources
        Submitted labels.
    division
        File of `braintumor.active_learning.heldout.divide`, shared by all jobs of an installation.
    share
        Of patients to hold out; read when the file is made.
    heldout
        Folder of prepared examples that are measured on in any case, and whose patients are never trained on; '' for none.
    replay, replay_share
        Folder of old cases to train on again (`braintumor.active_learning.mixture.Replay`), '' for none; and their share of
        the draws.
    cache
        Folder for prepared examples, so that a next job need not prepare them again; '' for the job's own.
    train
        Changes to `TUNE`.
    gate
        See `braintumor.active_learning.gate.Gate`.
    engine
        Runs the network for measuring, see `braintumor.segment.load_engine`. PyTorch keeps to `threads`.
    threads, nice
        Threads of the process, and how far it steps back for others (see nice(2)), so that the server stays responsive.
    report_every, save_every
        Steps between entries of the curve, and between checkpoints.
    """

    registry: str
    sources: tuple[Source, ...]
    division: str
    shipped: str = ""
    share: float = 0.2
    heldout: str = ""
    replay: str = ""
    replay_share: float = 0.5
    cache: str = ""
    train: Mapping[str, Any] = field(default_factory=dict)
    gate: Gate = field(default_factory=Gate)
    engine: str = "torch"
    threads: int = 1
    nice: int = 10
    report_every: int = 10
    save_every: int = 20

    @property
    def config(self) -> TrainConfig:
        """The training configuration; unknown keys raise TypeError."""
        return TrainConfig.from_dict({**TUNE, **self.train})


@dataclass(frozen=True, slots=True)
class RetrainStatus:
    """How far a job is.

    Attributes
    ----------
    state
        ``pending``, ``running``, ``completed``, ``failed`` or ``cancelled``. A job that says ``running`` without a process
        (`is_running`) has crashed; running it again goes on where it was, as after ``cancelled``.
    stage
        ``preparing``, ``training``, ``measuring`` or ``publishing``.
    step, steps
        Of the training.
    share
        Of the whole job, 0..1.
    curve
        ``{"step": ..., "loss": ...}`` in the order of steps.
    notes
        What its reader must know, e.g. that no old cases were replayed.
    verdict
        See `braintumor.active_learning.gate.GateVerdict`; None before the end.
    problem
        title, remedy and code of what it failed of.
    """

    state: JobState = JobState.PENDING
    stage: str = "preparing"
    step: int = 0
    steps: int = 0
    share: float = 0.0
    curve: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    verdict: GateVerdict | None = None
    problem: Mapping[str, str] | None = None
    pid: int = 0
    started: str = ""
    ended: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**plain, "verdict": self.verdict.as_dict() if self.verdict else None}


def write_job(folder: Path, job: RetrainJob) -> None:
    """Write ``job.json`` of a new job, and a status of ``pending``.

    Raises
    ------
    OutputError
        If the folder cannot be written, or holds a job already.
    """
    if (folder / "job.json").exists():
        raise OutputError("The folder holds a job already", remedy="Run that, or choose another folder", path=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "status.json", RetrainStatus().as_dict())
        write_json(folder / "job.json", asdict(job))
    except OSError as error:
        raise OutputError(f"The job cannot be written: {error.strerror or error}", remedy="Free space", path=folder) from error


def read_job(folder: Path) -> RetrainJob:
    """The job of a folder.

    Raises
    ------
    InputNotFoundError
        If it is missing, or is not one; unknown keys too, so that a typing error cannot become a default.
    """
    try:
        content = json.loads((folder / "job.json").read_text())
        sources = tuple(Source(**values) for values in content.pop("sources"))
        job = RetrainJob(sources=sources, gate=Gate(**content.pop("gate", {})), **content)
        _ = job.config
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputNotFoundError(
            "The folder holds no readable job.json", remedy="Write one with braintumor.active_learning.write_job", path=folder
        ) from error
    return job


def read_status(folder: Path) -> RetrainStatus:
    """How far the job of a folder is; ``pending`` where nothing was written yet or what was written is damaged."""
    try:
        content = json.loads((folder / "status.json").read_text())
        verdict = GateVerdict.from_dict(content.pop("verdict")) if content.get("verdict") else None
        content |= {"verdict": verdict, "state": JobState(content.get("state", JobState.PENDING))}
        return RetrainStatus(**{**content, "curve": tuple(content["curve"]), "notes": tuple(content["notes"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return RetrainStatus()


def is_running(folder: Path) -> bool:
    """Whether a process is at work on the job now, whatever its status says."""
    if not (folder / "lock").exists():
        return False
    try:
        with alone(folder, patience_s=0.0):
            return False
    except BusyError:
        return True


@contextmanager
def alone(folder: Path, patience_s: float = 1.0) -> Iterator[None]:
    """Hold the job's lock; the system frees it when the process dies.

    Parameters
    ----------
    patience_s
        How long to wait for it: `is_running` holds it for a moment, which must not turn a start away.

    Raises
    ------
    BusyError
        If another process works on the job.
    """
    until = time.monotonic() + patience_s
    with (folder / "lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise BusyError("The job is running already", remedy="Wait for it, or cancel it", path=folder) from error
                time.sleep(0.02)
        yield


class Reporter:
    """Keeps ``status.json`` of one run up to date; every change is written at once and whole."""

    def __init__(self, folder: Path, steps: int) -> None:
        self._path = folder / "status.json"
        before = read_status(folder)
        self.status = replace(
            before,
            state=JobState.RUNNING,
            stage="preparing",
            steps=steps,
            notes=(),
            verdict=None,
            problem=None,
            pid=os.getpid(),
            started=before.started or _now(),
            ended="",
        )
        self.tell()

    def tell(self, **changes: Any) -> None:
        """Change fields of the status and write it."""
        self.status = replace(self.status, **changes)
        write_json(self._path, self.status.as_dict())

    def note(self, text: str) -> None:
        """Add a note."""
        self.tell(notes=(*self.status.notes, text))

    def trained(self, step: int, loss: float) -> None:
        """Add a point to the curve; points of a part that is trained again after a crash are replaced."""
        curve = (*(point for point in self.status.curve if point["step"] < step), {"step": step, "loss": loss})
        self.tell(stage="training", step=step, curve=curve, share=round(0.1 + 0.7 * step / self.status.steps, 4))

    def end(self, state: JobState, **changes: Any) -> None:
        """The run is over."""
        self.tell(state=state, ended=_now(), **changes)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
