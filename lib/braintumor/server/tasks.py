"""MONAI Label's tasks, thin: each names what it does and hands over to the workspace."""

from __future__ import annotations

from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

from braintumor.domain import LABELS, BusyError, JobFailedError, JobState
from braintumor.server import layout
from braintumor.server.datastore import StudyDatastore
from braintumor.server.jobs import Job
from braintumor.server.workspace import Workspace

MODEL = "brain_tumour"
VALUES = {label.name.lower(): label.value for label in LABELS}
COLOURS = {label.name.lower(): list(label.rgb) for label in LABELS}
PATIENCE_S = 600.0
"""How long a stock client's request waits for its mask (its own time-out is no longer)."""


class SegmentTask(InferTask):  # type: ignore[misc]  # MONAI Label is untyped
    """The four-sequence segmentation; whichever series is named, the answer is on its grid."""

    def __init__(self, workspace: Workspace, datastore: StudyDatastore) -> None:
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=dict(VALUES),
            dimension=3,
            description="Necrotic core, oedema and enhancing tumour from T1, T1ce, T2 and FLAIR of one study",
        )
        self._work, self._store = workspace, datastore

    def is_valid(self) -> bool:
        return True

    def config(self) -> dict[str, Any]:
        return {"model_version": self._work.registry.current().version, "label_colors": COLOURS}

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Answer ``image`` with a mask file in the format of ``result_extension``, and with what was measured."""
        study_uid, series_uid = self._store.series_of(request["image"])
        job = finished(self._work, self._work.masks.segment(study_uid))
        mask, version = self._work.labels.mask(study_uid, series_uid)
        if str(request.get("result_extension", ".nii.gz")) == ".nrrd":
            file = layout.temporary_nrrd(mask.mask, mask.grid, compress=bool(request.get("result_compress", False)))
        else:
            file = layout.temporary_nifti(mask.mask, mask.grid)
        facts = dict(job.result or {})
        seconds = (job.ended or 0.0) - (job.started or 0.0)
        return str(file), {"label_names": VALUES, "version": version, "latencies": {"total": round(seconds, 2)}, **facts}


class Retraining(TrainTask):  # type: ignore[misc]
    """Training from submitted labels, in a process of its own; published only if it is not worse."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Goes on from the served model with the submitted labels; a worse result is not published")
        self._work = workspace

    def stats(self) -> dict[str, Any]:
        return self._work.learning.training()

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        return self._work.learning.train(steps=request.get("max_steps"))


class NextCase(Strategy):  # type: ignore[misc]
    """Which study to label next."""

    def __init__(self, workspace: Workspace, name: str, description: str) -> None:
        super().__init__(description)
        self._work, self._name = workspace, name

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        choice = self._work.learning.next(self._name, exclude=())
        return None if choice is None else {"id": choice["study"], "weight": choice["score"], "reason": choice["reason"]}


class Agreement(ScoringMethod):  # type: ignore[misc]
    """Dice of the model's masks to the submitted labels."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Dice per region between the served model's mask and the submitted label")
        self._work = workspace

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        return self._work.learning.agreement()


def finished(workspace: Workspace, job: Job, patience: float = PATIENCE_S) -> Job:
    """The job when it is done.

    Raises
    ------
    BrainTumorError
        If it failed, was cancelled, or takes too long.
    """
    job = workspace.jobs.wait(job.id, patience)
    if job.state is JobState.COMPLETED:
        return job
    if not job.state.over:
        raise BusyError("The server is busy; the mask is still being made", remedy="ask again in a minute")
    if job.state is JobState.CANCELLED:
        raise BusyError("The segmentation was cancelled", remedy="start it again")
    problem = job.problem or {}
    raise JobFailedError(problem.get("detail", "The work failed"), remedy=problem.get("remedy", "Try again"))
