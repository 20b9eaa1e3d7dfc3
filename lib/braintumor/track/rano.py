"""RANO 2.0 categories from measured sizes, as pure functions: a measurement aid, never a diagnosis.

Source: Wen et al., "RANO 2.0: Update to the Response Assessment in Neuro-Oncology Criteria for High- and Low-Grade Gliomas in
Adults", J Clin Oncol 2023, doi 10.1200/JCO.23.01059 (here "RANO 2.0"); what it takes over unchanged is cited from Wen et al.
2010, doi 10.1200/JCO.2009.26.3541 ("RANO 2010"), and Ellingson et al. 2017, doi 10.1007/s13311-016-0507-6 ("mRANO").

Readings taken where the papers leave a choice, or where this module had to choose one:

- Thresholds are inclusive: a change of exactly -50 % is PR, of exactly +25 % is PD (volumes: -65 %, +40 %).
- A lesion is measurable when both perpendicular diameters reach 10 mm, or twice the slice distance where that exceeds 5 mm
  (RANO 2010 and mRANO, "Measurable disease"). The same lesions are the targets by volume. All of them are targets, unless
  `Criteria.targets` limits their number: the largest at baseline are taken then.
- Targets are those measurable at baseline, by identity; a target that shrank below 10 mm keeps counting with its real size.
- PD compares with the smallest sum since baseline (baseline included), CR and PR compare with baseline.
- CR and PR stand once an earlier scan, at least 4 weeks before, met the same or a better category and so did all between;
  until then they count as the best category that does stand (RANO 2010: "considered only stable disease").
- PD seen within 12 weeks of the end of radiotherapy is preliminary and stands once a scan at least 4 weeks later still meets PD
  against the same smallest sum. The exceptions (histology, a new lesion outside the high-dose field) need data that no image
  has; a caveat says so. Later, confirmation is optional unless `Criteria.confirm_progression` asks for it.
- A lesion that was there and not measurable progresses when it becomes measurable and grew by 5 mm or more in both diameters
  ("unequivocal progression of nonmeasurable disease" in RANO 2010; that it means 5 mm is this module's choice).
- The dose of corticosteroids decides CR (none; physiological replacement is given as 0), PR, MR and SD (not above baseline's),
  never PD (summary tables of both papers). Stable images with a higher dose and no clinical decline are neither SD nor PD.
- Minor response (MR: -25 % .. -50 %, by volume -40 % .. -65 %) exists for the non-enhancing compartment only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from braintumor.domain import AID, Assessment, Category, Confirmation
from braintumor.track.response import (
    SLACK,
    THRESHOLDS,
    Clinical,
    Compartment,
    Criteria,
    LesionSize,
    Measure,
    Thresholds,
    TimePoint,
    measurable,
    minimum_mm,
)

__all__ = [
    "AID",
    "THRESHOLDS",
    "Assessment",
    "Category",
    "Clinical",
    "Compartment",
    "Confirmation",
    "Criteria",
    "LesionSize",
    "Measure",
    "Thresholds",
    "TimePoint",
    "assess",
    "combine",
    "measurable",
    "minimum_mm",
]

CONFIRM_AFTER = timedelta(weeks=4)
PSEUDOPROGRESSION = timedelta(weeks=12)
UNEQUIVOCAL_MM = 5.0
_PLAIN = Criteria()


def combine(enhancing: Category, non_enhancing: Category) -> Category:
    """Overall category of a mixed tumour from its two compartments (RANO 2.0, 'Mixed tumors').

    PD in either is PD; otherwise the less good of the two counts, except that a PR or MR beside SD stays PR or MR.

    >>> combine(Category.PR, Category.SD), combine(Category.CR, Category.SD), combine(Category.CR, Category.PR)
    (<Category.PR: 'PR'>, <Category.SD: 'SD'>, <Category.PR: 'PR'>)
    """
    both = {enhancing, non_enhancing}
    if Category.PD in both:
        return Category.PD
    if Category.NOT_ASSESSABLE in both:
        return Category.NOT_ASSESSABLE
    if Category.SD in both and both & {Category.PR, Category.MR}:
        return next(c for c in (Category.PR, Category.MR) if c in both)
    return max(both, key=list(Category).index)


def assess(visits: Sequence[TimePoint], criteria: Criteria = _PLAIN) -> tuple[Assessment, ...]:
    """Categories of all visits from baseline on, oldest first; visits before the baseline get none.

    Parameters
    ----------
    visits
        In any order, no date twice.

    Raises
    ------
    ValueError
        If a date occurs twice, there is no visit, or none on the baseline's date.
    """
    ordered = sorted(visits, key=lambda v: v.date)
    dates = [v.date for v in ordered]
    if not ordered or len(set(dates)) < len(dates):
        raise ValueError("RANO needs at least one visit, each with a date of its own")
    if criteria.baseline is not None and criteria.baseline not in dates:
        raise ValueError("no visit has the date of the baseline")
    start = dates.index(criteria.baseline) if criteria.baseline is not None else 0
    course = _Course.of(ordered[start:], criteria)
    found: list[Assessment] = []
    for number in range(len(course.visits)):
        found.append(_assess(course, number, found))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Course:
    """The visits from baseline on, with the sum of the targets at each."""

    visits: tuple[TimePoint, ...]
    criteria: Criteria
    targets: tuple[LesionSize, ...]
    sums: tuple[float, ...]

    @classmethod
    def of(cls, visits: Sequence[TimePoint], criteria: Criteria) -> _Course:
        able = [m for m in visits[0].lesions if measurable(m, criteria.slice_mm)]
        able.sort(key=lambda m: (-m.product_mm2, m.lesion))
        targets = tuple(able[: criteria.targets])
        names = {m.lesion for m in targets}
        sums = tuple(sum(m.size(criteria.measure) for m in v.lesions if m.lesion in names) for v in visits)
        return cls(tuple(visits), criteria, targets, sums)

    def nadir(self, number: int) -> int:
        """Index of the smallest sum before visit `number`, the earliest of equals."""
        return min(range(number), key=lambda n: (self.sums[n], n))


def _assess(course: _Course, number: int, before: Sequence[Assessment]) -> Assessment:
    visit = course.visits[number]
    if number == 0:
        rule = "This is the scan that later ones are compared with; a baseline has no response."
        na, missing = Category.NOT_ASSESSABLE, _baseline_missing(course)
        return Assessment(visit.date, na, na, Confirmation.NOT_REQUIRED, rule, _used(course, 0), missing)
    progression = _progression(course, number)
    if progression is not None:
        category, rule, missing = Category.PD, progression, ()
    else:
        category, rule, missing = _no_progression(course, number)
    confirmation, also = _confirmation(course, number, category, rule, before)
    nadir = course.nadir(number)
    return Assessment(
        date=visit.date,
        category=category,
        standing=_standing(category, confirmation, before),
        confirmation=confirmation,
        rule=rule,
        used=_used(course, number),
        missing=(*_baseline_missing(course), *missing, *also),
        caveats=_caveats(course, number, category, confirmation),
        change_from_baseline=_relative(course.sums[number], course.sums[0]),
        change_from_nadir=_relative(course.sums[number], course.sums[nadir]),
    )


def _progression(course: _Course, number: int) -> str | None:
    """The rule by which a visit is PD, or None."""
    visit, criteria = course.visits[number], course.criteria
    now, least = course.sums[number], course.sums[course.nadir(number)]
    limit = THRESHOLDS[criteria.measure].progression
    if least > 0 and now >= least * (1 + limit) - SLACK * least:
        return f"PD: sum of the target lesions' {criteria.measure} at least {limit:.0%} above the smallest since baseline."
    earlier = {m.lesion for v in course.visits[:number] for m in v.lesions}
    if any(measurable(m, criteria.slice_mm) and m.lesion not in earlier for m in visit.lesions):
        return "PD: a new measurable lesion."
    if _reappeared(course, number):
        return "PD: a lesion that had disappeared is measurable again."
    if _unequivocal(course, number):
        return "PD: a lesion that was not measurable became so and grew by 5 mm or more in both diameters."
    if visit.leptomeningeal:
        return "PD: definite leptomeningeal disease."
    if visit.clinical is Clinical.WORSE:
        return "PD: clinical deterioration that the team attributes to the tumour."
    return None


def _reappeared(course: _Course, number: int) -> bool:
    """A known lesion that was gone at the visit before and is measurable now."""
    gone = {m.lesion for m in course.visits[number - 1].lesions}
    return any(measurable(m, course.criteria.slice_mm) and m.lesion not in gone for m in course.visits[number].lesions)


def _unequivocal(course: _Course, number: int) -> bool:
    targets = {m.lesion for m in course.targets}
    for lesion in course.visits[number].lesions:
        past = [m for v in course.visits[:number] for m in v.lesions if m.lesion == lesion.lesion]
        if lesion.lesion in targets or not past or not measurable(lesion, course.criteria.slice_mm):
            continue
        if measurable(past[0], course.criteria.slice_mm):
            continue  # left out of the targets by number, or judged when it was new
        grown = (
            lesion.longest_mm - min(m.longest_mm for m in past),
            lesion.perpendicular_mm - min(m.perpendicular_mm for m in past),
        )
        if min(grown) >= UNEQUIVOCAL_MM - SLACK:
            return True
    return False


def _no_progression(course: _Course, number: int) -> tuple[Category, str, tuple[str, ...]]:
    """Category without progression, the rule, and the inputs it lacked."""
    visit = course.visits[number]
    by_size, rule = _by_size(course, number)
    missing = tuple(
        words
        for words, absent in (
            ("clinical status", visit.clinical is None),
            ("corticosteroid dose", visit.steroid_mg is None),
            ("corticosteroid dose at baseline", course.visits[0].steroid_mg is None and by_size is not Category.CR),
        )
        if absent
    )
    if by_size is Category.CR and visit.steroid_mg:
        by_size, rule = Category.PR, "PR: all lesions are gone, but corticosteroids are still given, which rules out CR."
    dose, first = visit.steroid_mg, course.visits[0].steroid_mg
    if by_size is not Category.CR and dose is not None and first is not None and dose > first:
        words = "Not assessable: the corticosteroid dose is above baseline's, which rules out CR, PR, MR and SD, and is no PD."
        return Category.NOT_ASSESSABLE, words, missing
    return by_size, rule, missing


def _by_size(course: _Course, number: int) -> tuple[Category, str]:
    visit, measure = course.visits[number], course.criteria.measure
    limits, base = THRESHOLDS[measure], course.sums[0]
    if not course.targets:
        return Category.SD, "SD: no measurable lesion at baseline, so no response can be measured; no progression either."
    if not visit.lesions:
        return Category.CR, "CR: all lesions have disappeared."
    change = course.sums[number] / base - 1
    words = f"sum of the target lesions' {measure} at least {{:.0%}} below baseline, no progression."
    if change <= limits.response + SLACK:
        if _grew_besides(course, number):
            return Category.SD, "SD: targets shrank enough for PR, but a lesion that was not measurable became so."
        return Category.PR, "PR: " + words.format(-limits.response)
    if course.criteria.compartment is Compartment.NON_ENHANCING and change <= limits.minor + SLACK:
        return Category.MR, "MR: " + words.format(-limits.minor)
    return Category.SD, "SD: neither CR, PR nor PD by size, and no new measurable lesion."


def _grew_besides(course: _Course, number: int) -> bool:
    """A lesion measurable now that was known and not measurable at baseline: smaller than PD asks for, too much for PR."""
    small = {m.lesion for m in course.visits[0].lesions if not measurable(m, course.criteria.slice_mm)}
    return any(m.lesion in small and measurable(m, course.criteria.slice_mm) for m in course.visits[number].lesions)


_LADDER = (Category.CR, Category.PR, Category.MR)


def _confirmation(
    course: _Course, number: int, category: Category, rule: str, before: Sequence[Assessment]
) -> tuple[Confirmation, tuple[str, ...]]:
    """Whether the category stands, and the inputs that would tell."""
    if category in _LADDER:
        good = set(_LADDER[: _LADDER.index(category) + 1])
        return (Confirmation.CONFIRMED if _sustained(course, number, good, before) else Confirmation.PENDING), ()
    if category is not Category.PD or "clinical" in rule or "leptomeningeal" in rule:
        return Confirmation.NOT_REQUIRED, ()
    if _sustained(course, number, {Category.PD}, before):
        return Confirmation.CONFIRMED, ()
    criteria = course.criteria
    if criteria.confirm_progression:
        return Confirmation.PENDING, ()
    if criteria.recurrent:
        return Confirmation.NOT_REQUIRED, ()
    if criteria.radiotherapy_end is None:
        return Confirmation.UNKNOWN, ("end of radiotherapy",)
    early = course.visits[number].date - criteria.radiotherapy_end <= PSEUDOPROGRESSION
    return (Confirmation.PENDING if early else Confirmation.NOT_REQUIRED), ()


def _sustained(course: _Course, number: int, good: set[Category], before: Sequence[Assessment]) -> bool:
    """Whether visits without a break met one of the categories, back to one at least 4 weeks earlier."""
    for earlier in reversed(before[:number]):
        if earlier.category not in good:
            return False
        if course.visits[number].date - earlier.date >= CONFIRM_AFTER:
            return True
    return False


def _standing(category: Category, confirmation: Confirmation, before: Sequence[Assessment]) -> Category:
    if confirmation in (Confirmation.CONFIRMED, Confirmation.NOT_REQUIRED):
        return category
    if category is Category.PD:
        return Category.NOT_ASSESSABLE  # preliminary: neither stable nor progressed until the next scan
    worse = _LADDER[_LADDER.index(category) + 1 :]
    confirmed = [c for c in worse if before and before[-1].standing is c]
    return confirmed[0] if confirmed else Category.SD


def _relative(now: float, then: float) -> float | None:
    return now / then - 1 if then > 0 else None


def _baseline_missing(course: _Course) -> tuple[str, ...]:
    return () if course.criteria.baseline is not None else ("baseline scan (the earliest visit was taken)",)


def _used(course: _Course, number: int) -> dict[str, str]:
    visit, measure = course.visits[number], course.criteria.measure
    unit = "mm²" if measure is Measure.PRODUCT else "mL"
    used = {
        "compartment": str(course.criteria.compartment),
        "measure": str(measure),
        "target lesions": str(len(course.targets)),
        "baseline": f"{course.visits[0].date.isoformat()}, {course.sums[0]:.1f} {unit}",
        "this visit": f"{visit.date.isoformat()}, {course.sums[number]:.1f} {unit}",
    }
    if number:
        nadir = course.nadir(number)
        used["smallest before"] = f"{course.visits[nadir].date.isoformat()}, {course.sums[nadir]:.1f} {unit}"
    if visit.steroid_mg is not None:
        used["corticosteroid dose"] = f"{visit.steroid_mg:g} mg dexamethasone equivalent a day"
    if visit.clinical is not None:
        used["clinical status"] = str(visit.clinical)
    return used


def _caveats(course: _Course, number: int, category: Category, confirmation: Confirmation) -> tuple[str, ...]:
    caveats = []
    if category is Category.PD and confirmation in (Confirmation.PENDING, Confirmation.UNKNOWN):
        caveats.append(
            "Preliminary: enlargement after radiotherapy may be pseudoprogression; histology, or a new lesion outside the "
            "high-dose field, would decide without a second scan, and neither is known here."
        )
    if category in _LADDER and confirmation is Confirmation.PENDING:
        caveats.append("Not confirmed: a scan at least 4 weeks later has to show the same.")
    doses = course.visits[number].steroid_mg, course.visits[course.nadir(number)].steroid_mg if number else None
    if category is Category.PD and doses[0] is not None and doses[1] is not None and doses[0] < doses[1]:
        caveats.append("The corticosteroid dose was lowered, which by itself can increase enhancement.")
    return tuple(caveats)
