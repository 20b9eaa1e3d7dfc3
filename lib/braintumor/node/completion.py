"""Which series of a study count, and when it is complete: quiet for long, as many as agreed, or its sender said so."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from braintumor.node.ledger import Ledger, ReceivedSeries
from braintumor.node.settings import NodeSettings, Rule
from braintumor.node.states import StudyState


class Completion:
    """Watches studies that still receive.

    The time since the last instance is measured by this process's own monotonic clock, so a wall clock that jumps neither
    completes a study early nor keeps it for ever. After a start every such study is given the whole quiet time again.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._ledger, self._clock = settings, ledger, clock
        self._last: dict[str, float] = {}
        self._signalled: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to wait for the studies that are receiving already."""
        for study in self._ledger.in_state(StudyState.RECEIVED):
            self.touch(study.pseudonym)

    def touch(self, pseudonym: str) -> None:
        """An instance of the study has come."""
        with self._lock:
            self._last[pseudonym] = self._clock()

    def signal(self, pseudonym: str) -> None:
        """The sender says that the study is complete (a Storage Commitment request)."""
        with self._lock:
            self._last.setdefault(pseudonym, self._clock())
            self._signalled.add(pseudonym)

    def tick(self) -> int:
        """Complete what is to be completed; returns how many studies."""
        agreed = self._settings.complete.instances
        with self._lock:
            now = self._clock()
            quiet = {p for p, last in self._last.items() if now - last >= self._settings.complete.quiet_s}
            look = list(self._last) if agreed is not None else [p for p in self._last if p in quiet | self._signalled]
            signalled = frozenset(self._signalled)
        return sum(self._look(pseudonym, pseudonym in quiet | signalled, agreed) for pseudonym in look)

    def _look(self, pseudonym: str, due: bool, agreed: int | None) -> bool:
        study = self._ledger.find(pseudonym)
        if study is None:
            return False  # its sender was faster than the registrar
        if study.state == StudyState.RECEIVED:
            if not due and (agreed is None or study.instances < agreed):
                return False
            used = used_series(self._ledger.series(study.id), self._settings.rules)
            if not (self._ledger.complete(study) if used else self._ledger.ignore(study)):
                return False  # an instance came at this very moment: it is looked at again
        with self._lock:
            self._last.pop(pseudonym, None)
            self._signalled.discard(pseudonym)
        return True


def used_series(series: Iterable[ReceivedSeries], rules: Sequence[Rule]) -> list[ReceivedSeries]:
    """The series whose first fitting rule says ``process``; one that no rule fits is ignored."""
    return [one for one in series if _action(one, rules) == "process"]


def _action(series: ReceivedSeries, rules: Sequence[Rule]) -> str:
    for rule in rules:
        if (
            rule.modality in ("", series.modality)
            and rule.calling in ("", series.calling)
            and re.search(rule.description, series.description, re.IGNORECASE)
        ):
            return rule.action
    return "ignore"
