"""Who still lives of those that have a study: a heartbeat that stands still is a worker that is gone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from braintumor.node.ledger import Ledger
from braintumor.node.settings import Work
from braintumor.node.states import StudyRecord

log = logging.getLogger("braintumor.node.leases")


class Leases:
    """Takes studies from workers that are gone.

    Only whether a counter changed is looked at, by this process's own monotonic clock: neither the clocks of several hosts nor
    a clock that jumps can take a study from a worker that lives.
    """

    def __init__(self, ledger: Ledger, work: Work, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._work, self._clock = ledger, work, clock
        self._seen: dict[int, tuple[str, int, float]] = {}

    def tick(self) -> int:
        """Look at every running study; returns how many were taken back."""
        taken = 0
        seen: dict[int, tuple[str, int, float]] = {}
        for study in self._ledger.running():
            owner, beat, since = self._seen.get(study.id, ("", -1, 0.0))
            if (owner, beat) != (study.owner, study.heartbeat):
                seen[study.id] = (study.owner, study.heartbeat, self._clock())
            elif self._clock() - since >= self._work.lease_s:
                taken += self._take(study)
            else:
                seen[study.id] = (owner, beat, since)
        self._seen = seen
        return taken

    @property
    def watching(self) -> bool:
        """Whether a worker had a study at the last look."""
        return bool(self._seen)

    def owner_lost(self, owner: str) -> None:
        """A worker process is known to have ended: what it had need not wait."""
        for study in self._ledger.running():
            if study.owner == owner:
                self._take(study)

    def _take(self, study: StudyRecord) -> bool:
        if not self._ledger.lost(study, self._work.attempts):
            return False
        log.warning("worker-lost", extra={"facts": {"study": study.pseudonym, "attempts": study.attempts + 1}})
        return True
