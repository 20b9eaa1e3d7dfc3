"""Delivery: results of a study go to every destination, are confirmed there, and are never there twice."""

from braintumor.node.deliver.commitment import CommitmentInbox
from braintumor.node.deliver.deliverer import Deliverer
from braintumor.node.deliver.faults import Fault, OutletError
from braintumor.node.deliver.ledger import DeliveryLedger
from braintumor.node.deliver.memory import DestinationStatus
from braintumor.node.deliver.opening import open_destination
from braintumor.node.deliver.outlet import Confirmation, Outlet
from braintumor.node.deliver.parcel import Item, Parcel, files_of

__all__ = [
    "CommitmentInbox",
    "Confirmation",
    "Deliverer",
    "DeliveryLedger",
    "DestinationStatus",
    "Fault",
    "Item",
    "Outlet",
    "OutletError",
    "Parcel",
    "files_of",
    "open_destination",
]
