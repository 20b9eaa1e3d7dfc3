"""What all kinds of destinations have in common: how they are used, and what they answer."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from braintumor.node.deliver.parcel import Delivery


class DeliveryConfirmation(StrEnum):
    """What a destination says of results that it took."""

    KEPT = "kept"
    """It keeps every instance."""
    MISSING = "missing"
    """It was asked, and does not have every instance (yet)."""
    WAITING = "waiting"
    """It was asked, and will answer later."""


class Destination(Protocol):
    """One destination. Used by one thread at a time, except `abandon`."""

    def send(self, parcel: Delivery) -> None:
        """Hand over everything in a parcel; sending it again leaves one copy there.

        Raises
        ------
        OutletError
        """
        ...

    def confirm(self, parcel: Delivery) -> DeliveryConfirmation:
        """Ask whether it keeps what it was sent.

        Raises
        ------
        OutletError
            Also with `Fault.NOT_KEPT`, where it says that it lost something for good.
        """
        ...

    def abandon(self) -> None:
        """Cut off what hangs, so that the process can end; called from another thread, and never followed by anything."""
        ...
