"""Asking a model within a deadline, and no longer once it is clear that it does not answer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from braintumor.domain import LanguageModelError
from braintumor.report.rewriting.answers import parse, single
from braintumor.report.rewriting.model import LanguageModel
from braintumor.report.rewriting.prompts import Question, Variant, messages
from braintumor.report.rewriting.waiting import bounded

MAX_FAILURES = 2
"""In a row, after which a model counts as down: every further question would cost its time limit again."""


class Asker:
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
        found = single(answer) if self.variant.bare else parse(answer, len(question.sentences))
        return found, "" if found else "no sentence could be read from the answer"

    def _complete(self, question: Question) -> str:
        asked = messages(self.variant, question)
        try:
            return bounded(
                lambda: self._model.complete(asked, max_tokens=_max_tokens(question.sentences)), self._until - time.monotonic()
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


def _max_tokens(sentences: Sequence[str]) -> int:
    """Plenty for the same sentences again in a script that takes several tokens for a letter, and for JSON around them."""
    return 128 + 3 * sum(map(len, sentences))
