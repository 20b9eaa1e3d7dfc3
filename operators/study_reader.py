"""Operator of the first stage: folder, zip or NIfTI case -> Study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment

from braintumor import study as study_stage
from braintumor.domain import Sequence, Study
from operators.stage import StageOperator


class StudyReaderOperator(StageOperator):
    """Reads one four-sequence study.

    Parameters
    ----------
    source
        What `braintumor.study.read` takes.
    overrides
        Sequence -> series UID that the caller names.
    """

    stage, output = "study", "study"

    def __init__(
        self, fragment: Fragment, *args: Any, source: str | Path, overrides: Mapping[Sequence, str] | None = None, **kwargs: Any
    ) -> None:
        self.source, self.overrides = source, dict(overrides or {})
        super().__init__(fragment, *args, **kwargs)

    def run(self) -> Study:
        """Read the source."""
        return study_stage.read(self.source, overrides=self.overrides)
