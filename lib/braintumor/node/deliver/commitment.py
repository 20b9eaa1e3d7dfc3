"""Storage Commitment answers (PS3.4 annex J): they come on any association, and find the request they belong to here."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt

_MOST = 10_000
"""Requests that are remembered; the oldest are forgotten, and asked again."""

_TAKEN = 0x0000
_UNKNOWN = 0x0115  # PS3.7 C.4.1.1: invalid argument value


@dataclass
class _Request:
    waiting: set[str]
    failed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a request: the instances that nothing was said of, and those that are not kept."""

    waiting: frozenset[str]
    failed: frozenset[str]


class CommitmentInbox:
    """Requests of this node that wait for an N-EVENT-REPORT. Safe for threads.

    An answer comes on the association that asked or, from most archives, on one that the archive opens: the node's DICOM
    service hands those over by binding `handle_event_report` to ``evt.EVT_N_EVENT_REPORT``. Only an answer with a Transaction
    UID that was given out here counts, and it cannot be guessed.

    Parameters
    ----------
    on_report
        Called after each answer, in the thread that received it; wakes whoever waits with deliveries.
    """

    def __init__(self, on_report: Callable[[], None] = lambda: None) -> None:
        self._on_report = on_report
        self._requests: OrderedDict[str, _Request] = OrderedDict()
        self._changed = threading.Condition()

    def on_report(self, call: Callable[[], None]) -> None:
        """Set what is called after each answer."""
        self._on_report = call

    def expect(self, sop_uids: Iterable[str]) -> str:
        """A new Transaction UID for a request about these instances."""
        transaction = str(generate_uid(prefix=None))
        with self._changed:
            self._requests[transaction] = _Request(set(sop_uids))
            while len(self._requests) > _MOST:
                self._requests.popitem(last=False)
        return transaction

    def answer(self, transaction_uid: str) -> Answer | None:
        """What came for a request; None if it is not known, any more."""
        with self._changed:
            found = self._requests.get(transaction_uid)
            return None if found is None else Answer(frozenset(found.waiting), frozenset(found.failed))

    def wait(self, transaction_uid: str, timeout_s: float) -> bool:
        """Wait until a request is answered; False if it is not within the time."""

        def answered() -> bool:
            found = self._requests.get(transaction_uid)
            return found is None or not found.waiting

        with self._changed:
            return self._changed.wait_for(answered, timeout_s)

    def forget(self, transaction_uid: str) -> None:
        """Expect no more answers to a request."""
        with self._changed:
            self._requests.pop(transaction_uid, None)

    def report(self, transaction_uid: str, ok_uids: Iterable[str], failed_uids: Iterable[str]) -> bool:
        """Take an answer; False if nobody waits for it. Instances that were not asked for are left out."""
        with self._changed:
            found = self._requests.get(transaction_uid)
            if found is None:
                return False
            failed = found.waiting.intersection(failed_uids)
            found.failed |= failed
            found.waiting -= failed.union(ok_uids)
            self._changed.notify_all()
        self._on_report()
        return True

    def handle_event_report(self, event: evt.Event) -> tuple[int, Dataset | None]:
        """Handler for ``evt.EVT_N_EVENT_REPORT``: the status of the N-EVENT-REPORT response (PS3.4 J.3.3), and no data set."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                information = event.event_information
                transaction = str(information.TransactionUID)
                ok, failed = (_uids(information.get(name)) for name in ("ReferencedSOPSequence", "FailedSOPSequence"))
        except Exception:  # noqa: BLE001  # a peer's data set fails in any way, and a handler that raises ends the association
            return _UNKNOWN, None
        return (_TAKEN if self.report(transaction, ok, failed) else _UNKNOWN), None


def _uids(sequence: Iterable[Dataset] | None) -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in sequence or ()]
