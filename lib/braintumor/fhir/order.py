"""Who a study is about and why it was ordered, as a FHIR server says: Patient and ServiceRequest in our own nouns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from braintumor.domain import FhirError, Identifier, Patient
from braintumor.fhir.parts import Naming, Resource, bare_token, clean
from braintumor.fhir.patient import noun
from braintumor.fhir.transport import Transport

_ENDED = frozenset({"revoked", "entered-in-error", "draft"})


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a FHIR server knows of a request.

    Attributes
    ----------
    patient
        As DICOM would have it; empty fields where the server does not say.
    identifiers
        Of the patient, besides the Patient ID.
    accession
        Number of the order; '' without one.
    reason
        Why the study was ordered, in the order's own words; '' if it does not say, or several orders could be meant.
    """

    patient: Patient
    identifiers: tuple[Identifier, ...]
    accession: str = ""
    reason: str = field(default="", repr=False)


def read_context(transport: Transport, naming: Naming, patient: Identifier | None, accession: str) -> RequestContext:
    """See `FhirClient.context`."""
    if patient is None and not accession:
        raise FhirError("Nothing says which patient is meant", remedy="Give the patient's identifier or the accession number")
    order = _order(transport, naming, accession) if accession else None
    if patient is None:
        who = transport.read(_subject(order, transport))
    else:
        who = _patient(transport, naming, patient)
        if order is not None and _subject(order, transport) != f"Patient/{who.get('id')}":
            raise FhirError("The order with this accession number is for another patient", remedy="Check both numbers")
    person, identifiers = noun(who, naming.patient_id)
    if order is None:
        order = _only_open(transport, f"Patient/{who.get('id')}")
    return RequestContext(person, identifiers, accession or _accession(order), _reason(order))


def _patient(transport: Transport, naming: Naming, identifier: Identifier) -> Resource:
    wanted = bare_token(identifier.system or naming.patient_id, identifier.value)
    found = _having(
        transport.search("Patient", {"identifier": wanted}), identifier.system or naming.patient_id, identifier.value
    )
    return _only([each for each in found if each.get("active") is not False], "patient", "identifier")


def _order(transport: Transport, naming: Naming, accession: str) -> Resource:
    wanted = bare_token(naming.accession, accession)
    found = _having(transport.search("ServiceRequest", {"identifier": wanted}), naming.accession, accession)
    return _only(_usable(found), "order", "accession number")


def _having(found: list[Resource], system: str, value: str) -> list[Resource]:
    """Those that have the identifier: a server that ignores the search would answer with everybody."""
    return [
        each
        for each in found
        if any(own.get("value") == value and system in ("", own.get("system", "")) for own in each.get("identifier", ()))
    ]


def _usable(orders: list[Resource]) -> list[Resource]:
    return [order for order in orders if order.get("status") not in _ENDED]


def _only(found: list[Resource], what: str, by: str) -> Resource:
    if not found:
        raise FhirError(f"The FHIR server knows no {what} with this {by}", remedy="Check the number and who issued it")
    if len(found) > 1:
        raise FhirError(
            f"The FHIR server knows {len(found)} {what}s with this {by}", remedy="Say who issued the number, or merge them"
        )
    return found[0]


def _subject(order: Resource | None, transport: Transport) -> str:
    reference = str((order or {}).get("subject", {}).get("reference", "")).removeprefix(f"{transport.base_url}/")
    if not re.fullmatch(r"Patient/[A-Za-z0-9.-]{1,64}", reference):
        raise FhirError("The order does not say which patient it is for", remedy="Give the patient's identifier too")
    return reference


def _only_open(transport: Transport, patient: str) -> Resource | None:
    """The one active order for a patient; None if there are several, because nobody says which is meant."""
    found = transport.search("ServiceRequest", {"subject": patient, "status": "active"})
    active = [each for each in found if each.get("status") == "active" and each.get("subject", {}).get("reference") == patient]
    return active[0] if len(active) == 1 else None


def _accession(order: Resource | None) -> str:
    for each in (order or {}).get("identifier", ()):
        if any(coding.get("code") == "ACSN" for coding in each.get("type", {}).get("coding", ())):
            return clean(str(each.get("value", "")))
    return ""


def _reason(order: Resource | None) -> str:
    """Reasons as the order words them, else what was ordered to be known."""
    words = [_words(each) for each in (order or {}).get("reasonCode", ())]
    words += [clean(str(each.get("text", ""))) for each in (order or {}).get("note", ())]
    return "; ".join(dict.fromkeys(filter(None, words)))


def _words(concept: dict[str, Any]) -> str:
    shown = [str(coding.get("display", "")) for coding in concept.get("coding", ())]
    return clean(str(concept.get("text", "") or next(filter(None, shown), "")))
