"""The parts of a bundle: a resource, the identifier it is found by again, the request that stores it once, what all repeat."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from braintumor.domain import Action, FinalReportError, Report, Status

BASE_SYSTEM = "https://braintumor.example/fhir"
"""Prefix of our own identifier systems and of our code system. A name that nobody can own (RFC 2606); it is never fetched."""

DICOM_UID = "urn:dicom:uid"
URI = "urn:ietf:rfc:3986"

Resource = dict[str, Any]
"""One FHIR resource, or a piece of one, as JSON holds it."""

Key = tuple[str, str, str]
"""Resource type, system and value of what a resource is known by."""

_NAMESPACE = uuid.UUID("0e9fcb3a-6d0c-5c3f-8f2e-5a1f6b8d7c41")
_UNSEARCHABLE = re.compile(r"[\\$,|]")


@dataclass(frozen=True, slots=True)
class Naming:
    """Under which systems things get their identifiers.

    Attributes
    ----------
    base
        Prefix of our own systems.
    patient
        System of the Patient ID, i.e. who issued it; a system of ours if '' (then a patient whom the hospital's own FHIR server
        knows by the same number is not recognised).
    accession
        System of the accession number; none if ''.
    """

    base: str = BASE_SYSTEM
    patient: str = ""
    accession: str = ""

    @property
    def patient_id(self) -> str:
        """System of the Patient ID."""
        return self.patient or self.system("patient-id")

    def system(self, what: str) -> str:
        """One of our identifier systems."""
        return f"{self.base.rstrip('/')}/sid/{what}"

    def tag(self, report_uid: str) -> Resource:
        """What every resource of one report is marked with, so that all of them can be found."""
        return {"system": self.system("report"), "code": report_uid}


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a bundle. `name` says which part it is in words without patient data."""

    name: str
    full_url: str
    resource: Resource
    request: Resource

    @property
    def reference(self) -> Resource:
        """A reference to it that the server resolves."""
        return {"reference": self.full_url}

    def entry(self) -> Resource:
        """As an entry of a transaction."""
        return {"fullUrl": self.full_url, "resource": self.resource, "request": self.request}


@dataclass(frozen=True, slots=True)
class Frame:
    """One report on its way into resources.

    Attributes
    ----------
    subject
        Reference to the patient.
    encounter
        None for NIfTI.
    sources
        References to what was measured: the ImagingStudy, or the NIfTI files.
    device
        Reference to the software.
    """

    report: Report
    naming: Naming
    subject: Resource
    encounter: Resource | None
    sources: tuple[Resource, ...]
    device: Resource

    @property
    def common(self) -> Resource:
        """Subject and encounter, as most resources have them."""
        return {"subject": self.subject, **({"encounter": self.encounter} if self.encounter else {})}

    def part(self, key: str, content: Resource, *, name: str = "") -> Part:
        """A resource that belongs to this report alone; `key` names it among the report's resources."""
        marked = {**content, "meta": {"tag": [self.naming.tag(self.report.uid)]}}
        return updated(self.naming, "report-part", f"{self.report.uid}/{key}", marked, name=name or key)


def updated(naming: Naming, what: str, value: str, content: Resource, *, name: str = "") -> Part:
    """A resource that is made or, if it is there already, updated (conditional update by its identifier).

    Parameters
    ----------
    what
        Kind of identifier: ``report-part``, ``study``, ``device``, ...
    value
        Of the identifier; must not hold characters with a meaning in searches.
    content
        The resource without our identifier; identifiers it has stay behind ours.
    """
    if _UNSEARCHABLE.search(value):
        raise ValueError("an identifier of ours must not hold characters with a meaning in searches")
    kind, system = content["resourceType"], naming.system(what)
    identifier = [{"use": "official", "system": system, "value": value}, *content.get("identifier", ())]
    resource = {"resourceType": kind, **({"meta": content["meta"]} if "meta" in content else {}), "identifier": identifier}
    resource |= {key: item for key, item in content.items() if key not in ("resourceType", "meta", "identifier")}
    request = {"method": "PUT", "url": f"{kind}?identifier={token(system, value)}"}
    return Part(name or kind, full_url(kind, system, value), resource, request)


def full_url(kind: str, system: str, value: str) -> str:
    """The same ``urn:uuid:`` for the same resource in every bundle."""
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, repr((kind, system, value)))}"


def token(system: str, value: str) -> str:
    r"""A search value ``system|value``: separators escaped by backslash (R4 3.1.1.4.0.1), then percent-encoded.

    >>> token("http://a", "7")
    'http%3A%2F%2Fa%7C7'
    """
    return quote(bare_token(system, value), safe="")


def bare_token(system: str, value: str) -> str:
    """As `token`, not percent-encoded."""
    escaped = [_UNSEARCHABLE.sub(lambda found: "\\" + found.group(), part) for part in (system, value)]
    return "|".join(escaped) if system else escaped[1]


def plain_token(value: str) -> bool:
    """Whether a value can be searched on servers that do not know the escape."""
    return not _UNSEARCHABLE.search(value)


def clean(value: str) -> str:
    r"""Text as a FHIR string may hold it: no control characters, no lone surrogates, no blanks at the ends.

    >>> clean(" a\x00b\n")
    'ab'
    """
    whole = value.encode("utf-8", "ignore").decode("utf-8")
    return "".join(
        c for c in whole if (c >= " " or c in "\t\n") and not "\x7f" <= c <= "\x9f" and c not in "\ufffe\uffff"
    ).strip()


def filled(content: Resource) -> Resource:
    """A resource without the elements that have nothing in them: FHIR allows none that is empty."""
    return {key: value for key, value in content.items() if value not in (None, "", [])}


def instant(moment: datetime) -> str:
    """A point in time with its zone; one without is this machine's local time, as everywhere in this package."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def oid(uid: str) -> str:
    """A DICOM UID as URI."""
    return f"urn:oid:{uid}"


def key_of(resource: Resource) -> Key:
    """What a resource is known by: its first identifier, or its first tag where its kind has none."""
    kind = str(resource.get("resourceType", ""))
    tags = sorted(resource.get("meta", {}).get("tag", ()), key=lambda tag: str(tag.get("system", "")))  # they have no order
    known = resource.get("identifier") or tags or [{}]
    first = known[0] if isinstance(known, list) else known
    return kind, str(first.get("system", "")), str(first.get("value") or first.get("code") or "")


def status(report: Report) -> str:
    """Status of the DiagnosticReport and its Observations.

    A version that follows an approved one is ``amended`` (something changed after it was final; ``corrected`` would claim to
    know that it was an error). A higher number alone does not amend: an edited draft gets one too.

    Raises
    ------
    FinalReportError
        If it is a draft of a report that was final before. Stored, it would take the final report's place.
    """
    approvals = sum(entry.action is Action.APPROVED for entry in report.audit)
    if report.status is Status.DRAFT:
        if approvals:
            raise FinalReportError(
                "The report is a draft that amends a final report, and would replace it on the FHIR server",
                remedy="Approve the amendment first, then send it",
            )
        return "preliminary"
    amended = approvals > 1 or any(entry.action is Action.AMENDED for entry in report.audit)
    return "amended" if amended else "final"


def issued(report: Report) -> str:
    """When this version became what it is: its approval, or the last thing that happened to it."""
    approved = report.approved
    moment = approved.when if approved else report.audit[-1].when if report.audit else report.provenance.created
    return instant(moment)
