"""The header attributes that say how a series was acquired, from classic and from enhanced MR objects alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydicom.dataset import Dataset

from braintumor.domain import Patient
from braintumor.study.index import DECODING_ERRORS, text

_NO_AGENT = re.compile(r"^(no|none|non|nil|n|0|without.*|ohne.*|sans.*|keine?|n/?a|)$")


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What the classifier looks at; None or empty where the header says nothing.

    Attributes
    ----------
    echo_ms, repetition_ms, inversion_ms
        TE, TR, TI.
    scanning, variant
        Values of Scanning Sequence (SE, IR, GR, EP, RM) and Sequence Variant (PS3.3 C.8.3.1).
    sequence_name
        Lower case.
    agent
        True if a contrast agent is named, False if the header says there was none, None if it says nothing.
    image_type
        Values of Image Type, upper case.
    declared
        Acquisition Contrast of enhanced objects (PS3.3 C.8.13.3.1.1), e.g. FLUID_ATTENUATED.
    diffusion
        Largest b-value, s/mm2.
    description
        Series Description and Protocol Name as written.
    """

    echo_ms: float | None = None
    repetition_ms: float | None = None
    inversion_ms: float | None = None
    scanning: frozenset[str] = frozenset()
    variant: frozenset[str] = frozenset()
    sequence_name: str = ""
    agent: bool | None = None
    image_type: tuple[str, ...] = ()
    declared: str = ""
    diffusion: float = 0.0
    angio: bool = False
    monochrome: bool = True
    description: str = ""


def facts_of(dataset: Dataset) -> HeaderFacts:
    """Facts from the header of one image of a series."""
    inversion = number(dataset, "InversionTime") or number(dataset, "InversionTimes")
    scanning = set(text(dataset, "ScanningSequence").upper().split("\\")) | _enhanced_scanning(dataset)
    description = " ".join(dict.fromkeys(text(dataset, k) for k in ("SeriesDescription", "ProtocolName")))
    return HeaderFacts(
        echo_ms=number(dataset, "EffectiveEchoTime") or number(dataset, "EchoTime"),
        repetition_ms=number(dataset, "RepetitionTime"),
        inversion_ms=inversion or None,  # 0 is written by some scanners for 'no inversion'
        scanning=frozenset(scanning - {""}),
        variant=frozenset(v for v in text(dataset, "SequenceVariant").upper().split("\\") if v),
        sequence_name=(text(dataset, "SequenceName") or text(dataset, "PulseSequenceName")).lower(),
        agent=_agent(dataset),
        image_type=tuple(text(dataset, "ImageType").upper().split("\\")),
        declared=text(dataset, "AcquisitionContrast").upper(),
        diffusion=number(dataset, "DiffusionBValue") or 0.0,
        angio=text(dataset, "AngioFlag").upper() == "Y",
        monochrome=text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME2",
        description=description.strip(),
    )


_ATTRIBUTES = (
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "MagneticFieldStrength",
    "SeriesDescription",
    "ProtocolName",
    "SeriesNumber",
    "ImageType",
    "ScanningSequence",
    "SequenceVariant",
    "SequenceName",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ContrastBolusAgent",
    "LossyImageCompression",
    "BodyPartExamined",
)


def attributes_of(dataset: Dataset) -> dict[str, Any]:
    """Non-identifying, JSON-ready facts under their DICOM keywords; absent ones left out.

    ``TransferSyntaxUID`` and ``frame_of_reference_uid`` (empty if absent) are always there.
    """
    facts: dict[str, Any] = {}
    for keyword in _ATTRIBUTES:
        value = number(dataset, keyword) if keyword in _NUMBERS else text(dataset, keyword)
        value = int(value) if keyword == "SeriesNumber" and isinstance(value, float) else value
        if value not in (None, ""):
            facts[keyword] = value
    facts["TransferSyntaxUID"] = str(dataset.file_meta.TransferSyntaxUID)
    facts["frame_of_reference_uid"] = text(dataset, "FrameOfReferenceUID")
    return facts


_NUMBERS = frozenset(
    {
        "MagneticFieldStrength",
        "SeriesNumber",
        "RepetitionTime",
        "EchoTime",
        "InversionTime",
        "FlipAngle",
        "SliceThickness",
        "SpacingBetweenSlices",
    }
)


def patient_of(dataset: Dataset) -> Patient:
    """The Patient module (PS3.3 C.7.1.1), decoded by the object's Specific Character Set."""
    return Patient(*(text(dataset, k) for k in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")))


def study_date_of(dataset: Dataset) -> date | None:
    """Study Date, else Acquisition or Series Date; None if absent or not a date."""
    for keyword in ("StudyDate", "AcquisitionDate", "SeriesDate"):
        try:
            return datetime.strptime(text(dataset, keyword).replace(".", ""), "%Y%m%d").date()
        except ValueError:
            continue
    return None


def number(dataset: Dataset, keyword: str) -> float | None:
    """A numeric attribute, its first value if there are several; looked up in functional groups too. None if unusable."""
    for group in groups(dataset):
        try:
            value = group.get(keyword)
            if value is None or value == "":
                continue
            first = value if isinstance(value, (int, float, str)) else value[0]
            return float(first)
        except DECODING_ERRORS:
            continue
    return None


def groups(dataset: Dataset) -> Iterator[Dataset]:
    """The data set itself, then the items of its shared and of its first frame's functional groups (PS3.3 C.7.6.16)."""
    yield dataset
    for holder in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in (dataset.get(holder) or [])[:1]:
            for element in item:
                if element.VR == "SQ" and element.value:
                    yield element.value[0]


def _enhanced_scanning(dataset: Dataset) -> set[str]:
    """Enhanced objects spell Scanning Sequence out in several attributes."""
    found = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(text(dataset, "EchoPulseSequence").upper(), set())
    if text(dataset, "EchoPlanarPulseSequence").upper() == "YES":
        found = found | {"EP"}
    if any(text(group, "InversionRecovery").upper() == "YES" for group in groups(dataset)):
        found = found | {"IR"}
    return found


def _agent(dataset: Dataset) -> bool | None:
    if dataset.get("ContrastBolusAgentSequence"):
        return True
    if "ContrastBolusAgent" not in dataset:
        return None
    agent = text(dataset, "ContrastBolusAgent").lower()
    if not agent:
        return None
    return not _NO_AGENT.match(agent)
