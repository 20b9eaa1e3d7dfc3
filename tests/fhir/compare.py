"""Whether a server kept what it was sent: two bundles, resource by resource, whatever ids the server gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from braintumor.fhir.parts import Key, Resource, key_of

_SERVERS_OWN = frozenset({"id", "meta", "contained"})
_OWN_KINDS = frozenset({"DiagnosticReport", "Observation", "BodyStructure"})
"""Kinds of which a report has no more than was sent. Others may be shared, and Provenance is kept of every version."""


def compare(sent: Resource, read: Resource) -> tuple[str, ...]:
    """What differs between a bundle that was sent and what a server has of it; nothing if it kept everything.

    Ids, versions and ``meta`` are the server's own. A Patient may know more than we sent (it is created only where none is),
    but what we sent must be there: another birth date or sex means that the number belongs to somebody else. What earlier
    versions left behind does not count: their Provenance, and resources that were withdrawn.

    Parameters
    ----------
    sent
        From `braintumor.fhir.bundle`.
    read
        From `FhirClient.read_back`.

    Returns
    -------
    tuple of str
        Places, never values.
    """
    ours, theirs = _keyed(sent), _keyed(read)
    found: list[str] = []
    for key, (resource, names) in ours.items():
        match = _match(key, resource, theirs)
        if match is None:
            found.append(f"{_name(key)} is missing")
        else:
            other, other_names = match
            person = key[0] == "Patient"
            mine, other = (_person(resource), _person(other)) if person else (resource, other)
            found += [f"{_name(key)}: {path}" for path in _differences(mine, other, names, other_names, subset=person)]
    extra = (key for key, (resource, _) in theirs.items() if key not in ours and not _left_behind(resource))
    found += [f"{_name(key)} is there and was not sent" for key in extra if key[0] in _OWN_KINDS]
    return tuple(found)


def _keyed(bundle: Resource) -> dict[Key, tuple[Resource, Mapping[str, Key]]]:
    """Every resource by its key, with the keys of all resources by the name others refer to them."""
    entries = [entry for entry in bundle.get("entry", ()) if "resource" in entry]
    names: dict[str, Key] = {}
    for entry in entries:
        resource = entry["resource"]
        names[entry.get("fullUrl", "")] = key_of(resource)
        if "id" in resource:
            names[f"{resource['resourceType']}/{resource['id']}"] = key_of(resource)
    return {key_of(entry["resource"]): (entry["resource"], names) for entry in entries}


def _match(key: Key, resource: Resource, theirs: Mapping[Key, Any]) -> tuple[Resource, Mapping[str, Key]] | None:
    """The server's resource of the same key; for a Patient any that has one of our identifiers."""
    if key in theirs or key[0] != "Patient":
        return theirs.get(key)
    wanted = _identifiers(resource)
    return next((item for other, item in theirs.items() if other[0] == "Patient" and wanted & _identifiers(item[0])), None)


def _identifiers(resource: Resource) -> set[tuple[str, str]]:
    return {(str(each.get("system", "")), str(each.get("value", ""))) for each in resource.get("identifier", ())}


def _person(resource: Resource) -> Resource:
    """What tells one person from another, without how a server marks it (use, type, text)."""
    told = {"identifier": ("system", "value"), "name": ("family", "given")}
    lists = {
        name: [{part: item[part] for part in parts if part in item} for item in resource[name]]
        for name, parts in told.items()
        if resource.get(name)
    }
    facts = {name: resource[name] for name in ("gender", "birthDate") if name in resource}
    return {**lists, **{name: fact for name, fact in facts.items() if fact != "unknown"}}


def _left_behind(resource: Resource) -> bool:
    return resource.get("status") == "entered-in-error" or resource.get("active") is False


def _name(key: Key) -> str:
    """Which resource, without what identifies anybody: the last words of our identifiers name a part of the report."""
    kind, system, value = key
    part = value.partition("/")[2] if system.endswith("/report-part") else ""
    return f"{kind} {part}".strip()


def _differences(
    ours: Any, theirs: Any, names: Mapping[str, Key], other_names: Mapping[str, Key], *, subset: bool, path: str = ""
) -> Iterator[str]:
    def deeper(mine: Any, other: Any, step: str) -> Iterator[str]:
        return _differences(mine, other, names, other_names, subset=subset, path=step)

    if isinstance(ours, dict) and isinstance(theirs, dict):
        if "reference" in ours and "reference" in theirs:
            ours = {**ours, "reference": names.get(ours["reference"], ours["reference"])}
            theirs = {**theirs, "reference": other_names.get(theirs["reference"], theirs["reference"])}
        for name in sorted((ours.keys() | (set() if subset else theirs.keys())) - _SERVERS_OWN):
            step = f"{path}.{name}" if path else name
            if name not in ours or name not in theirs:
                yield f"{step} is {'not there' if name not in theirs else 'new'}"
            elif name == "reference":
                if ours[name] != theirs[name] and ours[name][0] != "Patient":
                    yield f"{step} refers to something else"
            else:
                yield from deeper(ours[name], theirs[name], step)
    elif isinstance(ours, list) and isinstance(theirs, list):
        yield from _lists(ours, theirs, path, subset=subset, deeper=deeper)
    elif not _same(ours, theirs):
        yield f"{path} differs"


def _lists(ours: list[Any], theirs: list[Any], path: str, *, subset: bool, deeper: Any) -> Iterator[str]:
    if subset:  # in any order, between others: a Patient's names and identifiers
        missing = sum(not any(not list(deeper(mine, other, "")) for other in theirs) for mine in ours)
        if missing:
            yield f"{path} lacks {missing} of {len(ours)}"
    elif len(ours) != len(theirs):
        yield f"{path} has {len(theirs)} instead of {len(ours)}"
    else:
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from deeper(mine, other, f"{path}[{index}]")


def _same(ours: Any, theirs: Any) -> bool:
    """Numbers by value, because 30 and 30.0 are one number."""
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)) and not isinstance(ours, bool):
        return Decimal(str(ours)) == Decimal(str(theirs))
    return bool(ours == theirs)
