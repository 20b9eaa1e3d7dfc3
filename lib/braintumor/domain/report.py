"""The report as a document: facts, what is said of them in each language, who changed and who signed it."""

from __future__ import annotations

import datetime  # as a module: fields called `date` hide the class where annotations are evaluated
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from braintumor.domain.findings import Findings
from braintumor.domain.study import MRSequence, Patient, StudyKind


class Section(StrEnum):
    """Sections of a report, in the order in which they are read."""

    CLINICAL = "clinical-information"
    TECHNIQUE = "technique"
    COMPARISON = "comparison"
    FINDINGS = "findings"
    IMPRESSION = "impression"
    DIAGNOSIS = "diagnosis"
    RECOMMENDATIONS = "recommendations"
    LIMITATIONS = "limitations"


class Origin(StrEnum):
    """Who worded a line: our templates, a language model (and it was checked), or a person."""

    TEMPLATE = "template"
    MODEL = "model"
    PERSON = "person"


class Status(StrEnum):
    """DRAFT may be edited; FINAL was approved by a person and never changes again."""

    DRAFT = "draft"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence or short paragraph.

    Attributes
    ----------
    source
        Path of the field of `Findings` that it states, e.g. ``measurements.regions.WT``; '' if it states none.
    message
        Id of the template that says it; '' for a line that a person added.
    """

    text: str = field(repr=False)
    source: str = ""
    message: str = ""
    origin: Origin = Origin.TEMPLATE


@dataclass(frozen=True, slots=True)
class ReportText:
    """What is said in one language (BCP 47 code, e.g. ``en``, ``hi``); every section is a key, also an empty one."""

    language: str
    sections: Mapping[Section, tuple[Line, ...]]


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One source file: SOP Instance UID (file name for NIfTI), SOP Class UID ('' for NIfTI), SHA-256 as it arrived."""

    uid: str
    class_uid: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A source series, or one that was made of the study (modality ``SEG``, ``SR``)."""

    uid: str
    modality: str
    description: str
    sequence: MRSequence | None
    instances: tuple[StoredInstance, ...]


@dataclass(frozen=True, slots=True)
class StudyReference:
    """What the report is about; `kind` is ``dicom`` or ``nifti``, `time` is local, ISO 8601, '' when unknown."""

    uid: str
    kind: StudyKind
    date: datetime.date | None
    time: str
    accession: str
    description: str
    series: tuple[StoredSeries, ...]


ABHA = "https://healthid.abdm.gov.in"
"""System of ABHA numbers (Ayushman Bharat Health Account, India), as the ABDM FHIR profiles name it."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A further identifier of the patient; `system` is a URI, e.g. `ABHA`."""

    system: str
    value: str = field(repr=False)


def abha_identifier(number: str) -> Identifier:
    """The identifier of an ABHA number: 14 digits, written 12-3456-7890-1234 (National Health Authority, India).

    Raises
    ------
    ValueError
        If it has not 14 digits, blanks and hyphens between them left aside.
    """
    digits = number.replace("-", "").replace(" ", "")
    if len(digits) != 14 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("an ABHA number has 14 digits")
    return Identifier(ABHA, f"{digits[:2]}-{digits[2:6]}-{digits[6:10]}-{digits[10:]}")


@dataclass(frozen=True, slots=True)
class KeyImage:
    """A picture of the report; `file` is its name beside the report, `sha256` that of the PNG."""

    name: str
    caption: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which software and model made the numbers, of which input.

    Attributes
    ----------
    created
        When the numbers were made.
    weights_checksum, engine
        Empty for a mask by a person.
    input_sha256
        Over the sorted SHA-256 of all input files.
    mask_sha256
        Of the mask's voxels on the analysed grid, as uint8 in C order.
    """

    created: datetime.datetime
    software_version: str
    model: str
    model_version: str
    weights_checksum: str
    engine: str
    input_sha256: str
    mask_sha256: str


class Action(StrEnum):
    """What may happen to a report."""

    MADE = "made"
    REPHRASED = "rephrased"
    REFUSED = "refused"
    EDITED = "edited"
    APPROVED = "approved"
    AMENDED = "amended"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit trail.

    Attributes
    ----------
    who
        A person, ``braintumor`` or the name of a language model.
    detail
        Plain words: which line and, for REFUSED, why.
    """

    when: datetime.datetime
    action: Action
    who: str
    detail: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """One version of a report.

    Attributes
    ----------
    uid
        DICOM UID; the same for all versions.
    version
        1, 2, ...; a draft that is edited gets the next number.
    patient
        Empty for NIfTI.
    texts
        By language, the first is the one that was written first.
    audit
        Everything that happened, oldest first, over all versions.
    """

    uid: str
    version: int
    status: Status
    patient: Patient
    identifiers: tuple[Identifier, ...]
    study: StudyReference
    findings: Findings
    provenance: Provenance
    texts: Mapping[str, ReportText]
    pictures: tuple[KeyImage, ...]
    audit: tuple[Entry, ...]

    @property
    def approved(self) -> Entry | None:
        """Who approved this version, and when; None for a draft."""
        last = [entry for entry in self.audit if entry.action is Action.APPROVED]
        return last[-1] if last and self.status is Status.FINAL else None
