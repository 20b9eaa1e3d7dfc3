"""What a timeline says of its last visit, as the report's facts."""

from __future__ import annotations

from braintumor.domain import (
    Comparison,
    Direction,
    Estimate,
    LesionChange,
    LesionState,
    Region,
    RegionChange,
    Track,
    TrendPoint,
)
from braintumor.track.change import Change, days_between
from braintumor.track.timeline import Timeline


def comparison(timeline: Timeline) -> Comparison:
    """The comparison of the last visit with the one before it.

    Returns
    -------
    Comparison
        The numbers of the timeline; nothing is measured again.
    """
    current, prior = timeline.visits[-1], timeline.visits[-2]
    before, now, changes = timeline.volumes[-2], timeline.volumes[-1], timeline.changes[-1]
    alignment = timeline.alignments[-2]
    days = days_between(prior.date, current.date)
    return Comparison(
        prior_uid=prior.study.uid,
        prior_date=prior.date,
        days=None if days is None else int(days),
        regions={region: _region(before[region], now[region], changes[region]) for region in Region},
        lesions=tuple(_lesions(timeline)),
        response=timeline.rano[-1] if timeline.rano else None,
        not_assessed=timeline.rano_missing,
        trend=trend_points(timeline),
        alignment_quality=None if alignment is None else alignment.quality,
        alignment_error_mm=None if alignment is None else alignment.error_mm,
    )


def trend_points(timeline: Timeline) -> tuple[TrendPoint, ...]:
    """The volumes of all visits, oldest first."""
    return tuple(
        TrendPoint(visit.study.uid, visit.date, volumes)
        for visit, volumes in zip(timeline.visits, timeline.volumes, strict=True)
    )


def _region(before: Estimate, now: Estimate, change: Change) -> RegionChange:
    went = Direction.GROWN if change.ml.value > 0 else Direction.SHRUNK
    return RegionChange(before, now, change.ml, change.percent, went if change.measurable else Direction.UNCHANGED)


def _lesions(timeline: Timeline) -> list[LesionChange]:
    last = len(timeline.visits) - 1
    found = [_lesion(track, last) for track in timeline.tracks]
    return [lesion for lesion in found if lesion is not None]


def _lesion(track: Track, last: int) -> LesionChange | None:
    """None for a lesion that was there at neither visit."""
    here, earlier = track.at(last), track.at(last - 1)
    if here is None or (here.number is None and (earlier is None or earlier.number is None)):
        return None
    there = earlier is not None and earlier.number is not None and here.state is not LesionState.NEW
    before = earlier.volume if there and earlier is not None else None
    return LesionChange(track.name, track.uid, here.state, here.number, before, here.volume)
