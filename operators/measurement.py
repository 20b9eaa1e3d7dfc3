"""Operator of the fourth stage: Segmentation -> Measurements."""

from __future__ import annotations

from braintumor import measure as measure_stage
from braintumor.domain import Case, Measurements, Segmentation
from operators.stage import StageOperator


class MeasurementOperator(StageOperator):
    """Measures volumes, diameters and places of a segmentation."""

    stage, inputs, output = "measure", ("case", "segmentation"), "measurements"

    def run(self, case: Case, segmentation: Segmentation) -> Measurements:
        """Measure the segmentation."""
        return measure_stage.measure(segmentation, case.brain, case_id=case.case_id)
