"""What changed since the visit before, the RANO 2.0 category, and the quality flags, as Observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from braintumor.domain import Assessment, Comparison, LesionChange, RegionChange, Severity
from braintumor.fhir import codes
from braintumor.fhir.imaging import study_by_uid
from braintumor.fhir.observations import BODY_STRUCTURE, amount, coded, component, estimate, observation
from braintumor.fhir.parts import Frame, Part, Resource, clean

_SERIOUS_FIRST = (Severity.SERIOUS, Severity.WARNING, Severity.INFO)


def changes(frame: Frame, lesions: Mapping[int, Part]) -> Iterator[Part]:
    """One Observation per region and per lesion that was there at one of the two visits; none at a first visit.

    Parameters
    ----------
    lesions
        BodyStructure of each lesion of this visit, by its number.
    """
    comparison = frame.report.findings.comparison
    if comparison is None:
        return
    sources = _sources(frame, comparison)
    prior = _prior_date(comparison)
    for region, change in comparison.regions.items():
        code = codes.concept(codes.ours(f"volume-change-{region.value}"))
        yield observation(frame, f"region/{region.value}/change", code, _change(change, prior) | {"derivedFrom": sources})
    for lesion in comparison.lesions:
        where = lesions.get(lesion.number) if lesion.number is not None else None
        content = _course(lesion, where, prior) | {"derivedFrom": sources}
        code = codes.concept(codes.ours("lesion-course"), text=f"Course of {clean(lesion.name) or 'a lesion'}")
        yield observation(frame, f"track/{lesion.uid}/course", code, content)


def response(frame: Frame) -> Part | None:
    """The RANO 2.0 category, or why there is none; None at a first visit."""
    comparison = frame.report.findings.comparison
    if comparison is None:
        return None
    content: Resource = {"method": codes.concept(codes.RANO, text="RANO 2.0"), "derivedFrom": _sources(frame, comparison)}
    if comparison.response is not None:
        content |= _assessed(comparison.response)
    else:
        why = clean(comparison.not_assessed) or "Not assessed"
        content["dataAbsentReason"] = codes.concept(codes.UNKNOWN_VALUE, text=why)
    return observation(frame, "rano", codes.concept(codes.ours("rano-category")), content)


def quality(frame: Frame) -> Part:
    """All quality flags in one Observation: the most serious one is its value, each flag a component."""
    flags = frame.report.findings.flags
    worst = min((flag.severity for flag in flags), key=_SERIOUS_FIRST.index, default=None)
    code = codes.word("severity", worst) if worst else codes.ours("severity-none")
    parts = [
        component(
            codes.ours("quality-flag"),
            {
                "valueString": clean(flag.message) or flag.code,
                "interpretation": [codes.concept(codes.word("severity", flag.severity))],
            },
            text=clean(flag.code),
        )
        for flag in flags
    ]
    content = {"valueCodeableConcept": codes.concept(code), "component": parts}
    return observation(frame, "quality", codes.concept(codes.ours("quality-flags")), content, warned=False)


def _change(change: RegionChange, prior: list[Resource]) -> Resource:
    components = [amount(codes.ours("volume-before"), estimate(change.before, "mL"))]
    if change.percent is not None:
        components.append(amount(codes.ours("change-percent"), estimate(change.percent, "%")))
    words = codes.word("change", change.direction)
    standard = codes.INTERPRETATIONS.get(change.direction)
    return {
        "valueQuantity": estimate(change.ml, "mL"),
        "interpretation": [codes.concept(*filter(None, (words, standard)))],
        "component": [*components, *prior],
    }


def _course(lesion: LesionChange, where: Part | None, prior: list[Resource]) -> Resource:
    now = amount(codes.VOLUME, estimate(lesion.now, "mL"))
    before = [] if lesion.before is None else [amount(codes.ours("volume-before"), estimate(lesion.before, "mL"))]
    place = codes.concept(codes.BRAIN)
    if where is not None:
        place["extension"] = [{"url": BODY_STRUCTURE, "valueReference": where.reference}]
    value = codes.concept(codes.word("course", lesion.state))
    return {"valueCodeableConcept": value, "bodySite": place, "component": [now, *before, *prior]}


def _assessed(found: Assessment) -> Resource:
    components = [
        coded(codes.ours("rano-standing"), codes.word("rano", found.standing)),
        coded(codes.ours("rano-confirmation"), codes.word("confirmation", found.confirmation)),
    ]
    if clean(found.rule):
        components.append(component(codes.ours("rano-rule"), {"valueString": clean(found.rule)}))
    shares = {"change-from-baseline": found.change_from_baseline, "change-from-nadir": found.change_from_nadir}
    components += [
        amount(codes.ours(code), codes.quantity(100 * share, "%")) for code, share in shares.items() if share is not None
    ]
    used = [f"{name}: {value}" for name, value in found.used.items()]
    missing = [f"Not given: {', '.join(found.missing)}"] if found.missing else []
    notes = [{"text": clean(text)} for text in (found.notice, *found.caveats, *missing, *used) if clean(text)]
    value = codes.concept(codes.word("rano", found.category))
    return {"valueCodeableConcept": value, "component": components, "note": notes}


def _prior_date(comparison: Comparison) -> list[Resource]:
    if comparison.prior_date is None:
        return []
    return [component(codes.ours("prior-date"), {"valueDateTime": comparison.prior_date.isoformat()})]


def _sources(frame: Frame, comparison: Comparison) -> list[Resource]:
    """Images of this visit, and of the prior, which the bundle does not hold: a reference by its UID."""
    if frame.report.study.kind != "dicom":
        return list(frame.sources)
    return [*frame.sources, study_by_uid(comparison.prior_uid)]
