"""Routes for change over time: compare a study with its priors, and what came of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from braintumor.server.api.views import of_job
from braintumor.server.api.work import Work
from braintumor.server.tracking import CompareRequest, Known
from braintumor.track import Clinical, Event

router = APIRouter(prefix="/api/studies", tags=["tracking"])


class VisitFacts(BaseModel):
    """What images do not say of a visit; left out where it is not known."""

    steroid_mg: float | None = Field(default=None, ge=0, le=1000, description="Dexamethasone equivalent per day, mg; 0: none")
    clinical: Clinical | None = None
    preoperative: bool = False


class Treatment(BaseModel):
    """A treatment, for the trend."""

    day: date
    words: str = Field(min_length=1, max_length=60)


class TrackRequest(BaseModel):
    """What to compare; without priors, every earlier study of the patient."""

    priors: list[str] = Field(default_factory=list, max_length=50)
    known: dict[str, VisitFacts] = Field(default_factory=dict, max_length=51, description="by study UID")
    events: list[Treatment] = Field(default_factory=list, max_length=50)
    baseline: date | None = None
    radiotherapy_end: date | None = None


@router.post("/{study}/track", status_code=202)
def track(work: Work, study: str, wish: Annotated[TrackRequest | None, Body()] = None) -> dict[str, Any]:
    """Compare a study with its priors; studies without a label are segmented first."""
    asked = wish or TrackRequest()
    known = {uid: Known(facts.steroid_mg, facts.clinical, facts.preoperative) for uid, facts in asked.known.items()}
    events = tuple(Event(treatment.day, treatment.words) for treatment in asked.events)
    return of_job(
        work.tracking.track(study, CompareRequest(tuple(asked.priors), known, events, asked.baseline, asked.radiotherapy_end))
    )


@router.get("/{study}/timeline")
def timeline(work: Work, study: str) -> dict[str, Any]:
    """The last comparison; `fresh` is false when a mask or an image has changed since."""
    found = work.tracking.latest(study)
    return {"timeline": dict(found.timeline), "wish": dict(found.wish), "fresh": found.fresh}


@router.post("/{study}/timeline/archive", status_code=202)
def archive(work: Work, study: str) -> dict[str, Any]:
    """Store the last comparison in the archive: followed lesions and change as SEG, numbers as SR, registrations."""
    return of_job(work.tracking.archive(study))


@router.get("/{study}/timeline/{picture}", response_class=FileResponse)
def picture(work: Work, study: str, picture: str) -> FileResponse:
    """`trend.svg` or `change-overlay.png` of the last comparison."""
    path, media_type = work.tracking.picture(study, picture)
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": "no-store"})
