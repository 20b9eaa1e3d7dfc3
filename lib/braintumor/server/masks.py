"""What the model says of a study: segmented once per model version, kept on disk, carried to whichever series is asked for."""

from __future__ import annotations

import io
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from braintumor import pipeline
from braintumor.active_learning.registry import ModelVersion, Registry
from braintumor.active_learning.scores import around
from braintumor.archive import StudyEntry
from braintumor.domain import (
    Affine,
    Author,
    Flag,
    Grid,
    InputNotFoundError,
    Progress,
    Region,
    Segmentation,
    Severity,
    Voxels,
    values_of,
    write_json,
)
from braintumor.measure.table import as_dict
from braintumor.preprocess import on_grid
from braintumor.segment import AnyEngine, Probabilities, decide, load_engine, probabilities
from braintumor.server.jobs import Job, JobKind, Jobs, Urgency
from braintumor.server.studies import PreparedStudy, Studies, to_bytes
from braintumor.track import Visit

REMEMBERED = 2
"""Segmentations whose probabilities stay in memory, for clicks."""


@dataclass(frozen=True, eq=False)
class Record:
    """One segmentation by one model version.

    Attributes
    ----------
    segmentation
        On the case's grid.
    grids, transforms
        By series UID: the series' own grid, and LPS+ mm of the case -> LPS+ mm of the series.
    measurements
        As `braintumor.measure.table.as_dict` gives them.
    flags
        Of study, case, segmentation and measurements, as the report would gather them.
    entropy
        Mean uncertainty in and around the tumour, 0..1: the score for active learning.
    """

    segmentation: Segmentation
    grids: Mapping[str, Grid]
    transforms: Mapping[str, Affine]
    measurements: Mapping[str, Any]
    flags: tuple[Flag, ...]
    entropy: float

    @property
    def model_version(self) -> str:
        """Version of the model that made it."""
        return self.segmentation.author.version

    def on(self, series_uid: str) -> Segmentation:
        """The mask on a series' own grid."""
        if series_uid not in self.grids:
            raise InputNotFoundError(
                "The series is not one of the sequences in use", remedy="Name T1, T1ce, T2 or FLAIR of the study"
            )
        return on_grid(self.segmentation, self.grids[series_uid], self.transforms[series_uid])


class Masks:
    """The model's segmentations of the archive's studies.

    Parameters
    ----------
    engine
        One of `braintumor.segment.ENGINES`.
    """

    def __init__(self, studies: Studies, registry: Registry, jobs: Jobs, state: Path, engine: str = "auto") -> None:
        self._studies, self._registry, self._jobs, self._engine_name = studies, registry, jobs, engine
        self._folder = state / "masks"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._engine: tuple[str, AnyEngine] | None = None
        self._probabilities: OrderedDict[str, Probabilities] = OrderedDict()
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._entropies: dict[str, float] = {}
        self._lock = threading.Lock()

    def segment(self, study_uid: str, urgency: Urgency = Urgency.PERSON) -> Job:
        """A job that ends with the served model's mask of the study; at once if that mask is known."""
        version = self._registry.current()
        key = self._key(study_uid, version)
        return self._jobs.submit(
            JobKind.SEGMENT, study_uid, lambda report: self._segment(study_uid, report), key=f"segment {key}", urgency=urgency
        )

    def prepare(self, study_uid: str) -> None:
        """Read the study in the background, so that it is there when *Segment* is pressed."""
        if not self._studies.is_prepared(study_uid):

            def work(report: Progress) -> None:
                self._studies.prepared(study_uid, report)
                self.engine()

            self._jobs.submit(JobKind.PREPARE, study_uid, work, urgency=Urgency.BACKGROUND)

    def known(self, study: str | StudyEntry) -> Record | None:
        """What the served model said of the study as it now is (or as the entry has it), if it was asked."""
        entry = study if isinstance(study, StudyEntry) else self._studies.store.study(study)
        return self._load(_key(entry, self._registry.current()))

    def entropy(self, entry: StudyEntry) -> float | None:
        """`Record.entropy` without the mask, for lists of many studies; None if the model was not asked."""
        key = self.key(entry)
        with self._lock:
            found = self._entropies.get(key)
        if found is None:
            path = self._folder / f"{key}.json"
            if not path.exists():
                return None
            found = float(json.loads(path.read_text())["entropy"])
            with self._lock:
                self._entropies[key] = found
        return found

    def engine(self, version: ModelVersion | None = None) -> AnyEngine:
        """The engine with a version, by default the served one; made again when another version is asked for."""
        version = version or self._registry.current()
        with self._lock:
            if self._engine is None or self._engine[0] != version.checksum:
                self._engine = (version.checksum, load_engine(self._engine_name, version.folder))
            return self._engine[1]

    def probabilities(self, study_uid: str, prepared: PreparedStudy) -> Probabilities:
        """Class probabilities of the served model, from memory or made again."""
        version = self._registry.current()
        key = self._key(study_uid, version)
        with self._lock:
            found = self._probabilities.get(key)
        if found is None:
            found = probabilities(prepared.case, self.engine(version))
            self._hold(key, found)
        return found

    def made(self, study_uid: str, report: Progress) -> Record:
        """What the served model says of a study, asked now if it was not before; for work that is a job already."""
        version = self._registry.current()  # once: another may be published meanwhile
        return self._load(self._key(study_uid, version)) or self._make(study_uid, version, report)

    def _segment(self, study_uid: str, report: Progress) -> Mapping[str, Any]:
        record = self.made(study_uid, report)
        return {
            "measurements": record.measurements,
            "model_version": record.model_version,
            "flags": [asdict(flag) for flag in record.flags],
        }

    def _make(self, study_uid: str, version: ModelVersion, report: Progress) -> Record:
        key = self._key(study_uid, version)
        prepared = self._studies.prepared(study_uid, report)
        report("engine", 0.0)
        engine = self.engine(version)
        found = probabilities(prepared.case, engine, progress=lambda share: report("segment", share))
        segmentation = decide(prepared.case, found, engine)
        report("measure", 0.0)
        visit = Visit.of(prepared.study, prepared.case, segmentation)
        measurements = pipeline.measured(visit)
        record = Record(
            segmentation=segmentation,
            grids={series.uid: series.image.grid for series in prepared.study.series.values()},
            transforms={
                series.uid: prepared.case.alignment[sequence].transform for sequence, series in prepared.study.series.items()
            },
            measurements=as_dict(measurements),
            flags=pipeline.found(visit, measurements, pipeline.Referral(prepared.study)).flags,
            entropy=mean_uncertainty(segmentation, prepared.case.brain),
        )
        self._hold(key, found)
        self._save(key, record)
        return record

    def key(self, entry: StudyEntry) -> str:
        """Names what the served model says of the study as the entry has it."""
        return _key(entry, self._registry.current())

    def _key(self, study_uid: str, version: ModelVersion) -> str:
        return _key(self._studies.store.study(study_uid), version)

    def _hold(self, key: str, found: Probabilities) -> None:
        with self._lock:
            self._probabilities[key] = found
            while len(self._probabilities) > REMEMBERED:
                self._probabilities.popitem(last=False)

    def _save(self, key: str, record: Record) -> None:
        arrays, buffer = {"mask": record.segmentation.mask}, io.BytesIO()
        if record.segmentation.uncertainty is not None:
            arrays["uncertainty"] = record.segmentation.uncertainty
        np.savez_compressed(buffer, **arrays)
        aside = self._folder / f".{key}.npz"
        aside.write_bytes(buffer.getvalue())
        aside.replace(self._folder / f"{key}.npz")
        write_json(self._folder / f"{key}.json", _content(record))  # last: it says that the mask is there

    def _load(self, key: str) -> Record | None:
        with self._lock:
            if key in self._records:
                self._records.move_to_end(key)
                return self._records[key]
        path = self._folder / f"{key}.json"
        if not path.exists():
            return None
        record = _record(json.loads(path.read_text()), self._folder / f"{key}.npz")
        with self._lock:
            self._records[key] = record
            while len(self._records) > 2 * REMEMBERED:
                self._records.popitem(last=False)
        return record


def _key(entry: StudyEntry, version: ModelVersion) -> str:
    return f"{entry.fingerprint[:32]}-{version.checksum[:16]}"


def mean_uncertainty(segmentation: Segmentation, brain: Voxels) -> float:
    """Mean entropy in and around the tumour, 0..1, as `braintumor.active_learning.score` defines it."""
    if segmentation.uncertainty is None:
        return 0.0
    zone = around(segmentation.mask, brain, segmentation.uncertainty.astype(np.float32), segmentation.grid)
    return float(segmentation.uncertainty[zone].mean(dtype=np.float64)) if zone.any() else 0.0


def volumes_ml(mask: np.ndarray[Any, Any], grid: Grid) -> dict[str, float]:
    """Volume per region of a mask, mL."""
    counts = np.bincount(mask.ravel(order="K"), minlength=256)
    return {region.value: round(float(sum(counts[v] for v in values_of(region))) * grid.voxel_ml, 3) for region in Region}


def uncertainty_bytes(segmentation: Segmentation) -> bytes:
    """0 sure .. 255 undecided, i fastest."""
    if segmentation.uncertainty is None:
        return bytes(int(np.prod(segmentation.grid.shape)))
    return to_bytes(np.rint(np.clip(segmentation.uncertainty, 0, 1) * np.float16(255)).astype(np.uint8))


def _grid(content: Mapping[str, Any]) -> Grid:
    i, j, k = content["shape"]
    return Grid((i, j, k), np.asarray(content["affine"], np.float64))


def _content(record: Record) -> dict[str, Any]:
    def plain(grid: Grid) -> dict[str, Any]:
        return {"shape": list(grid.shape), "affine": grid.affine.tolist()}

    return {
        "grid": plain(record.segmentation.grid),
        "author": asdict(record.segmentation.author),
        "confidence": {region.value: value for region, value in record.segmentation.confidence.items()},
        "grids": {uid: plain(grid) for uid, grid in record.grids.items()},
        "transforms": {uid: np.asarray(transform).tolist() for uid, transform in record.transforms.items()},
        "measurements": record.measurements,
        "flags": [asdict(flag) for flag in record.flags],
        "entropy": record.entropy,
    }


def _record(content: Mapping[str, Any], arrays: Path) -> Record:
    with np.load(arrays, allow_pickle=False) as stored:
        mask = stored["mask"]
        uncertainty = stored.get("uncertainty")
    flags = tuple(Flag(f["code"], Severity(f["severity"]), f["message"]) for f in content["flags"])
    confidence = {Region(name): value for name, value in content["confidence"].items()}
    author = Author(**content["author"])
    return Record(
        segmentation=Segmentation(mask, _grid(content["grid"]), author, uncertainty, confidence),
        grids={uid: _grid(grid) for uid, grid in content["grids"].items()},
        transforms={uid: np.asarray(transform) for uid, transform in content["transforms"].items()},
        measurements=content["measurements"],
        flags=flags,
        entropy=content["entropy"],
    )
