"""Logs of the node: one JSON object a line, in which no value of a DICOM header can stand."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from numbers import Integral, Real
from typing import Any, TextIO

from braintumor.domain import BrainTumorError, SettingsError

OURS = "braintumor"
"""Loggers below this name are written as they are; all others are reduced to a count."""

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_UID = re.compile(r"\b[0-2](?:\.\d+){4,}")  # an IPv4 address and a software version have fewer dots
_LONGEST, _MOST, _DEEPEST = 300, 50, 3  # characters of a text, members of a list or object, levels of nesting
_OUR_CODE = ("braintumor.",)


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Let the whole process log as JSON lines to `stream` (standard error if None); may be called again.

    Python's own warnings are taken in as well: pydicom's quote header values. A server that brings its own logging, such as
    uvicorn, must be started without it (``log_config=None``).

    Raises
    ------
    SettingsError
        If there is no such level.
    """
    if level not in _LEVELS:
        raise SettingsError("The log level is unknown", remedy=f"Use one of {', '.join(_LEVELS)}")
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_Others())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level)
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """Writes ``time`` (UTC, ISO 8601), ``level``, ``event``, ``part`` and the facts of a record as one line of ASCII.

    The event is the message, a short code as ``study-complete``; other messages of ours become the event ``message`` with a
    ``text``. Facts are given as ``extra={"facts": {...}}``; they cannot replace the fixed names. Whatever looks like a UID is
    left out of every text. Of an exception its class, its code if it is ours, and the lines of our own modules are written:
    the message may quote a header.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line without a line break."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
        }
        if is_ours(record.name):
            line |= {**_event(record), "part": _part(record.name)}
            facts = getattr(record, "facts", {})
        else:
            line |= {"event": "library-warning", "part": "library"}
            facts = {"library": _library(record.name), "count": getattr(record, "count", 1)}
        line |= _failure(record)
        if isinstance(facts, Mapping):
            line = {**_plain_members(facts, 1), **line}
        fixed = ("time", "level", "event", "part")
        return json.dumps({name: line[name] for name in fixed} | line, allow_nan=False)


class _Others(logging.Filter):
    """Lets the 1st, 2nd, 4th, 8th ... warning of each other library pass, with its number: a study can make thousands."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if is_ours(record.name):
            return True
        if record.levelno < logging.WARNING:  # a library may have given its own logger a lower level
            return False
        with self._lock:
            self._counts[_library(record.name)] += 1
            count = self._counts[_library(record.name)]
        record.count = count
        return count & (count - 1) == 0


class _Lines(logging.StreamHandler[TextIO]):
    """A stream handler that never prints what could not be logged: Python's own would, with all arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        with contextlib.suppress(OSError, ValueError):  # the stream is closed, or its disk is full
            self.stream.write('{"event": "log-failed", "level": "ERROR", "part": "logs"}\n')
            self.flush()


def is_ours(name: str) -> bool:
    """Whether a logger is one of this project."""
    return name == OURS or name.startswith(f"{OURS}.")


def _part(name: str) -> str:
    return name.removeprefix(f"{OURS}.").removeprefix("node.")


def _library(name: str) -> str:
    return "python" if name == "py.warnings" else _text(name.partition(".")[0])


def _event(record: logging.LogRecord) -> dict[str, str]:
    words = record.getMessage()
    return {"event": words} if _CODE.fullmatch(words) else {"event": "message", "text": _text(words)}


def _failure(record: logging.LogRecord) -> dict[str, Any]:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return {}
    frames = [
        f"{module}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (module := str(frame.f_globals.get("__name__", ""))).startswith(_OUR_CODE)
    ]
    code = {"code": error.code} if isinstance(error, BrainTumorError) else {}
    return {"error": type(error).__name__, **code, "frames": frames}


def _plain(value: Any, depth: int) -> Any:
    """A value as JSON has it: finite numbers, short texts, small lists and objects."""
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # also those of numpy
        return int(value) if abs(int(value)) < 2**63 else "too-large"
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return _text(value)
    if depth >= _DEEPEST:
        return "too-deep"
    if isinstance(value, Mapping):
        return _plain_members(value, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(member, depth + 1) for member in list(value)[:_MOST]]
    return type(value).__name__  # what it would say of itself is not known


def _plain_members(facts: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {_text(str(name)): _plain(value, depth) for name, value in list(facts.items())[:_MOST]}


def _text(words: str) -> str:
    return _UID.sub("[uid]", words)[:_LONGEST]
