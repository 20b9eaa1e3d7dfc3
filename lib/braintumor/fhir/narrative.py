"""The report as XHTML for people who read the resource itself: every language, each marked as what it is."""

from __future__ import annotations

from html import escape

from braintumor.domain import Flag, Report, ReportText, Section, Status
from braintumor.fhir.parts import Resource, clean
from braintumor.report.language import language_of, languages

NOTICE = "Research use only. Not a medical device."
RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"})
"""Languages that are written from right to left; their block says so (R4 2.5.7.1 allows ``dir``)."""


def narrative(report: Report) -> Resource:
    """A Narrative with all sections in all languages, quality flags last.

    The status is ``additional``: the person's text says more than the coded part of the resource holds.
    """
    said = "".join(_language(text) for text in report.texts.values())
    first = next(iter(report.texts), "en")
    draft = "<p><b>DRAFT. Not approved by a person.</b></p>" if report.status is Status.DRAFT else ""
    flags = _flags(report.findings.flags)
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" lang="{_code(first)}" xml:lang="{_code(first)}">'
    body = f'<div lang="en" xml:lang="en"><p>{NOTICE}</p>{draft}</div>{said}{flags}'
    return {"status": "additional", "div": f"{head}{body}</div>"}


def impression(text: ReportText) -> str:
    """The lines of the impression; '' if there are none."""
    return "\n".join(filter(None, (clean(line.text) for line in text.sections.get(Section.IMPRESSION, ()))))


def _language(text: ReportText) -> str:
    speaker = language_of(text.language) if text.language in languages() else language_of("en")
    sections = []
    for section in Section:
        lines = [clean(line.text) for line in text.sections.get(section, ())]
        if any(lines):
            said = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
            sections.append(f"<h3>{escape(speaker.title(section))}</h3>{said}")
    code = _code(text.language)
    direction = ' dir="rtl"' if code.partition("-")[0] in RIGHT_TO_LEFT else ""
    return f'<div lang="{code}" xml:lang="{code}"{direction}>{"".join(sections)}</div>' if sections else ""


def _flags(flags: tuple[Flag, ...]) -> str:
    """What the software was unsure of; in English, as `Flag.message` is."""
    if not flags:
        return ""
    rows = "".join(f"<li><b>{flag.severity.upper()}</b> {escape(clean(f'{flag.code}: {flag.message}'))}</li>" for flag in flags)
    return f'<div lang="en" xml:lang="en"><h3>Quality flags</h3><ul>{rows}</ul></div>'


def _code(language: str) -> str:
    """A language code that is safe inside an attribute."""
    return "".join(c for c in language if c.isascii() and (c.isalnum() or c == "-")) or "und"
