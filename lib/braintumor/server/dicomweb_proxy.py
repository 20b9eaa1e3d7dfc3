"""Passes DICOMweb requests of the viewer on to a PACS, with the server's credentials, as a stream in both directions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from braintumor.archive import Pacs
from braintumor.server import problems

CONNECTIONS = 64
"""Open at once towards the PACS; a viewer asks for up to 25 frames at a time."""

_PATH = re.compile(r"(studies|series|instances)(/[A-Za-z0-9.,_-]*)*")
_ASKED = ("accept", "content-type", "range", "if-none-match")
_ANSWERED = ("content-type", "content-range", "accept-ranges", "etag", "warning", "retry-after")
_REMEDY = "Check that the PACS runs and its address; what you have not submitted is kept in the viewer"


def router(pacs: Pacs) -> APIRouter:
    """The routes below the service's root."""
    client: list[httpx.AsyncClient] = []  # made in the event loop that uses it

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        while client:
            await client.pop().aclose()

    def connected() -> httpx.AsyncClient:
        if not client:
            client.append(_client(pacs))
        return client[0]

    routes = APIRouter(tags=["dicomweb"], lifespan=life)

    @routes.get("/{path:path}")
    async def ask(request: Request, path: str) -> Response:
        return await _passed_on(connected(), pacs.url, request, path)

    @routes.post("/{path:path}")
    async def store(request: Request, path: str) -> Response:
        if not re.fullmatch(r"studies(/[0-9.]+)?", path):
            return _problem(HTTPStatus.NOT_FOUND, "There is nothing to write to at this address", "Store to /studies")
        return await _passed_on(connected(), pacs.url, request, path)

    return routes


def _client(pacs: Pacs) -> httpx.AsyncClient:
    known, limits = pacs.credentials, pacs.limits
    return httpx.AsyncClient(
        auth=httpx.BasicAuth(known.user, known.password) if known.user else None,
        headers={"Authorization": f"Bearer {known.token}"} if known.token and not known.user else None,
        timeout=httpx.Timeout(limits.read_s, connect=limits.connect_s, pool=limits.read_s),
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        trust_env=False,  # no proxy of the surroundings, no netrc
        follow_redirects=False,
    )


async def _passed_on(client: httpx.AsyncClient, url: str, request: Request, path: str) -> Response:
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        return _problem(HTTPStatus.NOT_FOUND, "This is no DICOMweb resource", "Ask for studies, series or instances")
    query = re.sub("%2[Aa]", "*", request.url.query)  # Orthanc 1.10 takes an encoded wildcard for a part of the name
    target = httpx.URL(f"{url}/{path}", query=query.encode())
    headers = {name: request.headers[name] for name in _ASKED if name in request.headers} | {"accept-encoding": "identity"}
    body = request.stream() if request.method == "POST" else None
    try:
        answer = await client.send(client.build_request(request.method, target, headers=headers, content=body), stream=True)
    except httpx.TimeoutException:
        return _problem(HTTPStatus.GATEWAY_TIMEOUT, "The PACS did not answer in time", _REMEDY)
    except httpx.HTTPError:
        return _problem(HTTPStatus.BAD_GATEWAY, "The PACS does not answer", _REMEDY)
    try:
        return await _answered(answer, url, request)
    except BaseException:
        await answer.aclose()
        raise


async def _answered(answer: httpx.Response, url: str, request: Request) -> Response:
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):  # ours, not the viewer's
        await answer.aclose()
        return _problem(HTTPStatus.BAD_GATEWAY, "The PACS does not accept this server's credentials", "Check the settings")
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        await answer.aclose()
        return _problem(HTTPStatus.BAD_GATEWAY, f"The PACS failed with status {answer.status_code}", _REMEDY)
    headers = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    if "json" in answer.headers.get("content-type", "") or "xml" in answer.headers.get("content-type", ""):
        try:
            content = await answer.aread()
        except httpx.TimeoutException:
            return _problem(HTTPStatus.GATEWAY_TIMEOUT, "The PACS stopped in the middle of its answer", _REMEDY)
        except httpx.HTTPError:
            return _problem(HTTPStatus.BAD_GATEWAY, "The PACS broke off its answer", _REMEDY)
        finally:
            await answer.aclose()
        return Response(_pointing_here(content, url, request), answer.status_code, headers)
    if "content-length" in answer.headers:
        headers["content-length"] = answer.headers["content-length"]
    return StreamingResponse(_stream(answer), answer.status_code, headers)


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes; if the PACS breaks off, so does this, and the viewer sees an incomplete answer."""
    try:
        async for piece in answer.aiter_raw(2**18):
            yield piece
    finally:
        await answer.aclose()


def _pointing_here(content: bytes, url: str, request: Request) -> bytes:
    """Absolute addresses of the PACS' service (under whatever host name it knows itself by) become this service's."""
    root = re.escape(urlsplit(url).path.rstrip("/").encode())
    own = request.url.path.rpartition(f"/{request.path_params['path']}")[0]
    here = f"{request.url.scheme}://{request.url.netloc}{own}".encode()
    return re.sub(rb"https?://[^/\"\\\s<>]+" + root + rb"(?=/(?:studies|series|instances)\b)", lambda _: here, content)


def _problem(status: HTTPStatus, detail: str, remedy: str) -> Response:
    code = "archive" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "dicomweb"
    return problems.answer(status, status.phrase, detail, remedy, code)
