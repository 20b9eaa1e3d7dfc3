"""A retraining from start to verdict: prepare, train, measure, publish or not; each part goes on where a killed run was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from braintumor.active_learning.examples import prepare, read_example, read_identity, write_example
from braintumor.active_learning.gate import GateVerdict, Row, mean, measure_all
from braintumor.active_learning.heldout import divide
from braintumor.active_learning.job import Reporter, RetrainJob, RetrainStatus, Source, alone, read_job
from braintumor.active_learning.mixture import Replay, mixture, on_disk
from braintumor.active_learning.registry import ModelVersion, Registry
from braintumor.domain import (
    BrainTumorError,
    BusyError,
    InputNotFoundError,
    JobState,
    NoLabelsError,
    OutputError,
    Region,
    write_json,
)
from braintumor.segment import load_engine, weights
from braintumor.train.data import Slices, from_slice_files
from braintumor.train.loop import StoppedError, train

NO_REPLAY = "No old cases were replayed (the replay folder is empty): the model may forget what it could do before."

Stop = Callable[[], bool]


def run(folder: Path, stop: Stop = lambda: False) -> RetrainStatus:
    """Do the job of a folder, or go on with it, and return its last status; what is served changes only by a verdict.

    Parameters
    ----------
    stop
        Asked after every training step and between cases; once it says True the job ends as ``cancelled``, its checkpoint
        kept, and running it again goes on from there.

    Returns
    -------
    Status
        ``completed`` with a verdict, ``failed`` with a problem, or ``cancelled``; the same as in ``status.json``.

    Raises
    ------
    InputNotFoundError
        If the folder holds no job.
    BusyError
        If another process is at work on it.
    OutputError
        If not even the status can be written.
    """
    job = read_job(folder)
    with alone(folder), _disk(folder):
        reporter = Reporter(folder, job.config.steps)
        try:
            reporter.end(JobState.COMPLETED, verdict=_Run(job, folder, reporter, stop).verdict(), share=1.0)
        except StoppedError:
            reporter.end(JobState.CANCELLED)
        except BrainTumorError as error:
            reporter.end(JobState.FAILED, problem={"title": error.problem, "remedy": error.remedy, "code": error.code})
        except BaseException:
            title = "The retraining ended by an error in the program"
            reporter.end(
                JobState.FAILED, problem={"title": title, "remedy": "Report it with the server's log", "code": "error"}
            )
            raise
        return reporter.status


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Errors of a full or read-only disk as `OutputError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.save hides the system's error in a RuntimeError of its file writer.
        if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error):
            raise
        raise OutputError(
            "The retraining could not write its files", remedy="Free space on the disk and run it again", path=folder
        ) from error


@dataclass(frozen=True, slots=True)
class _Cases:
    """Prepared examples on both sides."""

    train: tuple[tuple[Path, float], ...]
    heldout: tuple[Path, ...]
    heldout_patients: frozenset[str]


class _Run:
    """The parts of one run, in order."""

    def __init__(self, job: RetrainJob, folder: Path, reporter: Reporter, stop: Stop) -> None:
        self.job, self.folder, self.reporter, self.stop = job, folder, reporter, stop
        self.registry = Registry(self._place(job.registry), self._place(job.shipped) if job.shipped else None)

    def verdict(self) -> GateVerdict:
        with _disk(self.folder):
            parent = self._parent()
            cases = self._cases()
            candidate = self._train(parent, cases)
            return self._judge(candidate, cases)

    def _place(self, path: str) -> Path:
        return self.folder / path  # an absolute path stays as it is

    def _check(self) -> None:
        if self.stop():
            raise StoppedError

    def _parent(self) -> ModelVersion:
        """The version this job starts from: the one served when it began, also if it goes on after a crash."""
        plan = self.folder / "plan.json"
        if plan.exists():
            return self.registry.get(json.loads(plan.read_text())["parent"])
        parent = self.registry.current()
        for flag in parent.flags:
            self.reporter.note(flag.message)
        write_json(plan, {"parent": parent.version, "checksum": parent.checksum})
        return parent

    def _cases(self) -> _Cases:
        """Examples prepared and divided; the first thing that may be missing is labels."""
        sources = sorted(self.job.sources, key=lambda source: source.name)
        if not sources:
            raise NoLabelsError("There are no submitted labels to train on", remedy="Submit a corrected label first")
        fixed = tuple(sorted(self._place(self.job.heldout).glob("*.npz"))) if self.job.heldout else ()
        aside = frozenset(read_identity(path)[1] for path in fixed)
        patients = [source.patient for source in sources if source.patient not in aside]
        divided = frozenset[str]()
        if not fixed or self.job.share > 0:
            divided = divide(patients, self._place(self.job.division), self.job.share).heldout
        train_on = [source for source in sources if source.patient not in aside | divided]
        measured = [source for source in sources if source.patient in divided - aside]
        if not train_on:
            raise NoLabelsError(
                "Every labelled patient belongs to the held-out set, so there is nobody to train on",
                remedy="Submit the label of another patient",
            )
        if not measured and not fixed:
            raise NoLabelsError(
                "Only one patient is labelled, so a new model could not be measured on anybody it was not trained on",
                remedy="Submit the label of another patient, or give a folder of held-out cases",
            )
        prepared = {}
        for number, source in enumerate((*train_on, *measured)):
            self._check()
            prepared[source.name] = self._prepared(source)
            self.reporter.tell(share=round(0.1 * (number + 1) / len(sources), 4))
        return _Cases(
            train=tuple((prepared[source.name], source.weight) for source in train_on),
            heldout=(*fixed, *(prepared[source.name] for source in measured)),
            heldout_patients=aside | divided,
        )

    def _prepared(self, source: Source) -> Path:
        if source.prepared:
            return self._place(source.prepared)
        label = self._place(source.label)
        try:
            content = hashlib.sha256(label.read_bytes())
        except OSError as error:
            raise InputNotFoundError("A submitted label is gone", remedy="Submit it again", path=label) from error
        content.update(f"{source.name}|{source.study}|{source.series}".encode())
        cache = self._place(self.job.cache) if self.job.cache else self.folder / "prepared"
        path = cache / f"{content.hexdigest()[:24]}.npz"
        if not path.exists():
            write_example(prepare(source.name, source.patient, self._place(source.study), label, source.series), path)
        return path

    def _train(self, parent: ModelVersion, cases: _Cases) -> Path:
        """Train from the parent's weights; returns the candidate's model folder."""
        started = weights.load(parent.folder)
        patients = self._mixture(cases)
        self.reporter.tell(stage="training")
        network = train(
            patients,
            self.folder / "training",
            self.job.config,
            started.network.config,
            lambda facts: self.reporter.trained(facts["step"], facts["loss"]),
            self.job.report_every,
            self.job.save_every,
            start=started.network.state_dict(),
            stop=self.stop,
        )
        candidate = self.folder / "candidate"
        facts = weights.read_metadata(parent.folder)
        weights.save(network, candidate, {**facts, "version": f"{parent.version}-candidate"})
        return candidate

    def _mixture(self, cases: _Cases) -> list[Slices]:
        mapped = self.folder / "slices"
        new = []
        for path, weight in cases.train:
            self._check()
            new.append((on_disk(path, mapped), weight))
        replay = Replay.find(self._place(self.job.replay) if self.job.replay else None)
        allowed = [path for path in replay.examples if read_identity(path)[1] not in cases.heldout_patients]
        whole = [on_disk(path, mapped / "replay") for path in allowed]
        single = [item for item in from_slice_files(replay.slices) if item.name not in cases.heldout_patients]
        if not whole and not single:
            self.reporter.note(NO_REPLAY)
        return mixture(new, [*whole, *single], self.job.replay_share)

    def _judge(self, candidate: Path, cases: _Cases) -> GateVerdict:
        """Measure both models on the held-out cases and let the gate decide."""
        checksum = weights.load(candidate).checksum
        after = self._measured(candidate, checksum, cases.heldout)
        while True:
            served = self.registry.current()
            if served.checksum == checksum:  # a run that died after publishing
                served = self.registry.get(served.parent or served.version)
            before = self._measured(served.folder, served.checksum, cases.heldout)
            refusal = self.job.gate.refusal(before, after)
            reason = refusal or "Published: not worse on held-out patients than the model before"
            verdict = GateVerdict(before, after, refusal is None, reason, None, served.version, len(cases.heldout))
            if refusal is not None:
                return verdict
            self._check()
            self.reporter.tell(stage="publishing")
            try:
                version = self.registry.publish(candidate, verdict.as_dict(), instead_of=served.version)
            except BusyError:  # another version is served since it was measured: that is the one to beat
                continue
            return replace(verdict, version=version.version)

    def _measured(self, model: Path, checksum: str, heldout: tuple[Path, ...]) -> Row:
        """Mean Dice of a model on the held-out cases; kept, so that a run that goes on measures no model twice."""
        kept = self.folder / f"measured-{checksum[:16]}.json"
        names = [read_identity(path)[0] for path in heldout]
        if kept.exists():
            content = json.loads(kept.read_text())
            if content["cases"] == names:
                return {Region(key): value for key, value in content["mean"].items()}
        engine = load_engine(self.job.engine, model)
        self.reporter.tell(stage="measuring", share=max(self.reporter.status.share, 0.8))
        rows = measure_all([partial(read_example, path) for path in heldout], engine, lambda number: self._check())
        found = mean(rows)
        write_json(kept, {"cases": names, "mean": found, "rows": rows})
        self.reporter.tell(share=min(1.0, self.reporter.status.share + 0.1))
        return found


def polite(job: RetrainJob) -> None:
    """Make this process step back for others, as the job says."""
    os.nice(job.nice)
    torch.set_num_threads(max(1, job.threads))


def facts_of(status: RetrainStatus) -> dict[str, Any]:
    """One line for a log."""
    published = status.verdict.published if status.verdict else None
    return {"state": status.state, "stage": status.stage, "step": status.step, "published": published}
