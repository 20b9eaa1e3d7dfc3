"""Labelled cases prepared exactly as at inference."""

from __future__ import annotations

from pathlib import Path

from braintumor import preprocess as case_stage
from braintumor import study as study_stage
from braintumor.datasets.case import LabelledCase, read
from braintumor.datasets.truth import find_truth, read_truth
from braintumor.domain import Case, Segmentation
from braintumor.preprocess import on_grid


def load_case(folder: Path) -> tuple[Case, Segmentation]:
    """A case folder prepared, and its expert mask on the case's grid; errors as `braintumor.study.read` and `find_truth`."""
    study = study_stage.read(folder)
    case = case_stage.prepare(study)
    return case, on_grid(read_truth(find_truth(folder), study.reference.image.grid), case.grid)


def prepare(found: LabelledCase) -> tuple[Case, Segmentation]:
    """A case of a data set prepared, and its expert mask on the case's grid; errors as `braintumor.datasets.read`."""
    study, truth = read(found)
    case = case_stage.prepare(study)
    return case, on_grid(truth, case.grid)
