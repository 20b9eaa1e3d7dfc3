"""Whether a bundle is sound before it is sent: FHIR's rules by fhir.resources, ours about references, identifiers and codes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree import ElementTree

from braintumor.fhir import codes
from braintumor.fhir.parts import Resource

_KNOWN_SYSTEMS = frozenset(codes.SYSTEMS.values())
_REQUIRED = {
    "Observation": ("status", "category", "code", "subject", "device", "derivedFrom"),
    "DiagnosticReport": ("status", "category", "code", "subject", "result", "issued", "text"),
    "ImagingStudy": ("identifier", "subject", "series", "modality"),
    "BodyStructure": ("patient", "location"),
    "Provenance": ("target", "agent", "entity", "recorded"),
    "Device": ("version", "deviceName"),
    "Patient": ("identifier",),
}
"""What our resources always have, beyond what FHIR requires."""

_XHTML = "{http://www.w3.org/1999/xhtml}"
_TAGS = frozenset(f"{_XHTML}{tag}" for tag in ("div", "p", "b", "h3", "ul", "li"))


def validate(bundle: Resource) -> tuple[str, ...]:
    """What is wrong with a bundle; nothing if it is sound. Problems name places, never values.

    The classes of fhir.resources are R4B's (it has none of R4). For the resources used here R4B has the elements of R4, see
    `tests/fhir/test_server.py`, which also has every bundle checked by a validator of R4 proper.
    """
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
        return ("it is no transaction Bundle",)
    entries = bundle.get("entry", [])
    return (
        *_standard(bundle),
        *_references(entries),
        *_identities(entries),
        *(problem for entry in entries for problem in _resource(entry.get("resource", {}))),
    )


def place(index: int, resource: Resource) -> str:
    """Which entry, in words without patient data."""
    return f"entry {index} ({resource.get('resourceType', 'nothing')})"


def walk(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON object inside, with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{path}[{index}]")


def _standard(bundle: Resource) -> Iterator[str]:
    from fhir.resources.R4B.bundle import Bundle  # here, because it takes a second to import
    from pydantic import ValidationError

    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        for issue in error.errors(include_input=False, include_context=False, include_url=False):
            where = ".".join(str(part) for part in issue["loc"])
            yield f"{where}: {issue['type'].replace('_', ' ')}"  # the message itself may quote a value


def _references(entries: list[Resource]) -> Iterator[str]:
    known = {entry.get("fullUrl") for entry in entries}
    used = set()
    for index, entry in enumerate(entries):
        for path, piece in walk(entry.get("resource", {})):
            reference = piece.get("reference")
            if isinstance(reference, str):
                used.add(reference)
                if reference not in known:
                    yield f"{place(index, entry['resource'])} {path} refers to nothing in the bundle"
    for index, entry in enumerate(entries):
        if entry.get("resource", {}).get("resourceType") != "Provenance" and entry.get("fullUrl") not in used:
            yield f"{place(index, entry.get('resource', {}))} is referred to by nothing"


def _identities(entries: list[Resource]) -> Iterator[str]:
    for word, found in (
        ("fullUrl", [entry.get("fullUrl") for entry in entries]),
        ("request", [_address(entry.get("request", {})) for entry in entries]),
    ):
        twice = [value for value, times in Counter(found).items() if times > 1]
        if twice:
            yield f"{len(twice)} entries share one {word}"
    for index, entry in enumerate(entries):
        request = entry.get("request", {})
        if request.get("method") == "PUT" and "?" not in request.get("url", ""):
            yield f"{place(index, entry.get('resource', {}))} would be stored under an id that the server does not know"
        if request.get("method") == "POST" and not request.get("ifNoneExist"):
            yield f"{place(index, entry.get('resource', {}))} would be stored again by every post"


def _address(request: Resource) -> str:
    return f"{request.get('method')} {request.get('url')} {request.get('ifNoneExist', '')}"


def _resource(resource: Resource) -> Iterator[str]:
    kind = resource.get("resourceType", "nothing")
    for element in _REQUIRED.get(kind, ()):
        if not resource.get(element):
            yield f"{kind} has no {element}"
    yield from (f"{kind} {problem}" for problem in _codes(resource))
    if kind == "Observation" and not any(_value(resource)):
        yield "Observation says nothing: no value, members or reason for the lack of one"
    if "text" in resource:
        yield from (f"{kind} {problem}" for problem in _xhtml(resource["text"].get("div", "")))


def _codes(resource: Resource) -> Iterator[str]:
    for path, piece in walk(resource):
        for coding in piece.get("coding", ()) if isinstance(piece.get("coding"), list) else ():
            if not coding.get("code") or coding.get("system") not in _KNOWN_SYSTEMS:
                yield f"{path} has a code of an unknown system"
            elif coding["system"] == codes.OURS and not _is_ours(coding["code"]):
                yield f"{path} has a code that is not in our code system"


def _is_ours(code: str) -> bool:
    try:
        return bool(codes.ours(code))
    except KeyError:
        return False


def _value(resource: Resource) -> Iterable[bool]:
    return (key.startswith("value") or key in ("hasMember", "dataAbsentReason") for key in resource)


def _xhtml(text: str) -> Iterator[str]:
    """Well formed, and only tags without behaviour."""
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        yield "text declares entities"
        return
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities were refused above
    except ElementTree.ParseError:
        yield "text is not well-formed XHTML"
        return
    if any(element.tag not in _TAGS for element in root.iter()):
        yield "text holds tags that do not belong there"
