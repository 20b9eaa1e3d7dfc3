"""What delivery needs of the node's state machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from braintumor.node.states import DeliveryRecord


class DeliveryLedger(Protocol):
    """The state machine; each method may raise `braintumor.domain.DatabaseError`.

    A `DeliveryRecord` is handed back as `due` gave it: its id counts, and its state may be older than the ledger's.
    Methods return False where it waits no longer: it was replaced, or settled by somebody else.
    """

    def due(self, destination: str, limit: int, /) -> Sequence[DeliveryRecord]:
        """The oldest deliveries that are PENDING, or DELIVERED and not acknowledged, at most `limit`."""
        ...

    def delivered(self, delivery: DeliveryRecord, /) -> bool:
        """The destination took it."""
        ...

    def acknowledged(self, delivery: DeliveryRecord, /) -> bool:
        """The destination keeps it."""
        ...

    def delivery_failed_once(self, delivery: DeliveryRecord, reason: str, /) -> bool:
        """It is tried again later; `reason` is a `Fault`."""
        ...

    def delivery_given_up(self, delivery: DeliveryRecord, reason: str, /) -> bool:
        """It is not tried again unless an operator says so."""
        ...
