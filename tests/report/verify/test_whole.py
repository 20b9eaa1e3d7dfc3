"""Sections and reports: each statement once, in order, nothing beside them."""

from dataclasses import replace

import pytest

from braintumor.domain import Line, Section
from braintumor.report.language import render_statement, write_text
from braintumor.report.statements import state
from braintumor.report.verify import Kind, check_report, check_section
from tests.report.verify.statements import findings_of_reports
from tests.report.verify.suite import CODES

FINDINGS = findings_of_reports()


@pytest.fixture(params=CODES)
def code(request):
    return request.param


def section_of(findings, section, code):
    statements = tuple(s for s in state(findings) if s.section is section)
    return tuple(Line(render_statement(s, code), s.source, s.message) for s in statements), statements


@pytest.mark.parametrize("name", FINDINGS)
def test_our_own_report_is_accepted(name, code):
    assert check_report(write_text(FINDINGS[name], code), FINDINGS[name], code) == ()


def test_a_missing_line_is_named(code):
    lines, statements = section_of(FINDINGS["grown"], Section.FINDINGS, code)
    problems = check_section(lines[:2] + lines[3:], statements, code)
    assert {p.kind for p in problems} == {Kind.STRUCTURE, Kind.OMITTED}
    assert any(statements[2].message in p.detail for p in problems)


def test_a_line_that_is_said_twice_is_named(code):
    lines, statements = section_of(FINDINGS["grown"], Section.FINDINGS, code)
    assert Kind.ADDED in {p.kind for p in check_section((*lines, lines[0]), statements, code)}


def test_a_line_of_another_section_is_named(code):
    lines, statements = section_of(FINDINGS["grown"], Section.LIMITATIONS, code)
    stranger = Line("The whole tumour has grown.", "comparison", "change-grown")
    assert Kind.ADDED in {p.kind for p in check_section((*lines, stranger), statements, code)}


def test_lines_in_another_order_are_refused(code):
    lines, statements = section_of(FINDINGS["grown"], Section.FINDINGS, code)
    assert [p.kind for p in check_section(lines[::-1], statements, code)] == [Kind.STRUCTURE]


def test_lines_whose_words_changed_places_are_refused(code):
    lines, statements = section_of(FINDINGS["grown"], Section.FINDINGS, code)
    changed = (replace(lines[0], text=lines[1].text), replace(lines[1], text=lines[0].text), *lines[2:])
    found = {p.where for p in check_section(changed, statements, code)}
    assert found == {"findings.0", "findings.1"}


def test_a_report_without_a_section_is_refused(code):
    text = write_text(FINDINGS["grown"], code)
    shorter = replace(text, sections={s: lines for s, lines in text.sections.items() if s is not Section.LIMITATIONS})
    problems = check_report(shorter, FINDINGS["grown"], code)
    assert {p.where for p in problems} == {"", "limitations"}


def test_a_report_of_other_findings_is_refused(code):
    assert check_report(write_text(FINDINGS["grown"], code), FINDINGS["shrunk"], code)


def test_a_report_that_calls_itself_another_language_is_refused():
    assert Kind.SCRIPT in {p.kind for p in check_report(write_text(FINDINGS["grown"], "hi"), FINDINGS["grown"], "en")}
