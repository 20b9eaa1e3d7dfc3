"""A report whose sentences a language model reworded, wherever it left the facts in their places."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby

from braintumor.domain import Action, Entry, LanguageModelError, Line, Origin, Report, Section, UnknownLanguageError
from braintumor.report.editing import reworded
from braintumor.report.rewriting.answers import parse, single
from braintumor.report.rewriting.candidates import NEVER, SECTIONS, Candidate, candidates
from braintumor.report.rewriting.locks import cleaned, problems
from braintumor.report.rewriting.model import LanguageModel, bounded
from braintumor.report.rewriting.prompts import VARIANTS, Question, Variant, messages

_MAX_REASONS = 3
MAX_FAILURES = 2
"""In a row, after which a model counts as down: every further question would cost its time limit again."""
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
    variant: str = "plain/2",
) -> Report:
    """The next version of a draft, worded by a model where it kept every fact in its place and by our templates elsewhere.

    Every language is reworded from its own deterministic sentences; nothing is translated. Whatever the model does, the report
    comes back at most a second after the deadline: a sentence that is refused, missing or late keeps the deterministic text.
    The audit trail gets an entry for every refusal and one for the accepted lines of each section and language. A report that
    holds nothing to reword comes back as it is.

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

    Raises
    ------
    FinalReportError
        If the report is final.
    UnknownLanguageError
        If it has no text in one of the languages.
    """
    codes = tuple(report.texts) if languages is None else tuple(dict.fromkeys(languages))
    for code in codes:
        if code not in report.texts:
            known = ", ".join(report.texts)
            raise UnknownLanguageError(f"The report does not exist in the language '{code}'", remedy=f"Choose one of {known}")
        reworded(report, code, {}, ())  # a final report is refused before anything is asked
    work = _Work(_Asker(model, VARIANTS[variant], deadline_s), attempts, model.name, when)
    result = report
    for code in codes:
        entries, changed = work.language(report, code, frozenset(sections) - frozenset(NEVER))
        if entries:
            result = reworded(result, code, changed, entries)
    # one version, however many languages: versions are numbered without gaps
    return report if result is report else replace(result, version=report.version + 1)


@dataclass
class _Work:
    """One call of `rewrite`."""

    asker: _Asker
    attempts: int
    who: str
    when: datetime
    entries: list[Entry] = field(default_factory=list)

    def language(
        self, report: Report, code: str, wanted: Collection[Section]
    ) -> tuple[tuple[Entry, ...], dict[Section, tuple[Line, ...]]]:
        """What happened, and the sections with what was accepted."""
        self.entries = []
        text = report.texts[code]
        given = candidates(report.findings, text, wanted)
        sections: dict[Section, tuple[Line, ...]] = {}
        accepted = 0
        for section, group in groupby(given, key=lambda candidate: candidate.statement.section):
            sentences = self._section(section, tuple(group), code)
            sections[section] = tuple(
                Line(sentences[n], line.source, line.message, Origin.MODEL) if n in sentences else line
                for n, line in enumerate(text.sections[section])
            )
            accepted += len(sentences)
        if given and self.asker.given_up:
            self._note(Action.REFUSED, f"{code}: {self.asker.given_up}; all other lines keep the deterministic text")
        _log.info("language model: %d of %d sentences accepted (%s)", accepted, len(given), code)
        return tuple(self.entries), sections

    def _section(self, section: Section, given: tuple[Candidate, ...], code: str) -> dict[int, str]:
        """Accepted sentences by position."""
        accepted: dict[int, str] = {}
        size = self.asker.variant.batch
        for start in range(0, len(given), size):
            accepted |= self._batch(given[start : start + size], code)
        if accepted:
            lines = ", ".join(str(position + 1) for position in accepted)
            self._note(Action.REPHRASED, f"{section.value} ({code}): reworded line {lines}; prompt {self.asker.variant.name}")
        return accepted

    def _batch(self, given: tuple[Candidate, ...], code: str) -> dict[int, str]:
        """Accepted sentences by position; those that are refused are asked for again, with the reasons."""
        accepted: dict[int, str] = {}
        refused: Mapping[int, Sequence[str]] = {}
        # without reasons in the prompt the second answer would be the first
        for attempt in range(1, 2 if self.asker.variant.bare else self.attempts + 1):
            found, problem = self.asker.ask(Question(code, given, refused))
            if self.asker.given_up:
                break
            if problem:
                self._note(Action.REFUSED, f"{_lines(given, code)}, attempt {attempt}: {problem}")
            again: list[tuple[Candidate, Sequence[str]]] = []
            for number, candidate in enumerate(given, start=1):
                said = cleaned(found.get(number, ""), candidate.template)
                reasons = (
                    problems(said, candidate.template)[:_MAX_REASONS] if said else ("no usable sentence was given for it",)
                )
                if not reasons:
                    accepted[candidate.position] = candidate.template.filled(said)
                    continue
                again.append((candidate, (problem,) if problem else reasons))
                if not problem:
                    self._note(Action.REFUSED, f"{_lines((candidate,), code)}, attempt {attempt}: {'; '.join(reasons)}")
            given, refused = tuple(c for c, _ in again), {n: reasons for n, (_, reasons) in enumerate(again, start=1)}
            if not given:
                break
        return dict(sorted(accepted.items()))

    def _note(self, action: Action, detail: str) -> None:
        self.entries.append(Entry(self.when, action, self.who, detail))


def _lines(given: Sequence[Candidate], code: str) -> str:
    numbers = ", ".join(str(candidate.position + 1) for candidate in given)
    return f"{given[0].statement.section.value} ({code}), line {numbers}"


class _Asker:
    """A model, the variant in which it is asked, and the time that is left."""

    def __init__(self, model: LanguageModel, variant: Variant, deadline_s: float) -> None:
        self.variant = variant
        self._model, self._deadline_s, self._until = model, deadline_s, time.monotonic() + deadline_s
        self._failures = 0
        self.given_up = ""
        """Why no further question is asked; '' while there may be."""

    def ask(self, question: Question) -> tuple[dict[int, str], str]:
        """Sentences by number, and why there are none where there are none."""
        if self._until <= time.monotonic():
            self._give_up_for_time()
        if self.given_up:
            return {}, self.given_up
        try:
            answer = self._complete(question)
        except LanguageModelError as error:
            return {}, self._failed(error.problem)
        self._failures = 0
        found = single(answer) if self.variant.bare else parse(answer, len(question.candidates))
        return found, "" if found else "no sentence could be read from the answer"

    def _complete(self, question: Question) -> str:
        asked = messages(self.variant, question)
        try:
            return bounded(
                lambda: self._model.complete(asked, max_tokens=_max_tokens(question)), self._until - time.monotonic()
            )
        except TimeoutError:
            self._give_up_for_time()
            raise LanguageModelError(self.given_up, remedy="Allow more time") from None
        except LanguageModelError:
            raise
        except Exception as error:  # noqa: BLE001  # a model never makes a report fail
            raise LanguageModelError(f"The language model failed ({type(error).__name__})", remedy="Use another") from None

    def _failed(self, problem: str) -> str:
        self._failures += 1
        if self._failures >= MAX_FAILURES and not self.given_up:
            self.given_up = problem
        return problem

    def _give_up_for_time(self) -> None:
        self.given_up = self.given_up or f"The {self._deadline_s:g} s for the language model are over"


def _max_tokens(question: Question) -> int:
    """Plenty for the same sentences again in a script that takes several tokens for a letter, and for JSON around them."""
    return 128 + 4 * sum(len(candidate.template.text) for candidate in question.candidates)
