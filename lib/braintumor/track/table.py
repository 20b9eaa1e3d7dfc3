"""The timeline as plain JSON data, for ``timeline.json``; no patient data in it."""

from __future__ import annotations

from typing import Any

from braintumor import __version__
from braintumor.domain import Estimate, Track, VisitAlignment
from braintumor.track.change import Change
from braintumor.track.rano import AID, Assessment
from braintumor.track.timeline import Timeline

SCHEMA = "braintumor-timeline/1"
"""Raised when a key changes its meaning or goes away."""


def as_dict(timeline: Timeline) -> dict[str, Any]:
    """JSON-ready; volumes to 0.001 mL, visits oldest first, `visit` counts from 0."""
    return {
        "schema": SCHEMA,
        "software": {"name": "braintumor", "version": __version__},
        "notice": AID,
        "visits": [
            {
                "study_uid": visit.study.uid,
                "date": visit.date.isoformat() if visit.date else None,
                "current": number == len(timeline.visits) - 1,
                "preoperative": visit.preoperative,
                "sequences": [s.value for s in visit.case.present],
                "mask_by": {"kind": visit.segmentation.author.kind, "name": visit.segmentation.author.name},
                "volume_ml": {r.value: _estimate(e) for r, e in timeline.volumes[number].items()},
                "alignment_to_current": _alignment(timeline.alignments[number]),
            }
            for number, visit in enumerate(timeline.visits)
        ],
        "changes": [
            {"from": n, "to": n + 1, "regions": {r.value: _change(c) for r, c in changes.items()}}
            for n, changes in enumerate(timeline.changes)
        ],
        "lesions": [_track(t) for t in timeline.tracks],
        "core_lesions": [_track(t) for t in timeline.cores],
        "rano": [_assessment(a) for a in timeline.rano],
        "rano_not_assessed": timeline.rano_missing,
        "extent_of_resection_percent": {r.value: _estimate(e, 1) for r, e in timeline.resection.items()},
        "events": [{"date": e.date.isoformat(), "words": e.words} for e in timeline.events],
        "flags": [flag.as_dict() for flag in timeline.flags],
    }


def known_uids(content: dict[str, Any]) -> dict[tuple[str, int], str]:
    """The lesions' identities of an earlier ``timeline.json``, as `braintumor.track.lesions.track` wants them."""
    studies = [visit["study_uid"] for visit in content["visits"]]
    return {
        (studies[a["visit"]], a["number"]): lesion["tracking_uid"]
        for lesion in content["lesions"]
        for a in lesion["appearances"]
        if a["number"] is not None
    }


def _estimate(estimate: Estimate, digits: int = 3) -> dict[str, float]:
    return {"value": round(estimate.value, digits), "standard_error": round(estimate.sigma, digits + 1)}


def _alignment(alignment: VisitAlignment | None) -> dict[str, Any] | None:
    if alignment is None:
        return None
    return {
        "sequence": alignment.sequence,
        "quality": round(alignment.quality, 4),
        "expected_error_mm": round(alignment.error_mm, 3),
        "translation_mm": round(alignment.translation_mm, 2),
        "rotation_deg": round(alignment.rotation_deg, 2),
        "transform_lps": [[round(float(v), 6) for v in row] for row in alignment.transform],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "ml": _estimate(change.ml),
        "percent": None if change.percent is None else _estimate(change.percent, 1),
        "words": change.words,
        "growth_rate_per_day": None if change.rate_per_day is None else _estimate(change.rate_per_day, 6),
        "doubling_time_days": None if change.doubling_days is None else round(change.doubling_days, 1),
        "undefined": change.undefined,
    }


def _track(track: Track) -> dict[str, Any]:
    return {
        "tracking_uid": track.uid,
        "tracking_id": track.name,
        "family_uid": track.family,
        "appearances": [
            {"visit": a.visit, "state": a.state.value, "number": a.number, "volume_ml": _estimate(a.volume)}
            for a in track.appearances
        ],
    }


def _assessment(found: Assessment) -> dict[str, Any]:
    share = {"from_baseline": found.change_from_baseline, "from_smallest": found.change_from_nadir}
    return {
        "date": found.date.isoformat(),
        "category": found.category.value,
        "standing": found.standing.value,
        "confirmation": found.confirmation.value,
        "rule": found.rule,
        "inputs_used": dict(found.used),
        "inputs_missing": list(found.missing),
        "caveats": list(found.caveats),
        "change_percent": {key: None if v is None else round(100 * v, 1) for key, v in share.items()},
        "notice": found.notice,
    }
