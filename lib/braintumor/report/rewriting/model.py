"""What a language model is here: a name, and a text for messages; and waiting for one that may never answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; `repr` shows no text, so that none reaches a log."""

    role: Literal["system", "user", "assistant"]
    content: str = field(repr=False)


class LanguageModel(Protocol):
    """Anything that answers messages with a text."""

    @property
    def name(self) -> str:
        """For the audit trail; no path, no address."""
        ...

    def complete(self, messages: Sequence[Message], *, max_tokens: int) -> str:
        """The answer, at most `max_tokens` long.

        Raises
        ------
        LanguageModelError
            If there is none: the model is broken, down or too slow. The error never holds text of `messages`.
        """
        ...


def bounded(work: Callable[[], _Result], seconds: float) -> _Result:
    """What `work` returns or raises, if it does so in time.

    It runs in a thread of its own, that is left behind when time is up: a read of a socket or a step of a network cannot be
    broken off from outside. The thread never keeps the process alive.

    Raises
    ------
    TimeoutError
        If it does not end within `seconds`; it is not even begun where there is no time.
    """
    if seconds <= 0:
        raise TimeoutError
    outcome: Future[_Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001  # handed to whoever waits, not swallowed
            outcome.set_exception(error)

    threading.Thread(target=run, name="language-model", daemon=True).start()
    return outcome.result(timeout=seconds)
