"""Which sentences a language model may be given at all; the rest of a report never reaches one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from braintumor.domain import Findings, Origin, ReportText, Section
from braintumor.report.rewriting.locks import Template, template
from braintumor.report.statements import Statement, Verbatim, state

SECTIONS = (Section.COMPARISON, Section.FINDINGS, Section.IMPRESSION)
"""Reworded unless others are asked for."""

NEVER: Mapping[Section, str] = {
    Section.CLINICAL: "it describes the person: age, sex, the referrer's and the notes' own words, which stay word for word",
    Section.DIAGNOSIS: "what the software does not claim must not be reworded into a claim",
    Section.LIMITATIONS: "disclaimers and limits mean exactly what was agreed on",
}
"""Sections that no model is given, whatever is asked for, and why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line that a model may reword; `position` is its index in the section."""

    statement: Statement
    template: Template
    position: int


def kept_because(statement: Statement) -> str:
    """Why a statement is never given to a model; '' if it may be, where its language has locks for it.

    Even with its facts locked, a sentence that quotes or dates something of a patient is not given: this never hangs on locks.
    """
    if statement.section in NEVER:
        return NEVER[statement.section]
    if any(isinstance(value, Verbatim) for value in statement.arguments.values()):
        return "it holds words that are not ours and stay word for word"
    if any(isinstance(value, date) for value in statement.arguments.values()):
        return "it holds a date, and dates of visits can tell who the patient is"
    if not statement.arguments:
        return "it says the same in every report and is a fact as a whole"
    return ""


def candidates(findings: Findings, text: ReportText, sections: Collection[Section]) -> tuple[Candidate, ...]:
    """The lines of a text that a model may reword, in the order of the report.

    Lines that a person wrote or changed, and lines that a model worded before, stay as they are.
    """
    said = {(s.section, s.message, s.source): s for s in state(findings) if s.section in sections and not kept_because(s)}
    return tuple(_matched(text, said))


def _matched(text: ReportText, said: Mapping[tuple[Section, str, str], Statement]) -> Iterator[Candidate]:
    for section in Section:
        for position, line in enumerate(text.sections.get(section, ())):
            statement = said.get((section, line.message, line.source)) if line.origin is Origin.TEMPLATE else None
            locked = template(statement, text.language) if statement else None
            if statement and locked:
                yield Candidate(statement, locked, position)
