"""MONAI Deploy operators over the steps of `braintumor.pipeline`: one stage each, no algorithm of their own.

An operator's ports carry whole domain objects and are named after them, so operators are wired by equal names.
Errors are the stages' own `braintumor.domain.errors`; holoscan ends the graph and raises them again from ``Application.run``.
"""

from operators._runtime import load_cuda_runtime

load_cuda_runtime()  # must come before the first import of holoscan, which every operator does

from operators.line import (  # noqa: E402
    CasePreparationOperator,
    FindingsOperator,
    MeasurementOperator,
    ResultsWriterOperator,
    SegmentationOperator,
    StageOperator,
    StudyReaderOperator,
    TrackingOperator,
    connect,
)

__all__ = [
    "CasePreparationOperator",
    "FindingsOperator",
    "MeasurementOperator",
    "ResultsWriterOperator",
    "SegmentationOperator",
    "StageOperator",
    "StudyReaderOperator",
    "TrackingOperator",
    "connect",
]
