"""MONAI Label 0.8.5 made to work here: it imports with pydicom 3, and its blocking handlers leave the event loop."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from typing import Any

import pydicom.uid

# pydicom_seg, which MONAI Label imports, knows pydicom 2 only (MONAILabel #1841); the names it wants live here now.
sys.modules.setdefault("pydicom._storage_sopclass_uids", pydicom.uid)

from fastapi import APIRouter  # noqa: E402
from fastapi.routing import APIRoute  # noqa: E402

from braintumor.domain import SubmissionError  # noqa: E402

FORMS = ("params", "info")
"""Form fields that hold a JSON object; MONAI Label parses them without looking."""


def offloaded(router: APIRouter) -> APIRouter:
    """A router whose handlers run in worker threads.

    MONAI Label declares every handler ``async`` and then blocks in it, so that one inference stops all other requests. None of
    these handlers awaits anything, so each can be run to its end by a loop of its own in a thread.
    """
    moved = APIRouter()
    for route in router.routes:
        if not isinstance(route, APIRoute):
            continue
        moved.add_api_route(
            route.path,
            _in_thread(route.endpoint) if inspect.iscoroutinefunction(route.endpoint) else route.endpoint,
            methods=sorted(route.methods or ()),
            tags=route.tags,
            summary=route.summary,
            response_class=route.response_class,
            include_in_schema=route.include_in_schema,
            deprecated=route.deprecated,
        )
    return moved


def _in_thread(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The same parameters on a plain function, which FastAPI gives a thread."""

    def run(*args: Any, **kwargs: Any) -> Any:
        for name in FORMS:
            _check_object(name, kwargs.get(name))
        return asyncio.run(handler(*args, **kwargs))

    run.__name__, run.__doc__ = handler.__name__, handler.__doc__
    run.__signature__ = inspect.signature(handler, eval_str=True)  # type: ignore[attr-defined]  # FastAPI reads it
    return run


def _check_object(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        return
    try:
        fine = isinstance(json.loads(value), dict)
    except ValueError:
        fine = False
    if not fine:
        raise SubmissionError(
            f"The field {name} is not a JSON object", remedy='Send for instance {"result_extension": ".nrrd"}'
        )
