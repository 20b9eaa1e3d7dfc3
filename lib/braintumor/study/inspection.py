"""What is in an input, what would be used and why, without running anything; patient data stays out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braintumor.domain import BrainTumorError, Evidence, Flag, Image, MRSequence, StudyKind
from braintumor.study import nifti, sources
from braintumor.study.choose import SeriesCandidate, SeriesChoice, candidates_of
from braintumor.study.facts import attributes_of
from braintumor.study.index import SeriesIndex, index_files
from braintumor.study.reader import MINIMUM, choose_series, missing_flags, nothing_found, quiet, refuse_missing
from braintumor.study.volume import build_series, geometry_of


@dataclass(frozen=True, eq=False)
class Inspection:
    """An input as `read` sees it.

    Attributes
    ----------
    kind
        ``dicom`` or ``nifti``.
    series
        One entry per series (or volume of it): uid, description, number of images, grid, header facts, what it was taken for
        with confidence and reasons, and what it would be used as.
    chosen
        MRSequence -> uid of the series (for NIfTI: file name).
    unused
        Everything else -> reason.
    problems
        What would make `read` refuse the input, in the order met; empty if it would be read.
    counts
        files, not_dicom, copies, patients, studies.
    """

    kind: StudyKind
    series: tuple[Mapping[str, Any], ...]
    chosen: Mapping[MRSequence, str]
    unused: Mapping[str, str]
    flags: tuple[Flag, ...]
    problems: tuple[BrainTumorError, ...]
    counts: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kind": self.kind,
            "counts": dict(self.counts),
            "series": [dict(entry) for entry in self.series],
            "chosen": {s.value: uid for s, uid in self.chosen.items()},
            "unused": dict(self.unused),
            "flags": [{"code": f.code, "severity": f.severity.value, "message": f.message} for f in self.flags],
            "problems": [{"code": p.code, "exit_code": p.exit_code, "message": str(p)} for p in self.problems],
        }


def inspect(source: str | Path, *, overrides: Mapping[MRSequence, str] | None = None) -> Inspection:
    """Look into an input; parameters as for `braintumor.study.read_study`.

    Damaged files, unsafe geometry, ambiguity, missing sequences and mixed patients are listed in `Inspection.problems`.

    Raises
    ------
    InputNotFoundError
        If nothing is there, or nothing in it is an image.
    UnsafeArchiveError, CorruptFileError, OutputError
        If an archive cannot be unpacked.
    """
    material = sources.gather(source)
    try:
        with quiet():
            return _inspect(material, overrides or {})
    finally:
        material.clean()


def _inspect(material: sources.Material, overrides: Mapping[MRSequence, str]) -> Inspection:
    problems: list[BrainTumorError] = []
    index = index_files(material.files, problems.append)
    counts = {
        "files": len(material.files),
        "not_dicom": len(index.not_dicom),
        "copies": index.copies,
        "patients": index.patients,
        "studies": index.studies,
    }
    if index.series:
        return _dicom(index, overrides, problems, counts)
    if any(nifti.is_nifti(p) for p in index.not_dicom):
        return _nifti(material, overrides, problems, counts)
    if not problems:
        raise nothing_found(material, index)
    return Inspection(StudyKind.DICOM, (), {}, index.ignored, (), tuple(problems), counts)


def _dicom(
    index: SeriesIndex, overrides: Mapping[MRSequence, str], problems: list[BrainTumorError], counts: Mapping[str, int]
) -> Inspection:
    candidates = candidates_of(index)
    choice = choose_series(index, candidates, overrides, _load, problems.append)
    used = {candidate.key: sequence for sequence, candidate in choice.chosen.items()}
    entries = []
    for candidate in candidates:
        grid, problem = geometry_of(candidate)
        if problem is not None and candidate.key in used:
            problems.append(problem)
        # The chosen candidate carries the final evidence, e.g. after the pixels have told T1 from T1ce.
        final = choice.chosen[used[candidate.key]] if candidate.key in used else candidate
        entries.append(_entry(final, used.get(candidate.key), grid, problem, choice))
    _note_missing(choice.chosen, problems)
    chosen = {s: choice.chosen[s].key for s in MRSequence if s in choice.chosen}
    flags = (*choice.flags, *missing_flags(chosen))
    return Inspection(StudyKind.DICOM, tuple(entries), chosen, choice.unused, flags, tuple(problems), counts)


def _entry(
    candidate: SeriesCandidate,
    use: MRSequence | None,
    grid: Mapping[str, Any] | None,
    problem: BrainTumorError | None,
    choice: SeriesChoice,
) -> dict[str, Any]:
    dataset = candidate.headers[0].dataset
    attributes = attributes_of(dataset)
    return {
        "uid": candidate.key,
        "description": attributes.get("SeriesDescription", ""),
        "number": attributes.get("SeriesNumber"),
        "images": candidate.slices,
        "grid": grid,
        "geometry_problem": None if problem is None else str(problem),
        **_evidence(candidate.evidence),
        "used_as": None if use is None else use.value,
        "why_unused": choice.unused.get(candidate.key),
        "attributes": attributes,
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    sequence = None if evidence.sequence is None else evidence.sequence.value
    return {"taken_for": sequence, "confidence": evidence.confidence, "reasons": list(evidence.reasons)}


def _load(candidate: SeriesCandidate) -> Image | None:
    try:
        return build_series(candidate).image
    except BrainTumorError:  # shown as the series' own problem
        return None


def _nifti(
    material: sources.Material, overrides: Mapping[MRSequence, str], problems: list[BrainTumorError], counts: Mapping[str, int]
) -> Inspection:
    case = nifti.find_case(material.files, overrides, problems.append)
    flags, entries = list(case.flags), []
    for sequence, path in case.files.items():
        evidence = Evidence(sequence, 1.0, (case.reasons[sequence],))
        entry: dict[str, Any] = {"uid": nifti.stem(path), "file": path.name, **_evidence(evidence), "used_as": sequence.value}
        try:
            series, found = nifti.load(path, evidence)
        except BrainTumorError as error:
            problems.append(error)
            entry |= {"grid": None, "geometry_problem": str(error)}
        else:
            flags += found
            entry |= {"grid": series.image.grid.summary(), "attributes": dict(series.attributes)}
        entries.append(entry)
    _note_missing(case.files, problems)
    chosen = {s: p.name for s, p in case.files.items()}
    return Inspection(
        StudyKind.NIFTI, tuple(entries), chosen, case.unused, (*flags, *missing_flags(chosen)), tuple(problems), counts
    )


def _note_missing(found: Mapping[MRSequence, object], problems: list[BrainTumorError]) -> None:
    if problems:  # what is missing may well be a consequence of these
        return
    try:
        refuse_missing(found, MINIMUM)
    except BrainTumorError as error:
        problems.append(error)
