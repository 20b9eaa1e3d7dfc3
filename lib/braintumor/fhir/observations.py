"""The numbers as Observations: one per volume and diameter, with uncertainty, place, method and what it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from braintumor.domain import Code, Diameters, Estimate, Lesion, Region, RegionMeasurement, Severity
from braintumor.fhir import codes
from braintumor.fhir.imaging import site
from braintumor.fhir.parts import Frame, Part, Resource, clean, filled, issued, status

UNCERTAINTY = "http://hl7.org/fhir/StructureDefinition/iso21090-uncertainty"
UNCERTAINTY_TYPE = "http://hl7.org/fhir/StructureDefinition/iso21090-uncertaintyType"
NORMAL_DISTRIBUTION = "N"
BODY_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/bodySite"


def panel(frame: Frame, members: Sequence[Part]) -> Part:
    """The one Observation that has all the others as members, so that a report need not be read as a loose heap."""
    return observation(
        frame,
        "measurements",
        codes.concept(codes.ours("measurement-panel"), codes.MEASUREMENTS),
        {"hasMember": [member.reference for member in members]},
        warned=False,
    )


def measured(frame: Frame, lesions: Mapping[int, Part]) -> Iterator[Part]:
    """Everything that was measured at this visit: regions, lesions, brain.

    Parameters
    ----------
    lesions
        BodyStructure of each lesion, by its number.
    """
    found = frame.report.findings.measurements
    for key, region in found.regions.items():
        if key in codes.FINDINGS:
            yield from _region(frame, key, region)
    for lesion in found.lesions:
        yield from _lesion(frame, lesion, lesions[lesion.number])
    if found.brain_ml > 0:
        code = codes.concept(codes.ours("volume-brain"), codes.VOLUME)
        yield observation(
            frame, "brain/volume", code, {"valueQuantity": codes.quantity(found.brain_ml, "mL"), "bodySite": site(None, None)}
        )


def observation(frame: Frame, key: str, code: Resource, content: Resource, *, warned: bool = True) -> Part:
    """An Observation with all that every one of a report repeats.

    Parameters
    ----------
    content
        Its value and whatever else is its own; wins over what is common.
    warned
        Whether serious quality flags are noted on it, so that a number never travels without them.
    """
    report = frame.report
    author = report.findings.technique.author
    person = author.kind == "human"
    resource: Resource = {
        "resourceType": "Observation",
        "status": status(report),
        "category": [codes.concept(codes.IMAGING)],
        "code": code,
        **frame.common,
        "effectiveDateTime": report.study.date.isoformat() if report.study.date else None,
        "issued": issued(report),
        "performer": [{"type": "Practitioner", "display": clean(author.name) or "Annotator"}] if person else [],
        "method": codes.concept(codes.ours("method-person" if person else "method-model")),
        "device": frame.device,
        "derivedFrom": list(frame.sources),
        **content,
        "note": [*content.get("note", ()), *(_warnings(frame) if warned else ())],
    }
    return frame.part(key, filled(resource))


def component(code: Code, content: Resource, *, text: str = "") -> Resource:
    """A part of an Observation that says nothing without it."""
    return {"code": codes.concept(code, text=text), **content}


def amount(code: Code, quantity: Resource, *, text: str = "") -> Resource:
    """A component that is a Quantity."""
    return component(code, {"valueQuantity": quantity}, text=text)


def coded(code: Code, value: Code) -> Resource:
    """A component that is a code."""
    return component(code, {"valueCodeableConcept": codes.concept(value)})


def estimate(value: Estimate, unit: str) -> Resource:
    """A Quantity with its standard error (ISO 21090: normal distribution, one standard deviation)."""
    return {
        "extension": [
            {"url": UNCERTAINTY, "valueDecimal": round(float(value.sigma), 3)},
            {"url": UNCERTAINTY_TYPE, "valueCode": NORMAL_DISTRIBUTION},
        ],
        **codes.quantity(value.value, unit),
    }


def _region(frame: Frame, key: str, region: RegionMeasurement) -> Iterator[Part]:
    place = site(region.side, region.lobe)
    finding = coded(codes.FINDING, codes.FINDINGS[key])
    components = [finding, amount(codes.SIMPSON, codes.quantity(region.simpson_ml, "mL"))]
    confidence = frame.report.findings.technique.confidence.get(Region(key)) if key in Region.__members__ else None
    if confidence is not None:
        components.append(amount(codes.ours("mean-probability"), codes.quantity(confidence, "1")))
    code = codes.concept(codes.ours(f"volume-{key}"), codes.VOLUME)
    content = {"valueQuantity": _volume(frame, key, region), "bodySite": place, "component": components}
    yield observation(frame, f"region/{key}/volume", code, content)
    if region.max_diameter_3d_mm is not None:
        code = codes.concept(codes.ours(f"diameter-3d-{key}"), codes.DIAMETER)
        content = {"valueQuantity": codes.quantity(region.max_diameter_3d_mm, "mm"), "bodySite": place, "component": [finding]}
        yield observation(frame, f"region/{key}/diameter-3d", code, content)
    if region.diameters is not None:
        content = {**_bidimensional(region.diameters, [finding]), "bodySite": place}
        yield observation(frame, f"region/{key}/bidimensional", codes.concept(codes.ours(f"bidimensional-{key}")), content)


def _lesion(frame: Frame, lesion: Lesion, where: Part) -> Iterator[Part]:
    place = site(lesion.side, None) | {"extension": [{"url": BODY_STRUCTURE, "valueReference": where.reference}]}
    finding = coded(codes.FINDING, codes.NEOPLASM)
    inside = [
        amount(codes.ours(f"part-volume-{key}"), codes.quantity(lesion.volume_ml[key], "mL"))
        for key in ("TC", "ET")
        if key in lesion.volume_ml
    ]
    key = f"lesion/{lesion.tracking_uid}"
    code = codes.concept(codes.ours("lesion-volume"), codes.VOLUME, text=f"Volume of lesion {lesion.number}")
    value = codes.quantity(lesion.volume_ml.get("WT", 0.0), "mL")
    yield observation(
        frame, f"{key}/volume", code, {"valueQuantity": value, "bodySite": place, "component": [finding, *inside]}
    )
    code = codes.concept(codes.ours("lesion-bidimensional"), text=f"Bidimensional product of lesion {lesion.number}")
    content = {**_bidimensional(lesion.diameters, [finding]), "bodySite": place}
    yield observation(frame, f"{key}/bidimensional", code, content)


def _bidimensional(diameters: Diameters, components: list[Resource]) -> Resource:
    """Product as the value, both diameters as components: they were measured together and mean little apart."""
    axes = [
        amount(codes.LONG_AXIS, codes.quantity(diameters.longest_mm, "mm"), text="Longest diameter"),
        amount(codes.SHORT_AXIS, codes.quantity(diameters.perpendicular_mm, "mm"), text="Perpendicular"),
    ]
    return {
        "valueQuantity": codes.quantity(diameters.product_mm2, "mm2"),
        "method": codes.concept(codes.RANO),
        "component": [*components, *axes],
    }


def _volume(frame: Frame, key: str, region: RegionMeasurement) -> Resource:
    """With its standard error where it is known: from the comparison, which is of the same mask."""
    comparison = frame.report.findings.comparison
    change = comparison.regions.get(Region(key)) if comparison and key in Region.__members__ else None
    if change is None:
        return codes.quantity(region.volume_ml, "mL")
    return estimate(Estimate(region.volume_ml, change.now.sigma), "mL")


def _warnings(frame: Frame) -> list[Resource]:
    serious = (flag for flag in frame.report.findings.flags if flag.severity is Severity.SERIOUS)
    return [{"text": clean(f"SERIOUS {flag.code}: {flag.message}")} for flag in serious]
