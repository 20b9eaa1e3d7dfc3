"""Sends reports to a FHIR server, reads them back, and asks it who a study is about and why it was ordered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from braintumor.domain import FhirError, Identifier, Report
from braintumor.fhir.check import validate, walk
from braintumor.fhir.order import RequestContext, read_context
from braintumor.fhir.outcome import secrets_of
from braintumor.fhir.parts import BASE_SYSTEM, Naming, Resource, bare_token, key_of
from braintumor.fhir.receipt import Receipt, receipt
from braintumor.fhir.transport import Transport, token_from, understood

_TAGGED = ("DiagnosticReport", "Observation", "BodyStructure", "Provenance")
"""Kinds that belong to one report and carry its tag."""

_SHARED = frozenset({"Patient", "Encounter", "ImagingStudy", "Endpoint", "Device", "DocumentReference"})
"""Kinds that those refer to."""

_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?$")
_APPROVED = frozenset({"final", "amended", "corrected", "appended"})


class FhirClient:
    """One FHIR R4 server.

    Parameters
    ----------
    base_url
        Of its REST service. ``https``, unless it is this machine or `plain` is True.
    token, token_file
        Bearer token, or a file with one; else the environment variable ``BRAINTUMOR_FHIR_TOKEN``; else none is sent.
    timeout
        Seconds for one attempt at a request.
    verify
        Whether the server's certificate is checked; a path is a PEM file of the authorities to trust.
    attempts
        How often a request is tried where the server is busy, fails or loses the connection.
    base_system, patient_system, accession_system
        As for `braintumor.fhir.bundle`.

    Raises
    ------
    FhirError
        If the address or the token cannot be one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str = "",
        token_file: Path | None = None,
        timeout: float = 30.0,
        verify: bool | Path = True,
        attempts: int = 4,
        plain: bool = False,
        base_system: str = BASE_SYSTEM,
        patient_system: str = "",
        accession_system: str = "",
    ) -> None:
        self.naming = Naming(base_system, patient_system, accession_system)
        self.transport = Transport(base_url, token_from(token, token_file), timeout, verify, attempts, plain)

    def __enter__(self) -> FhirClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.transport.close()

    def send(self, bundle: Resource) -> Receipt:
        """Store a report; sending it again changes nothing, sending its next version updates it.

        What the server has of an earlier version and this one no longer says (a lesion that is not in the corrected mask) is
        withdrawn in the same transaction: Observations become ``entered-in-error``, BodyStructures inactive.

        Parameters
        ----------
        bundle
            From `braintumor.fhir.bundle`.

        Raises
        ------
        FhirError
            If the bundle is not sound, the server has a newer version, or an approved one where this is a draft, or it did not
            take everything. Never with patient data in its message.
        """
        problems = validate(bundle)
        if problems:
            shown = "; ".join(problems[:3])
            raise FhirError(
                f"The bundle is not sound ({len(problems)} problems: {shown})", remedy="Report this; nothing was sent"
            )
        with understood(self.transport.host):
            stored = [each for kind in _TAGGED[:3] for each in self._tagged(kind, _tag_of(bundle))]
            self._refuse_older(bundle, stored)
            outdated = list(_withdrawals(bundle, stored))
        whole = {**bundle, "entry": [*bundle["entry"], *outdated]}
        secrets = secrets_of(bundle)
        answer = self.transport.post(whole, secrets)
        return receipt(whole, answer, secrets, host=self.transport.host, withdrawn=len(outdated))

    def read_back(self, report: Report) -> Resource:
        """Everything the server has of a report, as a collection.

        Raises
        ------
        FhirError
            If it has no such report, or cannot be asked.
        """
        with understood(self.transport.host):
            found = {_address(each): each for kind in _TAGGED for each in self._tagged(kind, self.naming.tag(report.uid))}
            if not any(address.startswith("DiagnosticReport/") for address in found):
                raise FhirError(f"The FHIR server {self.transport.host} does not have this report", remedy="Send it first")
            waiting = set(_shared(list(found.values())))
            while waiting:
                fresh = {address: self.transport.read(address) for address in sorted(waiting)}
                found |= fresh
                waiting = set(_shared(list(fresh.values()))) - found.keys()
        entries = [{"fullUrl": f"{self.transport.base_url}/{address}", "resource": each} for address, each in found.items()]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}

    def context(self, patient: Identifier | None = None, *, accession: str = "") -> RequestContext:
        """Who a study is about and why it was ordered, by the patient's identifier, the accession number, or both.

        Raises
        ------
        FhirError
            If the server knows no such patient or order, several of them, or an order for somebody else.
        """
        with understood(self.transport.host):
            return read_context(self.transport, self.naming, patient, accession)

    def _tagged(self, kind: str, tag: Resource) -> list[Resource]:
        """What really carries the tag: on a server that does not search by tags everything of that kind would come."""
        found = self.transport.search(kind, {"_tag": bare_token(tag["system"], tag["code"])})
        return [each for each in found if any(tag.items() <= own.items() for own in each.get("meta", {}).get("tag", ()))]

    def _refuse_older(self, bundle: Resource, stored: list[Resource]) -> None:
        """A delayed or repeated old version must not undo a newer one."""
        ours = next(each for each in _resources(bundle) if each["resourceType"] == "DiagnosticReport")
        theirs = [each for each in stored if each["resourceType"] == "DiagnosticReport" and key_of(each) == key_of(ours)]
        for other in theirs:
            if _version(other, self.naming) > _version(ours, self.naming):
                raise FhirError(
                    f"The FHIR server {self.transport.host} has a newer version of the report", remedy="Send the newest version"
                )
            if other.get("status") in _APPROVED and ours["status"] == "preliminary":
                raise FhirError(
                    f"The FHIR server {self.transport.host} has this report as final, and a draft would replace it",
                    remedy="Approve the report first",
                )


def _resources(bundle: Resource) -> Iterator[Resource]:
    return (entry["resource"] for entry in bundle.get("entry", ()))


def _tag_of(bundle: Resource) -> Resource:
    report = next((each for each in _resources(bundle) if each["resourceType"] == "DiagnosticReport"), None)
    if report is None:
        raise FhirError("The bundle has no report", remedy="Make it by braintumor.fhir.bundle")
    tag: Resource = report["meta"]["tag"][0]
    return tag


def _version(report: Resource, naming: Naming) -> int:
    """Number of a stored report's version; 0 if it does not say."""
    values = (
        str(each.get("value", ""))
        for each in report.get("identifier", ())
        if each.get("system") == naming.system("report-version")
    )
    number = next(values, "").rpartition("/")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def _withdrawals(bundle: Resource, stored: list[Resource]) -> Iterator[Resource]:
    """Entries that withdraw what the bundle no longer has; each only if nobody has changed it meanwhile."""
    keys = {key_of(each) for each in _resources(bundle)}
    for each in stored:
        kind = each["resourceType"]
        change: dict[str, Any] = {"active": False} if kind == "BodyStructure" else {"status": "entered-in-error"}
        if key_of(each) in keys or change.items() <= each.items():
            continue
        version = each.get("meta", {}).get("versionId")
        request = {"method": "PUT", "url": _address(each), **({"ifMatch": f'W/"{version}"'} if version else {})}
        yield {"resource": each | change, "request": request}


def _address(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource.get('id', '')}"


def _shared(resources: list[Resource]) -> Iterator[str]:
    """Addresses of what these refer to."""
    for resource in resources:
        for _, piece in walk(resource):
            found = _REFERENCE.search(str(piece.get("reference", "")))
            if found and found.group(1) in _SHARED:
                yield f"{found.group(1)}/{found.group(2)}"
