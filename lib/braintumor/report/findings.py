"""Facts in plain English, each traceable to the number it states; nothing clinical is concluded here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from braintumor.labels import LABELS, REGION_NAMES, Region
from braintumor.nouns import (
    Case,
    Diameters,
    Finding,
    Findings,
    Flag,
    Lesion,
    Measurements,
    RegionMeasurement,
    Segmentation,
    Sequence,
    Severity,
    Study,
)
from braintumor.report.names import listed

DISCLAIMER = "Research use only. Not a medical device."
NAMES: dict[str, str] = {label.short: label.name for label in LABELS} | {r.value: REGION_NAMES[r] for r in Region}
"""Key of `Measurements.regions` -> plain name."""

SIDES = {
    "left": "on the patient's left",
    "right": "on the patient's right",
    "both": "on both sides of the midline",
    "midline": "in the midline",
}
_SERIOUS_FIRST = (Severity.SERIOUS, Severity.WARNING, Severity.INFO)
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def find(study: Study, case: Case, segmentation: Segmentation, measurements: Measurements) -> Findings:
    """Say in words what was done, found and doubted.

    Parameters
    ----------
    study, case, segmentation, measurements
        What the stages made of one visit; `segmentation` on any grid.

    Returns
    -------
    Findings
        The same input gives the same sentences in the same order. Flags of all stages, each (code, message) once, most
        serious first, otherwise in the order in which the stages raised them.
    """
    statements = (
        *_technique(study, case, segmentation),
        *_findings(measurements),
        *_quality(case, segmentation),
        *_limitations(case, segmentation, measurements),
    )
    return Findings(statements, gather_flags(study.flags, case.flags, segmentation.flags, measurements.flags))


def gather_flags(*stages: Iterable[Flag]) -> tuple[Flag, ...]:
    """The flags of all stages, equal code and message only once, most serious first.

    Where two stages raise the same flag with different severity the more serious one stays.
    """
    everything = sorted((flag for stage in stages for flag in stage), key=lambda flag: _SERIOUS_FIRST.index(flag.severity))
    unique: dict[tuple[str, str], Flag] = {}
    for flag in everything:
        unique.setdefault((flag.code, flag.message), flag)
    return tuple(unique.values())


def _technique(study: Study, case: Case, segmentation: Segmentation) -> Iterator[Finding]:
    titles = [s.title for s in case.present]
    count = _NUMBERS[len(titles)].capitalize()
    plural = "sequence was" if len(titles) == 1 else "sequences were"
    yield Finding("technique", f"{count} {plural} used: {listed(titles)}.", "case.present")
    yield from _alignments(study, case)
    size, spacing = " x ".join(map(str, case.grid.shape)), " x ".join(f"{v:.2f}" for v in case.grid.spacing)
    yield Finding("technique", f"The analysis grid has {size} voxels of {spacing} mm.", "case.grid")
    author = segmentation.author
    if author.kind == "model":
        engine = f" on {author.engine}" if author.engine else ""
        text = f"The mask was made by {' '.join(filter(None, (author.name, author.version)))}{engine}."
    else:
        text = "The mask was drawn or corrected by a person."
    yield Finding("technique", text, "segmentation.author")
    for number, step in enumerate(case.steps):
        yield Finding("technique", _sentence(step), f"case.steps.{number}")


def _alignments(study: Study, case: Case) -> Iterator[Finding]:
    reference = _reference_title(study, case)
    for methods, words in (
        (("same-grid",), "arrived on the grid of {}; no registration was needed"),
        (("same-frame",), "agreed with {} by their headers, and the images were checked; no registration was needed"),
    ):
        titles = [s.title for s in case.present if s in case.alignment and case.alignment[s].method in methods]
        if titles:
            yield Finding("technique", f"{listed(titles)} {words.format(reference)}.", "case.alignment")
    for sequence in case.present:
        alignment = case.alignment.get(sequence)
        if alignment is not None and alignment.method == "rigid":
            motion = f"{alignment.translation_mm:.1f} mm and {alignment.rotation_deg:.1f} degrees"
            text = f"{sequence.title} was moved rigidly onto {reference}, by {motion}."
            yield Finding("technique", text, f"case.alignment.{sequence.value}")


def _findings(measurements: Measurements) -> Iterator[Finding]:
    for key in (*(r.value for r in Region), *(label.short for label in LABELS if label.short not in {r.value for r in Region})):
        if key in measurements.regions:
            yield from _region(key, measurements.regions[key])
    lesions = measurements.lesions
    if lesions:
        number = _NUMBERS[len(lesions)] if len(lesions) < len(_NUMBERS) else str(len(lesions))
        noun = "connected lesion was" if len(lesions) == 1 else "separate lesions were"
        yield Finding("findings", f"{number.capitalize()} {noun} segmented.", "measurements.lesions")
    for position, lesion in enumerate(lesions):
        yield Finding("findings", _lesion(lesion), f"measurements.lesions.{position}")


def _region(key: str, region: RegionMeasurement) -> Iterator[Finding]:
    source, name = f"measurements.regions.{key}", NAMES[key]
    if region.volume_ml == 0:
        yield Finding("findings", f"{name}: none was segmented.", f"{source}.volume_ml")
        return
    volume = f"{name}: {region.volume_ml:.1f} mL by voxel count, {region.simpson_ml:.1f} mL by Simpson's rule."
    yield Finding("findings", volume, f"{source}.volume_ml")
    if region.side is not None:
        lobe = "" if region.lobe is None else f"; largest share in the {region.lobe[0]} lobe ({region.lobe[1]:.0%})"
        yield Finding("findings", f"{name}: {SIDES[region.side]}{lobe}.", f"{source}.side")
    if region.diameters is not None:
        yield Finding("findings", f"{name}: {_size(region.diameters)}.", f"{source}.diameters")
    if region.max_diameter_3d_mm is not None:
        text = f"{name}: largest extent in space {region.max_diameter_3d_mm:.1f} mm."
        yield Finding("findings", text, f"{source}.max_diameter_3d_mm")


def _size(d: Diameters) -> str:
    extents = f"{d.longest_mm:.1f} x {d.perpendicular_mm:.1f} mm (product {d.product_mm2:.0f} mm²)"
    return f"longest axial diameter x its perpendicular {extents}, slice {d.slice_index + 1}"


def _lesion(lesion: Lesion) -> str:
    volumes = ", ".join(f"{r.value} {lesion.volume_ml.get(r.value, 0.0):.1f} mL" for r in Region)
    size = f"{lesion.diameters.longest_mm:.1f} x {lesion.diameters.perpendicular_mm:.1f} mm"
    return f"Lesion {lesion.number}: {volumes}; {SIDES.get(lesion.side, 'side unknown')}; {size}."


def _quality(case: Case, segmentation: Segmentation) -> Iterator[Finding]:
    missing = [s.title for s in Sequence if s not in case.present]
    if missing:
        plural = "was" if len(missing) == 1 else "were"
        text = f"{listed(missing)} {plural} not available; the mask is less reliable without."
        yield Finding("quality", text, "case.present")
    for sequence in case.present:
        alignment = case.alignment.get(sequence)
        if alignment is not None and alignment.quality is not None:
            text = f"Agreement of {sequence.title} with the reference: normalised mutual information {alignment.quality:.3f}."
            yield Finding("quality", text, f"case.alignment.{sequence.value}.quality")
    for region in Region:
        if region in segmentation.confidence:
            text = f"Mean probability inside {REGION_NAMES[region].lower()}: {segmentation.confidence[region]:.2f}."
            yield Finding("quality", text, f"segmentation.confidence.{region.value}")


def _limitations(case: Case, segmentation: Segmentation, measurements: Measurements) -> Iterator[Finding]:
    yield Finding("limitations", DISCLAIMER)
    if segmentation.author.kind == "model":
        yield Finding("limitations", "The contours were made by an algorithm and have not been reviewed by a physician.")
    yield Finding(
        "limitations", "Volumes and diameters describe the mask; they are no diagnosis, grade or response assessment."
    )
    text = f"Diameters are taken in axial slices of the analysis grid, {measurements.slice_spacing_mm:.1f} mm apart."
    yield Finding("limitations", text, "measurements.slice_spacing_mm")
    if measurements.brain_ml > 0:
        text = f"The brain mask used for normalisation holds {measurements.brain_ml:.0f} mL."
        yield Finding("limitations", text, "measurements.brain_ml")
    if any(a.method == "rigid" for a in case.alignment.values()):
        text = "Rigid registration cannot undo deformation; check the overlay of each moved sequence before use."
        yield Finding("limitations", text, "case.alignment")


def _reference_title(study: Study, case: Case) -> str:
    for sequence, alignment in case.alignment.items():
        if alignment.method == "reference":
            return sequence.title
    return study.reference_sequence.title


def _sentence(step: str) -> str:
    text = step.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
