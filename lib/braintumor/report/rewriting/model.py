"""What a language model is here: a name, and a text for messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


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
