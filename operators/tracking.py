"""Operator beside the line: the current visit, as the line has it, and earlier studies -> Results over time."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment

from braintumor import track as track_stage
from braintumor.domain import Case, Results, Segmentation, Study
from braintumor.segment.engines import AnyEngine
from braintumor.track import TrackOptions, Visit
from operators.stage import StageOperator


class TrackingOperator(StageOperator):
    """Compares the visit that the line has segmented with earlier studies, and writes the timeline and its DICOM objects.

    Parameters
    ----------
    priors
        Earlier studies, in any order, each as `braintumor.study.read` takes it. They run through the same stages.
    out
        A folder of its own, new or empty; it gets all results or none.
    engine
        Segments the priors; may be None where `options.notes` name a mask for each.
    options
        `TrackOptions.notes` tell of the current visit first, then of the priors.

    Attributes
    ----------
    results
        What was written; None until the graph has run.
    """

    stage, inputs = "track", ("study", "case", "segmentation")

    def __init__(
        self,
        fragment: Fragment,
        *args: Any,
        priors: Seq[str | Path],
        out: Path,
        engine: AnyEngine | None = None,
        options: TrackOptions | None = None,
        **kwargs: Any,
    ) -> None:
        self.priors, self.out, self.engine, self.options = tuple(priors), out, engine, options or TrackOptions()
        self.results: Results | None = None
        super().__init__(fragment, *args, **kwargs)

    def run(self, study: Study, case: Case, segmentation: Segmentation) -> None:
        """Compare the visits and write what was found."""
        current = Visit(study, case, segmentation, study.study_date)
        self.results = track_stage.run([current, *self.priors], self.out, self.options, engine=self.engine)
