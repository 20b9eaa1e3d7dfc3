"""How a study changed since earlier visits: compared in a job, kept on disk until a mask or an image of it changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from braintumor import track as track_stage
from braintumor.archive import StudyEntry
from braintumor.domain import InputNotFoundError, Progress, UnknownStudyError, VisitsError, write_json
from braintumor.server.jobs import Job, JobKind, Jobs
from braintumor.server.labels import Labels
from braintumor.server.masks import Masks
from braintumor.server.studies import Studies
from braintumor.track import TIMELINE, Clinical, Criteria, Event, Timeline, Visit
from braintumor.track.dicom import make_objects

PICTURES: Mapping[str, str] = {"trend.svg": "image/svg+xml", "change-overlay.png": "image/png"}
"""Files of a comparison that are shown, with their media types."""


@dataclass(frozen=True, slots=True)
class Known:
    """What images do not say of a visit; None where nobody said it. As `braintumor.track.Visit` has it."""

    steroid_mg: float | None = None
    clinical: Clinical | None = None
    preoperative: bool = False


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What to compare.

    Attributes
    ----------
    priors
        Study UIDs; empty for every earlier study of the patient that the archive has.
    known
        By study UID.
    baseline, radiotherapy_end
        As `braintumor.track.Criteria`.
    """

    priors: tuple[str, ...] = ()
    known: Mapping[str, Known] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    baseline: date | None = None
    radiotherapy_end: date | None = None


@dataclass(frozen=True, slots=True)
class FinishedComparison:
    """A finished comparison.

    Attributes
    ----------
    timeline
        As ``timeline.json``.
    wish
        What was asked for, JSON-ready.
    fresh
        Whether images and masks are still those that were compared.
    """

    timeline: Mapping[str, Any]
    wish: Mapping[str, Any]
    fresh: bool


class Tracking:
    """Comparisons of the archive's studies with their priors."""

    def __init__(self, studies: Studies, masks: Masks, labels: Labels, jobs: Jobs, state: Path) -> None:
        self._studies, self._masks, self._labels, self._jobs = studies, masks, labels, jobs
        self._folder = state / "timelines"
        self._folder.mkdir(parents=True, exist_ok=True)

    def track(self, study_uid: str, wish: CompareRequest) -> Job:
        """A job that compares the study with its priors; at once if that was done and nothing changed.

        Raises
        ------
        VisitsError
            If the archive has no earlier study of the patient.
        """
        entries = self._entries(study_uid, wish.priors)
        key = self._key(entries, wish)
        return self._jobs.submit(JobKind.TRACK, study_uid, lambda report: self._run(entries, wish, report), key=f"track {key}")

    def latest(self, study_uid: str) -> FinishedComparison:
        """The last comparison of a study.

        Raises
        ------
        InputNotFoundError
            If it was never compared.
        """
        pointer = self._pointer(study_uid)
        if pointer is None:
            raise InputNotFoundError("The study was not compared with earlier visits yet", remedy="Press Compare first")
        content = json.loads((self._folder / pointer["key"] / TIMELINE).read_text(encoding="utf-8"))
        return FinishedComparison(content, pointer["wish"], self._is_fresh(study_uid, pointer))

    def picture(self, study_uid: str, name: str) -> tuple[Path, str]:
        """A file of the last comparison and its media type; `InputNotFoundError` if there is none."""
        pointer = self._pointer(study_uid)
        if pointer is None or name not in PICTURES:
            raise InputNotFoundError("There is no such picture", remedy=f"Compare first, then ask for {' or '.join(PICTURES)}")
        return self._folder / pointer["key"] / name, PICTURES[name]

    def archive(self, study_uid: str) -> Job:
        """A job that stores the last comparison in the archive as DICOM: followed lesions and change as SEG, numbers as SR,
        registrations. Stored twice it is the same objects.

        Raises
        ------
        InputNotFoundError
            If the study was never compared.
        VisitsError
            If an image or a mask has changed since.
        """  # noqa: D205  one list of objects
        if not self.latest(study_uid).fresh:
            raise VisitsError("A mask or an image has changed since the comparison", remedy="Compare again, then store it")
        pointer = self._pointer(study_uid) or {}
        wish, store = _wish(pointer["wish"]), self._studies.store
        entries = tuple(store.study(uid) for uid in pointer["visits"])
        at = datetime.fromtimestamp((self._folder / pointer["key"] / TIMELINE).stat().st_mtime).replace(microsecond=0)
        work = partial(self._store, entries, wish, at)
        return self._jobs.submit(JobKind.ARCHIVE, study_uid, work, key=f"archive {pointer['key']}")

    def _entries(self, study_uid: str, priors: Sequence[str]) -> tuple[StudyEntry, ...]:
        store = self._studies.store
        now = store.study(study_uid)
        earlier = tuple(store.study(uid) for uid in priors) if priors else store.priors(study_uid)
        if not earlier:
            raise VisitsError(
                "The archive has no earlier study of this patient", remedy="Send the prior study to the archive, or name it"
            )
        return (now, *earlier)

    def _run(self, entries: Sequence[StudyEntry], wish: CompareRequest, report: Progress) -> Mapping[str, Any]:
        current, key = entries[0], self._key(entries, wish)
        target = self._folder / key
        if not (target / TIMELINE).exists():
            found = self._compared(entries, wish, report)
            report("write", 0.0)
            track_stage.write_timeline(found, target, objects=False)
        sources = sorted(self._source(entry) for entry in entries)
        facts = {"key": key, "visits": [entry.uid for entry in entries], "sources": sources, "wish": _plain(wish)}
        write_json(self._folder / f"{current.uid}.json", facts)
        return {"visits": len(entries)}

    def _store(self, entries: Sequence[StudyEntry], wish: CompareRequest, at: datetime, report: Progress) -> Mapping[str, Any]:
        """Compared anew: a timeline holds whole volumes, too much to keep for a button that may never be pressed."""
        found = self._compared(entries, wish, report)
        report("archive", 0.0)
        objects = make_objects(found, at)
        self._studies.store.store(list(objects.values()))
        return {"stored": sorted(objects)}

    def _compared(self, entries: Sequence[StudyEntry], wish: CompareRequest, report: Progress) -> Timeline:
        visits = [self._visit(entry, wish.known.get(entry.uid, Known()), report) for entry in entries]
        report("compare", 0.0)
        criteria = Criteria(baseline=wish.baseline, radiotherapy_end=wish.radiotherapy_end)
        return track_stage.compare(visits, criteria, events=wish.events, known=self._identities(entries))

    def visit(self, study_uid: str, report: Progress) -> Visit:
        """A study with its label as it is now, for work that is a job already."""
        return self._visit(self._studies.store.study(study_uid), Known(), report)

    def timeline(self, study_uid: str, report: Progress) -> Timeline | None:
        """A study compared with its priors as it was last asked for, else with all; None if there is none earlier."""
        found = self._asked(study_uid)
        return None if found is None else self._compared(*found, report)

    def sources(self, study_uid: str) -> str:
        """Names the images, masks and wishes that `timeline` or `visit` would go by."""
        found = self._asked(study_uid)
        if found is None:
            return self._source(self._studies.store.study(study_uid))
        return self._key(*found)

    def _asked(self, study_uid: str) -> tuple[tuple[StudyEntry, ...], CompareRequest] | None:
        pointer = self._pointer(study_uid)
        wish = _wish(pointer["wish"]) if pointer else CompareRequest()
        try:
            return self._entries(study_uid, wish.priors), wish
        except VisitsError:
            return None

    def _visit(self, entry: StudyEntry, known: Known, report: Progress) -> Visit:
        """A visit with its label: a person's, else the served model's."""
        human = self._labels.human(entry)
        if human is not None:
            prepared, segmentation = self._labels.on_case(entry.uid, human)
        else:
            segmentation = self._masks.made(entry.uid, report).segmentation
            prepared = self._studies.prepared(entry.uid, report)
        study = prepared.study
        return Visit(study, prepared.case, segmentation, study.study_date, known.preoperative, known.steroid_mg, known.clinical)

    def _identities(self, entries: Sequence[StudyEntry]) -> dict[tuple[str, int], str]:
        """Lesions keep the identities that earlier comparisons of these visits gave them; the newest comparison first."""
        found: dict[tuple[str, int], str] = {}
        for entry in entries:
            pointer = self._pointer(entry.uid)
            if pointer is not None:
                content = json.loads((self._folder / pointer["key"] / TIMELINE).read_text(encoding="utf-8"))
                same = {e.uid for e in entries if self._source(e) in pointer["sources"]}
                found = {k: uid for k, uid in track_stage.known_uids(content).items() if k[0] in same} | found
        return found

    def _is_fresh(self, study_uid: str, pointer: Mapping[str, Any]) -> bool:
        """Whether the same wish would compare the same images and masks: a prior may have come or gone as well."""
        try:
            entries = self._entries(study_uid, pointer["wish"]["priors"])
        except (UnknownStudyError, VisitsError):
            return False
        return sorted(self._source(entry) for entry in entries) == pointer["sources"]

    def _pointer(self, study_uid: str) -> dict[str, Any] | None:
        """Which comparison of a study is the last; None if there is none, or its folder was tidied away."""
        path = self._folder / f"{self._studies.store.study(study_uid).uid}.json"
        found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
        return found if found and (self._folder / found["key"] / TIMELINE).exists() else None

    def _key(self, entries: Sequence[StudyEntry], wish: CompareRequest) -> str:
        content = [*(self._source(entry) for entry in entries), json.dumps(_plain(wish), sort_keys=True)]
        return hashlib.sha256("\n".join(content).encode()).hexdigest()[:32]

    def _source(self, entry: StudyEntry) -> str:
        """Images and mask of a visit, in one word."""
        human = self._labels.human(entry)
        return f"{entry.fingerprint[:32]} {self._masks.key(entry) if human is None else human.uid}"


def _wish(plain: Mapping[str, Any]) -> CompareRequest:
    """The way back from `_plain`."""

    def day(text: str | None) -> date | None:
        return None if text is None else date.fromisoformat(text)

    known = {
        uid: Known(one["steroid_mg"], one["clinical"] and Clinical(one["clinical"]), one["preoperative"])
        for uid, one in plain["known"].items()
    }
    events = tuple(Event(date.fromisoformat(event["date"]), event["words"]) for event in plain["events"])
    return CompareRequest(tuple(plain["priors"]), known, events, day(plain["baseline"]), day(plain["radiotherapy_end"]))


def _plain(wish: CompareRequest) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(wish), default=lambda day: day.isoformat()))
    return plain
