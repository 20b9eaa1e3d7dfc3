"""The one table of quality flags: code, severity, arguments. The words are in ``flags-<language>.ftl`` beside it.

Code and words are here and not in the report because stages before the report raise, store and show flags: each needs at
least the English message, and a report in another language must find every message that any stage can raise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

from braintumor.domain.flags import Argument, Flag, Severity
from braintumor.domain.regions import LABELS
from braintumor.domain.study import MRSequence

_VISIT = "visit"
"""The one argument that every flag may have: see `of_visit`."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number, rounded to `digits` decimals (0: an integer); `trimmed` leaves out zeros at its end."""

    digits: int = 0
    trimmed: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few keys, for which each language has its own words; messages get `titles` instead where there are any."""

    keys: tuple[str, ...]
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """Words that are never translated: names of series and files, problems of other programs, dates."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Several integers."""


Kind = Number | OneOf | Words | Numbers

_COUNT, _ML, _WORDS = Number(), Number(3), Words()
_SEQUENCE = OneOf(tuple(s.value for s in MRSequence), tuple(s.title for s in MRSequence))
_NOTES: Mapping[str, Kind] = {"numbers": Numbers(), "more": _COUNT, "total": _COUNT}
_FILES: Mapping[str, Kind] = {"count": _COUNT}
_INFO, _WARNING, _SERIOUS = Severity.INFO, Severity.WARNING, Severity.SERIOUS


class FlagCode(StrEnum):
    """Every flag there is: code, severity (several where it depends on what was measured), arguments of its message."""

    severities: tuple[Severity, ...]
    kinds: Mapping[str, Kind]

    def __new__(
        cls, code: str, severities: Severity | tuple[Severity, ...] = (), kinds: Mapping[str, Kind] | None = None
    ) -> Self:
        """A row of the table."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.severities = (severities,) if isinstance(severities, Severity) else severities
        member.kinds = kinds or {}
        return member

    # Reading a study
    MISSING_SEQUENCE = "missing-sequence", (_WARNING, _SERIOUS), {"sequence": _SEQUENCE}
    SERIES_PREFERRED = (
        "series-preferred",
        _INFO,
        {
            "sequence": _SEQUENCE,
            "taken": _WORDS,
            "other": _WORDS,
            "reason": OneOf(("original", "certain", "coverage", "spacing", "distortion", "axial")),
        },
    )
    SEQUENCE_UNCERTAIN = "sequence-uncertain", _WARNING, {"series": _WORDS, "sequence": _SEQUENCE, "confidence": Number(2)}
    SEQUENCE_BY_PIXELS = "sequence-by-pixels", _WARNING, {"series": _WORDS}
    CONTRAST_UNKNOWN = "contrast-unknown", _WARNING, {"series": _WORDS}
    DUPLICATE_FILES = "duplicate-files", _INFO, {"count": _COUNT}
    LOSSY_COMPRESSION = "lossy-compression", _WARNING, {"series": _WORDS}
    CHANNEL_ORDER_ASSUMED = "channel-order-assumed", _WARNING
    NIFTI_AFFINES_DISAGREE = "nifti-affines-disagree", _WARNING, {"file": _WORDS, "apart_mm": Number(1)}

    # Preparing it
    HEADER_POSITION_UNUSED = "header-position-unused", _WARNING, {"sequence": _SEQUENCE}
    POOR_REGISTRATION = "poor-registration", _SERIOUS, {"sequence": _SEQUENCE, "agreement": Number(3)}
    PARTIAL_COVERAGE = "partial-coverage", _WARNING, {"sequence": _SEQUENCE, "percent": _COUNT}
    BRAIN_WITHOUT_T1 = "brain-without-t1", _WARNING, {"sequence": _SEQUENCE}
    IMPLAUSIBLE_BRAIN = "implausible-brain", _SERIOUS, {"volume_ml": _COUNT}

    # Segmenting it
    SERVED_MODEL_FALLBACK = "served-model-fallback", _SERIOUS, {"version": _WORDS, "problem": _WORDS}
    UNCERTAIN_MASK = "uncertain-mask", _WARNING, {"probability": Number(2)}
    FAINT_ENHANCEMENT = "faint-enhancement", _WARNING, {"volume_ml": Number(2)}
    LABEL_LOST = (
        "label-lost",
        _WARNING,
        {"label": OneOf(tuple(label.short for label in LABELS)), "volume_ml": _ML, "spacing_mm": _WORDS},
    )
    UNKNOWN_SEGMENT = "unknown-segment", _WARNING, {"number": _COUNT}
    OVERLAPPING_SEGMENTS = "overlapping-segments", _WARNING, {"voxels": _COUNT}
    MASK_OF_ONE_VALUE = "mask-of-one-value", _SERIOUS

    # Measuring it
    NO_TUMOUR = "no-tumour", _INFO
    TOUCHES_BORDER = "touches-border", _WARNING
    THICK_SLICES = "thick-slices", (_INFO, _WARNING), {"spacing_mm": Number(1), "limit_mm": Number(1, trimmed=True)}
    SMALL_COMPONENTS = "small-components", _INFO, {"count": _COUNT, "limit_ml": Number(6, trimmed=True), "volume_ml": _ML}
    NO_BRAIN_MASK = "no-brain-mask", _WARNING
    POOR_BRAIN_MATCH = "poor-brain-match", _WARNING, {"error_mm": Number(1)}

    # Comparing visits
    DIFFERENT_PATIENTS = "different-patients", _SERIOUS
    PATIENT_NOT_CHECKED = "patient-not-checked", _WARNING
    NO_DATES = "no-dates", _SERIOUS
    ORDER_BY_DATE = "order-by-date", _WARNING
    SAME_DATE = "same-date", _WARNING
    NO_CONTRAST = "no-contrast", _SERIOUS
    EMPTY_MASK = "empty-mask", _WARNING
    OTHER_SEQUENCES = "other-sequences", _WARNING
    PRIOR_NOT_DICOM = "prior-not-dicom", _INFO, {"number": _COUNT}
    PRIOR_PATIENT_NOT_CHECKED = "prior-patient-not-checked", _WARNING, {"number": _COUNT}
    PRIOR_OF_OTHER_PATIENT = "prior-of-other-patient", _SERIOUS, {"number": _COUNT}

    # The order and the patient's notes
    ORDER_NOT_FOUND = "order-not-found", _WARNING, {"problem": _WORDS}
    NO_NOTES_READ = "no-notes-read", _SERIOUS
    NOTE_TOO_LARGE = "note-too-large", _WARNING, _NOTES
    NOTES_TOO_LARGE = "notes-too-large", _WARNING, _NOTES
    TOO_MANY_NOTES = "too-many-notes", _WARNING, _NOTES
    NOTE_UNREADABLE = "note-unreadable", _WARNING, _NOTES
    LINK_OUTSIDE = "link-outside", _WARNING, _NOTES
    NOTE_NOT_TEXT = "note-not-text", _WARNING, _NOTES
    NOTE_EMPTY = "note-empty", _INFO, _NOTES
    ENCODING_GUESSED = "encoding-guessed", _INFO, _NOTES
    PDF_DAMAGED = "pdf-damaged", _WARNING, _NOTES
    PDF_ENCRYPTED = "pdf-encrypted", _WARNING, _NOTES
    PDF_TOO_COSTLY = "pdf-too-costly", _WARNING, _NOTES
    PDF_WITHOUT_TEXT = "pdf-without-text", _WARNING, _NOTES
    PDF_PARTLY_SCANNED = "pdf-partly-scanned", _WARNING, _NOTES
    PDF_CUT = "pdf-cut", _WARNING, _NOTES
    NOTES_OF_OTHER_PATIENT = "notes-of-other-patient", _SERIOUS, _NOTES
    PATIENT_UNCONFIRMED = "patient-unconfirmed", _WARNING, _NOTES
    INSTRUCTION_IN_NOTES = "instruction-in-notes", _SERIOUS, _NOTES
    HIDDEN_CHARACTERS = "hidden-characters", _WARNING, _NOTES
    NOTES_BY_KEYWORD_ONLY = "notes-by-keyword-only", _WARNING, _NOTES
    NOTES_TOO_LONG = "notes-too-long", _WARNING, _NOTES
    HIDDEN_FILES = "hidden-files", _INFO, _FILES
    NOTE_TYPE_UNKNOWN = "note-type-unknown", _WARNING, _FILES
    FOLDER_UNREADABLE = "folder-unreadable", _WARNING, _FILES

    def flag(self, severity: Severity | None = None, /, **arguments: object) -> Flag:
        """Raise this flag.

        Parameters
        ----------
        severity
            Of those the table allows; not given where it allows one only.
        arguments
            Exactly those of the table.

        Raises
        ------
        TypeError
            If an argument is missing, not of the table, or of the wrong type.
        ValueError
            If the severity or an argument's value is not one the table allows.
        """
        severity = self.severities[0] if severity is None and len(self.severities) == 1 else severity
        if severity not in self.severities:
            raise ValueError(f"{self}: the severity is one of {', '.join(self.severities)}, not {severity}")
        if arguments.keys() != self.kinds.keys():
            raise TypeError(f"{self} takes the arguments {sorted(self.kinds)}, not {sorted(arguments)}")
        kept = {name: _kept(f"{self}: {name}", kind, arguments[name]) for name, kind in self.kinds.items()}
        return Flag(self.value, severity, self.words(kept), kept)

    def words(self, arguments: Mapping[str, Argument], language: str = "en") -> str:
        """The message in a language; `arguments` as in `Flag.arguments`."""
        shown: dict[str, Any] = {}
        for name, kind in self.kinds.items():
            shown |= _shown(name, kind, arguments[name])
        text = _format(language, self.value, shown)
        return _format(language, "of-visit", {_VISIT: arguments[_VISIT], "message": text}) if _VISIT in arguments else text


def of_visit(flag: Flag, number: int, day: date | None) -> Flag:
    """The flag, saying of which visit it is where several are compared."""
    visit = f"{number} ({day.isoformat()})" if day else str(number)
    arguments = None if flag.arguments is None else {**flag.arguments, _VISIT: visit}
    return replace(flag, message=_format("en", "of-visit", {_VISIT: visit, "message": flag.message}), arguments=arguments)


def message_in(flag: Flag, language: str) -> str:
    """The flag's message in a language.

    It is the English one as it was raised where the language has no words for flags, or the flag comes from a file without
    arguments or of another version whose table differs.
    """
    if language == "en" or flag.arguments is None or not _path(language).exists():
        return flag.message
    arguments = {name: value for name, value in flag.arguments.items() if name != _VISIT}
    try:
        code = FlagCode(flag.code)
        code.flag(flag.severity, **arguments)
    except (TypeError, ValueError):
        return flag.message
    return code.words(flag.arguments, language)


def _kept(name: str, kind: Kind, value: object) -> Argument:
    """An argument as it is kept in files; what does not fit is refused."""
    match kind, value:
        case Number(), bool():
            pass
        case Number(digits=0), Integral():
            return int(value)
        case Number(digits=digits), Real() if digits and math.isfinite(value):
            return round(float(value), digits)
        case OneOf(keys=keys), str():
            if value not in keys:
                raise ValueError(f"{name} is one of {', '.join(keys)}, not {value}")
            return str(value)
        case Words(), str():
            return str(value)
        case Numbers(), tuple() if all(isinstance(one, int) for one in value):
            return value
    raise TypeError(f"{name} does not take {value!r}")


def _shown(name: str, kind: Kind, value: Argument) -> dict[str, Any]:
    """An argument as a message takes it; several numbers come with how many they are."""
    from fluent.runtime.types import fluent_number

    match kind, value:
        case OneOf(keys=keys, titles=titles), str() if titles:
            return {name: titles[keys.index(value)]}
        case Numbers(), tuple():
            return {name: ", ".join(map(str, value)), f"{name}-count": len(value)}
        case Number(digits=digits, trimmed=trimmed), int() | float() if digits:
            least = 0 if trimmed else digits
            return {name: fluent_number(float(value), minimumFractionDigits=least, maximumFractionDigits=digits)}
    return {name: value}


def _path(language: str) -> Path:
    return Path(__file__).with_name(f"flags-{language}.ftl")


@cache
def _bundle(language: str) -> Any:
    from fluent.runtime import FluentBundle, FluentResource  # 0.1 s, needed by the first flag only

    bundle = FluentBundle([language], use_isolating=False)
    bundle.add_resource(FluentResource(_path(language).read_text("utf-8")))
    return bundle


def _format(language: str, message: str, arguments: Mapping[str, Any]) -> str:
    bundle = _bundle(language)
    text, errors = bundle.format_pattern(bundle.get_message(message).value, dict(arguments))
    if errors:
        raise KeyError(f"flags-{language}.ftl, message '{message}': {errors[0]}")
    return str(text)
