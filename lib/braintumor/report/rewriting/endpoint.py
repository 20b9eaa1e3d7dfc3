"""A language model behind an OpenAI-compatible chat completions address (vLLM, Ollama, llama.cpp)."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from braintumor.domain import LanguageModelError
from braintumor.report.rewriting.address import resolved
from braintumor.report.rewriting.model import Message, bounded

MAX_ANSWER = 1_000_000
"""Bytes; an answer has some thousand."""

PAUSE_S = 0.5
"""Before the one repetition, unless the server names another time."""

_ROUTE = "/chat/completions"
_CHECK = "Check that the server runs, its address and the model's name"


class EndpointModel:
    """A model served over HTTP.

    A lost connection, status 429 and 5xx are tried once more. Redirects are not followed: they would carry the sentences to a
    host that nobody named. The environment's proxies and netrc are ignored for the same reason.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key_env: str = "",
        key_file: Path | None = None,
        timeout_s: float = 60.0,
        verify: bool | Path = True,
        allow_remote: bool = False,
    ) -> None:
        """Look the host up and read the key; nothing is sent.

        Parameters
        ----------
        url
            Base address, e.g. ``http://localhost:8000/v1``.
        model
            As the server calls it.
        key_env, key_file
            Environment variable or file that holds the API key, if the server wants one; read now. A variable that is not set
            means that there is no key.
        timeout_s
            For one answer in all, repetition included.
        verify
            Whether TLS certificates are checked; a path names the authority's certificate (PEM).
        allow_remote
            Whether hosts outside loopback and the private network are accepted; sentences of reports would leave the network.

        Raises
        ------
        LanguageModelError
            If the address or the key is unusable, or the host is remote and not allowed.
        """
        self._model, self._timeout_s, self._allow_remote = model, timeout_s, allow_remote
        self._url = _address(url)
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", **_authorisation(key_env, key_file)}
        self._tls = _tls(verify, self._url.scheme)
        self._addresses()  # a host that may not be asked is told now, and checked again at every request

    @property
    def name(self) -> str:
        """The model's name, without the server's address."""
        return self._model

    def complete(self, messages: Sequence[Message], *, max_tokens: int) -> str:
        """The model's answer at temperature 0.

        Raises
        ------
        LanguageModelError
        """
        until = time.monotonic() + self._timeout_s
        body = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": 0,
            "stream": False,
        }
        try:
            return self._attempt(body, until)
        except _TransientError as first:
            if time.monotonic() + first.wait_s >= until:
                raise first.error from None
            time.sleep(first.wait_s)
        try:
            return self._attempt(body, until)
        except _TransientError as again:
            raise again.error from None

    def _attempt(self, body: Mapping[str, Any], until: float) -> str:
        """Reads have a time limit each, which a server that sends a byte now and then never meets; hence the outer limit."""
        left = until - time.monotonic()
        try:
            return bounded(lambda: self._exchange(body, until), left)
        except (TimeoutError, httpx.TimeoutException):
            raise _error(f"did not answer within {self._timeout_s:g} s", "Allow more time, or use a faster model") from None
        except httpx.ConnectError:
            raise _TransientError(_error("cannot be reached", _CHECK)) from None
        except httpx.TransportError as error:
            raise _TransientError(_error(f"broke the connection ({type(error).__name__})", _CHECK)) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise _error(f"could not be asked ({type(error).__name__})", _CHECK) from None

    def _addresses(self) -> tuple[str, ...]:
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        return resolved(self._url.host, port, allow_remote=self._allow_remote)

    def _exchange(self, body: Mapping[str, Any], until: float) -> str:
        *first, last = self._addresses()
        seconds = max(0.001, until - time.monotonic())
        with httpx.Client(verify=self._tls, trust_env=False, follow_redirects=False, timeout=seconds) as client:
            for address in first:
                with suppress(httpx.ConnectError):  # e.g. localhost is ::1 too, and the server may listen on 127.0.0.1 only
                    return self._post(client, address, body, until)
            return self._post(client, last, body, until)

    def _post(self, client: httpx.Client, address: str, body: Mapping[str, Any], until: float) -> str:
        url = self._url.copy_with(host=address)
        headers = {**self._headers, "Host": self._url.netloc.decode("ascii")}
        named = {"sni_hostname": self._url.host}
        with client.stream("POST", url, json=body, headers=headers, extensions=named) as response:
            _check_status(response)
            return _answer(_body(response, until))


class _TransientError(Exception):
    """A failure after which a second try may help."""

    def __init__(self, error: LanguageModelError, wait_s: float = PAUSE_S) -> None:
        super().__init__()
        self.error, self.wait_s = error, wait_s


def _address(url: str) -> httpx.URL:
    try:
        found = httpx.URL(url.rstrip("/"))
    except (httpx.InvalidURL, TypeError):
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host or found.userinfo or found.query or found.fragment:
        raise _error("has no usable address", "Write it as http://host:port/v1, without a user, a password or a query")
    path = found.path if found.path.endswith(_ROUTE) else found.path.rstrip("/") + _ROUTE
    return found.copy_with(path=path)


def _authorisation(env: str, file: Path | None) -> dict[str, str]:
    if file is None and env not in os.environ:
        return {}  # most servers on site want none; one that does answers with status 401
    try:
        key = (os.environ[env] if file is None else file.read_text("ascii")).strip()
    except (OSError, UnicodeDecodeError):
        key = ""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        where = f"the environment variable {env}" if file is None else "the named file"
        raise _error("needs a key, and there is no usable one", f"Put the key, and nothing else, into {where}")
    return {"Authorization": f"Bearer {key}"}


def _tls(verify: bool | Path, scheme: str) -> ssl.SSLContext | bool:
    """What httpx checks certificates with; read once, because reading all authorities takes as long as a short answer."""
    if verify is False or scheme == "http":
        return False
    try:
        return httpx.create_ssl_context() if verify is True else ssl.create_default_context(cafile=verify)
    except OSError:  # ssl.SSLError is one
        raise _error("cannot be asked: the authority's certificate cannot be read", "Name a PEM file") from None


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if 300 <= status < 400:
        raise _error("answered with a redirect, which is not followed: it could lead to another host", "Give the final address")
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        raise _TransientError(_error(f"answered with HTTP status {status}", _CHECK), _wait(response))
    if status != httpx.codes.OK:
        # the body is not read: servers repeat the request in it
        raise _error(f"answered with HTTP status {status}", _CHECK)


def _wait(response: httpx.Response) -> float:
    named = response.headers.get("Retry-After", "")
    return float(named) if named.isascii() and named.isdigit() and len(named) < 6 else PAUSE_S


def _body(response: httpx.Response, until: float) -> bytes:
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise _error("answered with something that is not JSON", _CHECK)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _error("answered compressed, which it was not asked to", _CHECK)
    data = bytearray()
    for piece in response.iter_raw():
        data += piece
        if time.monotonic() > until:
            raise TimeoutError  # nobody waits any more
        if len(data) > MAX_ANSWER:
            raise _error(f"answered with more than {MAX_ANSWER} bytes", "Use another model")
    return bytes(data)


def _answer(data: bytes) -> str:
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise _error("answered with JSON that is broken or holds no message", _CHECK) from None
    if not isinstance(content, str) or not content.strip():
        raise _error("answered with an empty message", "Use another model")
    return content


def _error(what: str, remedy: str) -> LanguageModelError:
    return LanguageModelError(f"The language model {what}", remedy=remedy)
