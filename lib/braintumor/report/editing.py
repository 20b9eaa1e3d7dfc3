"""From draft to final: each step makes a new version, says who did what, and never touches a final one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from braintumor.domain import Action, Entry, FinalReportError, Line, Origin, Report, Section, Status, UnknownLanguageError

MAX_LINE = 2000
"""Characters of one line; a paragraph has some hundred."""


def edited(report: Report, language: str, section: Section, texts: Sequence[str], *, who: str, when: datetime) -> Report:
    """The next version of a draft, with a section's lines as a person wrote them.

    Lines that were left as they are keep their source and origin; changed and new ones are the person's. The audit trail gets
    one entry per changed line, with the words before and after.

    Raises
    ------
    FinalReportError
        If the report is final: amend it instead.
    UnknownLanguageError
        If it has no text in this language.
    """
    _check_draft(report)
    if language not in report.texts:
        known = ", ".join(report.texts)
        raise UnknownLanguageError(f"The report does not exist in the language '{language}'", remedy=f"Choose one of {known}")
    before = report.texts[language].sections.get(section, ())
    after = tuple(_line(text, before, number) for number, text in enumerate(_cleaned(texts)))
    changes = tuple(Entry(when, Action.EDITED, who, words) for words in _changes(language, section, before, after))
    if not changes:
        return report
    sections = {**report.texts[language].sections, section: after}
    return _with_texts(report, language, sections, changes)


def reworded(report: Report, language: str, sections: Mapping[Section, tuple[Line, ...]], entries: Sequence[Entry]) -> Report:
    """The next version of a draft with sections as a language model worded them, and what was refused of it.

    Raises
    ------
    FinalReportError
        If the report is final.
    """
    _check_draft(report)
    return _with_texts(report, language, {**report.texts[language].sections, **sections}, tuple(entries))


def approved(report: Report, *, who: str, when: datetime) -> Report:
    """The final version of a draft.

    Raises
    ------
    FinalReportError
        If it is final already.
    """
    _check_draft(report)
    entry = Entry(when, Action.APPROVED, who, f"version {report.version} read and approved")
    return replace(report, version=report.version + 1, status=Status.FINAL, audit=(*report.audit, entry))


def amended(report: Report, *, who: str, when: datetime, reason: str) -> Report:
    """A new draft that starts from a final version; the final one stays as it is.

    Raises
    ------
    FinalReportError
        If the report is a draft: edit it instead.
    """
    if report.status is not Status.FINAL:
        raise FinalReportError("The report is a draft and needs no amendment", remedy="Edit it")
    entry = Entry(when, Action.AMENDED, who, f"of version {report.version}: {reason}")
    return replace(report, version=report.version + 1, status=Status.DRAFT, audit=(*report.audit, entry))


def remade(report: Report, fresh: Report) -> Report:
    """The next version from new facts (another mask, a prior that came): a draft in our words, whatever the one before was.

    Parameters
    ----------
    fresh
        A first version made of the new facts.
    """
    words = f"from new facts; version {report.version} was of earlier ones"
    entry = Entry(fresh.provenance.created, Action.MADE, fresh.audit[0].who, words)
    return replace(fresh, uid=report.uid, version=report.version + 1, audit=(*report.audit, entry))


def edited_alone(report: Report) -> dict[Section, tuple[str, ...]]:
    """Sections that people changed in some languages only, with those languages: the others may say something else."""
    found = {}
    for section in Section:
        by_hand = tuple(
            code
            for code, text in report.texts.items()
            if any(line.origin is Origin.PERSON for line in text.sections.get(section, ()))
        )
        if by_hand and len(by_hand) < len(report.texts):
            found[section] = by_hand
    return found


def _check_draft(report: Report) -> None:
    if report.status is Status.FINAL:
        raise FinalReportError(
            f"Version {report.version} of the report is final and cannot be changed",
            remedy="Amend it: that makes a new version",
        )


def _with_texts(
    report: Report, language: str, sections: Mapping[Section, tuple[Line, ...]], entries: tuple[Entry, ...]
) -> Report:
    texts = {**report.texts, language: replace(report.texts[language], sections=sections)}
    return replace(report, version=report.version + 1, texts=texts, audit=(*report.audit, *entries))


def _cleaned(texts: Sequence[str]) -> list[str]:
    """One line each, without control characters and empty ones."""
    lines = ["".join(c if c.isprintable() else " " for c in text).strip()[:MAX_LINE] for text in texts]
    return [line for line in lines if line]


def _line(text: str, before: Sequence[Line], number: int) -> Line:
    same = next((line for line in before if line.text == text), None)
    if same is not None:
        return same
    changed = before[number] if number < len(before) else None
    if changed is None:
        return Line(text, origin=Origin.PERSON)
    return Line(text, changed.source, changed.message, Origin.PERSON)


def _changes(language: str, section: Section, before: Sequence[Line], after: Sequence[Line]) -> list[str]:
    gone = [line.text for line in before if line.text not in {other.text for other in after}]
    new = [line.text for line in after if line.text not in {other.text for other in before}]
    where = f"{section.value} ({language})"
    said = [f"{where}: “{old}” became “{words}”" for old, words in zip(gone, new, strict=False)]
    said += [f"{where}: “{old}” removed" for old in gone[len(new) :]]
    said += [f"{where}: “{words}” added" for words in new[len(gone) :]]
    if not said and [line.text for line in before] != [line.text for line in after]:
        said = [f"{where}: order changed"]
    return said
