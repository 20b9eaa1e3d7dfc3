"""One protocol for every way to run the network, and the two engines: PyTorch and OpenVINO."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from braintumor.errors import EngineError
from braintumor.segment.weights import Model, load

Batch = npt.NDArray[np.float32]

ENGINES = ("auto", "openvino", "torch")
"""Names for --engine: ``auto`` takes PyTorch where there is a GPU, else OpenVINO."""


class Engine(Protocol):
    """Runs the network over batches of slices.

    Attributes
    ----------
    name
        What results record, with the arithmetic used, e.g. ``openvino-f32``.
    model
        Whose weights it runs.
    """

    name: str
    model: Model

    def probabilities(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Class probabilities for each batch, in order.

        Parameters
        ----------
        batches
            (n, 4, h, w) float32 C-order, h and w multiples of `NetworkConfig.stride`; sizes may differ between batches.

        Yields
        ------
        (n, 4, h, w) float32: background, then `braintumor.labels.LABELS`; sums to 1 over axis 1.
        """
        ...


class _WithSoftmax(torch.nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.network(x), dim=1)


class TorchEngine:
    """PyTorch: on the GPU in half precision where there is one, else on the CPU in float32."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._cuda = torch.cuda.is_available()
        self._device = torch.device("cuda" if self._cuda else "cpu")
        self._net = _WithSoftmax(model).eval().to(self._device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self.name = "torch-cuda-f16" if self._cuda else "torch-cpu-f32"

    def probabilities(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """See `Engine.probabilities`."""
        for batch in batches:
            with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=self._cuda):
                x = torch.from_numpy(batch).to(self._device, memory_format=torch.channels_last)
                yield self._net(x).float().cpu().numpy()


class OpenVinoEngine:
    """OpenVINO on the CPU, in bf16 where the processor multiplies it, else float32.

    The network is converted from the same weights when the engine is made, so there is no second
    model file that could disagree with the first.
    """

    def __init__(self, model: Model) -> None:
        try:
            import openvino as ov
        except ImportError as error:
            raise EngineError(
                "The engine 'openvino' is not installed", remedy="pip install openvino, or use --engine torch"
            ) from error
        self.model = model
        example = torch.zeros(1, model.network.config.in_channels, 64, 64)
        with torch.inference_mode(), warnings.catch_warnings():
            # Tracing here and not inside convert_model takes a fifth of the time; torch calls it deprecated, OpenVINO needs it.
            warnings.simplefilter("ignore", DeprecationWarning)
            traced = torch.jit.freeze(torch.jit.trace(_WithSoftmax(model).eval(), example, check_trace=False))
            graph = ov.convert_model(traced)
        graph.reshape([-1, model.network.config.in_channels, -1, -1])
        self._compiled = ov.Core().compile_model(graph, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
        self._queue = ov.AsyncInferQueue(self._compiled)
        precision = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
        self.name = f"openvino-{precision}"

    def probabilities(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """See `Engine.probabilities`; batches run on all cores at once and are yielded in their order."""
        # One request per core in flight and a bounded backlog, so that memory does not grow with the volume.
        done: dict[int, Batch] = {}

        def keep(request: object, position: int) -> None:
            done[position] = request.get_output_tensor().data.copy()  # type: ignore[attr-defined]

        self._queue.set_callback(keep)
        submitted = yielded = 0
        for batch in batches:
            self._queue.start_async({0: batch}, submitted)
            submitted += 1
            while yielded in done:
                yield done.pop(yielded)
                yielded += 1
        self._queue.wait_all()
        for position in range(yielded, submitted):
            yield done.pop(position)


def load_engine(name: str = "auto", folder: Path | None = None) -> Engine:
    """The engine of that name with the verified weights of a model folder.

    Raises
    ------
    EngineError
        If the name is unknown or the engine is not installed.
    WeightsError
        See `braintumor.segment.weights.load`.
    """
    if name not in ENGINES:
        raise EngineError(f"There is no engine '{name}'", remedy=f"Choose one of {', '.join(ENGINES)}")
    model = load(folder)
    if name == "torch" or (name == "auto" and torch.cuda.is_available()):
        return TorchEngine(model)
    return OpenVinoEngine(model)
