"""What is said of visits besides their images; and a timeline written: plot, change map and DICOM, all or none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from braintumor.datasets.truth import read_truth
from braintumor.domain import (
    NECROTIC_CORE,
    Case,
    CorruptFileError,
    Flag,
    Grid,
    Image,
    Results,
    Segmentation,
    Severity,
    Study,
    appearing,
    write_nifti,
)
from braintumor.preprocess import PrepareOptions, on_grid
from braintumor.report.trend import trend
from braintumor.segment.engines import AnyEngine
from braintumor.track.dicom import left_out, write_objects
from braintumor.track.facts import trend_points
from braintumor.track.overlay import overlay
from braintumor.track.rano import Clinical, Criteria
from braintumor.track.register import sampled
from braintumor.track.table import as_dict, known_uids
from braintumor.track.timeline import Event, Timeline
from braintumor.track.visits import Visit, check_different, check_patients, common_sequence, in_order

TIMELINE = "timeline.json"
"""Name of a timeline's file."""


@dataclass(frozen=True, slots=True)
class VisitNotes:
    """What the images do not say of a visit; None where nobody said it.

    Attributes
    ----------
    mask
        NIfTI mask to use instead of the network.
    date
        Instead of the study's own.
    """

    mask: Path | None = None
    date: date | None = None
    preoperative: bool = False
    steroid_mg: float | None = None
    clinical: Clinical | None = None

    def said_of(self, visit: Visit) -> Visit:
        """The visit with what was said of it; what was not said stays."""
        return replace(
            visit,
            date=self.date or visit.date,
            preoperative=self.preoperative or visit.preoperative,
            steroid_mg=visit.steroid_mg if self.steroid_mg is None else self.steroid_mg,
            clinical=self.clinical or visit.clinical,
        )


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """Everything a caller may choose.

    Attributes
    ----------
    notes
        Per source, in the order of the sources; shorter lists are filled with "nothing known".
    previous
        An earlier ``timeline.json``, whose lesion identities are kept.
    force
        Compare although the patient IDs differ.
    engine, model, prepare
        How visits without a mask are segmented, as `braintumor.pipeline.RunOptions`.
    """

    criteria: Criteria = field(default_factory=Criteria)
    notes: tuple[VisitNotes, ...] = ()
    events: tuple[Event, ...] = ()
    previous: Path | None = None
    force: bool = False
    engine: str | AnyEngine = "auto"
    model: Path | None = None
    prepare: PrepareOptions = field(default_factory=PrepareOptions)

    def notes_for(self, count: int) -> tuple[VisitNotes, ...]:
        """One for each of `count` sources."""
        return (*self.notes, *[VisitNotes()] * count)[:count]

    def identities(self) -> Mapping[tuple[str, int], str]:
        """Lesion identities of the earlier timeline, as `known_uids`; empty without one.

        Raises
        ------
        CorruptFileError
            If it cannot be read.
        """
        if self.previous is None:
            return {}
        try:
            return known_uids(json.loads(self.previous.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise CorruptFileError(
                "The earlier timeline cannot be read", remedy="Name a timeline.json that this program wrote", path=self.previous
            ) from error


def write_timeline(timeline: Timeline, out: Path, created: datetime | None = None, *, objects: bool = True) -> Results:
    """Write a timeline: ``timeline.json``, ``trend.png`` and ``.svg``, ``change-map.nii.gz``, ``change-overlay.png``, each
    prior's image on the current grid as ``prior-N.nii.gz``, and where the current study is DICOM the objects of
    `braintumor.track.dicom` below ``dicom/``. Priors whose pixels may not enter the current study are flagged.

    Parameters
    ----------
    created
        Time of the content, with time zone; now if None. The same timeline at the same time gives the same DICOM UIDs.
    objects
        Write DICOM too; else the timeline, its pictures and the change map only.

    Raises
    ------
    OutputError
        If `out` is not empty or cannot be written; nothing is left behind then.
    InputNotFoundError, CorruptFileError
        If a DICOM source file is gone or changed meanwhile.
    """  # noqa: D205  one list of files
    created = created or datetime.now().astimezone().replace(microsecond=0)
    if objects:
        timeline = replace(timeline, flags=(*timeline.flags, *left_out(timeline)))
    content = as_dict(timeline)
    outputs: dict[str, tuple[str, ...]] = {}
    with appearing(out) as folder:
        chart = trend(trend_points(timeline), [(event.date, event.words) for event in timeline.events])
        chart.image().save(folder / "trend.png")
        (folder / "trend.svg").write_text(chart.svg(), encoding="utf-8")
        outputs["trend"] = ("trend.png", "trend.svg")
        grid = timeline.visits[-1].case.grid
        write_nifti(folder / "change-map.nii.gz", timeline.change_map, grid)
        overlay(timeline).save(folder / "change-overlay.png")
        outputs["change"] = ("change-map.nii.gz", "change-overlay.png")
        outputs["prior"] = tuple(_write_priors(timeline, folder, grid)) if objects else ()
        written = write_objects(timeline, folder / "dicom", created.replace(tzinfo=None)) if objects else {}
        for kind, paths in written.items():
            outputs[kind] = tuple(str(path.relative_to(folder)) for path in paths)
        content["outputs"] = {kind: list(names) for kind, names in outputs.items()}
        (folder / TIMELINE).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return Results(out, {"timeline": (TIMELINE,), **outputs}, content)


def _write_priors(timeline: Timeline, folder: Path, grid: Grid) -> list[str]:
    names = []
    for n, (visit, alignment) in enumerate(zip(timeline.visits, timeline.alignments, strict=True), start=1):
        if alignment is None:
            continue
        sequence = common_sequence(timeline.visits[-1], visit)
        image = sampled(Image(visit.case.display[sequence], visit.case.grid), grid, alignment.transform)
        names.append(f"prior-{n}.nii.gz")
        write_nifti(folder / names[-1], image, grid)
    return names


def refuse_early(given: Sequence[Study | Visit], notes: Sequence[VisitNotes], *, force: bool) -> None:
    """Refuse what `compare` would refuse for its patients, studies or dates, before minutes of work.

    Raises
    ------
    PatientMismatchError, VisitsError
    """
    studies = [one.study if isinstance(one, Visit) else one for one in given]
    check_patients(studies, force=force)
    check_different(studies)
    dates = [one.date if isinstance(one, Visit) else one.study_date for one in given]
    in_order(studies, [note.date or day for day, note in zip(dates, notes, strict=True)])


def drawn(mask: Path, study: Study, case: Case) -> Segmentation:
    """A mask file, drawn on the study's reference series, on the case's grid; errors as `braintumor.datasets.read_mask`."""
    found = on_grid(read_truth(mask, study.reference.image.grid), case.grid)
    return replace(found, flags=(*found.flags, *_one_value(found.mask)))


def _one_value(mask: npt.NDArray[np.uint8]) -> tuple[Flag, ...]:
    """A mask of 0 and 1 often means 'tumour or not', and is read as what 1 stands for."""
    if set(np.flatnonzero(np.bincount(mask.ravel(order="K"))).tolist()) - {0} != {NECROTIC_CORE.value}:
        return ()
    words = (
        f"The mask holds no value but 1, which stands for {NECROTIC_CORE.name.lower()}: oedema and enhancing tumour are 0 mL."
    )
    return (Flag("mask-of-one-value", Severity.SERIOUS, words),)
