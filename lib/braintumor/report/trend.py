"""The trend plot: volume of each region over time with its 95 % interval, treatments as lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from braintumor.domain import REGION_NAMES, Region, TrendPoint
from braintumor.report.drawing import GRID, MUTED, REGION_COLOURS, Drawing

_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 720.0, 48.0, 330.0
_DODGE = 8.0
"""Regions stand this far apart on the time axis: where they are equal one would hide the others."""


Event = tuple[date, str]
"""A treatment: when, and in words."""


def trend(points: Sequence[TrendPoint], events: Sequence[Event] = ()) -> Drawing:
    """Volumes in mL over dates; where a date is missing the visits stand at equal distances, and the axis says so."""
    chart = Drawing(760, 400, "Tumour volume over time")
    places, words = _axis(points, events)
    highest = max(1.0, max(e.high for point in points for e in point.volumes.values()))
    step = _step(highest)

    def y(ml: float) -> float:
        return _BOTTOM - ml / (step * np.ceil(highest / step)) * (_BOTTOM - _TOP)

    for tick in np.arange(0.0, highest + step, step):
        if y(tick) >= _TOP - 1:
            chart.line([(_LEFT, y(tick)), (_RIGHT, y(tick))], GRID)
            chart.text((_LEFT - 8, y(tick)), f"{tick:g}", anchor="end", size=12, colour=MUTED)
    chart.text((16, (_TOP + _BOTTOM) / 2), "Volume, mL", colour=MUTED, upright=True)
    for x, word in zip(places, words, strict=True):
        chart.text((x, _BOTTOM + 18), word, size=12, colour=MUTED)
    _events(chart, points, events)
    for n, region in enumerate(Region):
        colour = REGION_COLOURS[region]
        found = [point.volumes[region] for point in points]
        beside = [x + _DODGE * (n - 1) for x in places]
        chart.line([(x, y(e.value)) for x, e in zip(beside, found, strict=True)], colour, 2.0)
        for x, e, word in zip(beside, found, words, strict=True):
            low, high = y(max(0.0, e.low)), y(e.high)
            chart.line([(x, low), (x, high)], colour, 1.2)
            for end in (low, high):
                chart.line([(x - 4, end), (x + 4, end)], colour, 1.2)
            chart.dot((x, y(e.value)), 4.5, colour, hint=f"{REGION_NAMES[region]}, {word}: {e.value:.2f} mL")
        chart.line([(_LEFT + 210 * n, 376), (_LEFT + 24 + 210 * n, 376)], colour, 3.0)
        chart.text((_LEFT + 32 + 210 * n, 376), f"{REGION_NAMES[region]} ({region.value})", anchor="start", size=12)
    return chart


def _axis(points: Sequence[TrendPoint], events: Sequence[Event]) -> tuple[list[float], list[str]]:
    dates = [point.date for point in points]
    known = [d for d in dates if d is not None]
    if len(known) < len(dates) or len(set(known)) < 2:
        places = [float(x) for x in np.linspace(_LEFT + 40, _RIGHT - 40, len(dates))]
        return places, [d.isoformat() if d else f"visit {n} (no date)" for n, d in enumerate(dates, start=1)]
    return [_place(known, events, d) for d in known], [d.isoformat() for d in known]


def _place(dates: Sequence[date], events: Sequence[Event], day: date) -> float:
    days = [*dates, *(when for when, _ in events)]
    first, span = min(days), max(max(days) - min(days), timedelta(days=1))
    return _LEFT + 40 + (day - first) / span * (_RIGHT - _LEFT - 80)


def _events(chart: Drawing, points: Sequence[TrendPoint], events: Sequence[Event]) -> None:
    dates = [point.date for point in points if point.date is not None]
    if len(dates) < len(points):
        return
    for n, (when, words) in enumerate(sorted(events)):
        x = _place(dates, events, when)
        chart.line([(x, _TOP - 8), (x, _BOTTOM)], MUTED, 1.2, dashed=True)
        chart.text((x, _TOP - 18 - 14 * (n % 2)), words, size=12, colour=MUTED)


def _step(highest: float) -> float:
    rough = highest / 5
    scale = 10.0 ** np.floor(np.log10(rough))
    return float(next(m * scale for m in (1, 2, 5, 10) if m * scale >= rough))
