"""The MONAI Label app: what ``monailabel start_server --app apps/braintumor`` finds."""

from __future__ import annotations

from typing import Any

from braintumor.server import upstream  # noqa: F401  before the first import of monailabel

from monailabel.interfaces.app import MONAILabelApp  # isort: skip
from monailabel.interfaces.datastore import Datastore  # isort: skip
from monailabel.interfaces.tasks.infer_v2 import InferTask  # isort: skip
from monailabel.interfaces.tasks.scoring import ScoringMethod  # isort: skip
from monailabel.interfaces.tasks.strategy import Strategy  # isort: skip
from monailabel.interfaces.tasks.train import TrainTask  # isort: skip

from braintumor import __version__
from braintumor.server.datastore import StudyDatastore
from braintumor.server.learning import STRATEGIES
from braintumor.server.tasks import MODEL, Agreement, NextCase, Retraining, SegmentTask
from braintumor.server.workspace import Settings, Workspace


class BrainTumorApp(MONAILabelApp):  # type: ignore[misc]  # MONAI Label is untyped
    """Brain tumour segmentation of four-sequence MR studies, corrected by people, learning from them."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.workspace = Workspace(Settings.of(studies, conf))
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name="Brain tumour",
            description="Four-sequence brain tumour segmentation. Research use only, not a medical device.",
            version=__version__,
        )

    def init_datastore(self) -> Datastore:
        """The archive; nothing is downloaded and nothing is converted before it is asked for."""
        return StudyDatastore(self.workspace)

    def init_infers(self) -> dict[str, InferTask]:
        store = self.datastore()
        return {MODEL: SegmentTask(self.workspace, store)}

    def init_trainers(self) -> dict[str, TrainTask]:
        return {MODEL: Retraining(self.workspace)}

    def init_strategies(self) -> dict[str, Strategy]:
        return {name: NextCase(self.workspace, name, words) for name, words in STRATEGIES.items()}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        return {"dice": Agreement(self.workspace)}

    def on_init_complete(self) -> None:
        """MONAI Label would start timers here that score in processes of their own; ours are jobs."""
        self.workspace.learning.resume()

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """As MONAI Label, without writing the image to a file first."""
        task = self._infers.get(request.get("model"))
        if task is None:
            return super().infer(request, datastore)  # says what is wrong in MONAI Label's own words
        file, facts = task(request)
        return {"label": file, "tag": "original", "file": file, "params": facts}
