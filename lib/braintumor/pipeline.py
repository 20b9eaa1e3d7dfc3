"""The whole line, one stage after the other: what the command line, the MAP and the server all run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from braintumor import export as results_stage
from braintumor import measure as measure_stage
from braintumor import preprocess as case_stage
from braintumor import report as report_stage
from braintumor import segment as segment_stage
from braintumor import study as study_stage
from braintumor import track
from braintumor.domain import (
    Comparison,
    Context,
    FhirError,
    Flag,
    Identifier,
    InputNotFoundError,
    Results,
    Sequence,
    Severity,
    Study,
    check_output,
)
from braintumor.export import WriteOptions
from braintumor.preprocess import PrepareOptions
from braintumor.segment import SegmentOptions
from braintumor.segment.engines import AnyEngine

STAGES = ("study", "case", "engine", "segment", "measure", "findings", "results")
"""Stage names in order, as progress and timings use them."""

Progress = Callable[[str, float], None]


def _silent(stage: str, share: float) -> None:
    """Progress for callers that do not watch."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Everything a caller may choose.

    Attributes
    ----------
    overrides
        Sequence -> series UID (or file name) that the user names; the classifier is not asked for it.
    engine
        One of `braintumor.segment.ENGINES`, or an engine that is loaded already, which then serves study after study.
    model
        Model folder; None for the one that comes with the package.
    created
        Time of the results' content, with time zone; now if None. A repeated run with the same time repeats the same objects.
    priors
        Earlier studies of the patient, in any order, each as a source; the report then compares with them.
    notes
        The patient's notes, files or folders, whose sentences the report quotes.
    reason
        Why the study was ordered, in the referrer's words.
    orders
        FHIR server that is asked for the order by the study's accession number: its reason, where none is given, and the
        patient's further identifiers. A server that does not know is a flag, not a failure.
    """

    overrides: Mapping[Sequence, str] = field(default_factory=dict)
    engine: str | AnyEngine = "auto"
    model: Path | None = None
    created: datetime | None = None
    priors: tuple[str | Path, ...] = ()
    notes: tuple[Path, ...] = ()
    reason: str = ""
    orders: str = ""
    prepare: PrepareOptions = field(default_factory=PrepareOptions)
    segment: SegmentOptions = field(default_factory=SegmentOptions)
    write: WriteOptions = field(default_factory=WriteOptions)


def run(source: str | Path, out: Path, options: RunOptions | None = None, progress: Progress = _silent) -> Results:
    """Read a study, segment, measure, report and write everything into `out`.

    Parameters
    ----------
    source
        Folder, zip, NIfTI case or DICOMweb study address.
    out
        A folder that does not exist yet, or is empty; it gets all results or none.
    progress
        Called with the stage's name and the share of it done, 0..1.

    Raises
    ------
    BrainTumorError
        Of the kind that says what is wrong; `out` is then as it was.
    """
    options = options or RunOptions()
    check_output(out)  # before minutes of work, not after
    _check_notes(options)
    timings: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        progress(name, 0.0)
        started = time.perf_counter()
        yield
        timings[name] = round(time.perf_counter() - started, 3)
        progress(name, 1.0)

    with stage("study"):
        study = study_stage.read(source, overrides=options.overrides)
        earlier = [study_stage.read(prior) for prior in options.priors]
        track.check_patients([study, *earlier], force=False)
        track.check_different([study, *earlier])
    with stage("case"):
        case = case_stage.prepare(study, options.prepare, progress=lambda _step, share: progress("case", share))
    with stage("engine"):
        wanted = options.engine
        engine = segment_stage.load_engine(wanted, options.model) if isinstance(wanted, str) else wanted
    with stage("segment"):
        segmentation = segment_stage.segment(case, engine, options.segment, progress=lambda share: progress("segment", share))
    with stage("measure"):
        measurements = measure_stage.measure(segmentation, case.brain, case_id=case.case_id)
    with stage("findings"):
        compared, flags = _compared(
            track.Visit(study, case, segmentation, study.study_date), earlier, engine, options, progress
        )
        reason, identifiers, doubts = _order(study, options)
        findings = report_stage.find(
            study,
            case,
            segmentation,
            measurements,
            comparison=compared,
            context=_context(study, options),
            reason=reason,
            flags=(*flags, *doubts),
        )
    write = replace(options.write, identifiers=(*options.write.identifiers, *identifiers))
    with stage("results"):
        return results_stage.write(
            study, case, segmentation, measurements, findings, out, write, timings=timings, created=options.created
        )


def _compared(
    current: track.Visit, earlier: list[Study], engine: AnyEngine, options: RunOptions, progress: Progress
) -> tuple[Comparison | None, tuple[Flag, ...]]:
    """What changed since the priors, and what was doubted on the way."""
    if not earlier:
        return None, ()
    visits = [current]
    for number, prior in enumerate(earlier):
        progress("findings", number / (len(earlier) + 1))
        prepared = case_stage.prepare(prior, options.prepare)
        found = segment_stage.segment(prepared, engine, options.segment)
        visits.append(track.Visit(prior, prepared, found, prior.study_date))
    timeline = track.compare(visits)
    return track.comparison(timeline), timeline.flags


def _check_notes(options: RunOptions) -> None:
    """Refuse notes that are not there before minutes of work."""
    for path in options.notes:
        if not path.exists():
            raise InputNotFoundError(
                "The notes do not exist", remedy="Name a file or folder with the patient's notes", path=path
            )


def _order(study: Study, options: RunOptions) -> tuple[str, tuple[Identifier, ...], tuple[Flag, ...]]:
    """Reason and identifiers as the order has them."""
    if not options.orders:
        return options.reason, (), ()
    from braintumor.fhir import FhirClient

    accession = report_stage.accession_of(study)
    try:
        if not accession:
            raise FhirError("The study has no accession number to find its order by", remedy="Give the reason with --reason")
        with FhirClient(options.orders) as client:
            order = client.context(accession=accession)
        if order.patient.patient_id != study.patient.patient_id:
            raise FhirError("The order is for a patient with another ID", remedy="Check the accession number")
    except FhirError as error:
        words = f"The order of the study was not found, so its reason may be missing: {error.problem}."
        return options.reason, (), (Flag("order-not-found", Severity.WARNING, words),)
    known = {identifier.system for identifier in options.write.identifiers}
    return options.reason or order.reason, tuple(i for i in order.identifiers if i.system not in known), ()


def _context(study: Study, options: RunOptions) -> Context | None:
    """What the notes say; the embedding model is loaded only where there are notes."""
    if not options.notes:
        return None
    from braintumor import notes as context

    return context.summarise(options.notes, options=context.ContextOptions(patient=study.patient))
