"""Studies of the archive as the server works on them: fetched, read and prepared once, kept while they are in use."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from braintumor import pipeline
from braintumor import study as study_stage
from braintumor.archive import SeriesEntry, StudyEntry, StudyStore
from braintumor.domain import (
    REFERENCE_ORDER,
    Affine,
    Case,
    Flag,
    Grid,
    InputNotFoundError,
    MRSequence,
    Progress,
    Series,
    Severity,
    Study,
    SubmissionError,
    write_json,
)

PREPARED = 2
"""Prepared studies kept in memory: the one on screen and the one before it; each takes about 0.3 GB."""


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """What the classifier says of one series.

    Attributes
    ----------
    sequence
        None for a series that is not used.
    reasons
        Why, in plain words.
    """

    sequence: MRSequence | None
    confidence: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What is known of a study's images without its pixels: by series UID, and what to beware of."""

    series: Mapping[str, SequenceFacts]
    flags: tuple[Flag, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """UIDs of the series in use; results are written on the first."""
        used = {facts.sequence: uid for uid, facts in self.series.items()}
        return tuple(used[sequence] for sequence in REFERENCE_ORDER if sequence in used)


@dataclass(frozen=True, eq=False)
class PreparedStudy:
    """A study ready for the network."""

    study: Study
    case: Case

    def series(self, uid: str) -> tuple[Series, Affine]:
        """One of its series with the way there: LPS+ mm of the case -> LPS+ mm of the series.

        Raises
        ------
        InputNotFoundError
            If the series is none of the sequences in use.
        """
        for sequence, series in self.study.series.items():
            if series.uid == uid:
                return series, self.case.alignment[sequence].transform
        raise InputNotFoundError(
            "The series is not one of the sequences in use", remedy="Name T1, T1ce, T2 or FLAIR of the study"
        )


class Studies:
    """The archive's studies by UID; safe to call from many threads.

    Parameters
    ----------
    state
        Folder for what was found out once; may be lost without harm.
    """

    def __init__(self, store: StudyStore, state: Path) -> None:
        self.store = store
        self._facts = state / "facts"
        self._facts.mkdir(parents=True, exist_ok=True)
        self._prepared: OrderedDict[str, PreparedStudy] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def locate(self, uid: str) -> tuple[StudyEntry, SeriesEntry | None]:
        """The study that a study or series UID belongs to."""
        return self.store.locate(uid)

    def facts(self, study_uid: str) -> StudyFacts:
        """What the classifier says; read once per state of the archive, then from disk."""
        entry = self.store.study(study_uid)
        path = self._facts / f"{entry.fingerprint}.json"
        if not path.exists():
            with self._alone(entry.fingerprint):
                if not path.exists():
                    self._remember(path, self._read(entry))
        return _facts_from(json.loads(path.read_text()))

    def prepared(self, study_uid: str, report: Progress | None = None) -> PreparedStudy:
        """The study's images, read and brought onto one grid."""
        entry = self.store.study(study_uid)
        with self._alone(entry.fingerprint):
            known = self._known(entry.fingerprint)
            if known is None:
                say = report or (lambda _stage, _share: None)
                say("study", 0.0)
                study = self._read(entry)
                say("case", 0.0)
                known = PreparedStudy(study, pipeline.prepared(study, progress=say))
                self._keep(entry.fingerprint, known)
                path = self._facts / f"{entry.fingerprint}.json"
                if not path.exists():
                    self._remember(path, study)
            return known

    def is_prepared(self, study_uid: str) -> bool:
        """Whether `prepared` would answer at once."""
        return self._known(self.store.study(study_uid).fingerprint) is not None

    def _read(self, entry: StudyEntry) -> Study:
        return study_stage.read_study(self.store.fetch(entry.uid))

    def _remember(self, path: Path, study: Study) -> None:
        used = {
            series.uid: asdict(SequenceFacts(sequence, series.evidence.confidence, series.evidence.reasons))
            for sequence, series in study.series.items()
        }
        unused = {uid: asdict(SequenceFacts(None, 0.0, (reason,))) for uid, reason in study.unused.items()}
        write_json(path, {"series": unused | used, "flags": [asdict(flag) for flag in study.flags]})

    def _known(self, fingerprint: str) -> PreparedStudy | None:
        with self._lock:
            if fingerprint in self._prepared:
                self._prepared.move_to_end(fingerprint)
            return self._prepared.get(fingerprint)

    def _keep(self, fingerprint: str, prepared: PreparedStudy) -> None:
        with self._lock:
            self._prepared[fingerprint] = prepared
            while len(self._prepared) > PREPARED:
                self._prepared.popitem(last=False)

    @contextmanager
    def _alone(self, fingerprint: str) -> Any:
        """One thread at a time for one study: whoever comes second finds it done."""
        with self._lock:
            lock = self._locks.setdefault(fingerprint, threading.Lock())
        with lock:
            yield


def _facts_from(content: Mapping[str, Any]) -> StudyFacts:
    series = {
        uid: SequenceFacts(MRSequence(one["sequence"]) if one["sequence"] else None, one["confidence"], tuple(one["reasons"]))
        for uid, one in content["series"].items()
    }
    return StudyFacts(series, tuple(Flag(f["code"], Severity(f["severity"]), f["message"]) for f in content["flags"]))


def to_bytes(voxels: np.ndarray[Any, Any]) -> bytes:
    """(i, j, k) uint8 -> bytes with i fastest, as NRRD, the OHIF plug-in and our panel hold them."""
    return np.asarray(voxels, np.uint8).tobytes(order="F")


def from_bytes(content: bytes, grid: Grid) -> np.ndarray[Any, Any]:
    """The way back.

    Raises
    ------
    SubmissionError
        If the size is not that of the grid.
    """
    if len(content) != int(np.prod(grid.shape)):
        size = " x ".join(map(str, grid.shape))
        raise SubmissionError(
            f"The mask has {len(content)} voxels, and the series has {size}",
            remedy="Send one byte per voxel of the series the mask was drawn on",
        )
    return np.frombuffer(content, np.uint8).reshape(grid.shape, order="F")
