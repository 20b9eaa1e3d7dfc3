"""What all doors do with an instance: keep it durably, tell of it, and say in one word what became of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from braintumor.domain import DuplicateInstanceError, OutputError
from braintumor.node.spool import Announced, Arrival, IngestOutcome, Refusal, RefusalError, Spool

log = logging.getLogger("braintumor.node.receive")

Count = Callable[[str], None]
"""Told `IngestOutcome` or, of what is refused, `Refusal`, as a code."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Outcome, SOP Class and Instance UID where they could be read, and the reason if it is refused."""

    outcome: IngestOutcome
    identity: tuple[str, str] | None = None
    reason: Refusal | None = None


class Intake:
    """The one way into the spool. Safe to use from several threads at once.

    Parameters
    ----------
    on_kept
        Told of each instance after it is durable and before its sender is answered; must neither block nor fail.
    """

    def __init__(self, spool: Spool, on_kept: Callable[[Arrival], None], count: Count = lambda code: None) -> None:
        self.spool, self._on_kept, self._count = spool, on_kept, count

    def take(self, content: bytes, calling: str, announced: Announced | None = None) -> IngestResult:
        """Keep one DICOM file, see `Spool.keep`; never raises."""
        try:
            taken = self._take(content, calling, announced)
        except Exception as error:  # a sender must be answered, whatever it sent
            log.exception("intake-failed", extra={"facts": {"calling": calling, "error": type(error).__name__}})
            taken = IngestResult(IngestOutcome.FAILED)
        self._count(taken.reason or taken.outcome)
        return taken

    def refuse(self, reason: Refusal, calling: str) -> IngestResult:
        """Log and count an instance that is not even looked at."""
        taken = self._refused(reason, calling)
        self._count(reason)
        return taken

    def _take(self, content: bytes, calling: str, announced: Announced | None) -> IngestResult:
        try:
            outcome, arrival = self.spool.keep(content, calling, announced)
        except RefusalError as error:
            return self._refused(error.reason, calling, error.identity)
        except DuplicateInstanceError:
            found = self.spool.read(content, calling)
            facts = {"calling": calling, "study": self.spool.pseudonym(found.study_uid)}
            log.warning("conflict", extra={"facts": facts})
            return IngestResult(IngestOutcome.CONFLICT, (found.class_uid, found.sop_uid))
        except OutputError:
            found = self.spool.read(content, calling)
            log.error("out-of-space", extra={"facts": {"calling": calling, "free_bytes": self.spool.free_bytes}})
            return IngestResult(IngestOutcome.NO_SPACE, (found.class_uid, found.sop_uid))
        self._on_kept(arrival)
        return IngestResult(outcome, (arrival.class_uid, arrival.sop_uid))

    def _refused(self, reason: Refusal, calling: str, identity: tuple[str, str] | None = None) -> IngestResult:
        log.warning("instance-refused", extra={"facts": {"calling": calling, "reason": reason.value}})
        return IngestResult(IngestOutcome.REFUSED, identity, reason)


_STATUS: Mapping[IngestOutcome | Refusal, int] = {
    IngestOutcome.NEW: 0x0000,
    IngestOutcome.SAME: 0x0000,
    IngestOutcome.CONFLICT: 0xC111,
    IngestOutcome.NO_SPACE: 0xA700,
    IngestOutcome.FAILED: 0xC211,
    Refusal.UNREADABLE: 0xC000,
    Refusal.INCOMPLETE: 0xC001,
    Refusal.NO_UID: 0xC002,
    Refusal.NOT_MR: 0x0122,
    Refusal.MISMATCH: 0xA900,
    Refusal.TOO_LARGE: 0xA700,
}


def status_of(taken: IngestResult) -> int:
    """Status of a C-STORE response (PS3.4 table B.2-1) and Failure Reason of STOW-RS (PS3.18 table I.2-2).

    A conflict is C111 (cannot understand) because 0111 (duplicate SOP instance) is a status of neither.
    """
    return _STATUS[taken.reason or taken.outcome]
