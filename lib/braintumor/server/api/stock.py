"""MONAI Label's routes for long work, in its own words: training, batch inference and scoring, on our jobs.

Upstream starts a second process of the whole app for each of them; here training has a process of its own that survives the
server, and the rest are jobs of the one queue.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query

from braintumor.domain import JobState, UnknownJobError
from braintumor.server.api.work import Work
from braintumor.server.jobs import Job, JobKind, Urgency
from braintumor.server.tasks import MODEL

STATUS = {"pending": "SUBMITTED", "running": "RUNNING", "completed": "DONE", "failed": "ERROR", "cancelled": "STOPPED"}
NOTHING = "No {} Tasks are currently Running"

Params = Annotated[dict[str, Any] | None, Body()]

router = APIRouter(tags=["MONAI Label"])


@router.get("/train/")
def training_status(work: Work, check_if_running: bool = False) -> dict[str, Any]:
    """The training that runs or ran last."""
    job = work.learning.training()["job"]
    if job is None or (check_if_running and job["state"] != "running"):
        raise HTTPException(404, NOTHING.format("Train"))
    return _of_training(job)


@router.post("/train/", include_in_schema=False)
@router.post("/train/{model}")
def train(work: Work, model: str = MODEL, params: Params = None) -> dict[str, Any]:
    """Start training from the submitted labels."""
    if model != MODEL:
        raise HTTPException(404, f"There is no model '{model}' to train; there is '{MODEL}'")
    own = (params or {}).get(MODEL)
    wish = own if isinstance(own, dict) else params or {}
    steps = wish.get("max_steps")
    return _of_training(work.learning.train(steps=int(steps) if isinstance(steps, int) and steps > 0 else None))


@router.delete("/train/")
def stop_training(work: Work) -> dict[str, Any] | None:
    """Stop the training that runs."""
    try:
        return _of_training(work.learning.stop())
    except UnknownJobError:
        return None  # what upstream answers


@router.get("/batch/infer")
def batch_status(work: Work, check_if_running: bool = False) -> dict[str, Any]:
    """The batch as a whole: running while any study of it waits or runs."""
    jobs = [job for job in work.jobs.all() if job.kind is JobKind.SEGMENT]
    active = [job for job in jobs if not job.state.over]
    if not jobs or (check_if_running and not active):
        raise HTTPException(404, NOTHING.format("Batch Inference"))
    return _of_job((active or jobs)[0])


@router.post("/batch/infer/{model}")
def segment_batch(
    work: Work, model: str, images: Annotated[str, Query(pattern="^(all|labeled|unlabeled)$")] = "all", params: Params = None
) -> dict[str, Any]:
    """Segment studies in the background; a person's request goes first."""
    if model != MODEL:
        raise HTTPException(404, f"There is no model '{model}'; there is '{MODEL}'")
    labelled = {e.uid: work.labels.human(e) is not None for e in work.store.studies()}
    wanted = [uid for uid, has in labelled.items() if images == "all" or has == (images == "labeled")]
    queued = [work.masks.segment(uid, Urgency.BACKGROUND) for uid in wanted]
    if not queued:
        raise HTTPException(404, f"There are no {images} studies")
    return _of_job(queued[-1]) | {"details": [f"{len(queued)} studies"]}


@router.delete("/batch/infer")
def stop_batch(work: Work) -> dict[str, Any] | None:
    """Cancel every segmentation that waits or runs."""
    active = [job for job in work.jobs.all() if job.kind is JobKind.SEGMENT and not job.state.over]
    stopped = [work.jobs.cancel(job.id) for job in active]
    return _of_job(stopped[-1]) if stopped else None


@router.get("/scoring/")
def scoring_status(work: Work, check_if_running: bool = False) -> dict[str, Any]:
    """The last scoring."""
    job = next((job for job in work.jobs.all() if job.kind is JobKind.SCORE), None)
    if job is None or (check_if_running and job.state.over):
        raise HTTPException(404, NOTHING.format("Scoring"))
    return _of_job(job)


@router.post("/scoring/", include_in_schema=False)
@router.post("/scoring/{method}")
def score(work: Work, method: str = "dice", params: Params = None) -> dict[str, Any]:
    """Compare the model's masks with the submitted labels."""
    if method != "dice":
        raise HTTPException(404, f"There is no scoring method '{method}'; there is 'dice'")
    work.learning.score_all()
    job = work.jobs.submit(JobKind.SCORE, method, lambda _report: work.learning.agreement(), urgency=Urgency.BACKGROUND)
    return _of_job(job)


@router.delete("/scoring/")
def stop_scoring(work: Work) -> dict[str, Any] | None:
    """Cancel the scoring that waits or runs."""
    active = next((job for job in work.jobs.all() if job.kind is JobKind.SCORE and not job.state.over), None)
    return None if active is None else _of_job(work.jobs.cancel(active.id))


def _of_job(job: Job) -> dict[str, Any]:
    def when(seconds: float | None) -> str | None:
        return None if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")

    details = [job.problem["detail"]] if job.state is JobState.FAILED and job.problem else [job.stage] if job.stage else []
    return {
        "id": job.id,
        "status": STATUS[job.state.value],
        "request": {"model": MODEL, "image": job.subject},
        "start_ts": when(job.started or job.queued),
        "end_ts": when(job.ended),
        "details": details,
        "result": None if job.result is None else dict(job.result),
    }


def _of_training(job: dict[str, Any]) -> dict[str, Any]:
    details = [f"{job['stage']}: step {job['step']} of {job['steps']}"]
    if job["problem"]:
        details.append(job["problem"]["detail"])
    if job["result"]:
        details.append(job["result"]["reason"])
    return {
        "id": job["id"],
        "status": STATUS[job["state"]],
        "request": {"model": MODEL},
        "start_ts": job["started"],
        "end_ts": job["ended"],
        "details": details,
    }
