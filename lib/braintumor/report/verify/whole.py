"""Whether a whole section or report says its statements: each once, in order, nothing beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from braintumor.domain import Findings, Line, ReportText, Section
from braintumor.report.statements import Statement, state
from braintumor.report.verify.problems import Kind, Problem
from braintumor.report.verify.sentence import check


def check_section(lines: Sequence[Line], statements: Sequence[Statement], code: str) -> tuple[Problem, ...]:
    """What is wrong with the lines of one section; `statements` are those of that section, one line each, in their order.

    A line belongs to the statement that has its message and source. Lines that a person wrote belong to none: leave them out.
    """
    return tuple(_section(lines, statements, code))


def check_report(text: ReportText, findings: Findings, code: str) -> tuple[Problem, ...]:
    """What is wrong with a text that our software worded as a report of these findings; no line may be a person's."""
    return tuple(_report(text, findings, code))


def agrees_back(back: str, statement: Statement, code: str = "en") -> tuple[Problem, ...]:
    """What is wrong with a translated sentence, judged by its translation back into `code`."""
    return check(back, statement, code)


def _section(lines: Sequence[Line], statements: Sequence[Statement], code: str) -> Iterator[Problem]:
    if len(lines) != len(statements):
        yield Problem(Kind.STRUCTURE, f"{len(lines)} lines for {len(statements)} statements")
    wanted = [(s.message, s.source) for s in statements]
    said = [(line.message, line.source) for line in lines]
    for name in dict.fromkeys(wanted):
        if said.count(name) != wanted.count(name):
            kind = Kind.OMITTED if said.count(name) < wanted.count(name) else Kind.ADDED
            yield Problem(kind, f"'{name[0]}' of {name[1] or 'the template'} is said {said.count(name)} times")
    for name in dict.fromkeys(said):
        if name not in wanted:
            yield Problem(Kind.ADDED, f"'{name[0]}' of {name[1] or 'the template'} is no statement of this section")
    if sorted(said) == sorted(wanted) and said != wanted:
        yield Problem(Kind.STRUCTURE, "the lines are not in the order of the statements")
    if said == wanted:
        for number, (line, statement) in enumerate(zip(lines, statements, strict=True)):
            where = f"{statement.section.value}.{number}"
            yield from (replace(problem, where=where) for problem in check(line.text, statement, code))


def _report(text: ReportText, findings: Findings, code: str) -> Iterator[Problem]:
    if text.language != code:
        yield Problem(Kind.SCRIPT, f"the text says that it is in '{text.language}', not '{code}'")
    if tuple(text.sections) != tuple(Section):
        yield Problem(Kind.STRUCTURE, "the sections are not all there in their order")
    statements = state(findings)
    for section in Section:
        mine = [s for s in statements if s.section is section]
        for problem in check_section(text.sections.get(section, ()), mine, code):
            yield replace(problem, where=problem.where or section.value)
