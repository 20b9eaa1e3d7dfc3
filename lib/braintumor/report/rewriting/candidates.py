"""Which sentences a language model may be given at all; the rest of a report never reaches one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from braintumor.domain import Findings, Line, Origin, ReportText, Section
from braintumor.report.statements import Statement, Verbatim, state

SECTIONS = (Section.COMPARISON, Section.FINDINGS, Section.IMPRESSION)
"""Reworded unless others are asked for."""

NEVER: Mapping[Section, str] = {
    Section.CLINICAL: "it describes the person: age, sex, the referrer's and the notes' own words, which stay word for word",
    Section.DIAGNOSIS: "what the software does not claim must not be reworded into a claim",
    Section.LIMITATIONS: "disclaimers and limits mean exactly what was agreed on",
}
"""Sections that no model is given, whatever is asked for, and why."""

Key = tuple[Section, str, str]
"""Section, message and source: what a line and its statement share."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line that a model may reword; `position` is its index in the section."""

    statement: Statement
    position: int

    @property
    def key(self) -> Key:
        """The same in every language of a report."""
        return key_of(self.statement)


def kept_because(statement: Statement) -> str:
    """Why a statement is never given to a model; '' if it may be.

    Sentences that may be given hold glossary terms and measured numbers only. So no name, number or date of a person can be in
    one, whatever the input held.
    """
    if statement.section in NEVER:
        return NEVER[statement.section]
    if any(isinstance(value, Verbatim) for value in statement.arguments.values()):
        return "it holds words that are not ours and stay word for word"
    if any(isinstance(value, date) for value in statement.arguments.values()):
        return "it holds a date, and dates of visits can tell who the patient is"
    if not statement.arguments:
        return "it says the same in every report, and roles exchanged in it could not be noticed"
    return ""


def candidates(findings: Findings, text: ReportText, sections: Collection[Section]) -> tuple[Candidate, ...]:
    """The lines of a text that a model may reword, in the order of the report.

    Lines that a person wrote or changed, and lines that a model worded before, stay as they are.
    """
    open_statements = {key_of(s): s for s in state(findings) if s.section in sections and not kept_because(s)}
    return tuple(_matched(text, open_statements))


def _matched(text: ReportText, statements: dict[Key, Statement]) -> Iterator[Candidate]:
    for section in Section:
        for position, line in enumerate(text.sections.get(section, ())):
            statement = statements.get((section, line.message, line.source)) if line.origin is Origin.TEMPLATE else None
            if statement is not None:
                yield Candidate(statement, position)


def with_sentences(lines: tuple[Line, ...], sentences: Mapping[int, str]) -> tuple[Line, ...]:
    """A section's lines with accepted sentences of a model at their positions."""
    return tuple(
        Line(sentences[n], line.source, line.message, Origin.MODEL) if n in sentences else line for n, line in enumerate(lines)
    )


def key_of(statement: Statement) -> Key:
    """The key of a statement."""
    return statement.section, statement.message, statement.source
