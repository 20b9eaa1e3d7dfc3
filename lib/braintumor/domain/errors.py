"""The one exception hierarchy: every error names the thing, what is wrong and what to do, and has its own exit code."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class BrainTumorError(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    problem
        One plain sentence: the thing and what is wrong with it. Never a patient's name or identifier.
    remedy
        One plain sentence: what the reader can do about it.
    path
        The file or folder concerned, where there is one.

    Attributes
    ----------
    exit_code
        Exit status of the command line for this error (`braintumor run --help` prints the table).
    code
        Stable machine-readable name, used in ``--json`` output and by the operators.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    meaning: ClassVar[str] = "an error of no special kind"

    def __init__(self, problem: str, *, remedy: str, path: Path | str | None = None) -> None:
        self.problem = _sentence(problem)
        self.remedy = _sentence(remedy)
        self.path = None if path is None else str(path)
        where = f" [{self.path}]" if self.path is not None and self.path not in self.problem else ""
        super().__init__(f"{self.problem}{where}. {self.remedy}.")


class InputNotFoundError(BrainTumorError):
    """Nothing at the given place, or nothing in it that can be read."""

    exit_code, code, meaning = 10, "input-not-found", "the input does not exist or holds no readable image"


class CorruptFileError(BrainTumorError):
    """A file is truncated, or its content contradicts its header."""

    exit_code, code, meaning = 11, "corrupt-file", "a file is truncated or damaged"


class GeometryError(BrainTumorError):
    """Slices are missing, duplicated, tilted or unevenly spaced, so no safe volume exists."""

    exit_code, code, meaning = 12, "unsafe-geometry", "slices missing, duplicated, tilted or unevenly spaced"


class ModalityError(BrainTumorError):
    """The images are not MR."""

    exit_code, code, meaning = 13, "not-mr", "the images are not MR"


class PatientMismatchError(BrainTumorError):
    """One input holds images of more than one patient or more than one study."""

    exit_code, code, meaning = 14, "mixed-patients", "more than one patient or study in one input"


class MissingSequenceError(BrainTumorError):
    """Too few of T1, T1ce, T2 and FLAIR were found."""

    exit_code, code, meaning = 15, "missing-sequence", "too few of the four sequences are present"


class AmbiguousSequenceError(BrainTumorError):
    """Two series are equally good candidates for one sequence."""

    exit_code, code, meaning = 16, "ambiguous-sequence", "two series compete for one sequence"


class UnusableImageError(BrainTumorError):
    """An image is too small, empty, or holds values that are not finite numbers."""

    exit_code, code, meaning = 17, "unusable-image", "an image is too small, empty or not finite"


class UnsafeArchiveError(BrainTumorError):
    """An archive would write outside its folder or unpack to an unreasonable size."""

    exit_code, code, meaning = 18, "unsafe-archive", "an archive is unsafe to unpack"


class OutputError(BrainTumorError):
    """The output place cannot be written, exists already, or is full."""

    exit_code, code, meaning = 20, "output", "the output cannot be written, exists already, or the disk is full"


class WeightsError(BrainTumorError):
    """The model's weights are missing, or differ from their recorded checksum or layout."""

    exit_code, code, meaning = 30, "weights", "model weights missing, altered or of another layout"


class EngineError(BrainTumorError):
    """The inference engine asked for is unknown or not installed."""

    exit_code, code, meaning = 31, "engine", "the inference engine is unknown or not installed"


class NotInstalledError(BrainTumorError):
    """A package of an extra is needed and a plain installation lacks it."""

    exit_code, code, meaning = 32, "not-installed", "a package that this needs is not installed"


class RegistrationError(BrainTumorError):
    """A sequence could not be aligned to the reference well enough to be used."""

    exit_code, code, meaning = 40, "registration", "a sequence could not be aligned safely"


class UnknownStudyError(InputNotFoundError):
    """The archive holds no study or series with this UID."""

    exit_code, code, meaning = 50, "unknown-study", "the archive holds no such study or series"


class ArchiveError(BrainTumorError):
    """The archive (PACS or folder) does not answer, delivers half a study, or does not keep what it was given."""

    exit_code, code, meaning = 51, "archive", "the archive is unreachable, incomplete or refuses to store"


class SubmissionError(BrainTumorError):
    """A submitted label has the wrong size, type or values."""

    exit_code, code, meaning = 52, "submission", "a submitted label has the wrong size, type or values"


class BusyError(BrainTumorError):
    """The queue is full, or what may run only once runs already."""

    exit_code, code, meaning = 53, "busy", "the queue is full, or the same work is running already"


class NoLabelsError(BrainTumorError):
    """There is no corrected label to train on."""

    exit_code, code, meaning = 54, "no-labels", "there is no corrected label to train on"


class UnknownVersionError(BrainTumorError):
    """No label or model has this version."""

    exit_code, code, meaning = 55, "unknown-version", "no label or model has this version"


class UnknownJobError(BrainTumorError):
    """The queue knows no job of this name."""

    exit_code, code, meaning = 56, "unknown-job", "there is no such job"


class NewerVersionError(BrainTumorError):
    """Somebody else submitted a mask of the study since the annotator opened it."""

    exit_code, code, meaning = 57, "newer-version", "another annotator submitted a newer mask"


class JobFailedError(BrainTumorError):
    """Work that somebody waited for failed; the message is that of the failure."""

    exit_code, code, meaning = 58, "job-failed", "work that was waited for failed"


class NoCandidateError(BrainTumorError):
    """No study is left for an annotator."""

    exit_code, code, meaning = 59, "no-candidate", "no study is left to label"


class VisitsError(BrainTumorError):
    """The visits cannot be compared over time: one is given twice, or their order is not known."""

    exit_code, code, meaning = 60, "visits", "visits cannot be compared: only one, one twice, or in unknown order"


class UnknownLanguageError(BrainTumorError):
    """A report was asked for in a language that has no file of messages."""

    exit_code, code, meaning = 61, "unknown-language", "the report does not exist in the language asked for"


class FinalReportError(BrainTumorError):
    """A final report was to be changed, or a draft was taken for a final report."""

    exit_code, code, meaning = 62, "final-report", "a final report cannot be changed, or a report is not final"


class LanguageModelError(BrainTumorError):
    """The language model cannot be loaded or does not answer; the deterministic text is used instead."""

    exit_code, code, meaning = 63, "language-model", "the language model is broken, down or too slow"


class FhirError(BrainTumorError):
    """A FHIR server refused, cannot be reached, or took a part only.

    Attributes
    ----------
    status
        HTTP status of its answer; None where there was none, or none that says why.
    """

    exit_code, code, meaning = 64, "fhir", "the FHIR server refused or cannot be reached"

    def __init__(self, problem: str, *, remedy: str, path: Path | str | None = None, status: int | None = None) -> None:
        self.status = status
        super().__init__(problem, remedy=remedy, path=path)


class SigningError(BrainTumorError):
    """A document cannot be signed, or its signatures cannot be examined."""

    exit_code, code, meaning = 70, "signing", "a document cannot be signed, or its signatures cannot be examined"


class SigningKeyError(SigningError):
    """A key or certificate is missing, locked, expired, or not meant for signing documents."""

    exit_code, code, meaning = 71, "signing-key", "a signing key is missing, locked, expired or of the wrong kind"


class TimestampError(SigningError):
    """The timestamp server does not answer, or answers wrongly; nothing was signed."""

    exit_code, code, meaning = 72, "timestamp", "the timestamp server does not answer, or answers wrongly"


class SettingsError(BrainTumorError):
    """A settings file is missing, or a setting in it is wrong."""

    exit_code, code, meaning = 73, "settings", "a settings file is missing, or a setting in it is wrong"


class DatabaseError(BrainTumorError):
    """The node's database does not answer, or is of a newer version than this software."""

    exit_code, code, meaning = 74, "database", "the node's database does not answer, or is of a newer version"


class DuplicateInstanceError(BrainTumorError):
    """An instance arrived with the SOP Instance UID of another one that is kept."""

    exit_code, code, meaning = 75, "duplicate-instance", "an instance arrived under the UID of another one"


class RefusedInstanceError(BrainTumorError):
    """An instance is not an MR image, or not DICOM at all, and was not kept."""

    exit_code, code, meaning = 76, "refused-instance", "an instance is not one that the node takes"


class DeliveryError(BrainTumorError):
    """A destination is down or refused results; they are kept and sent again."""

    exit_code, code, meaning = 77, "delivery", "a destination is down or refused results"


class PackagingError(BrainTumorError):
    """The MAP image cannot be built: a wheel, a base image or a container tool fails."""

    exit_code, code, meaning = 78, "packaging", "the MAP image cannot be built"


class ViewerError(BrainTumorError):
    """The OHIF viewer cannot be fetched, is not the pinned one, or cannot be written; nothing was changed."""

    exit_code, code, meaning = 79, "viewer", "the OHIF viewer cannot be fetched, or is not the pinned one"


class DeidentificationError(BrainTumorError):
    """A study cannot be de-identified safely, or a key or vault is missing, open to others, locked or of another key."""

    exit_code, code, meaning = 80, "deidentification", "a study cannot be de-identified safely, or a key or vault is unusable"


def _sentence(words: str) -> str:
    """Capital first letter and no full stop, so that the parts fit together however they were written."""
    return words[:1].upper() + words[1:].rstrip(".")


def _descendants(cls: type[BrainTumorError]) -> list[type[BrainTumorError]]:
    return [d for sub in cls.__subclasses__() for d in (sub, *_descendants(sub))]


def exit_codes() -> dict[int, str]:
    """Exit status -> meaning, for help texts and tests; the classes above are the only source."""
    table = {0: "success", 1: "an error of no special kind (please report it)", 2: "wrong usage of the command line"}
    table |= {c.exit_code: c.meaning for c in _descendants(BrainTumorError)}
    table[130] = "interrupted by the user"
    return dict(sorted(table.items()))


def problem(error: Exception) -> dict[str, str]:
    """An error for people: ``title, detail, remedy, code``; of an unexpected one only its kind, which holds no patient data."""
    if isinstance(error, BrainTumorError):
        return {"title": error.meaning.capitalize(), "detail": error.problem, "remedy": error.remedy, "code": error.code}
    return {
        "title": "Something went wrong that was not foreseen",
        "detail": f"The work stopped with {type(error).__name__}",
        "remedy": "Try again; if it happens again, report it with the server's log",
        "code": "error",
    }
