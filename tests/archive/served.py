"""A DICOMweb archive on the loopback interface whose faults can be switched on: our own service over a folder."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from braintumor.archive import StudyStore
from braintumor.server import dicomweb, problems


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The app on a free port while the block runs; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def app_of(store: StudyStore) -> FastAPI:
    """A server that offers nothing but the store's DICOMweb service."""
    app = FastAPI()
    problems.install(app)
    app.include_router(dicomweb.router(store), prefix="/dicom-web")
    return app


@dataclass
class Faults:
    """What goes wrong; nothing by default.

    Attributes
    ----------
    statuses
        Answered instead, one after the other, before requests are served again.
    delay_s
        Of every answer.
    cut
        Share of the body of retrieved instances that is delivered; the rest is not.
    forgetful
        Stores answer as if they had kept everything.
    seen
        Method, path and Authorization header of every request.
    """

    statuses: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    cut: Callable[[bytes], bytes] | None = None
    forgetful: bytes | None = None
    seen: list[tuple[str, str, str]] = field(default_factory=list)

    def install(self, app: FastAPI) -> FastAPI:
        app.middleware("http")(self._handle)
        return app

    async def _handle(self, request: Request, call_next: Callable[[Request], Awaitable[Any]]) -> Response:
        self.seen.append((request.method, request.url.path, request.headers.get("authorization", "")))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.statuses:
            return Response(status_code=self.statuses.pop(0))
        if self.forgetful is not None and request.method == "POST":
            return Response(self.forgetful, media_type="application/dicom+json")
        answer = await call_next(request)
        if self.cut is None or "multipart/related" not in answer.headers.get("content-type", ""):
            return answer
        body = self.cut(b"".join([piece async for piece in answer.body_iterator]))
        return Response(body, answer.status_code, media_type=answer.headers["content-type"])
