"""Ten synthetic reports, each different where reports differ; no imaging is needed to make them. Nobody in them exists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from braintumor.domain import (
    Action,
    Assessment,
    Author,
    Category,
    Citation,
    CitedSentence,
    Comparison,
    Confirmation,
    Context,
    Diameters,
    Direction,
    Entry,
    Estimate,
    Findings,
    Flag,
    Identifier,
    KeyImage,
    Lesion,
    LesionChange,
    LesionState,
    Line,
    Measurements,
    MRSequence,
    Origin,
    Patient,
    Provenance,
    Region,
    RegionChange,
    RegionMeasurement,
    Report,
    ReportText,
    Request,
    Section,
    SequenceUse,
    Severity,
    Status,
    StoredInstance,
    StoredSeries,
    StudyReference,
    Technique,
    Topic,
    TrendPoint,
)

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
MADE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
VISIT, PRIOR = date(2026, 3, 1), date(2025, 12, 1)
MODEL = Author("model", "braintumor-unet", "0.2.0", "ab" * 32, "openvino-bf16")
PERSON = Author("human", "Asha Rao", "3")
ABHA = "https://healthid.abdm.gov.in"


def uid(*words: str) -> str:
    """A DICOM UID that follows from words."""
    return f"2.25.{int(sha256(*words)[:30], 16)}"


def sha256(*words: str) -> str:
    """A digest that follows from words."""
    return hashlib.sha256("/".join(words).encode()).hexdigest()


def first_visit() -> Report:
    """A plain first visit: one lesion, all four sequences, a draft in one language."""
    return _report("first", patient=Patient("P-001", "Doe^Jane^A.^Dr", "19610217", "F"))


def grown() -> Report:
    """A follow-up that has grown: progressive by RANO, confirmation pending, approved, in English and Hindi."""
    report = _report(
        "grown",
        patient=Patient("P-002", "Sharma^Ravi", "19720930", "M"),
        comparison=_comparison("grown", factor=1.6, response=_response(Category.PD, Confirmation.PENDING, 0.6)),
        texts=_texts("The tumour has grown by 60 %.", "ट्यूमर 60 % बढ़ गया है।"),
    )
    return approved(report, "Dr Meera Iyer")


def shrunk() -> Report:
    """A follow-up that has shrunk: partial response by RANO, confirmed, approved."""
    report = _report(
        "shrunk",
        patient=Patient("P-003", "O'Neill & Sons^Pat <b>", "19801111", "O"),
        comparison=_comparison("shrunk", factor=0.4, response=_response(Category.PR, Confirmation.CONFIRMED, -0.6)),
    )
    return approved(report, "Dr Tom Weiß")


def no_tumour() -> Report:
    """Nothing found: volumes of 0, no diameters, no lesion; the prior had a lesion, RANO could not be assessed."""
    report = _report("none", patient=Patient("P-004", "Kim^Min", "19900101", "M"), lesions=0)
    gone = _comparison("none", factor=0.0, response=None, state=LesionState.RESOLVED)
    return replace(report, findings=replace(report.findings, comparison=gone))


def several_lesions() -> Report:
    """Three lesions, left, right and midline, the smallest new; a follow-up without measurable change of the whole."""
    report = _report("several", patient=Patient("P-005", "Nowak^Ewa", "19550505", "F"), lesions=3)
    comparison = _comparison("several", factor=1.0, response=_response(Category.SD, Confirmation.NOT_REQUIRED, 0.0))
    new = LesionChange("Lesion 3", uid("several", "track", "3"), LesionState.NEW, 3, None, Estimate(1.0, 0.1))
    comparison = replace(comparison, lesions=(*comparison.lesions, new))
    return replace(report, findings=replace(report.findings, comparison=comparison))


def doubtful() -> Report:
    """A missing sequence, no contrast, and flags of every severity, two of them serious."""
    flags = (
        Flag("uncertain-mask", Severity.SERIOUS, "The model was undecided in 40 % of the tumour."),
        Flag("no-contrast", Severity.SERIOUS, "No contrast-enhanced T1: enhancing tumour cannot be told."),
        Flag("missing-sequence", Severity.WARNING, "T1ce is missing."),
        Flag("thick-slices", Severity.INFO, "Slices are 5 mm thick."),
    )
    sequences = (MRSequence.T1, MRSequence.T2, MRSequence.FLAIR)
    return _report("doubtful", patient=Patient("P-006", "Anon^Ymous", "", ""), sequences=sequences, flags=flags)


def nifti() -> Report:
    """A NIfTI case: no patient, no date, files instead of series."""
    report = _report("nifti", patient=Patient(), kind="nifti", study_date=None)
    files = tuple(
        StoredSeries(
            f"case 7_{sequence.value}",
            "",
            "",
            sequence,
            (StoredInstance(f"case 7_{sequence.value}.nii.gz", "", sha256("nifti", sequence.value)),),
        )
        for sequence in MRSequence
    )
    return replace(report, study=StudyReference("case 7 (ü)", "nifti", None, "", "", "", files))


def many_scripts() -> Report:
    """A name in Latin, Japanese and kana, and report texts in Arabic (right to left) beside English."""
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    texts = {**_texts("One lesion, 30 mL."), "ar": _text("ar", "آفة واحدة حجمها 30 مل.")}
    return _report("scripts", patient=Patient("識別-7", name, "19450815", "M"), texts=texts)


def devanagari_by_person() -> Report:
    """A mask by a person, a patient's name in Devanagari, no model anywhere; approved by somebody with an Arabic name."""
    report = _report("person", patient=Patient("P-009", "शर्मा^रवि", "19610217", "M"), author=PERSON)
    return approved(report, "د. ليلى حسن")


def amended() -> Report:
    """Final version 2 after an approved version 1: notes, request, ABHA number, accession, key images and an SEG series."""
    report = _report(
        "amended",
        patient=Patient("P-010", "Iyer^Lakshmi^^^", "19680704", "F"),
        identifiers=(Identifier(ABHA, "91-1234-5678-9012"), Identifier("", "W/17|b,c")),
        accession="ACC-2026-0042",
        texts=_texts("The tumour has not changed.", "ट्यूमर में कोई बदलाव नहीं।"),
        comparison=_comparison("amended", factor=1.0, response=_response(Category.SD, Confirmation.NOT_REQUIRED, 0.02)),
    )
    source = Citation("letter.txt", None, 0, 24, sha256("letter"))
    notes = Context((CitedSentence(Topic.SURGERY, "Resection in March 2025.", source, 0.9),))
    findings = replace(report.findings, context=notes, request=Request(57, "F", "Follow-up of a glioma"))
    seg = StoredSeries(
        uid("amended", "seg"),
        "SEG",
        "Brain tumour segmentation",
        None,
        (StoredInstance(uid("amended", "seg", "1"), SEGMENTATION, sha256("amended", "seg")),),
    )
    study = replace(report.study, series=(*report.study.series, seg))
    pictures = (KeyImage("axial", "Largest extent", "axial.png", sha256("axial")),)
    first = approved(replace(report, findings=findings, study=study, pictures=pictures), "Dr Meera Iyer")
    return next_version(first, "Dr Meera Iyer", "The tumour has not changed since December.")


FACTORIES: Mapping[str, Callable[[], Report]] = {
    factory.__name__: factory
    for factory in (
        first_visit,
        grown,
        shrunk,
        no_tumour,
        several_lesions,
        doubtful,
        nifti,
        many_scripts,
        devanagari_by_person,
        amended,
    )
}
"""All ten, by name."""


def all_reports() -> tuple[Report, ...]:
    """All ten, made afresh."""
    return tuple(factory() for factory in FACTORIES.values())


def approved(report: Report, who: str) -> Report:
    """The same report, approved a minute after the last thing that happened to it."""
    entry = Entry(report.audit[-1].when + timedelta(minutes=1), Action.APPROVED, who)
    return replace(report, status=Status.FINAL, audit=(*report.audit, entry))


def next_version(report: Report, who: str, impression: str) -> Report:
    """An approved report amended with another English impression, and approved again."""
    last = report.audit[-1].when
    changed = Entry(last + timedelta(days=1), Action.AMENDED, who, "impression")
    texts = {**report.texts, "en": _text("en", impression, origin=Origin.PERSON)}
    draft = replace(report, version=report.version + 1, status=Status.DRAFT, texts=texts, audit=(*report.audit, changed))
    return approved(draft, who)


def _report(
    name: str,
    *,
    patient: Patient,
    identifiers: tuple[Identifier, ...] = (),
    kind: str = "dicom",
    study_date: date | None = VISIT,
    accession: str = "",
    lesions: int = 1,
    sequences: Iterable[MRSequence] = tuple(MRSequence),
    author: Author = MODEL,
    comparison: Comparison | None = None,
    flags: tuple[Flag, ...] = (),
    texts: Mapping[str, ReportText] | None = None,
) -> Report:
    present = tuple(sequences)
    study = StudyReference(
        uid(name, "study"), kind, study_date, "", accession, "MR brain", tuple(_series(name, each) for each in present)
    )
    findings = Findings(
        study_uid=study.uid,
        study_date=study_date,
        request=Request(sex=patient.sex),
        technique=_technique(name, present, author),
        measurements=_measurements(name, lesions),
        comparison=comparison,
        flags=flags,
    )
    by_model = author.kind == "model"
    provenance = Provenance(
        created=MADE,
        software_version="0.5.0",
        model=author.name,
        model_version=author.version,
        weights_checksum=author.checksum,
        engine=author.engine,
        input_sha256=sha256(name, "input"),
        mask_sha256=sha256(name, "mask"),
    )
    said = texts or _texts("One lesion, 30.0 mL." if lesions else "No tumour was found.")
    audit = (Entry(MADE, Action.MADE, "braintumor" if by_model else author.name),)
    return Report(uid(name, "report"), 1, Status.DRAFT, patient, identifiers, study, findings, provenance, said, (), audit)


def _series(name: str, sequence: MRSequence) -> StoredSeries:
    instances = tuple(
        StoredInstance(uid(name, sequence.value, str(k)), MR_IMAGE, sha256(name, sequence.value, str(k))) for k in range(3)
    )
    return StoredSeries(uid(name, sequence.value), "MR", sequence.title, sequence, instances)


def _technique(name: str, present: tuple[MRSequence, ...], author: Author) -> Technique:
    reference = MRSequence.T1CE if MRSequence.T1CE in present else MRSequence.FLAIR
    uses = {
        each: SequenceUse(
            uid(name, each.value),
            "Series description",
            (1.0, 1.0, 1.0),
            "reference" if each is reference else "same-grid",
            None,
            0.0,
            0.0,
        )
        for each in present
    }
    confidence = {} if author.kind == "human" else {Region.WT: 0.93, Region.TC: 0.9, Region.ET: 0.88}
    return Technique(uses, reference, (180, 220, 155), (1.0, 1.0, 1.0), ("N4 applied",), author, confidence)


def _diameters(longest: float) -> Diameters:
    half = longest / 2
    ends = ((-half, 0.0, 10.0), (half, 0.0, 10.0))
    across = ((0.0, -half * 0.8, 10.0), (0.0, half * 0.8, 10.0))
    return Diameters(longest, longest * 0.8, longest * longest * 0.8, 77, ends, across)


def _measurements(name: str, count: int) -> Measurements:
    shares = {"WT": 1.0, "TC": 0.6, "ET": 0.4, "NCR": 0.2, "ED": 0.4}
    total = 30.0 if count else 0.0
    regions = {
        key: RegionMeasurement(
            name=key,
            volume_ml=total * share,
            simpson_ml=total * share * 1.01,
            max_diameter_3d_mm=45.0 * share if count else None,
            diameters=_diameters(40.0 * share) if count else None,
            centroid_lps=(20.0, 10.0, 30.0) if count else None,
            side="left" if count else None,
            lobe=("frontal", 0.8) if count else None,
            area_mm2=(0.0, 100.0 * share, 0.0),
        )
        for key, share in shares.items()
    }
    sides = ("left", "right", "midline")
    lesions = tuple(
        Lesion(
            number=number,
            tracking_uid=uid(name, "lesion", str(number)),
            tracking_id=f"lesion-{number}",
            volume_ml={key: 30.0 * shares[key] / 2**number for key in ("WT", "TC", "ET")},
            centroid_lps=(20.0, 10.0, 30.0),
            side=sides[(number - 1) % 3],
            diameters=_diameters(40.0 / number),
        )
        for number in range(1, count + 1)
    )
    return Measurements(regions, lesions, 1400.0, 1.0)


def _comparison(name: str, *, factor: float, response: Assessment | None, state: LesionState | None = None) -> Comparison:
    now = {Region.WT: 30.0, Region.TC: 18.0, Region.ET: 12.0}
    now = dict.fromkeys(now, 0.0) if factor == 0.0 else now
    before = {region: value / factor if factor else 20.0 for region, value in now.items()}
    direction = Direction.UNCHANGED if factor == 1.0 else Direction.GROWN if factor > 1.0 else Direction.SHRUNK
    course = state or {"grown": LesionState.GROWN, "shrunk": LesionState.SHRUNK}.get(direction.value, LesionState.STABLE)
    regions = {
        region: RegionChange(
            before=Estimate(before[region], 0.5),
            now=Estimate(now[region], 0.6),
            ml=Estimate(now[region] - before[region], 0.8),
            percent=Estimate(100 * (now[region] / before[region] - 1), 3.0),
            direction=direction,
        )
        for region in Region
    }
    lesion = LesionChange(
        "Lesion 1", uid(name, "track"), course, 1 if factor else None, regions[Region.WT].before, regions[Region.WT].now
    )
    trend = (
        TrendPoint(uid(name, "prior"), PRIOR, {region: change.before for region, change in regions.items()}),
        TrendPoint(uid(name, "study"), VISIT, {region: change.now for region, change in regions.items()}),
    )
    why = "" if response else "No enhancing lesion of 1 cm was ever measured."
    return Comparison(uid(name, "prior"), PRIOR, 90, regions, (lesion,), response, why, trend, 0.9, 0.4)


def _response(category: Category, confirmation: Confirmation, change: float) -> Assessment:
    return Assessment(
        date=VISIT,
        category=category,
        standing=category if confirmation is not Confirmation.PENDING else Category.SD,
        confirmation=confirmation,
        rule="Volume against baseline and nadir by the thresholds of RANO 2.0.",
        used={"baseline": "30.0 mL", "steroids": "unknown"},
        missing=("corticosteroid dose", "clinical status"),
        caveats=("Within 12 weeks of radiotherapy pseudoprogression is possible.",),
        change_from_baseline=change,
        change_from_nadir=change,
    )


def _texts(english: str, hindi: str = "") -> dict[str, ReportText]:
    texts = {"en": _text("en", english)}
    return {**texts, "hi": _text("hi", hindi)} if hindi else texts


def _text(language: str, impression: str, *, origin: Origin = Origin.TEMPLATE) -> ReportText:
    sections: dict[Section, tuple[Line, ...]] = dict.fromkeys(Section, ())
    sections[Section.FINDINGS] = (Line("WT 30.0 mL; 40 x 32 mm & more <b>", "measurements.regions.WT", "region-volume"),)
    sections[Section.IMPRESSION] = (Line(impression, "measurements.regions.WT", "impression", origin),)
    return ReportText(language, sections)
