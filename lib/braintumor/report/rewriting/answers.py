"""From what a model wrote to sentences by number: what is not clearly there is missing, never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

MAX_ANSWER = 50_000
"""Characters that are looked at."""

_THOUGHTS = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL | re.IGNORECASE)
_LINE = re.compile(r"^[ \t>*#-]*(\d{1,3})\**[.):]\**[ \t]+(\S.*)$", re.MULTILINE)
_NUMBER_KEYS = ("number", "n", "id", "index", "nr")
_TEXT_KEYS = ("sentence", "text", "value", "answer", "translation")
_MAX_STARTS = 40


def parse(answer: str, count: int) -> dict[int, str]:
    r"""The sentences that an answer gives for the numbers 1 to `count`.

    JSON is looked for first, then numbered lines; code fences, thoughts and chatter around them are passed over. A number that
    has two different sentences has none.

    >>> parse('Sure!\n```json\n{"1": "One.", "2": "Two."}\n```', 2)
    {1: 'One.', 2: 'Two.'}
    >>> parse("1. One.\n2) Two.\n2. Another.", 2)
    {1: 'One.'}
    """
    text = _THOUGHTS.sub("", answer[:MAX_ANSWER])
    found = _unambiguous(_from_json(text, count) or _LINE.findall(text))
    return {number: sentence for number, sentence in found.items() if 1 <= number <= count}


def single(answer: str) -> dict[int, str]:
    """The whole answer as the one sentence asked for; nothing where it has several lines."""
    lines = [line for line in _THOUGHTS.sub("", answer[:MAX_ANSWER]).splitlines() if line.strip()]
    return {1: lines[0]} if len(lines) == 1 else {}


def _from_json(text: str, count: int) -> list[tuple[str, str]]:
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    starts = [match.start() for match in re.finditer(r"[{\[]", text)]
    for start in starts[:_MAX_STARTS]:
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        found = _rows(value, count)
        if found:
            return found
    return []


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every key as often as it was written."""


def _rows(value: Any, count: int) -> list[tuple[str, str]]:
    if isinstance(value, _Pairs):
        rows = [(key, text) for key, text in value if _is_number(key) and isinstance(text, str)]
        inner = value[0][1] if len(value) == 1 and not rows else None  # {"sentences": ...}
        return _rows(inner, count) if isinstance(inner, list) else rows
    if not isinstance(value, list):
        return []
    if all(isinstance(item, str) for item in value):
        return [(str(n), item) for n, item in enumerate(value, start=1)] if len(value) == count else []
    return [row for item in value if isinstance(item, _Pairs) for row in _row(dict(item))]


def _row(item: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    number = next((str(item[key]) for key in _NUMBER_KEYS if key in item), "")
    text = next((item[key] for key in _TEXT_KEYS if key in item), None)
    if _is_number(number) and isinstance(text, str):
        yield number, text


def _is_number(key: str) -> bool:
    return key.isdecimal() and len(key) <= 3


def _unambiguous(rows: Iterable[tuple[str, str]]) -> dict[int, str]:
    found: dict[int, str] = {}
    torn: set[int] = set()
    for key, text in rows:
        number = int(key)
        if found.setdefault(number, text.strip()) != text.strip():
            torn.add(number)
    return {number: text for number, text in found.items() if text and number not in torn}
