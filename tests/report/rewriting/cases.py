"""Three made-up visits as findings, without images: a first visit, a follow-up that grew, one where nothing is left."""

from __future__ import annotations

from datetime import date, datetime

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
    Lesion,
    LesionChange,
    LesionState,
    Measurements,
    MRSequence,
    Patient,
    Provenance,
    Region,
    RegionChange,
    RegionMeasurement,
    Report,
    Request,
    SequenceUse,
    Severity,
    Status,
    StudyReference,
    Technique,
    Topic,
)
from braintumor.report import write_text

WHEN = datetime(2026, 1, 2, 3, 4, 5)
PATIENT = Patient("PID-4711", "Rao^Meera", "19610217", "F")
IDENTIFIERS = (Identifier("https://healthid.abdm.gov.in", "91-2345-6789-0123"),)
REASON = "Mrs Rao, headache since May, Dr Sharma asks for progression"
NOTE = "Meera Rao had a craniotomy on 3 March 2023."
AUTHOR = Author("model", "attention-unet", "1.2.3", "ab" * 32, "pytorch")


def _diameters(longest, perpendicular, index=71):
    ends = ((0.0, 0.0, 0.0), (longest, 0.0, 0.0))
    return Diameters(longest, perpendicular, longest * perpendicular, index, ends, ends)


def _region(name, ml, simpson, longest=0.0, perpendicular=0.0, side="left", lobe=("frontal", 0.62)):
    if ml == 0:
        return RegionMeasurement(name, 0.0, 0.0, None, None, None, None, None, ())
    return RegionMeasurement(name, ml, simpson, longest, _diameters(longest, perpendicular), (1.0, 2.0, 3.0), side, lobe, (ml,))


def _technique(present=tuple(MRSequence), rigid=(), confidence=(0.91, 0.88, 0.84)):
    uses = {
        s: SequenceUse(
            f"1.2.{n}",
            "by its header",
            (1.0, 1.0, 1.0),
            "reference" if s is MRSequence.T1CE else "rigid" if s in rigid else "same-grid",
            0.9,
            2.4 if s in rigid else 0.0,
            1.3 if s in rigid else 0.0,
        )
        for n, s in enumerate(MRSequence)
        if s in present
    }
    return Technique(
        uses, MRSequence.T1CE, (240, 240, 155), (1.0, 1.0, 1.0), (), AUTHOR, dict(zip(Region, confidence, strict=False))
    )


def _lesion(number, ml, et, side, longest, perpendicular):
    volumes = {"WT": ml, "TC": ml / 2, "ET": et}
    found = _diameters(longest, perpendicular)
    return Lesion(number, f"1.2.3.{number}", f"Lesion {number}", volumes, (0.0, 0.0, 0.0), side, found)


def _change(before, now, direction):
    ml, percent = Estimate(now - before, 0.7), Estimate(100 * (now - before) / before, 3.0) if before else None
    return RegionChange(Estimate(before, 0.5), Estimate(now, 0.5), ml, percent, direction)


def first_visit() -> Findings:
    """Everything there, nothing to compare with, and the patient's own data wherever findings can hold them."""
    regions = {
        "WT": _region("WT", 60.3, 60.1, 60.7, 48.5),
        "TC": _region("TC", 16.0, 15.9, 37.1, 30.9),
        "ET": _region("ET", 14.5, 14.4, 36.2, 29.8),
        "NCR": _region("NCR", 1.5, 1.6, 9.0, 8.0),
        "ED": _region("ED", 44.3, 44.0, 60.7, 48.5),
    }
    note = CitedSentence(Topic.SURGERY, NOTE, Citation("Rao discharge.txt", None, 0, 43, "ab" * 32), 0.9)
    return Findings(
        "1.2.826.0.1.3680043.8.498.1",
        date(2026, 1, 2),
        Request(64, "F", REASON),
        _technique(),
        Measurements(regions, (), 1400.0, 1.0),
        context=Context((note,)),
        flags=(Flag("poor", Severity.SERIOUS, "FLAIR agrees poorly with T1ce."),),
    )


def follow_up() -> Findings:
    """Grown, with a new lesion; T2 is missing and FLAIR was moved."""
    regions = {
        "WT": _region("WT", 31.5, 31.2, 45.1, 38.4, "right", ("temporal", 0.71)),
        "TC": _region("TC", 12.2, 12.1, 28.3, 22.6, "right", ("temporal", 0.8)),
        "ET": _region("ET", 8.4, 8.3, 24.9, 19.5, "right", ("insula", 0.55)),
        "NCR": _region("NCR", 3.8, 3.8, 15.0, 12.0),
        "ED": _region("ED", 19.3, 19.1, 45.1, 38.4),
    }
    lesions = (_lesion(1, 29.8, 7.9, "right", 45.1, 38.4), _lesion(2, 1.7, 0.5, "left", 13.2, 11.7))
    changes = {
        Region.WT: _change(24.6, 31.5, Direction.GROWN),
        Region.TC: _change(12.1, 12.2, Direction.UNCHANGED),
        Region.ET: _change(0.0, 8.4, Direction.GROWN),
    }
    known = (
        LesionChange("Lesion 1", "1.2.3.1", LesionState.GROWN, 1, Estimate(24.6, 0.5), Estimate(29.8, 0.5)),
        LesionChange("Lesion 2", "1.2.3.2", LesionState.NEW, 2, None, Estimate(1.7, 0.2)),
    )
    response = Assessment(date(2026, 1, 2), Category.PD, Category.SD, Confirmation.PENDING, "PD: a new measurable lesion.")
    compared = Comparison("1.2.9", date(2025, 9, 22), 102, changes, known, response, "", (), 0.92, 0.4)
    technique = _technique(tuple(s for s in MRSequence if s is not MRSequence.T2), (MRSequence.FLAIR,))
    measured = Measurements(regions, lesions, 1380.0, 1.0)
    return Findings("1.2.826.0.1.3680043.8.498.2", date(2026, 1, 2), Request(), technique, measured, compared)


def nothing_left() -> Findings:
    """After treatment: shrunk to nothing."""
    regions = {key: _region(key, 0.0, 0.0) for key in ("WT", "TC", "ET", "NCR", "ED")}
    changes = {r: _change(v, 0.0, Direction.SHRUNK) for r, v in ((Region.WT, 2.9), (Region.TC, 1.4), (Region.ET, 1.1))}
    known = (LesionChange("Lesion 1", "1.2.3.1", LesionState.RESOLVED, None, Estimate(2.9, 0.2), Estimate(0.0, 0.0)),)
    response = Assessment(date(2026, 1, 2), Category.CR, Category.CR, Confirmation.CONFIRMED, "CR: nothing measurable.")
    compared = Comparison("1.2.9", None, None, changes, known, response, "", (), 0.9, 0.3)
    measured = Measurements(regions, (), 1390.0, 1.0)
    return Findings("1.2.826.0.1.3680043.8.498.3", date(2026, 1, 2), Request(), _technique(confidence=()), measured, compared)


CASES = {"first-visit": first_visit, "follow-up": follow_up, "nothing-left": nothing_left}


def report_of(findings: Findings, languages=("en", "hi")) -> Report:
    """A draft of the findings, with a patient whose data must never leave it."""
    study = StudyReference(findings.study_uid, "dicom", findings.study_date, "", "ACC-0815", "Brain of Meera Rao", ())
    return Report(
        "1.2.826.0.1.3680043.8.498.9",
        1,
        Status.DRAFT,
        PATIENT,
        IDENTIFIERS,
        study,
        findings,
        Provenance(WHEN, "1.0", AUTHOR.name, AUTHOR.version, AUTHOR.checksum, AUTHOR.engine, "cd" * 32, "ef" * 32),
        {code: write_text(findings, code) for code in languages},
        (),
        (Entry(WHEN, Action.MADE, "braintumor 1.0"),),
    )
