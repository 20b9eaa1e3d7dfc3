"""The network in OpenVINO on a CPU: converted from the weights when the engine is made, or the int8 graph made of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from braintumor.domain import EngineError
from braintumor.segment.engines.protocol import Batch
from braintumor.segment.engines.pytorch import WithSoftmax
from braintumor.segment.weights import Model

SPLIT_FROM = 16
"""Channels per part from which a concatenation before a convolution is worth splitting; CBAM joins two single maps."""


class OpenVinoEngine:
    """OpenVINO on the CPU, in bf16 where the processor multiplies it, else float32; or int8.

    Parameters
    ----------
    precision
        ``f32`` or ``bf16`` to insist on one; None for the faster that the processor has.
    int8
        The quantised graph, XML and binary, as `braintumor.segment.weights.load_int8` verified it; None to convert the model's
        own weights, so that there is no second model file that could disagree with the first.
    """

    def __init__(self, model: Model, precision: str | None = None, int8: tuple[bytes, bytes] | None = None) -> None:
        ov = runtime()
        self.model = model
        graph = ov.Core().read_model(*int8) if int8 else convert(model)
        wanted = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
        self._compiled = ov.Core().compile_model(graph, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", **wanted})
        self._queue = ov.AsyncInferQueue(self._compiled)
        used = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
        self.name = "openvino-int8" if int8 else f"openvino-{used}"

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


def runtime() -> Any:
    """The ``openvino`` module.

    Raises
    ------
    EngineError
        If it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            "The engine 'openvino' is not installed", remedy="Run pip install openvino, or use --engine torch"
        ) from error
    return openvino


def convert(model: Model) -> Any:
    """The network with softmax as an ``openvino.Model`` for any number and size of slices.

    The frontend is called directly, not through ``openvino.convert_model``: that one reports every conversion to its maker over
    the network unless each user has opted out, and takes longer.
    """
    runtime()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    channels = model.network.config.in_channels
    example = torch.zeros(1, channels, 4 * model.network.config.stride, 4 * model.network.config.stride)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch calls tracing deprecated, OpenVINO needs it
        traced = torch.jit.freeze(torch.jit.trace(WithSoftmax(model).eval(), example, check_trace=False))
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # kept by name: OpenVINO does not own it while it converts
    graph = frontend.convert(frontend.load(decoder))
    graph.reshape([-1, channels, -1, -1])
    split_concatenations(graph)
    return graph


def split_concatenations(graph: Any) -> int:
    """Turn conv(concat(a, b)) into conv_a(a) + conv_b(b) in place; returns how many were turned.

    The same sums in another order, without a copy of the largest feature maps there are.
    """
    from openvino import opset13 as ops

    turned = 0
    for node in graph.get_ordered_ops():
        joined = node.input_value(0).get_node() if node.get_type_name() == "Convolution" else None
        if joined is None or joined.get_type_name() != "Concat" or joined.get_axis() != 1:
            continue
        parts = [joined.input_value(n) for n in range(joined.get_input_size())]
        sizes = [part.get_partial_shape()[1].get_length() for part in parts]
        weights = node.input_value(1).get_node()
        if min(sizes) < SPLIT_FROM or weights.get_type_name() != "Constant":
            continue
        how = node.get_attributes()
        places = (how["strides"], how["pads_begin"], how["pads_end"], how["dilations"])
        kernels = np.split(weights.get_data(), np.cumsum(sizes)[:-1], axis=1)
        sums = [
            ops.convolution(part, ops.constant(np.ascontiguousarray(kernel)), *places)
            for part, kernel in zip(parts, kernels, strict=True)
        ]
        total = sums[0]
        for term in sums[1:]:
            total = ops.add(total, term)
        node.output(0).replace(total.output(0))
        turned += 1
    graph.validate_nodes_and_infer_types()
    return turned
