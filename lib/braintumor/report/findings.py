"""Findings: the facts of one visit gathered from what the stages made of it; nothing clinical is concluded here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from braintumor.domain import (
    AlignmentMethod,
    Case,
    Comparison,
    Context,
    Findings,
    Flag,
    Measurements,
    MRSequence,
    Request,
    Segmentation,
    SequenceUse,
    Severity,
    Study,
    Technique,
)

_SERIOUS_FIRST = (Severity.SERIOUS, Severity.WARNING, Severity.INFO)


def gather_findings(
    study: Study,
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    *,
    comparison: Comparison | None = None,
    context: Context | None = None,
    reason: str = "",
    flags: Iterable[Flag] = (),
) -> Findings:
    """Gather what was done, found and doubted.

    Parameters
    ----------
    study, case, segmentation, measurements
        What the stages made of one visit; `segmentation` on any grid.
    comparison
        With earlier visits, see `braintumor.track.comparison`.
    context
        What the patient's notes say.
    reason
        Why the study was ordered, in the referrer's words.
    flags
        Of the comparison and whatever else took part.

    Returns
    -------
    Findings
        Flags of all stages, each (code, message) once, most serious first, otherwise in the order in which they were raised.
    """
    noted = context.flags if context else ()
    return Findings(
        study_uid=study.uid,
        study_date=study.study_date,
        request=Request(_age(study.patient.birth_date, study.study_date), study.patient.sex.strip().upper(), reason.strip()),
        technique=_technique(study, case, segmentation),
        measurements=measurements,
        comparison=comparison,
        context=context,
        flags=gather_flags(study.flags, case.flags, segmentation.flags, measurements.flags, noted, flags),
    )


def gather_flags(*stages: Iterable[Flag]) -> tuple[Flag, ...]:
    """The flags of all stages, equal code and message only once, most serious first.

    Where two stages raise the same flag with different severity the more serious one stays.
    """
    everything = sorted((flag for stage in stages for flag in stage), key=lambda flag: _SERIOUS_FIRST.index(flag.severity))
    unique: dict[tuple[str, str], Flag] = {}
    for flag in everything:
        unique.setdefault((flag.code, flag.message), flag)
    return tuple(unique.values())


def _technique(study: Study, case: Case, segmentation: Segmentation) -> Technique:
    return Technique(
        sequences={sequence: _use(study, case, sequence) for sequence in case.present},
        reference=_reference(study, case),
        grid_shape=case.grid.shape,
        grid_spacing_mm=_three(case.grid.spacing),
        steps=tuple(case.steps),
        author=segmentation.author,
        confidence=dict(segmentation.confidence),
    )


def _use(study: Study, case: Case, sequence: MRSequence) -> SequenceUse:
    series, alignment = study.series[sequence], case.alignment[sequence]
    return SequenceUse(
        series_uid=series.uid,
        reason=series.evidence.reasons[0] if series.evidence.reasons else "",
        spacing_mm=_three(series.image.grid.spacing),
        method=alignment.method,
        quality=alignment.quality,
        translation_mm=alignment.translation_mm,
        rotation_deg=alignment.rotation_deg,
    )


def _reference(study: Study, case: Case) -> MRSequence:
    """Whose space the case is in: the case's own word, for it may have been prepared around another one."""
    for sequence, alignment in case.alignment.items():
        if alignment.method is AlignmentMethod.REFERENCE:
            return sequence
    return study.reference_sequence


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    i, j, k = (float(value) for value in values)
    return i, j, k


def _age(birth: str, at: date | None) -> int | None:
    """Completed years at a date, from a DICOM date; None where one of them is not known or makes no sense."""
    try:
        born = date(int(birth[:4]), int(birth[4:6]), int(birth[6:8]))
    except ValueError:
        return None
    if at is None or at < born:
        return None
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))
