"""Operator of the third stage: Case -> Segmentation."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment

from braintumor import segment as segment_stage
from braintumor.domain import Case, Segmentation
from braintumor.segment import Engine, SegmentOptions
from operators.stage import StageOperator


class SegmentationOperator(StageOperator):
    """Labels every voxel of a case with a loaded engine."""

    stage, inputs, output = "segment", ("case",), "segmentation"

    def __init__(
        self, fragment: Fragment, *args: Any, engine: Engine, options: SegmentOptions | None = None, **kwargs: Any
    ) -> None:
        self.engine, self.options = engine, options or SegmentOptions()
        super().__init__(fragment, *args, **kwargs)

    def run(self, case: Case) -> Segmentation:
        """Segment the case."""
        return segment_stage.segment(case, self.engine, self.options)
