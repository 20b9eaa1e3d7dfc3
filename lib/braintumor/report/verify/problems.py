"""What can be wrong with a reworded sentence, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Sorts of disagreement between a sentence and its statement."""

    NUMBER = "number"
    UNIT = "unit"
    SIDE = "side"
    REGION = "region"
    LOBE = "lobe"
    DIRECTION = "direction"
    NEGATION = "negation"
    DATE = "date"
    ORDER = "order"
    """Which number is which: before and now, one measure and another, which sequence was moved onto which."""
    CERTAINTY = "certainty"
    TERM = "term-not-in-glossary"
    """Another term of the glossary than the statement's: sequence, response category, sex, topic, input."""
    ADDED = "added"
    OMITTED = "omitted"
    SCRIPT = "script"
    STRUCTURE = "structure"
    VERBATIM = "verbatim-changed"


@dataclass(frozen=True, slots=True)
class Problem:
    """One disagreement.

    Attributes
    ----------
    detail
        Plain words for the audit trail; may hold words of the sentence, never quoted words of the patient's notes.
    where
        Section and position of the line, e.g. ``findings.3``; '' for a single sentence.
    """

    kind: Kind
    detail: str
    where: str = ""
