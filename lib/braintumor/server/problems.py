"""Errors as RFC 9457 problem details: the status a client can act on, and words a person can act on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from monailabel.interfaces.exception import MONAILabelException
from starlette.exceptions import HTTPException

from braintumor.domain import (
    ArchiveError,
    BrainTumorError,
    BusyError,
    FinalReportError,
    InputNotFoundError,
    NewerVersionError,
    NoCandidateError,
    NoLabelsError,
    OutputError,
    SubmissionError,
    UnknownJobError,
    UnknownStudyError,
    UnknownVersionError,
    problem,
)
from braintumor.server.labels import ConflictError

_log = logging.getLogger(__name__)

STATUS: Mapping[type[BrainTumorError], HTTPStatus] = {
    UnknownStudyError: HTTPStatus.NOT_FOUND,
    UnknownJobError: HTTPStatus.NOT_FOUND,
    UnknownVersionError: HTTPStatus.NOT_FOUND,
    InputNotFoundError: HTTPStatus.NOT_FOUND,
    SubmissionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NewerVersionError: HTTPStatus.CONFLICT,
    NoLabelsError: HTTPStatus.CONFLICT,
    FinalReportError: HTTPStatus.CONFLICT,
    NoCandidateError: HTTPStatus.NOT_FOUND,
    BusyError: HTTPStatus.TOO_MANY_REQUESTS,
    ArchiveError: HTTPStatus.BAD_GATEWAY,
    OutputError: HTTPStatus.INSUFFICIENT_STORAGE,
}
"""Every other `BrainTumorError` says that the study cannot be worked on: 422."""

MEDIA_TYPE = "application/problem+json"


def install(app: FastAPI) -> None:
    """Let every error of the app leave as a problem."""
    app.add_exception_handler(BrainTumorError, _of_ours)
    app.add_exception_handler(MONAILabelException, _of_monai_label)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_anything)


def answer(status: int, title: str, detail: str, remedy: str, code: str, **more: Any) -> JSONResponse:
    """One problem (RFC 9457 section 3.1, with the extension members `remedy` and `code`)."""
    content = {"type": f"about:blank#{code}", "title": title, "status": int(status), "detail": detail, "remedy": remedy}
    headers = {"Retry-After": "30"} if status == HTTPStatus.TOO_MANY_REQUESTS else None
    return JSONResponse({**content, "code": code, **more}, int(status), headers, MEDIA_TYPE)


def status_of(error: BrainTumorError) -> HTTPStatus:
    """The HTTP status of an error of ours."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.UNPROCESSABLE_ENTITY


def _of_ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BrainTumorError)  # noqa: S101  registered for it
    more: dict[str, Any] = {}
    if isinstance(error, ConflictError):
        newer = error.newer
        created = newer.created.isoformat() if newer.created else None
        more["newer"] = {"uid": newer.uid, "author": newer.author, "created": created}
    return answer(status_of(error), **problem(error), **more)


def _of_monai_label(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MONAILabelException)  # noqa: S101
    return answer(
        HTTPStatus.NOT_FOUND, "Unknown to this server", str(error.msg), "Ask /info/ for what there is", "not-available"
    )


def _of_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    places = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()[:5])
    return answer(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not understood", places, "See /docs for what is expected", "request"
    )


def _of_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    # MONAI Label says 500 where the client forgot something ("Neither Image nor File ... is provided").
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error.status_code == HTTPStatus.INTERNAL_SERVER_ERROR else error.status_code
    phrase = HTTPStatus(status).phrase
    return answer(status, phrase, str(error.detail), "See /docs for what this server offers", "http")


def _of_anything(_request: Request, error: Exception) -> JSONResponse:
    _log.error("a request failed with %s", type(error).__name__)
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR, **problem(error))
