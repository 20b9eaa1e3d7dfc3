"""The line: the only place that strings stages together. Command line, MAP, server, node and tracking all call it.

A study and what came with it (`Referral`) -> case -> segmentation -> measurements -> findings -> results. Each step is a
function from the nouns before it to the next; `run` is all of them for one study, `track_visits` is what several visits need.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
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
from braintumor import track as track_stage
from braintumor.domain import (
    Case,
    Context,
    FhirError,
    Findings,
    Flag,
    FlagCode,
    Identifier,
    InputNotFoundError,
    Measurements,
    MRSequence,
    Progress,
    Results,
    Segmentation,
    Study,
    check_output,
    silent,
)
from braintumor.export import WriteOptions
from braintumor.preprocess import PrepareOptions
from braintumor.segment import SegmentOptions
from braintumor.segment.engines import AnyEngine
from braintumor.track import Timeline, TrackOptions, Visit

STAGES = ("study", "case", "engine", "segment", "measure", "findings", "results")
"""Stage names in order, as progress and timings use them."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Everything a caller may choose.

    Attributes
    ----------
    overrides
        MRSequence -> series UID (or file name) that the user names; the classifier is not asked for it.
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

    overrides: Mapping[MRSequence, str] = field(default_factory=dict)
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


_USUAL = RunOptions()
_USUAL_TRACK = TrackOptions()


@dataclass(frozen=True, eq=False)
class Referral:
    """A study, and what came with it besides its images.

    Attributes
    ----------
    priors
        Earlier studies of the same patient, in any order.
    notes
        The patient's notes, files or folders.
    reason
        Why the study was ordered, in the referrer's words.
    identifiers
        Of the patient, beside the Patient ID.
    flags
        What was doubted about all this.
    """

    study: Study
    priors: tuple[Study, ...] = ()
    notes: tuple[Path, ...] = ()
    reason: str = ""
    identifiers: tuple[Identifier, ...] = ()
    flags: tuple[Flag, ...] = ()


def run(source: str | Path, out: str | Path, options: RunOptions = _USUAL, progress: Progress = silent) -> Results:
    """Read a study, segment, measure, report and write everything into `out`.

    Parameters
    ----------
    source
        Folder, zip, NIfTI case or DICOMweb study address.
    out
        A folder that does not exist yet, or is empty; it gets all results or none.

    Raises
    ------
    BrainTumorError
        Of the kind that says what is wrong; `out` is then as it was.
    """
    out = Path(out)
    check_output(out)  # before minutes of work, not after
    timings: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        progress(name, 0.0)
        started = time.perf_counter()
        yield
        timings[name] = round(time.perf_counter() - started, 3)
        progress(name, 1.0)

    with stage("study"):
        referral = referred(source, options)
    with stage("case"):
        case = prepared(referral.study, options, progress)
    with stage("engine"):
        options = replace(options, engine=loaded_engine(options))
    with stage("segment"):
        segmentation = segmented(case, options, progress)
    visit = Visit.of(referral.study, case, segmentation)
    with stage("measure"):
        measurements = measured(visit)
    with stage("findings"):
        findings = found(visit, measurements, referral, compared(visit, referral.priors, options, progress))
    with stage("results"):
        return written(visit, measurements, findings, referral, out, options, timings)


def referred(source: str | Path, options: RunOptions = _USUAL) -> Referral:
    """Read a study and its priors, and ask for its order.

    Raises
    ------
    InputNotFoundError
        If the study, a prior or the notes do not exist.
    PatientMismatchError, VisitsError
        If a prior is of another patient, or one study is given twice.
    BrainTumorError
        As `braintumor.study.read_study`.
    """
    for path in options.notes:
        if not path.exists():
            remedy = "Name a file or folder with the patient's notes"
            raise InputNotFoundError("The notes do not exist", remedy=remedy, path=path)
    study = study_stage.read_study(source, overrides=options.overrides)
    priors = tuple(study_stage.read_study(prior) for prior in options.priors)
    track_stage.check_patients([study, *priors], force=False)
    track_stage.check_different([study, *priors])
    return with_order(Referral(study, priors, options.notes, options.reason, options.write.identifiers), options.orders)


def with_order(referral: Referral, server: str) -> Referral:
    """The referral with what a FHIR server knows of the study's order.

    Parameters
    ----------
    server
        Its address; '' for none, which leaves the referral as it is.

    Returns
    -------
    Referral
        With the order's reason, where there was none, and the identifiers of issuers that were missing; flagged where the
        order was not found.
    """
    if not server:
        return referral
    from braintumor.fhir import FhirClient

    accession = report_stage.accession_of(referral.study)
    try:
        if not accession:
            raise FhirError("The study has no accession number to find its order by", remedy="Give the reason with --reason")
        with FhirClient(server) as client:
            order = client.context(accession=accession)
        if order.patient.patient_id != referral.study.patient.patient_id:
            raise FhirError("The order is for a patient with another ID", remedy="Check the accession number")
    except FhirError as error:
        return replace(referral, flags=(*referral.flags, FlagCode.ORDER_NOT_FOUND.flag(problem=error.problem)))
    known = {identifier.system for identifier in referral.identifiers}
    more = (identifier for identifier in order.identifiers if identifier.system not in known)
    return replace(referral, reason=referral.reason or order.reason, identifiers=(*referral.identifiers, *more))


def prepared(study: Study, options: RunOptions = _USUAL, progress: Progress = silent) -> Case:
    """The study's sequences on one grid; errors as `braintumor.preprocess.prepare_case`."""
    return case_stage.prepare_case(study, options.prepare, progress=lambda _step, share: progress("case", share))


def loaded_engine(options: RunOptions = _USUAL) -> AnyEngine:
    """The engine that the options name, or bring; errors as `braintumor.segment.load_engine`."""
    wanted = options.engine
    return segment_stage.load_engine(wanted, options.model) if isinstance(wanted, str) else wanted


def segmented(case: Case, options: RunOptions = _USUAL, progress: Progress = silent) -> Segmentation:
    """Every voxel of a case labelled, on the case's grid."""
    engine = loaded_engine(options)
    return segment_stage.segment_case(case, engine, options.segment, progress=lambda share: progress("segment", share))


def measured(visit: Visit) -> Measurements:
    """Volumes, diameters, lesions and places of a visit's mask."""
    return measure_stage.measure_case(visit.segmentation, visit.case.brain, case_id=visit.case.case_id)


def compared(
    visit: Visit, priors: Sequence[Study], options: RunOptions = _USUAL, progress: Progress = silent
) -> Timeline | None:
    """A visit compared with earlier studies, which run through the same stages; None where there are none."""
    visits = [visit]
    for number, prior in enumerate(priors):
        progress("findings", number / (len(priors) + 1))
        visits.append(_visit(prior, options))
    return track_stage.compare(visits) if priors else None


def found(visit: Visit, measurements: Measurements, referral: Referral, timeline: Timeline | None = None) -> Findings:
    """The facts of a visit: what was done, measured, compared, quoted from notes, and doubted on the way.

    Parameters
    ----------
    timeline
        The visit compared with earlier ones, its last visit; None where it was not compared.
    """
    return report_stage.gather_findings(
        visit.study,
        visit.case,
        visit.segmentation,
        measurements,
        comparison=track_stage.comparison(timeline) if timeline else None,
        context=_context(referral),
        reason=referral.reason,
        flags=(*(timeline.flags if timeline else ()), *referral.flags),
    )


def written(
    visit: Visit,
    measurements: Measurements,
    findings: Findings,
    referral: Referral,
    out: Path,
    options: RunOptions = _USUAL,
    timings: Mapping[str, float] | None = None,
) -> Results:
    """Every result in `out`, which gets all of them or none; errors as `braintumor.export.write_results`.

    Parameters
    ----------
    timings
        Seconds of the stages before this one, for the manifest.
    """
    write = replace(options.write, identifiers=referral.identifiers)
    parts = (visit.study, visit.case, visit.segmentation, measurements, findings)
    return results_stage.write_results(*parts, out, write, timings=timings, created=options.created)


def track_visits(
    sources: Sequence[str | Path | Visit], out: str | Path, options: TrackOptions = _USUAL_TRACK, progress: Progress = silent
) -> Results:
    """Read, segment, align and compare visits, and write the timeline into `out`.

    Parameters
    ----------
    sources
        The current study first, then priors in any order; each as `braintumor.study.read_study` takes it, or a visit that was
        segmented already.
    out
        A folder that does not exist yet, or is empty; it gets all results or none.
    progress
        Called with what is being done, in words, and the share of everything done, 0..1.

    Raises
    ------
    BrainTumorError
        Of the kind that says what is wrong; `out` is then as it was.
    """
    out = Path(out)
    check_output(out)
    known, notes = options.identities(), options.notes_for(len(sources))
    given: list[Study | Visit] = []
    for n, (source, note) in enumerate(zip(sources, notes, strict=True)):
        progress(f"reading visit {n + 1}", 0.1 * n / len(sources))
        needed = 1 if note.mask else study_stage.MINIMUM
        given.append(source if isinstance(source, Visit) else study_stage.read_study(source, require=needed))
    track_stage.refuse_early(given, notes, force=options.force)
    line = RunOptions(engine=options.engine, model=options.model, prepare=options.prepare)
    if any(isinstance(one, Study) and note.mask is None for one, note in zip(given, notes, strict=True)):
        line = replace(line, engine=loaded_engine(line))
    visits = []
    for n, (one, note) in enumerate(zip(given, notes, strict=True)):
        progress(f"segmenting visit {n + 1}", 0.1 + 0.6 * n / len(given))
        visits.append(note.said_of(one if isinstance(one, Visit) else _visit(one, line, note.mask)))
    progress("aligning and comparing", 0.7)
    timeline = track_stage.compare(visits, options.criteria, events=options.events, known=known, force=options.force)
    progress("writing", 0.9)
    results = track_stage.write_timeline(timeline, out)
    progress("writing", 1.0)
    return results


def _visit(study: Study, options: RunOptions, mask: Path | None = None) -> Visit:
    """A study prepared and segmented: by the network, or as a mask file says."""
    case = prepared(study, options)
    return Visit.of(study, case, segmented(case, options) if mask is None else track_stage.drawn(mask, study, case))


def _context(referral: Referral) -> Context | None:
    """What the notes say; the embedding model is loaded only where there are notes."""
    if not referral.notes:
        return None
    from braintumor import notes as context

    return context.summarise(referral.notes, options=context.ContextOptions(patient=referral.study.patient))
