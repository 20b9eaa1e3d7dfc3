"""Dice by region with every case as a dot, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from braintumor.domain import REGION_NAMES, Region
from braintumor.evaluate.calibration import Reliability
from braintumor.evaluate.summary import CaseResult, Statistics, Table
from braintumor.report.drawing import GRID, INK, MUTED, REGION_COLOURS, Colour, Drawing

_DOT = 4.5


def dice_chart(results: Sequence[CaseResult], table: Table) -> Drawing:
    """Box (quartiles and median), whiskers (5th to 95th percentile), mean with its interval, and a dot per case."""
    chart = Drawing(760, 400, "Dice by region, one dot per case")
    left, right, top, bottom = 56.0, 740.0, 16.0, 340.0

    def y(value: float) -> float:
        return bottom - value * (bottom - top)

    for tick in np.linspace(0, 1, 6):
        chart.line([(left, y(tick)), (right, y(tick))], GRID)
        chart.text((left - 8, y(tick)), f"{tick:.1f}", anchor="end", size=12, colour=MUTED)
    chart.text((14, (top + bottom) / 2), "Dice", colour=MUTED, upright=True)
    pitch = (right - left) / len(Region)
    for n, region in enumerate(Region):
        centre = left + (n + 0.5) * pitch
        values = [(v, r.name) for r in results if (v := r.scores[region]["dice"]) is not None]
        found = table[region]["dice"]
        chart.text((centre, bottom + 20), f"{REGION_NAMES[region]} ({region.value})", bold=True)
        chart.text((centre, bottom + 40), _said(found), size=12, colour=MUTED)
        if values:
            _box(chart, [v for v, _ in values], centre - 0.2 * pitch, y, REGION_COLOURS[region])
            _mean(chart, found, centre - 0.36 * pitch, y)
            for (value, name), shift in zip(values, spread([y(v) for v, _ in values], 2 * _DOT), strict=True):
                offset = float(np.clip(shift, -0.24 * pitch, 0.24 * pitch))
                chart.dot((centre + 0.16 * pitch + offset, y(value)), _DOT, REGION_COLOURS[region], hint=f"{name}: {value:.3f}")
    return chart


def spread(heights: Sequence[float], apart: float) -> list[float]:
    """Sideways shifts that keep dots of this diameter from lying on each other, smallest first, in the order given."""
    placed: list[tuple[float, float]] = []
    shifts = [0.0] * len(heights)
    for n in np.argsort(heights, kind="stable"):
        height, step = heights[n], 0
        while True:
            shift = (step + 1) // 2 * apart * (1 if step % 2 else -1)
            if all((shift - x) ** 2 + (height - h) ** 2 >= 0.98 * apart**2 for x, h in placed):
                break
            step += 1
        placed.append((shift, height))
        shifts[n] = shift
    return shifts


def reliability_chart(pooled: Mapping[Region, Reliability]) -> Drawing:
    """Observed share over predicted probability, per region; bars below show how many voxels each bin holds, on a log scale."""
    chart = Drawing(760, 330, "Reliability: observed share of tumour over predicted probability")
    side, gap, top = 198.0, 50.0, 34.0
    for n, region in enumerate(Region):
        histogram = pooled[region]
        left = 50 + n * (side + gap)
        _axes(chart, left, top, side)
        chart.text((left, 14), f"{REGION_NAMES[region]}", bold=True, anchor="start")
        chart.text((left + side, 14), f"ECE {histogram.ece or 0:.4f}", anchor="end", size=12, colour=MUTED)
        points = []
        for row in histogram.bins():
            confidence, observed, count = row["confidence"], row["observed"], int(row["count"] or 0)
            _count_bar(chart, left, top, side, (float(row["from"] or 0), float(row["to"] or 0)), count, histogram.total)
            if confidence is not None and observed is not None:
                points.append((left + confidence * side, top + (1 - observed) * side, f"{observed:.3f} of {count} voxels"))
        chart.line([(x, y) for x, y, _ in points], REGION_COLOURS[region], 2.0)
        for x, y, hint in points:
            chart.dot((x, y), 4.0, REGION_COLOURS[region], hint=hint)
    chart.text((14, top + side / 2), "Observed share", size=12, colour=MUTED, upright=True)
    chart.text((14, top + side + 45), "Voxels", size=11, colour=MUTED, upright=True)
    chart.text((380, 320), "Predicted probability", size=12, colour=MUTED)
    return chart


def _axes(chart: Drawing, left: float, top: float, side: float) -> None:
    for tick in (0.0, 0.5, 1.0):
        x, y = left + tick * side, top + (1 - tick) * side
        chart.line([(left, y), (left + side, y)], GRID)
        chart.line([(x, top), (x, top + side)], GRID)
        chart.text((left - 6, y), f"{tick:g}", anchor="end", size=11, colour=MUTED)
        chart.text((x, top + side + 72), f"{tick:g}", size=11, colour=MUTED)
    chart.line([(left, top + side), (left + side, top)], MUTED, dashed=True)


def _count_bar(chart: Drawing, left: float, top: float, side: float, span: tuple[float, float], count: int, total: int) -> None:
    room, base = 40.0, top + side + 60
    if count and total > 1:
        height = room * (1 + np.log10(count)) / (1 + np.log10(total))
        corners = (left + span[0] * side + 1, base - height, left + span[1] * side - 1, base)
        chart.box(corners, fill=(203, 208, 215), hint=f"{count} voxels")


def _box(chart: Drawing, values: Sequence[float], centre: float, y: Callable[[float], float], colour: Colour) -> None:
    low, first, middle, third, high = np.percentile(values, (5, 25, 50, 75, 95))
    chart.line([(centre, y(low)), (centre, y(high))], MUTED, 1.2)
    for end in (low, high):
        chart.line([(centre - 8, y(end)), (centre + 8, y(end))], MUTED, 1.2)
    pale = (*(round(255 - (255 - c) * 0.22) for c in colour),)
    chart.box((centre - 20, y(third), centre + 20, y(first)), fill=(pale[0], pale[1], pale[2]), edge=colour, width=1.4)
    chart.line([(centre - 20, y(middle)), (centre + 20, y(middle))], colour, 2.6)


def _mean(chart: Drawing, found: Statistics, x: float, y: Callable[[float], float]) -> None:
    if found.mean is None:
        return
    if found.low is not None and found.high is not None:
        chart.line([(x, y(found.low)), (x, y(found.high))], INK, 1.6)
    middle = y(found.mean)
    chart.line([(x - 5, middle), (x, middle - 5), (x + 5, middle), (x, middle + 5), (x - 5, middle)], INK, 1.6)


def _said(found: Statistics) -> str:
    if found.mean is None:
        return "no case has a value"
    interval = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return f"mean {found.mean:.3f}{interval}, n = {found.n}"
