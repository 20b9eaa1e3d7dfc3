"""What a caller may choose: whose notes they should be, how much is quoted, and how much is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from braintumor.domain import Patient


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read of one patient; what is beyond a limit is left out and said in a flag.

    Attributes
    ----------
    file_bytes, all_bytes
        Of one file, and of all together.
    all_characters
        Of the text of all notes together; sentences take several times as much memory.
    files
        Notes of one patient.
    pages, page_characters
        Of one PDF, and of one of its pages.
    pdf_seconds, pdf_memory
        What one PDF may take, in seconds and bytes: a small damaged file can ask for any amount of either.
    sentences
        So many are compared by meaning; those beyond are found by keywords only.
    """

    file_bytes: int = 20_000_000
    all_bytes: int = 100_000_000
    all_characters: int = 10_000_000
    files: int = 1000
    pages: int = 200
    page_characters: int = 100_000
    pdf_seconds: int = 60
    pdf_memory: int = 1_500_000_000
    sentences: int = 10_000


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How notes are read and summarised.

    Attributes
    ----------
    patient
        Whose notes they should be, as DICOM has it; empty fields are not compared. None: nothing is compared.
    per_topic
        At most so many sentences of each topic.
    """

    patient: Patient | None = None
    per_topic: int = 6
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.per_topic < 1:
            raise ValueError(f"per_topic must be 1 or more, not {self.per_topic}")
