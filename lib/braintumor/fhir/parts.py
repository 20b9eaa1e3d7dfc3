"""The parts of a bundle: a resource, the identifier it is found by again, and the request that stores it once."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

BASE_SYSTEM = "https://braintumor.example/fhir"
"""Prefix of our own identifier systems and of our code system. A name that nobody can own (RFC 2606); it is never fetched."""

DICOM_UID = "urn:dicom:uid"
URI = "urn:ietf:rfc:3986"

Resource = dict[str, Any]
"""One FHIR resource, or a piece of one, as JSON holds it."""

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


def instant(moment: datetime) -> str:
    """A point in time with its zone; one without is this machine's local time, as everywhere in this package."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def oid(uid: str) -> str:
    """A DICOM UID as URI."""
    return f"urn:oid:{uid}"
