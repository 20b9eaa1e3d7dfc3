"""Where a study and its deliveries stand, and which step may follow which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StudyState(StrEnum):
    """A study's way through the node; each step is durable before the next begins."""

    RECEIVED = "received"
    """Instances arrive; more may come."""
    COMPLETE = "complete"
    """Nothing more is expected; waits for a worker."""
    RUNNING = "running"
    """One worker has it."""
    PRODUCED = "produced"
    """Results are on the disk; they wait for their destinations."""
    DELIVERED = "delivered"
    """Every destination has taken the results."""
    ACKNOWLEDGED = "acknowledged"
    """Every destination has confirmed that it keeps them."""
    FAILED = "failed"
    """Stopped with a reason; everything received is kept, and an operator may retry it."""
    IGNORED = "ignored"
    """A rule says that this node has nothing to do with it."""


MAY_FOLLOW: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RECEIVED: frozenset({StudyState.COMPLETE, StudyState.FAILED, StudyState.IGNORED}),
    StudyState.COMPLETE: frozenset({StudyState.RECEIVED, StudyState.RUNNING, StudyState.FAILED}),
    StudyState.RUNNING: frozenset({StudyState.COMPLETE, StudyState.RECEIVED, StudyState.PRODUCED, StudyState.FAILED}),
    StudyState.PRODUCED: frozenset({StudyState.DELIVERED, StudyState.ACKNOWLEDGED, StudyState.FAILED, StudyState.RECEIVED}),
    StudyState.DELIVERED: frozenset({StudyState.ACKNOWLEDGED, StudyState.FAILED, StudyState.RECEIVED}),
    StudyState.ACKNOWLEDGED: frozenset({StudyState.RECEIVED}),
    StudyState.FAILED: frozenset({StudyState.RECEIVED, StudyState.COMPLETE, StudyState.PRODUCED}),
    StudyState.IGNORED: frozenset({StudyState.RECEIVED}),
}
"""State -> states that may come next. Back to RECEIVED: instances came late. FAILED -> COMPLETE or PRODUCED: a retry."""


class DeliveryState(StrEnum):
    """Results of one generation of a study on their way to one destination."""

    PENDING = "pending"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"


class Reason(StrEnum):
    """Why the node itself failed a study; what the pipeline refuses has the codes of `braintumor.domain.errors`."""

    CRASHED = "crashed"
    """The worker died with this study more often than `work.attempts`."""
    TOO_LONG = "too-long"
    """The study took longer than `work.limit_s`."""
    UNEXPECTED = "unexpected"
    """An error nobody foresaw, `work.attempts` times."""
    NOT_DELIVERED = "not-delivered"
    """A destination refused the results, or was down for longer than `deliver.give_up_days`."""
    DATA_MISSING = "data-missing"
    """A file that was received is gone from the disk, or altered."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as the database has it.

    Attributes
    ----------
    pseudonym
        What logs, metrics, file names and pages call it; follows from the Study Instance UID and this node's secret.
    generation
        Counts from 1; a new one begins when instances come after the results were produced.
    revision
        Grows with each instance; a result of an earlier revision is thrown away.
    instances
        How many are kept.
    attempts
        Runs of this generation that ended without an answer.
    created
        ISO 8601 time of the content of the results, set once per generation, so that a repeated run gives equal UIDs.
    results
        Folder of the results below the state folder; empty until PRODUCED.
    reason, detail
        Code and plain words of a failure.
    changed
        ISO 8601 UTC time of the last change of state.
    """

    id: int
    pseudonym: str
    study_uid: str
    state: StudyState
    generation: int
    revision: int
    instances: int
    attempts: int
    calling: str
    created: str
    results: str
    reason: str
    detail: str
    first_received: str
    changed: str
    owner: str
    heartbeat: int


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """Results of one generation of a study and one destination."""

    id: int
    study_id: int
    pseudonym: str
    study_uid: str
    generation: int
    destination: str
    state: DeliveryState
    attempts: int
    reason: str
    results: str
    since: str
