"""Routes for work that takes a while: its state, its progress as it happens, and cancelling it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from sse_starlette import EventSourceResponse

from braintumor.server.api.views import of_job
from braintumor.server.api.work import Work

LOOK_S = 0.2
"""How often a watched job is looked at; a person sees no difference to less."""


router = APIRouter(prefix="/api/jobs", tags=["jobs"])


@router.get("")
def every(work: Work) -> list[dict[str, Any]]:
    """Jobs that are remembered, the newest first."""
    return [of_job(job) for job in work.jobs.all()]


@router.get("/{job}")
def one(work: Work, job: str) -> dict[str, Any]:
    """One job as it stands."""
    return of_job(work.jobs.get(job))


@router.delete("/{job}")
def cancel(work: Work, job: str) -> dict[str, Any]:
    """Cancel it; a job that is over stays as it is."""
    return of_job(work.jobs.cancel(job))


@router.get("/{job}/events", response_class=EventSourceResponse)
async def events(work: Work, job: str) -> EventSourceResponse:
    """Its states as server-sent events (event ``job``), until it is over."""
    work.jobs.get(job)  # says 404 before the stream begins

    async def states() -> AsyncIterator[dict[str, str]]:
        last = None
        while True:
            now = work.jobs.get(job)
            if now != last:
                yield {"event": "job", "data": json.dumps(of_job(now))}
            if now.state.over:
                return
            last = now
            await asyncio.sleep(LOOK_S)

    return EventSourceResponse(states(), ping=15)
