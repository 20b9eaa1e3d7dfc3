"""One destination's thread: send, have it confirmed, and wait where that fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from braintumor.domain import DatabaseError
from braintumor.node import settings
from braintumor.node.deliver.faults import Fault, OutletError
from braintumor.node.deliver.ledger import DeliveryLedger
from braintumor.node.deliver.memory import DestinationStatus, RetryState, Tries
from braintumor.node.deliver.outlet import DeliveryConfirmation, Destination
from braintumor.node.deliver.parcel import Delivery, files_of
from braintumor.node.states import DeliveryRecord, DeliveryState

_BATCH = 20
"""So many deliveries are made before the ledger is asked again: what was replaced meanwhile is not sent."""
_MISSING = 3
"""What a destination was asked for so often and does not have is sent again."""
_GRACE_S = 3600.0
"""Nothing is given up for its age before it was tried for so long: node and archive may start together after days."""
_DATABASE_S = 2.0
_DAY_S = 86400.0

_log = logging.getLogger("braintumor.node.deliver")


@dataclass(frozen=True, slots=True)
class Tools:
    """What all destinations share, see `Deliverer`."""

    ledger: DeliveryLedger
    options: settings.Deliver
    state: Path
    poll_s: float
    count: Callable[[str, str], None]
    observe: Callable[[str, float], None]
    clock: Callable[[], float]
    now: Callable[[], datetime]


class DestinationWorker:
    """The way to one destination."""

    def __init__(self, destination: settings.DestinationSettings, outlet: Destination, tools: Tools) -> None:
        self.name = destination.name
        self.status = DestinationStatus()
        self._destination, self._outlet, self._tools = destination, outlet, tools
        self._memory = RetryState(tools.options)
        self._asked, self._stopping = threading.Event(), threading.Event()

    def wake(self) -> None:
        """Look at once, see `Deliverer.wake`."""
        self._asked.set()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopping.set()
        self._asked.set()

    def abandon(self) -> None:
        """Cut off a transfer that does not end."""
        self._outlet.abandon()

    def run(self) -> None:
        """Deliver until `stop`."""
        while not self._stopping.is_set():
            try:
                wait = self._pass()
            except DatabaseError:
                wait = _DATABASE_S  # what was sent is remembered; the database learns of it when it is back
            except Exception as error:  # noqa: BLE001  # a fault of ours must not end deliveries for good
                self._say("delivery-failed", code=Fault.UNEXPECTED.value, error=type(error).__name__)
                wait = self._memory.pause(1)
            self._asked.wait(wait)
            if self._asked.is_set():
                self._asked.clear()
                self._memory.look_again()

    def _pass(self) -> float:
        """Try what may be tried; seconds until more may be."""
        clock = self._tools.clock
        if self._memory.not_before > clock():
            return self._memory.wait_s((), clock(), self._tools.poll_s)
        limit = _BATCH + self._memory.held_back(clock())  # so that those which wait for their next try hide no others
        due = self._tools.ledger.due(self.name, limit)
        if len(due) < limit:
            self._memory.keep(due)
        for delivery in self._memory.ready(due, clock())[:_BATCH]:
            if self._stopping.is_set() or self._memory.not_before > clock():
                break
            self._try(delivery)
        return self._memory.wait_s(due, clock(), self._tools.poll_s)

    def _try(self, delivery: DeliveryRecord) -> None:
        tries = self._memory.of(delivery)
        try:
            self._advance(delivery, tries)
        except DatabaseError:
            raise
        except OutletError as error:
            self._failed(delivery, tries, error)
        except Exception as error:  # noqa: BLE001  # one study's strange files must not hold up the others
            problem = f"A delivery ended with {type(error).__name__}"
            self._failed(delivery, tries, OutletError(Fault.UNEXPECTED, problem, remedy="Report this"))

    def _advance(self, delivery: DeliveryRecord, tries: Tries) -> None:
        results = self._tools.state / delivery.results
        items = files_of(results, self._destination.send, self._destination.kind)
        parcel = Delivery(delivery.pseudonym, delivery.generation, items)
        pending = delivery.state is DeliveryState.PENDING
        if (pending and not tries.sent) or tries.again:
            self._send(parcel, tries)
        if pending:
            self._tools.ledger.delivered(delivery)
        answer = self._outlet.confirm(parcel)
        if answer is DeliveryConfirmation.KEPT:
            settled = self._tools.ledger.acknowledged(delivery)
            self._memory.forget(delivery)
            self._well()
            if settled:
                self._tools.count(self.name, "acknowledged")
                self._say("acknowledged", study=delivery.pseudonym)
        else:
            self._unconfirmed(delivery, tries, answer)

    def _send(self, parcel: Delivery, tries: Tries) -> None:
        started = self._tools.clock()
        self._outlet.send(parcel)
        seconds = self._tools.clock() - started
        tries.sent, tries.again, tries.missing = True, False, 0
        self._well()
        self._tools.count(self.name, "delivered")
        self._tools.observe(self.name, seconds)
        self._say("delivered", study=parcel.pseudonym, files=len(parcel.items), seconds=round(seconds, 3))

    def _unconfirmed(self, delivery: DeliveryRecord, tries: Tries, answer: DeliveryConfirmation) -> None:
        """It is asked again later; what it does not have after several questions is lost."""
        tries.missing += answer is DeliveryConfirmation.MISSING
        if tries.missing >= _MISSING:
            raise OutletError(Fault.NOT_KEPT, "The destination does not have what it took", remedy="It is sent again")
        if self._too_old(delivery, tries):
            raise OutletError(
                Fault.NOT_CONFIRMED, "The destination never confirmed", remedy="Look whether it keeps the results"
            )
        self._postpone(tries)
        tries.unconfirmed = answer is DeliveryConfirmation.WAITING

    def _failed(self, delivery: DeliveryRecord, tries: Tries, error: OutletError) -> None:
        fault = error.fault.value
        self.status = replace(self.status, last_failure=self._tools.now(), fault=fault, down=error.down)
        self._tools.count(self.name, "failed")
        tries.unconfirmed = False
        if error.fault is Fault.NOT_KEPT:
            tries.again = True
        if error.permanent or self._too_old(delivery, tries):
            self._tools.ledger.delivery_given_up(delivery, fault)
            self._memory.forget(delivery)
            self._say("delivery-given-up", study=delivery.pseudonym, code=fault, status=error.status)
            return
        wait = self._postpone(tries)
        if error.down:
            wait = self._memory.close(self._tools.clock())
        self._tools.ledger.delivery_failed_once(delivery, fault)
        self._say("delivery-failed", study=delivery.pseudonym, code=fault, status=error.status, wait_s=round(wait, 1))

    def _postpone(self, tries: Tries) -> float:
        now = self._tools.clock()
        tries.first_failure = now if tries.first_failure is None else tries.first_failure
        tries.failures += 1
        wait = self._memory.pause(tries.failures)
        tries.not_before = now + wait
        return wait

    def _too_old(self, delivery: DeliveryRecord, tries: Tries) -> bool:
        limit = self._tools.options.give_up_days * _DAY_S
        if tries.first_failure is None or self._tools.clock() - tries.first_failure < min(limit, _GRACE_S):
            return False
        since = datetime.fromisoformat(delivery.since)
        since = since if since.tzinfo is not None else since.replace(tzinfo=UTC)
        return (self._tools.now() - since).total_seconds() > limit

    def _well(self) -> None:
        self._memory.open()
        self.status = DestinationStatus(last_success=self._tools.now(), last_failure=self.status.last_failure)

    def _say(self, event: str, **facts: object) -> None:
        given = {name: value for name, value in facts.items() if value != ""}
        _log.info(event, extra={"facts": {"destination": self.name, **given}})
