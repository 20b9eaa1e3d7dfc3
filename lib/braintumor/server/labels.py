"""What people say of a study: corrected masks, stored as DICOM SEG beside the images, every version kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.archive import LabelVersion, StudyEntry, newest_human
from braintumor.domain import (
    LABELS,
    Affine,
    Author,
    AuthorKind,
    Grid,
    InputNotFoundError,
    NewerVersionError,
    Segmentation,
    SubmissionError,
    write_json,
)
from braintumor.export.common import ResultContext
from braintumor.export.seg import make_seg, read_seg
from braintumor.measure.change import change
from braintumor.preprocess import on_grid
from braintumor.server.masks import Masks, Record
from braintumor.server.studies import PreparedStudy, Studies

SEG = "SEG"
NAME_LENGTH = 64
"""Characters of a DICOM person name component group (PS3.5 6.2, PN)."""


class ConflictError(NewerVersionError):
    """`NewerVersionError` with the version that was faster."""

    def __init__(self, newer: LabelVersion) -> None:
        self.newer = newer
        super().__init__(
            "Another mask of this study was submitted since this one was opened",
            remedy="Look at the newer one, or submit again and keep both",
        )


@dataclass(frozen=True, slots=True)
class MaskVersion:
    """One mask of a study for the history list: a stored SEG, or what the served model said.

    Attributes
    ----------
    uid
        SOP Instance UID, or ``model:<version>``.
    change
        What a person changed against the model's mask: Dice per region, added and removed mL; None if not known.
    """

    uid: str
    kind: AuthorKind
    author: str
    model_version: str
    created: datetime | None
    referenced_series: str
    change: Mapping[str, Any] | None = None


class Labels:
    """Submitted masks of the archive's studies."""

    def __init__(self, studies: Studies, masks: Masks, state: Path) -> None:
        self._studies, self._masks = studies, masks
        self._changes = state / "changes"
        self._changes.mkdir(parents=True, exist_ok=True)
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def versions(self, study_uid: str) -> tuple[MaskVersion, ...]:
        """Every stored mask, the newest first, and the served model's as the last."""
        found = [
            MaskVersion(v.uid, v.kind, v.author, v.version, v.created, v.referenced_series_uid, self._change(v.uid))
            for v in self._studies.store.labels(study_uid)
        ]
        record = self._masks.known(study_uid)
        if record is not None:
            author = record.segmentation.author
            found.append(MaskVersion(f"model:{author.version}", AuthorKind.MODEL, author.name, author.version, None, ""))
        return tuple(found)

    def human(self, study: str | StudyEntry) -> LabelVersion | None:
        """The label of the study: the newest mask that a person submitted. An entry without SEG series is not asked further."""
        if isinstance(study, StudyEntry):
            if not any(series.modality == SEG for series in study.series):
                return None
            study = study.uid
        return newest_human(self._studies.store.labels(study))

    def mask(self, study_uid: str, series_uid: str, version: str = "") -> tuple[Segmentation, str]:
        """A mask on the grid of a series, and which version it is.

        Parameters
        ----------
        version
            A `MaskVersion.uid`; '' for the served model's mask.

        Raises
        ------
        InputNotFoundError
            If the study was never segmented, or there is no such version.
        """
        if not version or version.startswith("model:"):
            record = self._masks.known(study_uid)
            if record is None or version not in ("", f"model:{record.model_version}"):
                raise InputNotFoundError("The model has not segmented this study yet", remedy="Press Segment first")
            return record.on(series_uid), f"model:{record.model_version}"
        stored = next((v for v in self._studies.store.labels(study_uid) if v.uid == version), None)
        if stored is None:
            raise InputNotFoundError("The study has no such version of the mask", remedy="Choose one from the history")
        prepared = self._studies.prepared(study_uid)
        return self._on(prepared, stored, series_uid), stored.uid

    def submit(
        self,
        study_uid: str,
        series_uid: str,
        voxels: npt.NDArray[Any],
        annotator: str,
        *,
        base: str = "",
        force: bool = False,
    ) -> MaskVersion:
        """Store a corrected mask as DICOM SEG; returns only when the archive holds it.

        Parameters
        ----------
        voxels
            (i, j, k) on the series' own grid, values of the label table.
        annotator
            The person's name.
        base
            Version that the person started from; '' if unknown.
        force
            Store although somebody else submitted meanwhile; both are kept.

        Raises
        ------
        SubmissionError
            If the values, the size or the name cannot be stored.
        NewerVersionError
            If somebody else was faster, unless `force`.
        ArchiveError
            If the archive did not take it; nothing is stored then.
        """
        name = _name(annotator)
        prepared = self._studies.prepared(study_uid)
        series, _ = prepared.series(series_uid)
        mask = _checked(voxels, series.image.grid)
        record = self._masks.known(study_uid)
        with self._alone(study_uid):
            newest = self.human(study_uid)
            if newest is not None and base and newest.uid != base and not force:
                raise ConflictError(newest)
            author = Author(AuthorKind.HUMAN, name)
            if record is not None:
                made = record.segmentation.author
                author = Author(AuthorKind.HUMAN, name, made.version, made.checksum, made.engine)
            segmentation = Segmentation(mask, series.image.grid, author)
            created = datetime.now().replace(microsecond=0)
            context = ResultContext.of(prepared.study, segmentation, created)
            dataset = make_seg(prepared.study, segmentation, None, context, series=series)
            self._studies.store.store([dataset])
        uid = str(dataset.SOPInstanceUID)
        changed = self._compare(record, segmentation, series_uid)
        if changed is not None:
            write_json(self._changes / f"{uid}.json", changed)
        return MaskVersion(uid, AuthorKind.HUMAN, name, author.version, created, series_uid, changed)

    def grid(self, study_uid: str, series_uid: str) -> Grid:
        """The own grid of a series in use."""
        return self._studies.prepared(study_uid).series(series_uid)[0].image.grid

    def on_case(self, study_uid: str, version: LabelVersion) -> tuple[PreparedStudy, Segmentation]:
        """A stored mask on the case's grid, for training and scoring."""
        prepared = self._studies.prepared(study_uid)
        series, there = prepared.series(version.referenced_series_uid)
        stored = read_seg(self._studies.store.label_file(version), series.image.grid)
        return prepared, on_grid(stored, prepared.case.grid, _inverse(there))

    def _on(self, prepared: PreparedStudy, version: LabelVersion, series_uid: str) -> Segmentation:
        """A stored mask on the grid of any series of its study."""
        origin, there = prepared.series(version.referenced_series_uid)
        target, elsewhere = prepared.series(series_uid)
        stored = read_seg(self._studies.store.label_file(version), origin.image.grid)
        if target is origin:
            return stored
        return on_grid(stored, target.image.grid, np.asarray(elsewhere) @ _inverse(there))

    def _compare(self, record: Record | None, submitted: Segmentation, series_uid: str) -> Mapping[str, Any] | None:
        """What the person changed against the model's mask on the same grid."""
        if record is None:
            return None
        return change(record.on(series_uid), submitted).as_dict()

    def _change(self, uid: str) -> Mapping[str, Any] | None:
        path = self._changes / f"{uid}.json"
        found: Mapping[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
        return found

    def _alone(self, study_uid: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(study_uid, threading.Lock())


def _inverse(transform: Affine) -> Affine:
    return np.asarray(np.linalg.inv(transform), np.float64)


def _name(annotator: str) -> str:
    name = " ".join(annotator.split())
    if not name or len(name) > NAME_LENGTH or any(c in name for c in "\\=^") or not name.isprintable():
        raise SubmissionError(
            "The annotator's name is empty, too long or has characters that DICOM does not allow",
            remedy=f"Give a name of at most {NAME_LENGTH} characters without \\, = and ^",
        )
    return name


def _checked(voxels: npt.NDArray[Any], grid: Grid) -> npt.NDArray[np.uint8]:
    if voxels.shape != grid.shape or voxels.dtype != np.uint8:
        size = " x ".join(map(str, grid.shape))
        raise SubmissionError("The mask is not on the grid of the series", remedy=f"Send uint8 voxels, {size}")
    known = {0, *(label.value for label in LABELS)}
    strange = sorted(set(np.flatnonzero(np.bincount(voxels.ravel(order="K"), minlength=256)).tolist()) - known)
    if strange:
        raise SubmissionError(
            f"The mask holds the value {strange[0]}, which is no label",
            remedy=f"Known values are {', '.join(map(str, sorted(known)))}",
        )
    return voxels
