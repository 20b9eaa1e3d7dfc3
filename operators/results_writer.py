"""Operator of the last stage: everything -> Results in the output folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment

from braintumor import export as results_stage
from braintumor.domain import Case, Findings, Measurements, Results, Segmentation, Study
from braintumor.export import WriteOptions
from operators.stage import StageOperator


class ResultsWriterOperator(StageOperator):
    """Writes every result; the output folder gets all of them or none.

    Attributes
    ----------
    results
        What was written; None until the graph has run.
    """

    stage, inputs = "results", ("study", "case", "segmentation", "measurements", "findings")

    def __init__(self, fragment: Fragment, *args: Any, out: Path, options: WriteOptions | None = None, **kwargs: Any) -> None:
        self.out, self.options = out, options or WriteOptions()
        self.results: Results | None = None
        super().__init__(fragment, *args, **kwargs)

    def run(self, study: Study, case: Case, segmentation: Segmentation, measurements: Measurements, findings: Findings) -> None:
        """Write the results."""
        self.results = results_stage.write(
            study, case, segmentation, measurements, findings, self.out, self.options, timings=self.timings
        )
