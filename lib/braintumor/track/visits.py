"""The visits that are compared: checked to be of one patient, different, and in the order of their dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from braintumor.domain import (
    REFERENCE_ORDER,
    Case,
    Flag,
    MissingSequenceError,
    MRSequence,
    PatientMismatchError,
    Segmentation,
    Severity,
    Study,
    StudyKind,
    VisitsError,
)
from braintumor.track.rano import Clinical


@dataclass(frozen=True, eq=False)
class Visit:
    """One visit, segmented.

    Attributes
    ----------
    segmentation
        On the case's grid.
    date
        Of the study, or given by the user; None when not known.
    preoperative
        Before surgery, by the user's word.
    steroid_mg, clinical
        As `braintumor.track.rano.TimePoint`; None when not known.
    """

    study: Study
    case: Case
    segmentation: Segmentation
    date: date | None = None
    preoperative: bool = False
    steroid_mg: float | None = None
    clinical: Clinical | None = None

    @classmethod
    def of(cls, study: Study, case: Case, segmentation: Segmentation) -> Visit:
        """A visit on the study's own date, of which nothing else is known."""
        return cls(study, case, segmentation, study.study_date)

    @property
    def has_contrast(self) -> bool:
        """Whether enhancement can be seen."""
        return MRSequence.T1CE in self.case.present


def check_patients(studies: Sequence[Study], *, force: bool) -> tuple[Flag, ...]:
    """Refuse studies of different patients; what could not be checked, or was forced, is flagged.

    Raises
    ------
    PatientMismatchError
        If the patients' IDs differ and `force` is not set.
    """
    known = [study.patient.patient_id for study in studies if study.patient.patient_id]
    if len(set(known)) > 1:
        problem = "The visits belong to different patients, by their patient IDs"
        if not force:
            raise PatientMismatchError(problem, remedy="Give visits of one patient, or use --force if the IDs are wrong")
        return (Flag("different-patients", Severity.SERIOUS, f"{problem}; compared all the same, as asked."),)
    if len(known) < len(studies):
        words = "Not every visit names its patient, so it was not checked that all are of one."
        return (Flag("patient-not-checked", Severity.WARNING, words),)
    return ()


def check_different(studies: Sequence[Study]) -> None:
    """Refuse a visit that is given twice: by its Study UID, or by equal files under another name.

    Raises
    ------
    VisitsError
    """
    uids, contents = set(), set()
    for study in studies:
        content = frozenset(instance.sha256 for series in study.series.values() for instance in series.instances)
        if (study.kind is StudyKind.DICOM and study.uid in uids) or content in contents:
            raise VisitsError("One visit is given twice", remedy="Give each visit once; a change needs two")
        uids.add(study.uid)
        contents.add(content)


_Any = TypeVar("_Any")


def in_order(visits: Sequence[_Any], dates: Sequence[date | None]) -> tuple[tuple[_Any, ...], tuple[Flag, ...]]:
    """Visits oldest first, and what the reader should know of their dates.

    Parameters
    ----------
    visits
        As the user named them: the current one first, then priors.
    dates
        Of each visit; None where it is not known.

    Raises
    ------
    VisitsError
        If there are more than two and a date is missing, or fewer than two.
    """
    if len(visits) < 2:
        raise VisitsError("There is one visit only, and a change needs two", remedy="Name a prior visit as well")
    missing = sum(day is None for day in dates)
    if missing:
        if len(visits) > 2:
            raise VisitsError(
                f"{missing} of {len(visits)} visits have no date, so their order is not known",
                remedy="Give all dates with --date, in the order of the visits",
            )
        words = "A date is missing: the order is as named, and no growth rate, doubling time or RANO category is given."
        return tuple(visits[::-1]), (Flag("no-dates", Severity.SERIOUS, words),)
    order = sorted(range(len(visits)), key=lambda n: dates[n] or date.min)
    flags = []
    if order[-1] != 0:
        words = "The visit named as current is not the latest by date; the latest was taken as the current one."
        flags.append(Flag("order-by-date", Severity.WARNING, words))
    if len(set(dates)) < len(visits):
        words = "Two visits have the same date: no growth rate between them, and no RANO category."
        flags.append(Flag("same-date", Severity.WARNING, words))
    return tuple(visits[n] for n in order), tuple(flags)


def common_sequence(current: Visit, prior: Visit) -> MRSequence:
    """The best sequence that both visits have.

    Raises
    ------
    MissingSequenceError
        If there is none.
    """
    for sequence in REFERENCE_ORDER:
        if sequence in current.case.present and sequence in prior.case.present:
            return sequence
    raise MissingSequenceError(
        "The visits have no sequence in common, so they cannot be aligned", remedy="Add T1ce, FLAIR, T2 or T1 to both"
    )


def visit_flags(visits: Sequence[Visit]) -> tuple[Flag, ...]:
    """What limits the comparison: no contrast, other sequences, empty masks."""
    flags = []
    for n, visit in enumerate(visits, start=1):
        which = f"Visit {n}" + (f" ({visit.date.isoformat()})" if visit.date else "")
        if not visit.has_contrast:
            words = f"{which} has no T1ce: its enhancing tumour cannot be seen, and no RANO category rests on it."
            flags.append(Flag("no-contrast", Severity.SERIOUS, words))
        if not visit.segmentation.mask.any():
            flags.append(Flag("empty-mask", Severity.WARNING, f"{which}: no tumour was segmented."))
    if len({frozenset(visit.case.present) for visit in visits}) > 1:
        words = "The visits were not imaged with the same sequences, which alone can change the masks."
        flags.append(Flag("other-sequences", Severity.WARNING, words))
    return tuple(flags)
