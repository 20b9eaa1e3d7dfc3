"""Delivery: results of a study go to every destination, are confirmed there, and are never there twice."""

from braintumor.node.deliver.commitment import CommitmentInbox
from braintumor.node.deliver.deliverer import Deliverer
from braintumor.node.deliver.faults import Fault, OutletError
from braintumor.node.deliver.ledger import DeliveryLedger
from braintumor.node.deliver.memory import DestinationStatus
from braintumor.node.deliver.opening import open_destination
from braintumor.node.deliver.outlet import DeliveryConfirmation, Destination
from braintumor.node.deliver.parcel import Delivery, DeliveryItem, files_of

__all__ = [
    "CommitmentInbox",
    "Deliverer",
    "Delivery",
    "DeliveryConfirmation",
    "DeliveryItem",
    "DeliveryLedger",
    "Destination",
    "DestinationStatus",
    "Fault",
    "OutletError",
    "files_of",
    "open_destination",
]
