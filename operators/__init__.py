"""MONAI Deploy operators over the stages of `braintumor`: one stage each, no algorithm of their own.

An operator's ports carry whole domain objects (`braintumor.domain`) and are named after them, so operators are wired by
equal names. Errors are the stages' own `braintumor.domain.errors`; holoscan ends the graph and raises them again from
``Application.run``.
"""

from operators._runtime import load_cuda_runtime

load_cuda_runtime()  # must come before the first import of holoscan, which every operator does

from operators.case_preparation import CasePreparationOperator  # noqa: E402
from operators.findings import FindingsOperator  # noqa: E402
from operators.measurement import MeasurementOperator  # noqa: E402
from operators.results_writer import ResultsWriterOperator  # noqa: E402
from operators.segmentation import SegmentationOperator  # noqa: E402
from operators.stage import StageOperator, connect  # noqa: E402
from operators.study_reader import StudyReaderOperator  # noqa: E402
from operators.tracking import TrackingOperator  # noqa: E402

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
