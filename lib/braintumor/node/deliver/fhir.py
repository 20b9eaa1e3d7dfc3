"""A FHIR server as destination: the report goes there as a draft (DiagnosticReport of status ``preliminary``)."""

from __future__ import annotations

import json
from typing import Any

from braintumor.domain import FhirError
from braintumor.fhir import FhirClient
from braintumor.fhir.parts import key_of
from braintumor.node.deliver.faults import Fault, OutletError
from braintumor.node.deliver.outlet import DeliveryConfirmation
from braintumor.node.deliver.parcel import Delivery, DeliveryItem
from braintumor.node.settings import DestinationSettings
from braintumor.report.document import load_report

_KINDS = ("DiagnosticReport", "Observation", "BodyStructure")
"""What is a report's own; a Patient or Device may have been there before."""

_FAULTS = dict.fromkeys((401, 403, 404, 405), Fault.REJECTED) | dict.fromkeys((400, 412, 413, 415, 422), Fault.REFUSED)
"""What the answer to a transaction means: the same bundle is refused again; everything else may pass."""

_ONCE = 1
"""Tries per request: the deliverer repeats."""


class FhirOutlet:
    """One FHIR R4 server, see `Destination`.

    Raises
    ------
    FhirError
        If the address or token cannot be one.
    """

    def __init__(self, settings: DestinationSettings, token: str, timeout_s: float = 60.0) -> None:
        self._settings = settings
        ca = None if settings.tls is None else settings.tls.ca
        self._client = FhirClient(settings.url, token=token, timeout=timeout_s, verify=ca or True, attempts=_ONCE)

    def send(self, parcel: Delivery) -> None:
        """One transaction of conditional updates: sent again, it changes nothing, see `Destination`."""
        bundle = _bundle(parcel)
        try:
            self._client.send(bundle)
        except FhirError as error:
            fault = _FAULTS.get(error.status or 0, Fault.FAILED)
            raise self._failed("The FHIR server did not take the report", fault, error.status) from error

    def confirm(self, parcel: Delivery) -> DeliveryConfirmation:
        """Read the report back, see `Destination`."""
        if self._settings.verify == "none":
            return DeliveryConfirmation.KEPT
        bundle = _bundle(parcel)
        document = next(item for item in parcel.items if not _is_bundle(item))
        try:
            held = self._client.read_back(load_report(document.read()))
        except FhirError as error:
            failure = self._failed("The FHIR server does not have the report", Fault.NOT_KEPT)
            if failure.down:
                raise failure from error
            return DeliveryConfirmation.MISSING
        return DeliveryConfirmation.KEPT if _keys(bundle) <= _keys(held) else DeliveryConfirmation.MISSING

    def abandon(self) -> None:
        """Nothing to do: no thread of its own outlives the deliverer's."""

    def _failed(self, problem: str, fault: Fault, status: int | None = None) -> OutletError:
        """The library's error says in words what it was; whether the server answers at all decides who has to wait."""
        try:
            self._client.transport.call("GET", "/metadata")
        except FhirError:
            return OutletError(Fault.UNREACHABLE, "The FHIR server does not answer", remedy="Look at it and its address")
        said = "" if status is None else f"HTTP {status}"
        return OutletError(fault, problem, remedy="Look at the server's log and this node's rights there", status=said)


def _bundle(parcel: Delivery) -> dict[str, Any]:
    return dict(json.loads(next(item for item in parcel.items if _is_bundle(item)).read()))


def _is_bundle(item: DeliveryItem) -> bool:
    return item.path.name.endswith(".fhir.json")


def _keys(bundle: dict[str, Any]) -> set[tuple[str, str, str]]:
    resources = (entry["resource"] for entry in bundle.get("entry", ()))
    return {key_of(resource) for resource in resources if resource["resourceType"] in _KINDS}
