"""How a long piece of work says how far it is: one type for each way of counting, and one default that says nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

Progress = Callable[[str, float], None]
"""Called with the name of a step and the share of it that is done, 0..1."""

ShareProgress = Callable[[float], None]
"""Called with the share of a single step that is done, 0..1."""

CaseProgress = Callable[[str, int, int], None]
"""Called before each case with its name, how many are done, and how many there are."""

TrainingProgress = Callable[[dict[str, Any]], None]
"""Called every so many steps with what a training run knows then: step, loss, learning rate, steps per second."""


def silent(*_: object) -> None:
    """Say nothing; fits every type of this module."""


class JobState(StrEnum):
    """How far a job is."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)
