"""How a delivery fails: why, whether sending again can help, and whose trouble it is."""

from __future__ import annotations

from enum import StrEnum

from braintumor.domain import DeliveryError
from braintumor.node.states import Reason


class Fault(StrEnum):
    """Why results did not arrive, as the ledger, logs and metrics say it."""

    UNREACHABLE = "unreachable"
    """It does not answer."""
    REJECTED = "rejected"
    """It does not let this node in: AE title, certificate, password or address are not what it expects."""
    NO_SPACE = "no-space"
    """It is out of resources."""
    INTERRUPTED = "interrupted"
    """The connection was lost on the way."""
    FAILED = "failed"
    """It could not store an instance this time."""
    NOT_KEPT = "not-kept"
    """It took the results and does not have them."""
    NOT_CONFIRMED = "not-confirmed"
    """It took the results and did not say whether it keeps them."""
    CANNOT_CONFIRM = "cannot-confirm"
    """It does not offer what `Destination.verify` asks of it."""
    NOT_ACCEPTED = "not-accepted"
    """It does not take objects of this SOP class or transfer syntax."""
    REFUSED = "refused"
    """It refused the results themselves."""
    DATA_MISSING = Reason.DATA_MISSING.value
    """A file of the results is gone or altered; it is not sent."""
    UNEXPECTED = Reason.UNEXPECTED.value
    """An error nobody foresaw."""


_OF_THE_DESTINATION = frozenset({Fault.UNREACHABLE, Fault.REJECTED, Fault.NO_SPACE, Fault.INTERRUPTED})
_FOR_GOOD = frozenset({Fault.NOT_ACCEPTED, Fault.REFUSED, Fault.DATA_MISSING})


class OutletError(DeliveryError):
    """Results were not delivered or not confirmed.

    Attributes
    ----------
    fault
        Why.
    status
        What the destination answered (``0xA700``, ``HTTP 503``); '' where there was no answer.
    """

    def __init__(self, fault: Fault, problem: str, *, remedy: str, status: str = "") -> None:
        self.fault, self.status = fault, status
        super().__init__(f"{problem.rstrip('.')} ({status})" if status else problem, remedy=remedy)

    @property
    def permanent(self) -> bool:
        """Sending the same again cannot help."""
        return self.fault in _FOR_GOOD

    @property
    def down(self) -> bool:
        """The trouble is the destination's and not that of these results: others would meet it as well."""
        return self.fault in _OF_THE_DESTINATION
