"""Figures as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measuring import Row

HEADINGS = ("", "median s", "runs", "range s", "speed-up", "peak MB", "before MB")


def machine(facts: Mapping[str, Any]) -> str:
    """Machine facts, one per line."""
    return "\n".join(f"{key:<12}{_plain(value)}" for key, value in facts.items())


def group(title: str, rows: list[Row], peer: str) -> str:
    """A table with its notes below; speed-up is the median of `peer` divided by the row's."""
    peers = next((row.median for row in rows if row.name == peer), None)
    cells = [HEADINGS, *(_cells(row, peers) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(f"{text:{'<' if n == 0 else '>'}{widths[n]}}" for n, text in enumerate(line)) for line in cells]
    notes = [f"  {row.name}: {row.error or _plain(row.notes)}" for row in rows if row.error or row.notes]
    return "\n".join([title, *lines, *notes])


def _cells(row: Row, peers: float | None) -> tuple[str, ...]:
    if row.median is None:
        return (row.name, "failed", *[""] * (len(HEADINGS) - 2))
    ratio = f"{peers / row.median:.1f}x" if peers else ""
    spread = f"{min(row.seconds):.2f}-{max(row.seconds):.2f}"
    return row.name, f"{row.median:.2f}", str(len(row.seconds)), spread, ratio, f"{row.peak_mb:.0f}", f"{row.before_mb:.0f}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(item) for item in value)
    return str(value)
