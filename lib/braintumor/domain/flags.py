"""Quality flags: what one is, and the one rule that gathers those of several stages. Which there are: `flag_table`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

Argument = str | int | float | tuple[int, ...]
"""What a message is filled with, as it is kept in files."""


class Severity(StrEnum):
    """How much a flag matters to the reader of the result, the most serious first."""

    SERIOUS = "serious"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Flag:
    """A fact about quality that must reach the reader: manifest, report, panel and FHIR show it.

    Raised by `FlagCode.flag`, never by hand, so that its code and its words exist in every language.

    Attributes
    ----------
    code
        Stable kebab-case name, e.g. ``missing-sequence``.
    severity
        INFO: for the record; WARNING: look; SERIOUS: do not rely on the result without checking.
    message
        Plain English, without patient data.
    arguments
        What the message was filled with, so that it can be said in other languages; None for a flag from a file of
        version 0.1.0, which had the message only.
    """

    code: str
    severity: Severity
    message: str
    arguments: Mapping[str, Argument] | None = field(default=None, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """The flag as JSON holds it."""
        plain: dict[str, Any] = {"code": self.code, "severity": self.severity.value, "message": self.message}
        return plain if self.arguments is None else plain | {"arguments": dict(self.arguments)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The flag of `as_dict`, also where a list became of a tuple, or there are no arguments.

        Raises
        ------
        KeyError, ValueError
            If it is none.
        """
        found = content.get("arguments")
        arguments = None if found is None else {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
        return cls(content["code"], Severity(content["severity"]), content["message"], arguments)


def gather_flags(*stages: Iterable[Flag]) -> tuple[Flag, ...]:
    """The flags of all stages, equal code and message only once, most serious first, otherwise in the order raised.

    Where two stages raise the same flag with different severity the more serious one stays.
    """
    order = list(Severity)
    unique: dict[tuple[str, str], Flag] = {}
    for flag in sorted((flag for stage in stages for flag in stage), key=lambda flag: order.index(flag.severity)):
        unique.setdefault((flag.code, flag.message), flag)
    return tuple(unique.values())
