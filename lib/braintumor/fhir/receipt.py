"""What a server did with a transaction, entry by entry, and whether that was all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from braintumor.domain import FhirError
from braintumor.fhir.outcome import said
from braintumor.fhir.parts import Resource, key_of

_LOCATION = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?$")
_NAMED = 8
"""So many entries are named in a message; of the rest their number is said."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one entry.

    Attributes
    ----------
    kind, part
        Resource type, and which part of the report it is (``region/WT/volume``); '' for what is not the report's alone.
    id, version
        As the server gave them; '' where it does not say.
    status
        HTTP status; 201 for made, 200 for updated or found.
    problem
        What the server said where it did not take the entry.
    """

    kind: str
    part: str
    id: str
    version: str
    status: int
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the server has it."""
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.part)))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a server took: every entry of the bundle in its order, and how many outdated resources were withdrawn."""

    entries: tuple[Taken, ...]
    withdrawn: int = 0

    @property
    def made(self) -> int:
        """Resources that were not there before."""
        return sum(entry.status == 201 for entry in self.entries)


def receipt(sent: Resource, answer: Resource, secrets: frozenset[str], *, host: str, withdrawn: int = 0) -> Receipt:
    """Read a server's answer to a transaction.

    Raises
    ------
    FhirError
        If it took less than all: an entry has an error, is missing, or is of another kind than what was sent. The message says
        what was taken and what was not. A server may not do that with a transaction, but some do.
    """
    entries = answer.get("entry")
    if answer.get("resourceType") != "Bundle" or not isinstance(entries, list):
        raise FhirError(
            f"The FHIR server {host} does not say what it stored", remedy="Check that it takes transactions, and read back"
        )
    found = tuple(_pairs(sent["entry"], entries, secrets))
    if not all(entry.ok for entry in found):
        raise _half(found, host)
    return Receipt(found[: len(found) - withdrawn] if withdrawn else found, withdrawn)


def part_of(resource: Resource) -> str:
    """Which part of the report a resource is, without patient data."""
    _, system, value = key_of(resource)
    return value.partition("/")[2] if system.endswith("/report-part") else ""


def _pairs(sent: list[Resource], answers: list[Any], secrets: frozenset[str]) -> Iterator[Taken]:
    for index, entry in enumerate(sent):
        answer = answers[index] if index < len(answers) and isinstance(answers[index], dict) else {}
        yield _taken(entry["resource"], answer, secrets)


def _taken(resource: Resource, answer: dict[str, Any], secrets: frozenset[str]) -> Taken:
    response = _mapping(answer.get("response"))
    kind, part = resource["resourceType"], part_of(resource)
    place = _LOCATION.search(str(response.get("location", "")))
    stored = _mapping(answer.get("resource"))
    identity = place.group(2) if place else str(stored.get("id", ""))
    tag = re.fullmatch(r'(?:W/)?"([^"]+)"', str(response.get("etag", "")))
    meta = _mapping(stored.get("meta"))
    version = (place.group(3) if place else None) or (tag.group(1) if tag else "") or str(meta.get("versionId", ""))
    code = str(response.get("status", ""))[:3]
    status = int(code) if code.isascii() and code.isdigit() else 0
    other = place.group(1) if place else str(stored.get("resourceType", "")) or kind
    if other != kind:
        return Taken(kind, part, identity, version, 0, "the answer is about another resource")
    problem = "" if 200 <= status < 300 else said(response.get("outcome"), secrets) or "no answer for it"
    return Taken(kind, part, identity, version, status, problem)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _half(found: tuple[Taken, ...], host: str) -> FhirError:
    taken = [str(entry) for entry in found if entry.ok]
    refused = [
        f"{entry} ({f'HTTP {entry.status}, ' if entry.status else ''}{entry.problem})" for entry in found if not entry.ok
    ]
    have = f"Taken: {_listed(taken)}" if taken else "Nothing was taken"
    return FhirError(
        f"The FHIR server {host} took {len(taken)} of {len(found)} resources. {have}. Not taken: {_listed(refused)}",
        remedy="Correct what it names and send the same report again; nothing is stored twice",
    )


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(words[:_NAMED]) + more
