"""Routes for learning: the next case, retraining, and which model is served."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from braintumor import __version__
from braintumor.active_learning.registry import ModelVersion
from braintumor.domain import NoCandidateError
from braintumor.server.api.views import label_table, region_table
from braintumor.server.api.work import Work
from braintumor.server.learning import STRATEGIES

RESEARCH_USE = "Research use only. Not a medical device."


class NextRequest(BaseModel):
    """Which case next."""

    strategy: str = "entropy"
    exclude: list[str] = Field(default_factory=list, max_length=10000)


class TrainRequest(BaseModel):
    """How far to train."""

    steps: int | None = Field(default=None, ge=1, le=100000)


router = APIRouter(prefix="/api", tags=["learning"])


@router.get("/about")
def about(work: Work) -> dict[str, Any]:
    """What this server is, which model it serves, and the one table of labels."""
    version = work.registry.current()
    return {
        "product": "braintumor",
        "version": __version__,
        "research_use": RESEARCH_USE,
        "model": {"name": "Brain tumour", "version": version.version, "checksum": version.checksum},
        "labels": label_table(),
        "regions": region_table(),
        "strategies": list(STRATEGIES),
        "store": {"kind": work.store.kind},
    }


@router.post("/next")
def next_case(work: Work, wish: NextRequest) -> dict[str, Any]:
    """The study to label next by a strategy, and why."""
    choice = work.learning.next(wish.strategy, exclude=tuple(wish.exclude))
    if choice is None:
        raise NoCandidateError("Every study that was not skipped has a label", remedy="Add studies, or review labelled ones")
    return choice


@router.get("/train")
def training(work: Work) -> dict[str, Any]:
    """The training that runs, its curve, and how the last one ended."""
    return work.learning.training()


@router.post("/train", status_code=202)
def train(work: Work, wish: TrainRequest | None = None) -> dict[str, Any]:
    """Start training from the submitted labels."""
    return work.learning.train(steps=None if wish is None else wish.steps)


@router.delete("/train")
def stop(work: Work) -> dict[str, Any]:
    """Stop the training that runs; the served model stays."""
    return work.learning.stop()


@router.get("/models")
def models(work: Work) -> dict[str, Any]:
    """Every version, and the one served."""
    return {"current": work.registry.current().version, "versions": [_model(v) for v in work.registry.versions()]}


@router.post("/models/{version}/serve")
def serve(work: Work, version: str) -> dict[str, Any]:
    """Serve another version: back or forward."""
    return _model(work.registry.serve(version))


def _model(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "made": version.made.isoformat(),
        "checksum": version.checksum,
        "parent": version.parent,
        "evidence": dict(version.evidence),
    }
