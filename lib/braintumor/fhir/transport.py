"""HTTP with a FHIR server: tries again where that can help, and turns every refusal into a `FhirError` without patient data."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from braintumor.domain import FhirError
from braintumor.fhir.outcome import said
from braintumor.fhir.parts import Resource

TOKEN = "BRAINTUMOR_FHIR_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the bearer token."""

JSON = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"
AGAIN = frozenset({409, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed. What we send may be sent twice, so trying again is safe."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LARGEST_ANSWER = 256 * 2**20

_REMEDIES = {
    401: "Give a valid token (see --help), or ask whoever runs the server for one",
    403: "Ask whoever runs the server for the right to store reports",
    404: "Check the address of the FHIR service",
    405: "Check the address of the FHIR service, and that it takes transactions",
    409: "Somebody else is storing the same; try again later",
    412: "Several resources on the server have one identifier; merge them there first",
    413: "Send the report without its PDF, or raise the server's limit",
}
_MEANINGS = {
    401: "does not accept the token, or wants one",
    403: "does not allow it",
    404: "has nothing at this address",
    405: "does not take this request at this address",
    409: "is in conflict with another change",
    412: "finds more than one match for an identifier",
    413: "finds the report too large",
    429: "has too much to do",
}


@dataclass(slots=True)
class Transport:
    """Requests below one base address.

    Attributes
    ----------
    base_url
        ``https`` unless it is this machine or `plain` is True: a report on the way is readable by everybody in between.
    token
        Sent as bearer token; '' for none.
    timeout
        Seconds for one attempt, from the request to the last byte of the answer.
    verify
        Whether, or with which authorities (a PEM file), the server's certificate is checked.
    attempts
        How often one request is tried at most.
    pause
        Waits so many seconds; tests put in their own.
    page
        Resources that are asked for at once.
    """

    base_url: str
    token: str = field(default="", repr=False)
    timeout: float = 30.0
    verify: bool | Path = True
    attempts: int = 4
    plain: bool = False
    pause: Callable[[float], None] = time.sleep
    page: int = 200
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.base_url = self.base_url.rstrip("/")
        _check_address(self.base_url, plain=self.plain)
        context = ssl.create_default_context(cafile=str(self.verify)) if isinstance(self.verify, Path) else self.verify
        headers = {"Accept": JSON, "Prefer": "handling=strict"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        # No proxies and passwords from the environment: a report goes to the server that was named, and nowhere else
        self._client = httpx.Client(
            headers=headers, timeout=self.timeout, verify=context, follow_redirects=False, trust_env=False
        )

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    @property
    def host(self) -> str:
        """The server's name, for messages."""
        return urlsplit(self.base_url).netloc

    def post(self, bundle: Resource, secrets: frozenset[str]) -> Resource:
        """Send a bundle to the base address; its answer."""
        content = json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode()
        return self.call("POST", "", content=content, kind=JSON, secrets=secrets)

    def read(self, address: str) -> Resource:
        """One resource, by ``Type/id``."""
        return self.call("GET", f"/{address}")

    def search(self, kind: str, parameters: Mapping[str, str]) -> list[Resource]:
        """All resources of a kind that the server says match, over all pages.

        By POST, so that identifiers of patients stand in no address and in no log of addresses. A server may ignore a parameter
        that it does not know and answer with everything, so callers must look whether what they get is what they asked for.
        """
        content = str(httpx.QueryParams({**parameters, "_count": str(self.page)})).encode()
        secrets = frozenset(value for value in parameters.values() if len(value) > 1)
        page = self.call("POST", f"/{kind}/_search", content=content, kind=FORM, secrets=secrets)
        found: list[Resource] = []
        seen: set[str] = set()
        while True:
            found += [each["resource"] for each in _list(page.get("entry")) if _is(each.get("resource"), kind)]
            following = next((str(link.get("url")) for link in _list(page.get("link")) if link.get("relation") == "next"), "")
            if not following or following in seen:
                if isinstance(page.get("total"), int) and page["total"] > len(found):
                    raise self._error("gave a part of its answer only", "Try again later; nothing was stored")
                return found
            if not following.startswith(f"{self.base_url}/") and not following.startswith(f"{self.base_url}?"):
                raise self._error(
                    "names another place for the next page of its answer", "Check the server's own address in its settings"
                )
            seen.add(following)
            page = self.call("GET", following.removeprefix(self.base_url), secrets=secrets)

    def call(
        self, method: str, path: str, *, content: bytes | None = None, kind: str = "", secrets: frozenset[str] = frozenset()
    ) -> Resource:
        """One request, tried again where that can help.

        Raises
        ------
        FhirError
            If the server refuses, redirects, cannot be reached, or does not answer in FHIR.
        """
        failure: FhirError | None = None
        for attempt in range(self.attempts):
            wait = FIRST_PAUSE_S * 2**attempt
            try:
                status, headers, body = self._once(method, path, content, kind)
            except httpx.TimeoutException:
                failure = self._error(f"did not answer within {self.timeout:.0f} s", "Try again later; nothing is stored twice")
            except httpx.RequestError as error:
                failure = self._error(
                    f"cannot be reached ({type(error).__name__})", "Check the address, network and certificate"
                )
            else:
                if status not in AGAIN:
                    return self._answer(status, body, secrets)
                failure = self._refusal(status, body, secrets)
                wait = _retry_after(headers, wait)
            if attempt + 1 < self.attempts:
                self.pause(min(wait, LONGEST_PAUSE_S))
        raise failure or self._error("was not asked", "Allow at least one attempt")

    def _once(self, method: str, path: str, content: bytes | None, kind: str) -> tuple[int, httpx.Headers, bytes]:
        """One attempt. A server that sends a byte now and then does not hold us longer than `timeout`."""
        deadline = time.monotonic() + self.timeout
        headers = {"Content-Type": f"{kind}; charset=utf-8" if kind == JSON else kind} if kind else {}
        with self._client.stream(method, self.base_url + path, content=content, headers=headers) as response:
            body = bytearray()
            for block in response.iter_bytes():
                body += block
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer takes too long")
                if len(body) > LARGEST_ANSWER:
                    raise self._error("answers with more than this program reads", "Check the address of the FHIR service")
            return response.status_code, response.headers, bytes(body)

    def _answer(self, status: int, body: bytes, secrets: frozenset[str]) -> Resource:
        if 300 <= status < 400:
            raise self._error("redirects to another place", "Give the address it redirects to, if that is the right server")
        if not 200 <= status < 300:
            raise self._refusal(status, body, secrets)
        content = _json(body)
        if not isinstance(content, dict) or "resourceType" not in content:
            raise self._error("does not answer in FHIR", "Check the address of the FHIR service")
        if content["resourceType"] == "OperationOutcome" and said(content, secrets):
            raise self._refusal(status, body, secrets)
        return content

    def _refusal(self, status: int, body: bytes, secrets: frozenset[str]) -> FhirError:
        meaning = _MEANINGS.get(status, "failed" if status >= 500 else "refused")
        words = said(_json(body), secrets)
        remedy = _REMEDIES.get(
            status, "Try again later; nothing is stored twice" if status in AGAIN else "Correct what it names"
        )
        return self._error(f"{meaning} (HTTP {status})" + (f": {words}" if words else ""), remedy, status)

    def _error(self, problem: str, remedy: str, status: int | None = None) -> FhirError:
        return FhirError(f"The FHIR server {self.host} {problem}", remedy=remedy, status=status)


@contextmanager
def understood(host: str) -> Iterator[None]:
    """An answer that is JSON but not shaped as FHIR ends as a refusal, not as a crash; it is not quoted."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        problem = f"The FHIR server {host} sent resources that are not shaped as FHIR ({type(error).__name__})"
        raise FhirError(problem, remedy="Check them on the server") from None


def token_from(token: str = "", file: Path | None = None) -> str:
    """A bearer token: as given, else from a file, else from the environment variable `TOKEN`; '' if there is none.

    Raises
    ------
    FhirError
        If the file cannot be read, or a token has characters that no token has.
    """
    if not token and file is not None:
        try:
            token = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FhirError(
                "The file with the FHIR token cannot be read", remedy="Check its path and rights", path=file
            ) from error
    found = (token or os.environ.get(TOKEN, "")).strip()
    if any(not "!" <= character <= "~" for character in found):
        raise FhirError("The FHIR token holds characters that no token has", remedy="Give the token alone, on one line")
    return found


def _check_address(url: str, *, plain: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise FhirError("The address of the FHIR server is no web address", remedy="Give it as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise FhirError("The address of the FHIR server holds a name or password", remedy="Give a token instead")
    if parts.scheme == "http" and not plain and not _is_this_machine(parts.hostname):
        raise FhirError(
            "The FHIR server would get the patient's data unencrypted",
            remedy="Give an https address, or allow plain http on purpose",
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _retry_after(headers: httpx.Headers, otherwise: float) -> float:
    said_seconds = headers.get("Retry-After", "")
    return float(said_seconds) if said_seconds.isascii() and said_seconds.isdigit() else otherwise


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _list(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _is(resource: Any, kind: str) -> bool:
    return isinstance(resource, dict) and resource.get("resourceType") == kind
