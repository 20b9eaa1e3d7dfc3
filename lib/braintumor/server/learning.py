"""Which case to label next, retraining from what was submitted, and what came of it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from braintumor.active_learning import (
    CaseCandidate,
    CaseScores,
    RetrainJob,
    RetrainStatus,
    Source,
    disagreement,
    is_running,
    order,
    read_status,
    score,
    write_job,
)
from braintumor.active_learning.registry import Registry
from braintumor.archive import StudyEntry
from braintumor.domain import BusyError, JobState, NoLabelsError, Progress, Region, SubmissionError, UnknownJobError, write_json
from braintumor.measure.change import change
from braintumor.server.jobs import JobKind, Jobs, Urgency
from braintumor.server.labels import Labels
from braintumor.server.masks import Masks
from braintumor.server.studies import Studies

STRATEGIES: Mapping[str, str] = {
    "entropy": "Most unsure: the model is least sure of this tumour and its edge",
    "tta": "Least stable: the mask changes most when the image is turned",
    "dropout": "Least settled: the mask changes most when parts of the network are left out",
    "diverse": "Most different: unlike the studies that are labelled already, and unsure",
    "disagreement": "Review: the label differs most from what the model says",
    "random": "Random: any unlabelled study, as a control",
}
"""Strategies offered, of `braintumor.active_learning.STRATEGIES`, and each in a person's words."""

NEEDS: Mapping[str, tuple[str, ...]] = {"tta": ("tta",), "dropout": ("dropout",), "diverse": ("feature",)}
"""What has to be computed for a strategy beyond the entropy that every segmentation gives."""

GRACE_S = 10.0
"""How long a training may take to stop cleanly before it is ended."""


class Learning:
    """Active learning and retraining of one server.

    Parameters
    ----------
    folder
        One folder a retraining, named by its start, so that the latest is the last.
    replay
        Folder of old training cases that retraining goes through again, against forgetting; None for none.
    steps
        Steps of one retraining, unless another number is asked for.
    """

    def __init__(
        self,
        studies: Studies,
        masks: Masks,
        labels: Labels,
        registry: Registry,
        jobs: Jobs,
        folder: Path,
        *,
        replay: Path | None = None,
        steps: int = 200,
    ) -> None:
        self._studies, self._masks, self._labels, self._registry, self._jobs = studies, masks, labels, registry, jobs
        self._folder, self._replay, self._steps = folder, replay, steps
        self._scored = folder / "scores"
        self._scored.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def next(self, strategy: str, exclude: Sequence[str]) -> dict[str, Any] | None:
        """The study to label (or, by disagreement, to review) next; None when there is none left.

        Studies whose score is not known yet are scored in the background and, until then, come after those whose score is.

        Raises
        ------
        SubmissionError
            If there is no such strategy.
        """
        if strategy not in STRATEGIES:
            raise SubmissionError("There is no such strategy", remedy=f"Choose one of {', '.join(STRATEGIES)}")
        entries = [entry for entry in self._studies.store.studies() if entry.uid not in exclude]
        labelled = {entry.uid: self._labels.human(entry) for entry in entries}
        review = strategy == "disagreement"
        wanted = [entry for entry in entries if (labelled[entry.uid] is not None) == review]
        candidates = [CaseCandidate(e.uid, self._reviewed(e) if review else self._scores(e)) for e in wanted]
        if not review and strategy != "random":
            self._score_missing(wanted, NEEDS.get(strategy, ()))
        done = [scores for e in entries if labelled[e.uid] is not None and (scores := self._scores(e)) is not None]
        first = next(iter(order(candidates, strategy, 1, seed=time.time_ns() % 2**32, labelled=done)), None)
        return None if first is None else {"study": first.key, "reason": first.reason, "score": first.score}

    def score_all(self) -> int:
        """Queue every unlabelled study that the served model has not seen; returns how many."""
        missing = [e for e in self._studies.store.studies() if self._scores(e) is None and self._labels.human(e) is None]
        self._score_missing(missing, ())
        return len(missing)

    def agreement(self) -> dict[str, Any]:
        """Dice of the served model's masks to the submitted labels, for the studies where both are known."""
        found = {}
        for entry in self._studies.store.studies():
            version, record = self._labels.human(entry), self._masks.known(entry)
            if version is None or record is None:
                continue
            label, _ = self._labels.mask(entry.uid, version.referenced_series_uid, version.uid)
            found[entry.uid] = change(record.on(version.referenced_series_uid), label).as_dict()["dice"]
        means = {}
        for region in Region:
            values = [dice[region.value] for dice in found.values() if dice[region.value] is not None]
            means[region.value] = round(sum(values) / len(values), 4) if values else None
        return {"studies": found, "mean": means}

    def train(self, steps: int | None = None) -> dict[str, Any]:
        """Start a retraining from all submitted labels, in a process of its own.

        Raises
        ------
        NoLabelsError
            If nobody submitted a label yet.
        BusyError
            If a training runs.
        """
        with self._lock:
            if self._running() is not None:
                raise BusyError("A training is running already", remedy="wait for it, or stop it")
            sources = self._sources()
            if not sources:
                raise NoLabelsError("There are no submitted labels to train on", remedy="Submit a corrected label first")
            steps = steps or self._steps
            folder = self._folder / f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
            job = RetrainJob(
                registry=str(self._registry.folder.resolve()),
                sources=sources,
                division=str((self._folder / "division.json").resolve()),
                shipped=str(self._registry.shipped.resolve()),
                replay=str(self._replay.resolve()) if self._replay else "",
                cache=str((self._folder / "examples").resolve()),
                train={"steps": steps, **_shorter(steps)},
            )
            write_job(folder, job)
            self._start(folder)
        return self._view(folder)

    def resume(self) -> None:
        """Go on with a training that the last server was stopped in."""
        with self._lock:
            folder = self._latest()
            if (
                folder is not None
                and read_status(folder).state in (JobState.PENDING, JobState.RUNNING)
                and not is_running(folder)
            ):
                self._start(folder)

    def stop(self) -> dict[str, Any]:
        """Stop the training that runs; what it learnt so far is not published."""
        with self._lock:
            folder = self._running()
            if folder is None:
                raise UnknownJobError("No training is running", remedy="Nothing to stop")
            self._end(folder)
        return self._view(folder)

    def training(self) -> dict[str, Any]:
        """The training that runs or ran last, its curve, and how the last finished one ended."""
        folder = self._latest()
        done = next((f for f in reversed(self._folders()) if read_status(f).verdict is not None), None)
        return {
            "job": None if folder is None else self._view(folder),
            "curve": [] if folder is None else [dict(point) for point in read_status(folder).curve],
            "notes": [] if folder is None else list(read_status(folder).notes),
            "last": None if done is None else _verdict(read_status(done)),
        }

    def close(self) -> None:
        """Stop a training cleanly; its checkpoint is kept and the next server goes on with it."""
        with self._lock:
            folder = self._latest()
            if self._process is not None and folder is not None and self._process.poll() is None:
                before = read_status(folder)
                self._end(folder)
                if read_status(folder).state == JobState.CANCELLED:  # by us, not by a person: to be taken up again
                    write_json(folder / "status.json", replace(before, state=JobState.PENDING).as_dict())

    def _scores(self, entry: StudyEntry) -> CaseScores | None:
        """What the served model's uncertainty of the study is, as far as it was computed."""
        entropy = self._masks.entropy(entry)
        if entropy is None:
            return None
        path = self._scored / f"{self._masks.key(entry)}.json"
        further = CaseScores.from_dict(json.loads(path.read_text())) if path.exists() else CaseScores()
        return replace(further, entropy=entropy)

    def _reviewed(self, entry: StudyEntry) -> CaseScores | None:
        """How far the newest label is from what the served model says."""
        version, record = self._labels.human(entry), self._masks.known(entry)
        if version is None or record is None:
            return None
        label, _ = self._labels.mask(entry.uid, version.referenced_series_uid, version.uid)
        return CaseScores(disagreement=disagreement(record.on(version.referenced_series_uid).mask, label.mask))

    def _score_missing(self, entries: Sequence[StudyEntry], methods: tuple[str, ...]) -> None:
        for entry in entries:
            scores = self._scores(entry)
            if scores is None:
                self._masks.segment(entry.uid, Urgency.BACKGROUND)
            if methods and (scores is None or any(getattr(scores, method) in (None, ()) for method in methods)):
                work = partial(self._compute, entry, methods)
                key = f"score {self._masks.key(entry)} {methods}"
                self._jobs.submit(JobKind.SCORE, entry.uid, work, key=key, urgency=Urgency.BACKGROUND)

    def _compute(self, entry: StudyEntry, methods: tuple[str, ...], report: Progress) -> None:
        case = self._studies.prepared(entry.uid, report).case
        before = self._scores(entry) or CaseScores()
        found = score(case, self._masks.engine(), methods, check=lambda: report("score", 0.5))
        computed = {method: getattr(found, method) for method in methods}
        write_json(self._scored / f"{self._masks.key(entry)}.json", replace(before, **computed).as_dict())

    def _sources(self) -> tuple[Source, ...]:
        found = []
        for entry in self._studies.store.studies():
            version = self._labels.human(entry)
            if version is not None:
                found.append(
                    Source(
                        name=entry.uid,
                        patient=self._pseudonym(entry),
                        study=str(self._studies.store.fetch(entry.uid).resolve()),
                        label=str(self._studies.store.label_file(version).resolve()),
                        series=version.referenced_series_uid,
                    )
                )
        return tuple(found)

    def _pseudonym(self, entry: StudyEntry) -> str:
        """The same for all studies of a patient, and nothing to anybody without this installation's key."""
        path = self._folder / "pseudonym.key"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
        return hmac.new(path.read_bytes(), (entry.patient_id or entry.uid).encode(), hashlib.sha256).hexdigest()[:32]

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in self._folder.glob("*/job.json"))

    def _latest(self) -> Path | None:
        folders = self._folders()
        return folders[-1] if folders else None

    def _alive(self, folder: Path) -> bool:
        """Whether a process is at work, also one that has not come as far as taking its lock."""
        if read_status(folder).state not in (JobState.PENDING, JobState.RUNNING):
            return False  # it has said its last word, and is only tidying up
        return is_running(folder) or (self._process is not None and self._process.poll() is None)

    def _running(self) -> Path | None:
        folder = self._latest()
        return folder if folder is not None and self._alive(folder) else None

    def _start(self, folder: Path) -> None:
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own module, its argument is our own folder
                [sys.executable, "-m", "braintumor.active_learning", str(folder)],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def _end(self, folder: Path) -> None:
        """Ask the process to stop, and end it where it does not; its status says afterwards that it was cancelled."""
        pid = self._process.pid if self._process is not None else read_status(folder).pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            for _ in range(int(GRACE_S / 0.1)):
                if not self._alive(folder):
                    break
                time.sleep(0.1)
            else:
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(GRACE_S)
        status = read_status(folder)
        if status.state in (JobState.PENDING, JobState.RUNNING):  # it was stopped before it could say so itself
            write_json(folder / "status.json", replace(status, state=JobState.CANCELLED).as_dict())

    def _view(self, folder: Path) -> dict[str, Any]:
        """A retraining as the panel's Job."""
        status = read_status(folder)
        state = status.state
        if state in (JobState.PENDING, JobState.RUNNING) and not self._alive(folder):
            state = JobState.FAILED
        problem = status.problem
        if state == JobState.FAILED and problem is None:
            problem = {
                "title": "The training ended unexpectedly",
                "remedy": "Start it again; the served model is unchanged. Its folder's log.txt says how far it came",
                "code": "job-failed",
            }
        return {
            "id": folder.name,
            "kind": "train",
            "subject": "",
            "state": state,
            "stage": status.stage,
            "share": status.share,
            "step": status.step,
            "steps": status.steps,
            "queued": status.started or None,
            "started": status.started or None,
            "ended": status.ended or None,
            "problem": None if problem is None else {"detail": problem["title"], **problem},
            "result": None if status.verdict is None else _verdict(status),
        }


def _verdict(status: RetrainStatus) -> dict[str, Any]:
    assert status.verdict is not None  # noqa: S101  callers looked
    return status.verdict.as_dict()


def _shorter(steps: int) -> dict[str, Any]:
    """Parts of a schedule that must fit into a short one."""
    return {"full_steps": steps // 5, "warmup": max(1, steps // 10)}
