"""What the report states, sentence by sentence, as a message with typed arguments; the words come from a language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from braintumor.domain import (
    LABELS,
    AlignmentMethod,
    AuthorKind,
    Comparison,
    Confirmation,
    Context,
    Direction,
    Findings,
    Lesion,
    LesionChange,
    LesionState,
    MRSequence,
    Region,
    RegionMeasurement,
    Request,
    Section,
    Severity,
    Technique,
)

REGION_KEYS: tuple[str, ...] = tuple(dict.fromkeys((*(r.value for r in Region), *(label.short for label in LABELS))))
"""Keys of `Measurements.regions` in the order in which they are read."""

MAX_LESIONS = 6
"""Largest lesions that are described one by one; the table and ``result.json`` have all."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit (``mL``, ``mm``, ``mm2``, ``percent``, ``day``, ``year``, ``degree``), with `digits` decimals.

    `signed` puts a plus before positive numbers.
    """

    value: float
    unit: str
    digits: int = 1
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the glossary: `kind` and `key`, e.g. ``Term("region", "WT")``."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Words that are not ours and are never translated: a quoted sentence, a file's or a model's name."""

    text: str = field(repr=False)


Argument = Quantity | Term | Verbatim | date | int | tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One fact to be said.

    Attributes
    ----------
    message
        Id of its template in every language.
    arguments
        What the template is filled with.
    source
        Path of the field of `Findings` it states; '' for what is always said.
    """

    section: Section
    message: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    source: str = ""


def state(findings: Findings) -> tuple[Statement, ...]:
    """Everything the report says of a visit, section by section in the order of `Section`.

    The same findings give the same statements. Nothing is said that no field of `findings` holds.
    """
    return (
        *_clinical(findings.request, findings.context),
        *_technique(findings.technique),
        *_comparison(findings.comparison),
        *_findings(findings),
        *_impression(findings),
        *_diagnosis(findings),
        *_recommendations(findings),
        *_limitations(findings),
    )


def _clinical(request: Request, context: Context | None) -> Iterator[Statement]:
    section, said = Section.CLINICAL, False
    if request.age_years is not None and request.sex in ("M", "F"):
        arguments: dict[str, Argument] = {"age": Quantity(request.age_years, "year", 0), "sex": Term("sex", request.sex)}
        yield Statement(section, "patient-age-sex", arguments, "request.age_years")
        said = True
    if request.reason:
        yield Statement(section, "request-reason", {"reason": Verbatim(request.reason)}, "request.reason")
        said = True
    for number, sentence in enumerate(context.sentences if context else ()):
        where = f"{sentence.citation.document}" + (f", p. {sentence.citation.page}" if sentence.citation.page else "")
        text = f"{sentence.heading}: {sentence.text}" if sentence.heading else sentence.text
        words = Verbatim(" ".join(text.split()))  # a heading such as "Planned" changes what the sentence says
        arguments = {"topic": Term("topic", sentence.topic.value), "text": words, "where": Verbatim(where)}
        yield Statement(section, "note-sentence", arguments, f"context.sentences.{number}")
        said = True
    if not said:
        yield Statement(section, "no-clinical-information", {}, "request")


def _technique(technique: Technique) -> Iterator[Statement]:
    section, present = Section.TECHNIQUE, tuple(technique.sequences)
    arguments: dict[str, Argument] = {"count": len(present), "sequences": _terms(present)}
    yield Statement(section, "sequences-used", arguments, "technique.sequences")
    missing = tuple(s for s in MRSequence if s not in present)
    if missing:
        yield Statement(
            section, "sequences-missing", {"count": len(missing), "sequences": _terms(missing)}, "technique.sequences"
        )
    reference = Term("sequence", technique.reference.value)
    for method in (AlignmentMethod.SAME_GRID, AlignmentMethod.SAME_FRAME):
        alike = tuple(s for s, use in technique.sequences.items() if use.method == method)
        if alike:
            arguments = {"count": len(alike), "sequences": _terms(alike), "reference": reference}
            yield Statement(section, f"aligned-{method}", arguments, "technique.sequences")
    for sequence, use in technique.sequences.items():
        if use.method is AlignmentMethod.RIGID:
            arguments = {
                "sequence": Term("sequence", sequence.value),
                "reference": reference,
                "shift": Quantity(use.translation_mm, "mm"),
                "turn": Quantity(use.rotation_deg, "degree"),
            }
            yield Statement(section, "aligned-rigid", arguments, f"technique.sequences.{sequence.value}")
    if technique.author.kind is AuthorKind.MODEL:
        name = " ".join(filter(None, (technique.author.name, technique.author.version)))
        yield Statement(section, "mask-by-model", {"model": Verbatim(name)}, "technique.author")
    else:
        yield Statement(section, "mask-by-person", {}, "technique.author")


def _comparison(comparison: Comparison | None) -> Iterator[Statement]:
    section = Section.COMPARISON
    if comparison is None:
        yield Statement(section, "no-prior", {}, "comparison")
        return
    if comparison.prior_date is None or comparison.days is None:
        yield Statement(section, "prior-without-date", {}, "comparison.prior_date")
    else:
        arguments: dict[str, Argument] = {"date": comparison.prior_date, "days": Quantity(comparison.days, "day", 0)}
        yield Statement(section, "prior", arguments, "comparison.prior_date")
    if comparison.alignment_error_mm is not None:
        error = Quantity(comparison.alignment_error_mm, "mm")
        yield Statement(section, "prior-alignment", {"error": error}, "comparison.alignment_error_mm")


def _findings(findings: Findings) -> Iterator[Statement]:
    section, measured = Section.FINDINGS, findings.measurements
    for key in REGION_KEYS:
        if key in measured.regions:
            yield from _region(key, measured.regions[key])
    if len(measured.lesions) > 1:
        yield Statement(section, "lesion-count", {"count": len(measured.lesions)}, "measurements.lesions")
        for position, lesion in enumerate(measured.lesions[:MAX_LESIONS]):
            yield _lesion(position, lesion)
    if findings.comparison is not None:
        yield from _changes(findings.comparison)
    for region, share in findings.technique.confidence.items():
        arguments: dict[str, Argument] = {"region": Term("region", region.value), "share": Quantity(100 * share, "percent", 0)}
        yield Statement(section, "confidence", arguments, f"technique.confidence.{region.value}")


def _region(key: str, region: RegionMeasurement) -> Iterator[Statement]:
    section, source, name = Section.FINDINGS, f"measurements.regions.{key}", Term("region", key)
    if region.volume_ml == 0:
        yield Statement(section, "no-region", {"region": name}, f"{source}.volume_ml")
        return
    volumes: dict[str, Argument] = {
        "region": name,
        "volume": Quantity(region.volume_ml, "mL"),
        "simpson": Quantity(region.simpson_ml, "mL"),
    }
    yield Statement(section, "volume-of", volumes, f"{source}.volume_ml")
    if key not in set(Region):
        return  # parts of a region: the table has the rest
    if region.side is not None:
        yield _place(section, "place-of", name, region, f"{source}.side")
    if region.diameters is not None:
        found = region.diameters
        arguments: dict[str, Argument] = {
            "region": name,
            "longest": Quantity(found.longest_mm, "mm"),
            "perpendicular": Quantity(found.perpendicular_mm, "mm"),
            "product": Quantity(found.product_mm2, "mm2", 0),
            "slice": found.slice_index + 1,
        }
        yield Statement(section, "diameters-of", arguments, f"{source}.diameters")


def _place(section: Section, message: str, name: Term, region: RegionMeasurement, source: str) -> Statement:
    arguments: dict[str, Argument] = {"region": name, "side": Term("side", region.side or "")}
    if region.lobe is None:
        return Statement(section, message, arguments, source)
    arguments |= {"lobe": Term("lobe", region.lobe[0]), "share": Quantity(100 * region.lobe[1], "percent", 0)}
    return Statement(section, f"{message}-lobe", arguments, source)


def _lesion(position: int, lesion: Lesion) -> Statement:
    arguments: dict[str, Argument] = {
        "number": lesion.number,
        **{r.value.lower(): Quantity(lesion.volume_ml.get(r.value, 0.0), "mL") for r in (Region.WT, Region.ET)},
        "side": Term("side", lesion.side),
        "longest": Quantity(lesion.diameters.longest_mm, "mm"),
        "perpendicular": Quantity(lesion.diameters.perpendicular_mm, "mm"),
    }
    return Statement(Section.FINDINGS, "lesion", arguments, f"measurements.lesions.{position}")


def _changes(comparison: Comparison) -> Iterator[Statement]:
    for region in comparison.regions:
        yield _change(Section.FINDINGS, comparison, region)
    for number, lesion in enumerate(comparison.lesions):
        if lesion.state is not LesionState.STABLE and len(comparison.lesions) > 1:
            yield _lesion_change(number, lesion)


def _change(section: Section, comparison: Comparison, region: Region) -> Statement:
    change = comparison.regions[region]
    arguments: dict[str, Argument] = {
        "region": Term("region", region.value),
        "before": Quantity(change.before.value, "mL"),
        "now": Quantity(change.now.value, "mL"),
    }
    source = f"comparison.regions.{region.value}"
    if change.direction is Direction.UNCHANGED:
        return Statement(section, "change-none", arguments, source)
    message = f"change-{change.direction.value}"
    arguments["ml"] = Quantity(abs(change.ml.value), "mL")
    if change.percent is None or change.now.value == 0:
        return Statement(section, f"{message}-absolute", arguments, source)
    arguments["percent"] = Quantity(abs(change.percent.value), "percent", 0)
    return Statement(section, message, arguments, source)


def _lesion_change(number: int, lesion: LesionChange) -> Statement:
    arguments: dict[str, Argument] = {"name": Verbatim(lesion.name), "now": Quantity(lesion.now.value, "mL")}
    source = f"comparison.lesions.{number}"
    if lesion.before is None:
        return Statement(Section.FINDINGS, f"lesion-{lesion.state.value}", arguments, source)
    arguments["before"] = Quantity(lesion.before.value, "mL")
    return Statement(Section.FINDINGS, f"lesion-{lesion.state.value}", arguments, source)


def _impression(findings: Findings) -> Iterator[Statement]:
    section, regions, comparison = Section.IMPRESSION, findings.measurements.regions, findings.comparison
    whole, enhancing = regions[Region.WT.value], regions[Region.ET.value]
    if whole.volume_ml == 0:
        yield Statement(section, "impression-no-tumour", {}, "measurements.regions.WT.volume_ml")
    else:
        volume: dict[str, Argument] = {"volume": Quantity(whole.volume_ml, "mL")}
        message = "impression-tumour"
        if whole.side is not None:
            volume["side"], message = Term("side", whole.side), f"{message}-side"
            if whole.lobe is not None:
                volume["lobe"], message = Term("lobe", whole.lobe[0]), f"{message}-lobe"
        yield Statement(section, message, volume, "measurements.regions.WT")
        if enhancing.volume_ml == 0:
            yield Statement(section, "impression-no-enhancement", {}, "measurements.regions.ET.volume_ml")
        else:
            part: dict[str, Argument] = {"volume": Quantity(enhancing.volume_ml, "mL")}
            yield Statement(section, "impression-enhancement", part, "measurements.regions.ET.volume_ml")
    if comparison is not None:
        yield from _impression_of_change(comparison)


def _impression_of_change(comparison: Comparison) -> Iterator[Statement]:
    section = Section.IMPRESSION
    for region in (Region.WT, Region.ET):
        if region in comparison.regions:
            yield _change(section, comparison, region)
    new = sum(lesion.state is LesionState.NEW for lesion in comparison.lesions)
    if new:
        yield Statement(section, "impression-new-lesions", {"count": new}, "comparison.lesions")
    response = comparison.response
    if response is None:
        return
    arguments: dict[str, Argument] = {"category": Term("response", _slug(response.category.value))}
    if response.confirmation in (Confirmation.PENDING, Confirmation.UNKNOWN):
        yield Statement(section, "impression-response-open", arguments, "comparison.response")
    else:
        yield Statement(section, "impression-response", arguments, "comparison.response")


def _diagnosis(findings: Findings) -> Iterator[Statement]:
    if findings.measurements.regions[Region.WT.value].volume_ml > 0:
        yield Statement(Section.DIAGNOSIS, "diagnosis-open", {}, "measurements.regions.WT.volume_ml")
    else:
        yield Statement(Section.DIAGNOSIS, "diagnosis-nothing", {}, "measurements.regions.WT.volume_ml")
    yield Statement(Section.DIAGNOSIS, "diagnosis-by-people")


def _recommendations(findings: Findings) -> Iterator[Statement]:
    section = Section.RECOMMENDATIONS
    yield Statement(section, "recommend-review")
    serious = sum(flag.severity is Severity.SERIOUS for flag in findings.flags)
    if serious:
        yield Statement(section, "recommend-flags", {"count": serious}, "flags")
    missing = tuple(s for s in MRSequence if s not in findings.technique.sequences)
    if missing:
        arguments: dict[str, Argument] = {"count": len(missing), "sequences": _terms(missing)}
        yield Statement(section, "recommend-sequences", arguments, "technique.sequences")
    if any(use.method is AlignmentMethod.RIGID for use in findings.technique.sequences.values()):
        yield Statement(section, "recommend-overlay", {}, "technique.sequences")
    response = findings.comparison.response if findings.comparison else None
    if response is not None and response.confirmation is Confirmation.PENDING:
        yield Statement(section, "recommend-confirmation", {}, "comparison.response.confirmation")
    if response is not None and response.missing:
        inputs = tuple(Term("input", _slug(words)) for words in response.missing)
        yield Statement(section, "recommend-inputs", {"inputs": inputs}, "comparison.response.missing")


def _limitations(findings: Findings) -> Iterator[Statement]:
    section = Section.LIMITATIONS
    yield Statement(section, "disclaimer")
    if findings.technique.author.kind is AuthorKind.MODEL:
        yield Statement(section, "by-algorithm", {}, "technique.author")
    yield Statement(section, "describes-mask")
    spacing = Quantity(findings.measurements.slice_spacing_mm, "mm")
    yield Statement(section, "axial-slices", {"spacing": spacing}, "measurements.slice_spacing_mm")
    if any(region.lobe for region in findings.measurements.regions.values()):
        yield Statement(section, "lobes-approximate", {}, "measurements.regions")
    if any(use.method is AlignmentMethod.RIGID for use in findings.technique.sequences.values()):
        yield Statement(section, "rigid-only", {}, "technique.sequences")


def _terms(sequences: tuple[MRSequence, ...]) -> tuple[Term, ...]:
    return tuple(Term("sequence", s.value) for s in sequences)


def _slug(words: str) -> str:
    """Key of a glossary entry from the plain words that name the thing elsewhere.

    >>> _slug("baseline scan (the earliest visit was taken)")
    'baseline-scan'
    """
    return words.split("(")[0].strip().replace(" ", "-")
