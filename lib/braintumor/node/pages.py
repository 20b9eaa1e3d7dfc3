"""The node's HTTP pages: health, metrics, a status page that needs no script, and the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from braintumor.domain import BrainTumorError, DatabaseError, problem
from braintumor.node import metrics, reasons
from braintumor.node.bearer import is_authorised
from braintumor.node.states import StudyRecord, StudyState

REFRESH_S = 10
"""How often an open status page is loaded again."""

SHOWN = 50
"""Studies on the status page."""

_STATIC = Path(__file__).with_name("static")
_ENDED = frozenset({StudyState.ACKNOWLEDGED, StudyState.IGNORED, StudyState.FAILED})
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be in order before the node can be relied on."""

    ok: bool
    words: str


@dataclass(frozen=True, slots=True)
class WorkerStanding:
    """A worker: a name, ``idle`` or ``busy``, the pseudonym of its study, and since when (ISO 8601)."""

    name: str
    state: str
    study: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class DestinationStanding:
    """A destination: results that wait for it, and times (ISO 8601, empty: never) and reason code of what happened last."""

    name: str
    kind: str
    waiting: int
    last_success: str = ""
    last_failure: str = ""
    last_reason: str = ""


class NodeView(Protocol):
    """What the pages show. Methods raise `DatabaseError` while the database is down, except `checks` and `workers`."""

    def recent(self, limit: int) -> Sequence[StudyRecord]:
        """Failed studies first, then the latest changes."""

    def study(self, pseudonym: str) -> StudyRecord | None:
        """The study of a pseudonym."""

    def events(self, pseudonym: str) -> Sequence[tuple[str, int, str, Mapping[str, Any]]]:
        """Time, generation, code and facts of what happened to a study; facts hold no patient data."""

    def counts(self) -> Mapping[StudyState, int]:
        """Number of studies by state."""

    def destinations(self) -> Sequence[DestinationStanding]:
        """Every destination of the settings."""

    def workers(self) -> Sequence[WorkerStanding]:
        """Every worker that is known."""

    def checks(self) -> Mapping[str, Check]:
        """``database``, ``disk`` (above its floor), ``receiving``."""

    def free_bytes(self) -> int:
        """Free space on the spool's disk."""

    def retry(self, pseudonym: str) -> bool:
        """Take up a FAILED study again; False if it is not FAILED."""


class _Problems(APIRoute):
    """Errors leave as problem details (RFC 9457), whatever app the router is part of."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except DatabaseError as error:
                response = _problem(HTTPStatus.SERVICE_UNAVAILABLE, **problem(error))
                response.headers["Retry-After"] = str(REFRESH_S)
            except BrainTumorError as error:
                response = _problem(HTTPStatus.UNPROCESSABLE_ENTITY, **problem(error))
            except RequestValidationError as error:
                places = "; ".join(".".join(str(part) for part in e["loc"]) + f": {e['msg']}" for e in error.errors()[:5])
                remedy = "See the node's documentation for what is expected"
                response = _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not understood", places, remedy, "request")
            response.headers.update(_HEADERS)
            return response

        return answer


def router(view: NodeView, token: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> APIRouter:
    """The pages of one node.

    Parameters
    ----------
    view
        What is shown.
    token
        Bearer token that retries need; None switches them off.
    now
        The time, with a time zone.
    """
    made = APIRouter(route_class=_Problems)
    _add_operation(made, view)
    _add_studies(made, view, token, now)
    template = Environment(autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(_STATIC)).get_template(
        "status.html"
    )

    @made.get("/", include_in_schema=False)
    def status() -> Response:
        content = _standing(view, now())
        code = HTTPStatus.OK if content["database"] else HTTPStatus.SERVICE_UNAVAILABLE
        return HTMLResponse(template.render(content, refresh_s=REFRESH_S, shown=SHOWN), code)

    @made.get("/status.css", include_in_schema=False)
    def style() -> Response:
        return FileResponse(_STATIC / "status.css", media_type="text/css")

    return made


def _add_operation(made: APIRouter, view: NodeView) -> None:
    @made.get("/healthz", tags=["operation"])
    async def alive() -> dict[str, str]:
        """The process answers; says nothing of what it depends on, so an outage of the database restarts no container."""
        return {"status": "ok"}

    @made.get("/readyz", tags=["operation"])
    def ready() -> Response:
        """The database answers, the disk has space, and instances can be received: 200, else 503."""
        checks = view.checks()
        good = all(check.ok for check in checks.values())
        content = {name: {"ok": check.ok, "words": check.words} for name, check in checks.items()}
        return JSONResponse({"ready": good, "checks": content}, HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)

    @made.get("/metrics", tags=["operation"])
    def scrape() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)


def _add_studies(made: APIRouter, view: NodeView, token: str | None, now: Callable[[], datetime]) -> None:
    @made.get("/api/studies", tags=["studies"])
    def studies(limit: Annotated[int, Query(ge=1, le=500)] = SHOWN) -> dict[str, Any]:
        """Failed studies first, then the latest."""
        return {"studies": [describe(study, now()) for study in view.recent(limit)]}

    @made.get("/api/studies/{pseudonym}", tags=["studies"])
    def study(pseudonym: str) -> Response:
        """One study and everything that happened to it."""
        found = view.study(pseudonym)
        if found is None:
            return _unknown()
        names = ("at", "generation", "event", "facts")
        happened = [dict(zip(names, event, strict=True)) for event in view.events(pseudonym)]
        return JSONResponse({**describe(found, now()), "events": happened})

    @made.post("/api/studies/{pseudonym}/retry", tags=["studies"], status_code=HTTPStatus.ACCEPTED)
    def retry(pseudonym: str, authorization: Annotated[str, Header()] = "") -> Response:
        """Take up a failed study again: its deliveries where there are results, else the work."""
        refusal = _refusal(token, authorization)
        if refusal is not None:
            return refusal
        if view.study(pseudonym) is None:
            return _unknown()
        if not view.retry(pseudonym):
            words = ("Only failed studies can be retried", "The study is not in the state failed", "Look at its state")
            return _problem(HTTPStatus.CONFLICT, *words, "not-failed")
        return JSONResponse({"pseudonym": pseudonym, "retried": True}, HTTPStatus.ACCEPTED)


def describe(study: StudyRecord, present: datetime) -> dict[str, Any]:
    """What may be shown of a study.

    The words follow from the reason's code alone: the detail may quote a Series Description, in which people write names.
    """
    ended = study.state in _ENDED
    return {
        "pseudonym": study.pseudonym,
        "state": study.state.value,
        "generation": study.generation,
        "instances": study.instances,
        "attempts": study.attempts,
        "calling": study.calling,
        "received": study.first_received,
        "since": study.changed,
        "seconds": _seconds(study.first_received, datetime.fromisoformat(study.changed) if ended else present),
        "reason": study.reason,
        "words": reasons.words(study.reason),
        "remedy": reasons.remedy(study.reason),
    }


def _standing(view: NodeView, present: datetime) -> dict[str, Any]:
    """Everything that the status page shows; without what the database knows while that is down."""
    content: dict[str, Any] = {
        "now": _short(present.astimezone(UTC).isoformat()),
        "checks": view.checks(),
        "workers": [(worker, _short(worker.since)) for worker in view.workers()],
        "free": _free(view),
        "database": True,
        "counts": {},
        "destinations": [],
        "studies": [],
    }
    try:
        counts = view.counts()
        destinations = view.destinations()
        studies = [describe(study, present) for study in view.recent(SHOWN)]
    except DatabaseError:
        return {**content, "database": False}
    return {
        **content,
        "counts": {state.value: counts.get(state, 0) for state in StudyState},
        "destinations": [
            (d, _short(d.last_success), _short(d.last_failure), reasons.words(d.last_reason)) for d in destinations
        ],
        "studies": [
            {**s, "received": _short(s["received"]), "since": _short(s["since"]), "took": _duration(s["seconds"])}
            for s in studies
        ],
    }


def _free(view: NodeView) -> str:
    try:
        return f"{view.free_bytes() / 1e9:.1f} GB"
    except OSError:
        return "unknown: the disk does not answer"


def _refusal(token: str | None, authorization: str) -> Response | None:
    """The answer to a request that may not change anything; None if it may."""
    if not token:
        words = ("Retries are switched off", "This node has no token", "Set BRAINTUMOR_NODE_TOKEN and start it again")
        return _problem(HTTPStatus.FORBIDDEN, *words, "no-token")
    if is_authorised(authorization, token):
        return None
    words = ("The token is missing or wrong", "Nothing was changed", "Send the node's token: Authorization: Bearer ...")
    refused = _problem(HTTPStatus.UNAUTHORIZED, *words, "unauthorized")
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


def _unknown() -> Response:
    words = ("There is no such study", "The node knows no study of this pseudonym", "See /api/studies for those it knows")
    return _problem(HTTPStatus.NOT_FOUND, *words, "unknown-study")


def _problem(status: HTTPStatus, title: str, detail: str, remedy: str, code: str) -> Response:
    """One problem (RFC 9457 section 3.1, with the extension members `remedy` and `code`)."""
    content = {"type": f"about:blank#{code}", "title": title, "status": int(status), "detail": detail, "remedy": remedy}
    return JSONResponse({**content, "code": code}, status, media_type="application/problem+json")


def _seconds(start: str, end: datetime) -> float:
    # a clock that was set back makes no negative duration
    return round(max(0.0, (end - datetime.fromisoformat(start)).total_seconds()), 1)


def _short(moment: str) -> str:
    """An ISO 8601 time as ``2026-01-31 14:05:09`` in UTC; empty stays empty."""
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _duration(seconds: float) -> str:
    """A duration in at most two units: ``42 s``, ``3 min 05 s``, ``2 h 10 min``, ``4 d 3 h``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
