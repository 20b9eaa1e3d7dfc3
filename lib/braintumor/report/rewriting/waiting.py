"""Waiting for work that may never end: the caller goes on in time, whatever the work does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")


def bounded(work: Callable[[], _Result], seconds: float) -> _Result:
    """What `work` returns or raises, if it does so in time.

    It runs in a thread of its own, that is left behind when time is up: a read of a socket or a step of a network cannot be
    broken off from outside. The thread never keeps the process alive.

    Raises
    ------
    TimeoutError
        If it does not end within `seconds`; it is not even begun where there is no time.
    """
    if seconds <= 0:
        raise TimeoutError
    outcome: Future[_Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001  # handed to whoever waits, not swallowed
            outcome.set_exception(error)

    threading.Thread(target=run, name="language-model", daemon=True).start()
    return outcome.result(timeout=seconds)
