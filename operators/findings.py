"""Operator of the fifth stage: everything known so far -> Findings."""

from __future__ import annotations

from braintumor import report as report_stage
from braintumor.domain import Case, Findings, Measurements, Segmentation, Study
from operators.stage import StageOperator


class FindingsOperator(StageOperator):
    """Puts the facts of a study into words."""

    stage, inputs, output = "findings", ("study", "case", "segmentation", "measurements"), "findings"

    def run(self, study: Study, case: Case, segmentation: Segmentation, measurements: Measurements) -> Findings:
        """Find the facts."""
        return report_stage.find(study, case, segmentation, measurements)
