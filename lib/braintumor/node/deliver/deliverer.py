"""Brings what was produced to every destination, each in a thread of its own, again and again until it is confirmed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from braintumor.node import settings
from braintumor.node.deliver.lane import DestinationWorker, Tools
from braintumor.node.deliver.ledger import DeliveryLedger
from braintumor.node.deliver.memory import DestinationStatus
from braintumor.node.deliver.outlet import Destination
from braintumor.node.spool import Spool


class Deliverer:
    """All destinations of a node. One that is down holds up no other.

    A destination that does not answer is left alone for a time that doubles, and so is a delivery that fails where others do
    not; results that are refused, or that could not be delivered for `settings.Deliver.give_up_days`, are given up. A node that
    was switched off gives nothing up before it has tried for an hour itself. What was sent may be sent again after a crash:
    the UIDs of results follow from their content, so there is one copy at the destination.

    Parameters
    ----------
    destinations
        Settings of each destination and its outlet (`open_destination`).
    poll_s
        The ledger is asked so often without `wake`: other nodes may produce results, too.
    count, observe
        Called with the destination and the outcome (``delivered``, ``acknowledged``, ``failed``), and with the
        destination and the seconds of one transfer.
    clock, now
        Monotonic seconds; UTC time, for nothing but the age of a delivery and what people see.
    """

    def __init__(
        self,
        ledger: DeliveryLedger,
        destinations: Sequence[tuple[settings.DestinationSettings, Destination]],
        options: settings.Deliver,
        spool: Spool,
        *,
        poll_s: float = 2.0,
        count: Callable[[str, str], None] = lambda destination, outcome: None,
        observe: Callable[[str, float], None] = lambda destination, seconds: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        tools = Tools(ledger, options, spool.state, poll_s, count, observe, clock, now)
        self._lanes = [DestinationWorker(chosen, outlet, tools) for chosen, outlet in destinations]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Deliverer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start a thread per destination."""
        self._threads = [threading.Thread(target=lane.run, name=f"deliver-{lane.name}", daemon=True) for lane in self._lanes]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something was produced, or a commitment was answered: look at once. Never blocks."""
        for lane in self._lanes:
            lane.wake()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Begin no new transfer, and wait for the present ones.

        Returns
        -------
        bool
            False if one did not end in time: a destination hangs. It was cut off then; what it was sending is sent again at
            the next start.
        """
        for lane in self._lanes:
            lane.stop()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        hanging = [lane for lane, thread in zip(self._lanes, self._threads, strict=False) if thread.is_alive()]
        for lane in hanging:
            lane.abandon()
        return not hanging

    def status(self) -> Mapping[str, DestinationStatus]:
        """How each destination does, for the status page."""
        return {lane.name: lane.status for lane in self._lanes}
