"""The stages of `braintumor.pipeline` as operators: ports named after the nouns they carry, timing, wiring by equal names."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any, ClassVar

from monai.deploy.core import ExecutionContext, Fragment, InputContext, Operator, OperatorSpec, OutputContext

from braintumor import pipeline
from braintumor.domain import Case, Findings, Measurements, Results
from braintumor.pipeline import Referral, RunOptions
from braintumor.track import TrackOptions, Visit

logger = logging.getLogger(__name__)


class StageOperator(Operator):
    """One stage of the line as an operator.

    A subclass names its ports, and its `run` calls one step of the pipeline. Everything an operator needs besides the nouns is
    given to its constructor; like all operators, it calls ``super().__init__`` last, since that calls `setup`.

    Attributes
    ----------
    stage
        Name in logs and timings, one of `braintumor.pipeline.STAGES`.
    inputs
        Names of the nouns received; the arguments of `run`.
    output
        Name of the noun emitted; empty for the last operator.
    run
        Method: the nouns of `inputs`, by name -> the noun of `output`.

    Parameters
    ----------
    options
        Of the whole line, the same for all operators of one application. Its engine should be loaded already, or each operator
        that runs the network loads its own.
    timings
        Shared by the operators of one application: stage -> seconds, filled as stages end.
    """

    stage: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ()
    output: ClassVar[str] = ""
    run: Callable[..., Any]

    def __init__(
        self,
        fragment: Fragment,
        *args: Any,
        options: RunOptions | None = None,
        timings: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self.options = options or RunOptions()
        self.timings = {} if timings is None else timings
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports; called by holoscan."""
        for name in self.inputs:
            spec.input(name)
        if self.output:
            spec.output(self.output)

    def compute(self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext) -> None:
        """Run the stage once on what arrived; called by holoscan."""
        received = {name: op_input.receive(name) for name in self.inputs}
        started = time.perf_counter()
        noun = self.run(**received)
        self.timings[self.stage] = round(time.perf_counter() - started, 3)
        logger.info("stage %s done in %.1f s", self.stage, self.timings[self.stage])
        if self.output:
            op_output.emit(noun, self.output)


def connect(fragment: Fragment, operators: Iterable[StageOperator]) -> None:
    """Wire every output to every input of the same name."""
    operators = tuple(operators)
    for source in operators:
        for target in operators:
            if source.output in target.inputs:
                fragment.add_flow(source, target, {(source.output, source.output)})


class StudyReaderOperator(StageOperator):
    """Reads one four-sequence study, and what the options say came with it: priors, notes, the order.

    Parameters
    ----------
    source
        What `braintumor.study.read_study` takes.
    """

    stage, output = "study", "referral"

    def __init__(self, fragment: Fragment, *args: Any, source: str | Path, **kwargs: Any) -> None:
        self.source = source
        super().__init__(fragment, *args, **kwargs)

    def run(self) -> Referral:
        """Read the source."""
        return pipeline.referred(self.source, self.options)


class CasePreparationOperator(StageOperator):
    """Brings the sequences of a study onto one grid, ready for the network."""

    stage, inputs, output = "case", ("referral",), "case"

    def run(self, referral: Referral) -> Case:
        """Prepare the study."""
        return pipeline.prepared(referral.study, self.options)


class SegmentationOperator(StageOperator):
    """Labels every voxel of a case; what comes out is the visit, segmented."""

    stage, inputs, output = "segment", ("referral", "case"), "visit"

    def run(self, referral: Referral, case: Case) -> Visit:
        """Segment the case."""
        return Visit.of(referral.study, case, pipeline.segmented(case, self.options))


class MeasurementOperator(StageOperator):
    """Measures volumes, diameters and places of a segmentation."""

    stage, inputs, output = "measure", ("visit",), "measurements"

    def run(self, visit: Visit) -> Measurements:
        """Measure the segmentation."""
        return pipeline.measured(visit)


class FindingsOperator(StageOperator):
    """Gathers the facts of a visit; priors are segmented and compared here."""

    stage, inputs, output = "findings", ("referral", "visit", "measurements"), "findings"

    def run(self, referral: Referral, visit: Visit, measurements: Measurements) -> Findings:
        """Find the facts."""
        return pipeline.found(visit, measurements, referral, pipeline.compared(visit, referral.priors, self.options))


class ResultsWriterOperator(StageOperator):
    """Writes every result; the output folder gets all of them or none.

    Attributes
    ----------
    results
        What was written; None until the graph has run.
    """

    stage, inputs = "results", ("referral", "visit", "measurements", "findings")

    def __init__(self, fragment: Fragment, *args: Any, out: Path, **kwargs: Any) -> None:
        self.out = out
        self.results: Results | None = None
        super().__init__(fragment, *args, **kwargs)

    def run(self, referral: Referral, visit: Visit, measurements: Measurements, findings: Findings) -> None:
        """Write the results."""
        self.results = pipeline.written(visit, measurements, findings, referral, self.out, self.options, self.timings)


class TrackingOperator(StageOperator):
    """Beside the line: compares its visit with earlier studies, and writes the timeline and its DICOM objects.

    Parameters
    ----------
    priors
        Earlier studies, in any order, each as `braintumor.study.read_study` takes it. They run through the same stages.
    out
        A folder of its own, new or empty; it gets all results or none.
    comparison
        Its notes are of the current visit first, then of the priors; its engine segments priors without a mask.

    Attributes
    ----------
    results
        What was written; None until the graph has run.
    """

    stage, inputs = "track", ("visit",)

    def __init__(
        self,
        fragment: Fragment,
        *args: Any,
        priors: Seq[str | Path],
        out: Path,
        comparison: TrackOptions | None = None,
        **kwargs: Any,
    ) -> None:
        self.priors, self.out, self.comparison = tuple(priors), out, comparison or TrackOptions()
        self.results: Results | None = None
        super().__init__(fragment, *args, **kwargs)

    def run(self, visit: Visit) -> None:
        """Compare the visits and write what was found."""
        self.results = pipeline.track_visits([visit, *self.priors], self.out, self.comparison)
