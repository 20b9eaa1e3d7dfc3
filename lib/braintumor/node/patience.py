"""Waiting for the database: what was acknowledged, and hours of work, must not be lost for its restart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from braintumor.node.schema import DatabaseDownError

_T = TypeVar("_T")

log = logging.getLogger("braintumor.node.database")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0


def retry_until_up(step: Callable[[], _T], stop: threading.Event | None = None) -> _T:
    """Take a step as soon as the database answers; a step that got lost on the way is taken again.

    Parameters
    ----------
    stop
        Ends the waiting.

    Raises
    ------
    DatabaseDownError
        If it is still down when `stop` is set.
    """
    stop, wait = stop or threading.Event(), FIRST_WAIT_S
    while True:
        try:
            return step()
        except DatabaseDownError:
            log.warning("database-down", extra={"facts": {}})
            if stop.wait(wait):
                raise
            wait = min(2 * wait, LONGEST_WAIT_S)
