"""The web door: STOW-RS (PS3.18 10.5), read as a stream so that no more than one instance is in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from email.message import Message
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.requests import ClientDisconnect

from braintumor.node.bearer import is_authorised
from braintumor.node.receive.intake import Count, IngestResult, Intake, status_of
from braintumor.node.spool import LARGEST_INSTANCE, Announced, Arrival, IngestOutcome, Refusal, Spool

CALLING = "STOW-RS"
"""What is entered as the sender of its instances."""

LIMIT = 2**33
"""Bytes that one message may bring unless the caller says otherwise."""

_JSON = "application/dicom+json"
_DICOM = "application/dicom"
_LONGEST_BOUNDARY = 70
"""RFC 2046 5.1.1."""

Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]


def router(
    spool: Spool,
    on_kept: Callable[[Arrival], None],
    count: Count = lambda code: None,
    token: str | None = None,
    limit: int = LIMIT,
) -> APIRouter:
    """The routes ``/dicom-web/studies`` and ``/dicom-web/studies/{study}``.

    Answers 200 if every instance is kept, 202 if some are, 507 if none is for lack of space, 409 if none is for other reasons,
    each with the Store Instances Response (PS3.18 I); 400, 401, 413 and 415 say that the message was not read to its end, but
    instances in it that came before may be kept.

    Parameters
    ----------
    on_kept, count
        See `Intake`.
    token
        Asked for as a bearer token (RFC 6750) if given.
    limit
        Bytes of one message.
    """
    routes = APIRouter(tags=["stow"], default_response_class=Response)
    intake = Intake(spool, on_kept, count)

    async def received(request: Request, study: str) -> Response:
        if token is not None and not is_authorised(request.headers.get("authorization", ""), token):
            return _problem(HTTPStatus.UNAUTHORIZED, "A bearer token is needed", {"WWW-Authenticate": "Bearer"})
        boundary = _boundary(request.headers.get("content-type", ""))
        if isinstance(boundary, Response):
            return boundary
        told = request.headers.get("content-length", "")
        if told.isdecimal() and int(told) > limit:
            return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The message is longer than {limit} bytes")
        return await _received(request, intake, boundary, study, limit)

    @routes.post("/dicom-web/studies")
    async def store(request: Request) -> Response:
        return await received(request, "")

    @routes.post("/dicom-web/studies/{study}")
    async def store_in_study(request: Request, study: Uid) -> Response:
        return await received(request, study)

    return routes


async def _received(request: Request, intake: Intake, boundary: bytes, study: str, limit: int) -> Response:
    answer = _Answer()
    try:
        async for content in _parts(request.stream(), boundary, limit):
            if len(content) > LARGEST_INSTANCE:
                answer.add(intake.refuse(Refusal.TOO_LARGE, CALLING))
            else:
                answer.add(await run_in_threadpool(intake.take, content, CALLING, Announced(study_uid=study)))
    except _TooLongError:
        return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The message is longer than {limit} bytes")
    except _WrongTypeError:
        return _problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"A part is not {_DICOM}")
    except (FormParserError, ClientDisconnect):
        if not answer.kept:
            return _problem(HTTPStatus.BAD_REQUEST, "The message is not a whole multipart message (RFC 2046)")
        answer.add(intake.refuse(Refusal.INCOMPLETE, CALLING))
    if answer.is_empty:
        return _problem(HTTPStatus.BAD_REQUEST, "The message holds no part")
    return answer.response()


class _TooLongError(Exception):
    pass


class _WrongTypeError(Exception):
    pass


class _Collector:
    """Callbacks of the parser: whole parts, in the order in which they end."""

    def __init__(self, boundary: bytes) -> None:
        self.ready: list[bytes] = []
        self.ended = False
        self._content, self._field, self._value = bytearray(), bytearray(), bytearray()
        self._type = ""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_headers_finished": self._check,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def feed(self, chunk: bytes) -> list[bytes]:
        """Parts that end in this piece of the message."""
        self._parser.write(chunk)
        ready, self.ready = self.ready, []
        return ready

    def _begin(self) -> None:
        self._content, self._type = bytearray(), ""

    def _header(self) -> None:
        if bytes(self._field).lower() == b"content-type":
            self._type = _content_type(self._value.decode("latin-1")).get_content_type()
        self._field, self._value = bytearray(), bytearray()

    def _check(self) -> None:
        if self._type != _DICOM:
            raise _WrongTypeError

    def _data(self, data: bytes, start: int, end: int) -> None:
        if len(self._content) <= LARGEST_INSTANCE:  # one byte more than that says that it is too large
            self._content += data[start : min(end, start + LARGEST_INSTANCE + 1 - len(self._content))]

    def _end(self) -> None:
        self.ready.append(bytes(self._content))
        self._content = bytearray()

    def _finish(self) -> None:
        self.ended = True


async def _parts(stream: AsyncIterator[bytes], boundary: bytes, limit: int) -> AsyncIterator[bytes]:
    collector, size = _Collector(boundary), 0
    async for chunk in stream:
        size += len(chunk)
        if size > limit:
            raise _TooLongError
        for content in collector.feed(chunk):
            yield content
    if not collector.ended:
        raise FormParserError("the message ends before its last boundary")


class _Answer:
    """The Store Instances Response (PS3.18 I.2), instance by instance."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._unnamed: list[dict[str, Any]] = []
        self._no_space = False

    @property
    def is_empty(self) -> bool:
        return not (self.kept or self._failed or self._unnamed)

    def add(self, taken: IngestResult) -> None:
        reason = {"00081197": {"vr": "US", "Value": [status_of(taken)]}}
        self._no_space |= taken.outcome is IngestOutcome.NO_SPACE
        if taken.identity is None:
            self._unnamed.append(reason)
            return
        class_uid, sop_uid = taken.identity
        item = {"00081150": {"vr": "UI", "Value": [class_uid]}, "00081155": {"vr": "UI", "Value": [sop_uid]}}
        if taken.outcome.is_kept:
            self.kept.append(item | {"00081190": {"vr": "UR"}})  # Retrieve URL, type 2: nothing can be retrieved here
        else:
            self._failed.append(item | reason)

    def response(self) -> Response:
        sequences = {"00081198": self._failed, "00081199": self.kept, "0008119A": self._unnamed}
        content = {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}
        if not (self._failed or self._unnamed):
            status = HTTPStatus.OK
        elif self.kept:
            status = HTTPStatus.ACCEPTED
        else:
            status = HTTPStatus.INSUFFICIENT_STORAGE if self._no_space else HTTPStatus.CONFLICT
        return JSONResponse(content, status, media_type=_JSON)


def _boundary(header: str) -> bytes | Response:
    """Of a message of instances; or the answer to one that is none."""
    told = _content_type(header)
    kind = told.get_param("type", _DICOM)
    if told.get_content_type() != "multipart/related" or str(kind).lower() != _DICOM:
        return _problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'The message is not multipart/related; type="{_DICOM}"')
    boundary = told.get_param("boundary")
    if not isinstance(boundary, str) or not boundary or len(boundary) > _LONGEST_BOUNDARY:
        return _problem(HTTPStatus.BAD_REQUEST, "The message names no boundary (RFC 2046)")
    return boundary.encode("latin-1", "replace")


def _content_type(value: str) -> Message:
    told = Message()
    told["Content-Type"] = value
    return told


def _problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> Response:
    content = {"title": status.phrase, "status": int(status), "detail": detail}
    return JSONResponse(content, status, headers, "application/problem+json")
