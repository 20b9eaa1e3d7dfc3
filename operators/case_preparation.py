"""Operator of the second stage: Study -> Case."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment

from braintumor import preprocess as case_stage
from braintumor.domain import Case, Study
from braintumor.preprocess import PrepareOptions
from operators.stage import StageOperator


class CasePreparationOperator(StageOperator):
    """Brings the sequences of a study onto one grid, ready for the network."""

    stage, inputs, output = "case", ("study",), "case"

    def __init__(self, fragment: Fragment, *args: Any, options: PrepareOptions | None = None, **kwargs: Any) -> None:
        self.options = options or PrepareOptions()
        super().__init__(fragment, *args, **kwargs)

    def run(self, study: Study) -> Case:
        """Prepare the study."""
        return case_stage.prepare(study, self.options)
