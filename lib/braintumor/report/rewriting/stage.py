"""A report whose sentences a language model reworded or translated, wherever the verifier found nothing wrong with them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from braintumor.domain import Action, Entry, Line, Report, Section, UnknownLanguageError
from braintumor.report.editing import reworded
from braintumor.report.language import render_statement
from braintumor.report.rewriting.answers import cleaned
from braintumor.report.rewriting.asking import Asker
from braintumor.report.rewriting.candidates import SECTIONS, Candidate, Key, candidates, with_sentences
from braintumor.report.rewriting.judging import AgreesBack, Check, Judge, judge_with
from braintumor.report.rewriting.model import LanguageModel
from braintumor.report.rewriting.prompts import VARIANTS, Question, Task

ENGLISH = "en"
"""Translations start from it and are checked in it."""

_log = logging.getLogger(__name__)


def rewrite(
    report: Report,
    model: LanguageModel,
    *,
    when: datetime,
    languages: Collection[str] | None = None,
    sections: Collection[Section] = SECTIONS,
    attempts: int = 3,
    deadline_s: float = 120.0,
    variant: str = "plain/1",
    translate: bool = True,
    check: Check | None = None,
    agrees_back: AgreesBack | None = None,
) -> Report:
    """The next version of a draft, worded by a model where every check passes and by our templates elsewhere.

    Whatever the model does, the report comes back at most a second after the deadline: a sentence that is refused, missing or
    late keeps the deterministic text. The audit trail gets an entry for every refusal and one for the accepted lines of each
    section and language. A report that holds nothing to reword comes back as it is.

    Parameters
    ----------
    languages
        None: all that the report has.
    sections
        Those in `NEVER` are left out whatever stands here.
    attempts
        For one sentence: the first and the repetitions after a refusal.
    deadline_s
        For everything together.
    variant
        Name of the prompt, see `VARIANTS`.
    translate
        Whether other languages are translated from the accepted English sentence and checked by translating back; otherwise
        their own sentences are reworded.
    check, agrees_back
        The verifier's, unless others are given.

    Raises
    ------
    FinalReportError
        If the report is final.
    UnknownLanguageError
        If it has no text in one of the languages.
    """
    codes = _languages(report, languages)
    for code in codes:
        reworded(report, code, {}, ())  # a final report is told before anything is asked
    how = _How(frozenset(sections), attempts, translate)
    work = _Work(Asker(model, VARIANTS[variant], deadline_s), judge_with(check, agrees_back), how, model.name, when)
    result, english = report, dict[Key, str]()
    for code in codes:
        entries, changed = work.language(report, code, english)
        if entries:
            result = reworded(result, code, changed, entries)
    # one version, however many languages: versions are numbered without gaps
    return report if result is report else replace(result, version=report.version + 1)


def _languages(report: Report, wanted: Collection[str] | None) -> tuple[str, ...]:
    """English first, because the others are translated from what was accepted of it."""
    codes = tuple(report.texts) if wanted is None else tuple(dict.fromkeys(wanted))
    for code in codes:
        if code not in report.texts:
            known = ", ".join(report.texts)
            raise UnknownLanguageError(f"The report does not exist in the language '{code}'", remedy=f"Choose one of {known}")
    return tuple(sorted(codes, key=lambda code: code != ENGLISH))


@dataclass(frozen=True, slots=True)
class _How:
    """What `rewrite` was told, see there."""

    sections: frozenset[Section]
    attempts: int
    translate: bool


class _Work:
    """One call of `rewrite`."""

    def __init__(self, asker: Asker, judge: Judge, how: _How, who: str, when: datetime) -> None:
        self._asker, self._judge, self._how, self._who, self._when = asker, judge, how, who, when
        self._entries: list[Entry] = []

    def language(
        self, report: Report, code: str, english: dict[Key, str]
    ) -> tuple[tuple[Entry, ...], dict[Section, tuple[Line, ...]]]:
        """What happened, and the sections with what was accepted; English sentences are also put into `english`."""
        self._entries = []
        text = report.texts[code]
        given = candidates(report.findings, text, self._how.sections)
        sections: dict[Section, tuple[Line, ...]] = {}
        accepted = 0
        for section, group in groupby(given, key=lambda candidate: candidate.statement.section):
            sentences = self._section(section, tuple(group), code, english)
            sections[section] = with_sentences(text.sections[section], sentences)
            accepted += len(sentences)
        if given and self._asker.given_up:
            self._note(Action.REFUSED, f"{code}: {self._asker.given_up}; all other lines keep the deterministic text")
        _log.info("language model: %d of %d sentences accepted (%s)", accepted, len(given), code)
        return tuple(self._entries), sections

    def _section(self, section: Section, given: tuple[Candidate, ...], code: str, english: dict[Key, str]) -> dict[int, str]:
        """Accepted sentences by position."""
        accepted: dict[int, str] = {}
        size = self._asker.variant.batch
        for start in range(0, len(given), size):
            accepted |= self._batch(given[start : start + size], code, english)
        if code == ENGLISH:
            english |= {candidate.key: accepted[candidate.position] for candidate in given if candidate.position in accepted}
        if accepted:
            done = "translated" if self._task(code) is Task.TRANSLATE else "reworded"
            lines = ", ".join(str(position + 1) for position in accepted)
            self._note(Action.REPHRASED, f"{section.value} ({code}): {done} line {lines}; prompt {self._asker.variant.name}")
        return accepted

    def _batch(self, given: tuple[Candidate, ...], code: str, english: Mapping[Key, str]) -> dict[int, str]:
        """Accepted sentences by position; those that are refused are asked for again, with the reasons."""
        accepted: dict[int, str] = {}
        reasons: dict[int, Sequence[str]] = {}
        # without reasons in the prompt the second answer would be the first
        attempts = 1 if self._asker.variant.bare else self._how.attempts
        for attempt in range(1, attempts + 1):
            question = self._question(given, code, english, reasons)
            found, problem = self._asker.ask(question)
            if self._asker.given_up:
                break
            if problem:
                self._note(Action.REFUSED, f"{_lines(given, code)}, attempt {attempt}: {problem}")
                reasons = dict.fromkeys(range(1, len(given) + 1), (problem,))
                continue
            sentences = {n: cleaned(text, render_statement(given[n - 1].statement, code)) for n, text in found.items()}
            reasons = self._reasons(question, sentences)
            for number, candidate in enumerate(given, start=1):
                if number in reasons:
                    self._note(Action.REFUSED, f"{_lines((candidate,), code)}, attempt {attempt}: {'; '.join(reasons[number])}")
                else:
                    accepted[candidate.position] = sentences[number]
            given = tuple(candidate for number, candidate in enumerate(given, start=1) if number in reasons)
            reasons = dict(enumerate((reasons[number] for number in sorted(reasons)), start=1))
            if not given:
                break
        return dict(sorted(accepted.items()))

    def _task(self, code: str) -> Task:
        return Task.REPHRASE if code == ENGLISH or not self._how.translate else Task.TRANSLATE

    def _question(
        self, given: tuple[Candidate, ...], code: str, english: Mapping[Key, str], refused: Mapping[int, Sequence[str]]
    ) -> Question:
        task, statements = self._task(code), tuple(candidate.statement for candidate in given)
        if task is Task.REPHRASE:
            sentences = tuple(render_statement(statement, code) for statement in statements)
        else:
            sentences = tuple(
                english.get(candidate.key) or render_statement(candidate.statement, ENGLISH) for candidate in given
            )
        return Question(task, code, statements, sentences, refused)

    def _reasons(self, question: Question, sentences: Mapping[int, str]) -> dict[int, Sequence[str]]:
        """Number -> why it is refused; accepted sentences are not in it."""
        reasons: dict[int, Sequence[str]] = {}
        for number, statement in enumerate(question.statements, start=1):
            if not sentences.get(number):
                reasons[number] = ("no usable sentence was given for it",)
            else:
                reasons[number] = self._judge.reasons(sentences[number], statement, question.code)
        passed = {number: sentences[number] for number, found in reasons.items() if not found}
        if question.task is Task.TRANSLATE and passed:
            reasons |= self._reasons_back(question, passed)
        return {number: found for number, found in reasons.items() if found}

    def _reasons_back(self, question: Question, passed: Mapping[int, str]) -> dict[int, Sequence[str]]:
        """Number -> what is wrong with a translation, as its translation back into English shows."""
        statements = tuple(question.statements[number - 1] for number in passed)
        found, _ = self._asker.ask(Question(Task.BACK, question.code, statements, tuple(passed.values())))
        reasons: dict[int, Sequence[str]] = {}
        for place, (number, statement) in enumerate(zip(passed, statements, strict=True), start=1):
            back = cleaned(found.get(place, ""), render_statement(statement, ENGLISH))
            judged = self._judge.reasons_back(back, statement) if back else ("it could not be translated back",)
            reasons[number] = judged
        return reasons

    def _note(self, action: Action, detail: str) -> None:
        self._entries.append(Entry(self._when, action, self._who, detail))


def _lines(given: Sequence[Candidate], code: str) -> str:
    numbers = ", ".join(str(candidate.position + 1) for candidate in given)
    return f"{given[0].statement.section.value} ({code}), line {numbers}"
