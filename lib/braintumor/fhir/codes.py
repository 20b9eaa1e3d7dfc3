"""Every code the bundles use: standard ones where a standard has them, else ours, which `codesystem.json` publishes."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from braintumor.domain import Code, Direction
from braintumor.domain import regions as labels
from braintumor.fhir.parts import BASE_SYSTEM, Resource

OURS = f"{BASE_SYSTEM}/CodeSystem/braintumor"

SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "NCIt": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    "OURS": OURS,
    "v2-0074": "http://terminology.hl7.org/CodeSystem/v2-0074",
    "v2-0203": "http://terminology.hl7.org/CodeSystem/v2-0203",
    "observation-category": "http://terminology.hl7.org/CodeSystem/observation-category",
    "interpretation": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    "connection": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
    "payload": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
    "participant": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "operation": "http://terminology.hl7.org/CodeSystem/v3-DataOperation",
    "null-flavor": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    "absent": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
}
"""Designator (DICOM's where it has one) -> URI as the FHIR specification has it."""

MR_BRAIN = Code("24590-2", "LN", "Brain MRI")
RADIOLOGY = Code("RAD", "v2-0074", "Radiology")
IMAGING = Code("imaging", "observation-category", "Imaging")
MEDICAL_RECORD = Code("MR", "v2-0203", "Medical record number")
ACCESSION = Code("ACSN", "v2-0203", "Accession ID")
WADO_RS = Code("dicom-wado-rs", "connection", "DICOM WADO-RS")
ANY_PAYLOAD = Code("any", "payload", "Any")
UNKNOWN_CLASS = Code("UNK", "null-flavor", "unknown")
UNKNOWN_VALUE = Code("unknown", "absent", "Unknown")

VOLUME = Code("118565006", "SCT", "Volume")
DIAMETER = Code("81827009", "SCT", "Diameter")
LONG_AXIS = Code("103339001", "SCT", "Long axis")
SHORT_AXIS = Code("103340004", "SCT", "Short axis")
SIMPSON = Code("121217", "DCM", "Volume estimated from three or more non-coplanar 2D regions")
MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
FINDING = Code("121071", "DCM", "Finding")
RANO = Code("C114879", "NCIt", "RANO")
BRAIN = labels.ANATOMIC_REGION
NEOPLASM = labels.REGION_CODES[labels.Region.WT]
"""As in `braintumor.export.sr`, so that SR and FHIR say the same."""

SIDES = {
    "left": Code("7771000", "SCT", "Left"),
    "right": Code("24028007", "SCT", "Right"),
    "both": Code("51440002", "SCT", "Bilateral"),
    "midline": Code("261129000", "SCT", "Midline"),
}
LOBES = {
    "frontal": Code("83251001", "SCT", "Frontal lobe"),
    "parietal": Code("16630005", "SCT", "Parietal lobe"),
    "temporal": Code("78277001", "SCT", "Temporal lobe"),
    "occipital": Code("31065004", "SCT", "Occipital lobe"),
    "insula": Code("36169008", "SCT", "Insula"),
    "cerebellum": Code("113305005", "SCT", "Cerebellum"),
    "brainstem": Code("119238007", "SCT", "Brain Stem"),
}
"""Names as `braintumor.measure.location` gives them."""

FINDINGS: dict[str, Code] = {region.value: code for region, code in labels.REGION_CODES.items()} | {
    label.short: label.code for label in labels.LABELS if label.short not in labels.Region.__members__
}
"""Key of `Measurements.regions` -> what it is."""

INTERPRETATIONS = {
    Direction.GROWN: Code("U", "interpretation", "Significant change up"),
    Direction.SHRUNK: Code("D", "interpretation", "Significant change down"),
}


def ours(code: str) -> Code:
    """One of our own codes.

    Raises
    ------
    KeyError
        If `codesystem.json` does not have it.
    """
    return Code(code, "OURS", _displays()[code])


def word(kind: str, value: StrEnum) -> Code:
    """Our code for a word of a closed vocabulary.

    NCIt has response categories without saying of which criteria, so even those are ours.

    >>> word("severity", Severity.SERIOUS).value
    'severity-serious'
    """
    return ours(f"{kind}-{value.lower().replace(' ', '-')}")


def coding(code: Code) -> Resource:
    """A Coding."""
    return {"system": SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def concept(*codes: Code, text: str = "") -> Resource:
    """A CodeableConcept; the first code is the most exact one, `text` is its display if not given."""
    return {"coding": [coding(code) for code in codes], "text": text or codes[0].meaning}


def quantity(value: float, unit: str) -> Resource:
    """A Quantity in UCUM (``mL``, ``mm``, ``mm2``, ``%``, ``1``), rounded to a thousandth as in the SR."""
    shown = {"unit": unit} if unit != "1" else {}
    return {"value": round(float(value), 3), **shown, "system": SYSTEMS["UCUM"], "code": unit}


def code_system() -> dict[str, Any]:
    """Our CodeSystem, to be stored on a server that wants to know it."""
    found: dict[str, Any] = json.loads(files("braintumor.fhir").joinpath("codesystem.json").read_text("utf-8"))
    return found


@cache
def _displays() -> dict[str, str]:
    return {concept["code"]: concept["display"] for concept in code_system()["concept"]}
