"""`braintumor track`: studies in, timeline, trend plot and change map out, in one folder that appears whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from braintumor import case as case_stage
from braintumor import segment as segment_stage
from braintumor import study as study_stage
from braintumor.case import PrepareOptions
from braintumor.errors import CorruptFileError
from braintumor.files import write_nifti
from braintumor.geometry import Grid
from braintumor.nouns import Flag, Image, Results, Severity, Study
from braintumor.report.findings import gather_flags
from braintumor.results.output import appearing, check_output
from braintumor.segment import on_grid
from braintumor.segment.engines import AnyEngine
from braintumor.track.overlay import overlay
from braintumor.track.rano import Clinical, Criteria
from braintumor.track.register import sampled
from braintumor.track.table import as_dict, known_uids
from braintumor.track.timeline import Event, Timeline, build
from braintumor.track.trend import trend
from braintumor.track.visits import Visit, check_different, check_patients, common_sequence, in_order
from braintumor.train.truth import read_truth

TIMELINE = "timeline.json"
Progress = Callable[[str, float], None]


def _silent(step: str, share: float) -> None:
    """Progress for callers that do not watch."""


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
    """

    criteria: Criteria = field(default_factory=Criteria)
    notes: tuple[VisitNotes, ...] = ()
    events: tuple[Event, ...] = ()
    previous: Path | None = None
    force: bool = False
    engine: str = "auto"
    model: Path | None = None
    prepare: PrepareOptions = field(default_factory=PrepareOptions)


def run(sources: Seq[str | Path], out: Path, options: TrackOptions = TrackOptions(), progress: Progress = _silent) -> Results:
    """Read, segment, align and compare visits, and write the timeline into `out`.

    Parameters
    ----------
    sources
        The current study first, then priors in any order; each as `braintumor.study.read` takes it.
    out
        A folder that does not exist yet, or is empty; it gets all results or none.

    Raises
    ------
    BrainTumorError
        Of the kind that says what is wrong; `out` is then as it was.
    """
    check_output(out)
    known = _previous(options.previous)
    notes = (*options.notes, *[VisitNotes()] * len(sources))[: len(sources)]
    studies = []
    for n, (source, note) in enumerate(zip(sources, notes, strict=True)):
        progress(f"reading visit {n + 1}", 0.1 * n / len(sources))
        studies.append(study_stage.read(source, require=1 if note.mask else study_stage.MINIMUM))
    flags = check_patients(studies, force=options.force)
    check_different(studies)
    in_order(
        [_Dated(note.date or study.study_date) for study, note in zip(studies, notes, strict=True)]
    )  # before minutes of work
    engine = None if all(note.mask for note in notes) else segment_stage.load_engine(options.engine, options.model)
    visits = []
    for n, (study, note) in enumerate(zip(studies, notes, strict=True)):
        progress(f"segmenting visit {n + 1}", 0.1 + 0.6 * n / len(studies))
        visits.append(_visit(study, note, engine, options.prepare))
    ordered, more = in_order(visits)
    progress("aligning and comparing", 0.7)
    timeline = build(ordered, options.criteria, events=options.events, known=known, flags=(*flags, *more))
    timeline = replace(timeline, flags=gather_flags(timeline.flags, *(_named(n, v) for n, v in enumerate(ordered, 1))))
    progress("writing", 0.9)
    results = write(timeline, out)
    progress("writing", 1.0)
    return results


def write(timeline: Timeline, out: Path) -> Results:
    """Write a timeline: ``timeline.json``, ``trend.png`` and ``.svg``, ``change-map.nii.gz``, ``change-overlay.png``, and each
    prior's image on the current grid as ``prior-N.nii.gz``.

    Raises
    ------
    OutputError
        If `out` is not empty or cannot be written; nothing is left behind then.
    """  # noqa: D205  one list of files
    content = as_dict(timeline)
    outputs: dict[str, tuple[str, ...]] = {}
    with appearing(out) as folder:
        chart = trend(timeline)
        chart.image().save(folder / "trend.png")
        (folder / "trend.svg").write_text(chart.svg(), encoding="utf-8")
        outputs["trend"] = ("trend.png", "trend.svg")
        grid = timeline.visits[-1].case.grid
        write_nifti(folder / "change-map.nii.gz", timeline.change_map, grid)
        overlay(timeline).save(folder / "change-overlay.png")
        outputs["change"] = ("change-map.nii.gz", "change-overlay.png")
        outputs["prior"] = tuple(_write_priors(timeline, folder, grid))
        content["outputs"] = {kind: list(paths) for kind, paths in outputs.items()}
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


def _visit(study: Study, note: VisitNotes, engine: AnyEngine | None, options: PrepareOptions) -> Visit:
    case = case_stage.prepare(study, options)
    if note.mask is not None:
        found = on_grid(read_truth(note.mask, study.reference.image.grid), case.grid)
    else:
        assert engine is not None  # noqa: S101  loaded where a mask is missing
        found = segment_stage.segment(case, engine)
    return Visit(study, case, found, note.date or study.study_date, note.preoperative, note.steroid_mg, note.clinical)


@dataclass(frozen=True, slots=True)
class _Dated:
    """As much of a visit as its place in time needs."""

    date: date | None


def _named(number: int, visit: Visit) -> tuple[Flag, ...]:
    """A visit's own flags, saying whose they are; what is for the record only stays in the visit's own results."""
    flags = (*visit.case.flags, *visit.segmentation.flags)
    return tuple(replace(f, message=f"Visit {number}: {f.message}") for f in flags if f.severity is not Severity.INFO)


def _previous(path: Path | None) -> Mapping[tuple[str, int], str]:
    if path is None:
        return {}
    try:
        return known_uids(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CorruptFileError(
            "The earlier timeline cannot be read", remedy="Name a timeline.json that this program wrote", path=path
        ) from error


__all__ = ["TIMELINE", "TrackOptions", "VisitNotes", "run", "write"]
