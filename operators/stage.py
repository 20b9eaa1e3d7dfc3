"""What all operators share: ports named after the nouns they carry, timing, and wiring by equal names."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from monai.deploy.core import ExecutionContext, Fragment, InputContext, Operator, OperatorSpec, OutputContext

logger = logging.getLogger(__name__)


class StageOperator(Operator):
    """One stage of the line as an operator.

    A subclass names its ports, and its `run` calls one stage function. Everything an operator needs besides the nouns is
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
    timings
        Shared by the operators of one application: stage -> seconds, filled as stages end.
    """

    stage: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ()
    output: ClassVar[str] = ""
    run: Callable[..., Any]

    def __init__(self, fragment: Fragment, *args: Any, timings: dict[str, float] | None = None, **kwargs: Any) -> None:
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
