"""Routes for studies: the worklist, what is known of one, and its masks in and out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from braintumor.archive import StudyEntry
from braintumor.domain import InputNotFoundError, gather_flags
from braintumor.server.api.views import of_job, of_version
from braintumor.server.api.work import Work
from braintumor.server.workspace import Workspace

router = APIRouter(prefix="/api/studies", tags=["studies"])


@router.get("")
def worklist(work: Work) -> list[dict[str, Any]]:
    """Every study of the archive, the newest first."""
    return [_line(work, entry) for entry in work.store.studies()]


@router.get("/{study}")
def one(work: Work, study: str) -> dict[str, Any]:
    """What is known of a study; it is read for segmentation meanwhile."""
    entry = work.store.study(study)
    facts = work.studies.facts(study)
    work.masks.prepare(study)
    record = work.masks.known(study)
    flags = facts.flags if record is None else record.flags
    return {
        "uid": entry.uid,
        "date": entry.date.isoformat() if entry.date else None,
        "sequences": {
            uid: {
                "sequence": f.sequence.value if f.sequence else None,
                "title": f.sequence.title if f.sequence else None,
                "confidence": f.confidence,
                "reasons": list(f.reasons),
            }
            for uid, f in facts.series.items()
        },
        "references": list(facts.references),
        "flags": [flag.as_dict() for flag in gather_flags(work.registry.current().flags, flags)],
        "versions": [of_version(v) for v in work.labels.versions(study)],
        "priors": [{"uid": p.uid, "date": p.date.isoformat() if p.date else None} for p in work.store.priors(study)],
    }


@router.post("/{study}/segment", status_code=202)
def segment(work: Work, study: str) -> dict[str, Any]:
    """Segment with the served model; the same job for everybody who asks meanwhile."""
    return of_job(work.masks.segment(study))


@router.get("/{study}/measurements")
def measurements(work: Work, study: str) -> dict[str, Any]:
    """Everything measured of the model's mask."""
    record = work.masks.known(study)
    if record is None:
        raise InputNotFoundError("The model has not segmented this study yet", remedy="Press Segment first")
    return dict(record.measurements)


def _line(work: Workspace, entry: StudyEntry) -> dict[str, Any]:
    entropy = work.masks.entropy(entry)
    labelled = work.labels.human(entry) is not None
    return {
        "uid": entry.uid,
        "date": entry.date.isoformat() if entry.date else None,
        "description": entry.description,
        "patient": {"id": entry.patient_id, "name": entry.patient_name},
        "state": "labelled" if labelled else "unlabelled" if entropy is None else "model",
        "score": None if entropy is None else round(entropy, 4),
        "series": len(entry.series),
    }
