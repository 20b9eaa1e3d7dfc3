"""The verifier's verdict on sentences; whatever goes wrong while judging is a refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from braintumor.report.statements import Statement

_MAX_REASON = 160


class ProblemLike(Protocol):
    """What a verifier finds wrong: a kind, and plain words."""

    @property
    def kind(self) -> str:
        """Machine-readable."""
        ...

    @property
    def detail(self) -> str:
        """For people."""
        ...


Check = Callable[[str, Statement, str], Sequence[ProblemLike]]
"""What is wrong with a sentence that is to say a statement in a language; empty if nothing is."""

AgreesBack = Callable[[str, Statement], Sequence[ProblemLike]]
"""What is wrong with a translation, judged by its translation back into English; empty if nothing is."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Both checks, as reasons in plain words."""

    check: Check
    agrees_back: AgreesBack

    def reasons(self, text: str, statement: Statement, code: str) -> tuple[str, ...]:
        """Why a sentence is refused; empty if it is accepted."""
        return _reasons(lambda: self.check(text, statement, code))

    def reasons_back(self, back: str, statement: Statement) -> tuple[str, ...]:
        """Why a translation is refused for what comes back; empty if it is accepted."""
        return tuple(f"translated back: {reason}" for reason in _reasons(lambda: self.agrees_back(back, statement)))


def judge_with(check: Check | None, agrees_back: AgreesBack | None) -> Judge:
    """A judge of the given checks; the verifier's own where None is given."""
    if check is None or agrees_back is None:
        from braintumor.report import verify  # late: only who asks a model needs it

        check, agrees_back = check or verify.check, agrees_back or verify.agrees_back
    return Judge(check, agrees_back)


def _reasons(judged: Callable[[], Sequence[ProblemLike]]) -> tuple[str, ...]:
    try:
        return tuple(_words(problem) for problem in judged())
    except Exception as error:  # noqa: BLE001  # a sentence on which the verifier fails was not verified
        return (f"the verifier failed on it ({type(error).__name__})",)


def _words(problem: ProblemLike) -> str:
    """One line; the detail may repeat words of the model."""
    text = "".join(c if c.isprintable() else " " for c in f"{problem.kind}: {problem.detail}")
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"
