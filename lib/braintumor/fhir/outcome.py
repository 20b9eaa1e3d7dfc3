"""What a FHIR server says, in words that may be shown and logged: status, reason, and never a patient's data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from braintumor.fhir.check import walk
from braintumor.fhir.parts import Resource

LONGEST = 300
"""Characters of a server's words that are passed on."""

HIDDEN = "[...]"

_QUOTED = re.compile(r"'[^']{0,200}'|\"[^\"]{0,200}\"|\u2018[^\u2019]{0,200}\u2019|\u201c[^\u201d]{0,200}\u201d|`[^`]{0,200}`")
_NUMBERS = re.compile(r"[\d./:-]*\d{3,}[\d./:-]*")
_PERSONAL = {"Patient": ("identifier", "name", "birthDate")}


def said(outcome: Any, secrets: frozenset[str]) -> str:
    """The errors of an OperationOutcome as one sentence; '' if it has none.

    A server may repeat what it was sent. So words of the patient's data are taken out, and beside them everything in quotation
    marks and every longer number: they are values, and the rest says well enough what is wrong.

    Parameters
    ----------
    secrets
        From `secrets_of`, of what was sent.
    """
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return ""
    issues = outcome.get("issue")
    found = [_issue(issue) for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    return hide("; ".join(dict.fromkeys(filter(None, found))), secrets)


def hide(text: str, secrets: frozenset[str]) -> str:
    """Text without secrets, quotations and longer numbers, and of limited length."""
    text = _QUOTED.sub(HIDDEN, text)
    for secret in sorted(secrets, key=len, reverse=True):
        word = re.escape(secret)
        text = re.sub(rf"(?<!\w){word}(?!\w)" if len(secret) < 4 else word, HIDDEN, text, flags=re.IGNORECASE)
    text = " ".join(_NUMBERS.sub(HIDDEN, text).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def secrets_of(bundle: Resource) -> frozenset[str]:
    """Every word that says who the patient is: names, numbers, birth date, accession number, name of a NIfTI case."""
    return frozenset(word for text in _texts(bundle) for word in (text, *re.split(r"[\s^=,|]+", text)) if len(word) > 1)


def _texts(bundle: Resource) -> Iterator[str]:
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource", {})
        for element in _PERSONAL.get(resource.get("resourceType", ""), ()):
            yield from _strings(resource.get(element))
        for _, piece in walk(resource):
            if isinstance(piece.get("identifier"), dict):  # a logical reference: the case's name, the accession number
                yield from _strings(piece["identifier"].get("value"))
                yield from _strings(piece.get("display"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            yield value.replace("-", "")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in ("system", "use", "type", "url", "valueCode"):
                yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _issue(issue: dict[str, Any]) -> str:
    if issue.get("severity") in ("information", "warning"):
        return ""
    details = issue.get("details")
    words = details.get("text") if isinstance(details, dict) else None
    text = words or issue.get("diagnostics") or issue.get("code") or "unknown error"
    where = issue.get("expression") or issue.get("location")
    place = f" at {where[0]}" if isinstance(where, list) and where and isinstance(where[0], str) else ""
    return f"{text}{place}"
