"""Delivery: results of a study go to every destination, are confirmed there, and are never there twice."""

from deploy.node.deliver.commitment import CommitmentInbox
from deploy.node.deliver.deliverer import Deliverer
from deploy.node.deliver.faults import Fault, OutletError
from deploy.node.deliver.ledger import DeliveryLedger
from deploy.node.deliver.memory import DestinationStatus
from deploy.node.deliver.opening import open_destination
from deploy.node.deliver.outlet import Confirmation, Outlet
from deploy.node.deliver.parcel import Item, Parcel, files_of

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
