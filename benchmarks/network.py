"""The network over a prepared case: our engines, and the same weights run the way MONAI's examples do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from monai.inferers import sliding_window_inference

from benchmarks.inputs import prepared
from benchmarks.measuring import Inputs, Job, Notes
from braintumor.segment import load_engine
from braintumor.segment.postprocess import most_likely
from braintumor.segment.predict import predict
from braintumor.segment.weights import load

SLICES = 16
"""Slices per call of the stock way; the fastest of 1, 4, 8 and 16 when tried on two cores."""

STOCK_MASK = "stock_mask.npy"


def monai_stock(inputs: Inputs) -> Job:
    """Float32 PyTorch, `sliding_window_inference` over full slices, softmax and argmax."""
    case, network = prepared(inputs.work), load().network
    slices = torch.from_numpy(np.ascontiguousarray(case.channels.transpose(3, 0, 2, 1)))  # (k, 4, j, i)
    stride = network.config.stride
    window = [-(-n // stride) * stride for n in slices.shape[2:]]

    def job() -> Notes:
        with torch.inference_mode():
            parts = [sliding_window_inference(part, window, SLICES, network) for part in slices.split(SLICES)]
            labels = torch.cat(parts).softmax(1).argmax(1).numpy().transpose(2, 1, 0)
        np.save(inputs.work / STOCK_MASK, labels.astype(np.uint8))
        return {"slices": len(slices), "window": window, "threads": torch.get_num_threads()}

    return job


def torch_engine(inputs: Inputs) -> Job:
    """Our PyTorch engine."""
    return _ours("torch", inputs)


def openvino_engine(inputs: Inputs) -> Job:
    """Our OpenVINO engine."""
    return _ours("openvino", inputs)


def _ours(name: str, inputs: Inputs) -> Job:
    case, engine = prepared(inputs.work), load_engine(name)

    def job() -> Notes:
        found = predict(case, engine)
        labels = np.zeros(case.grid.shape, np.uint8)
        labels[found.box] = most_likely(found.values)
        return {"engine": engine.name, "same_labels_as_stock": _agreement(labels, case.brain, inputs.work / STOCK_MASK)}

    return job


def _agreement(labels: npt.NDArray[np.uint8], brain: npt.NDArray[np.bool_], stock: Path) -> str:
    """Share of brain voxels with the stock way's label: slices cut to the brain change what attention pools over."""
    if not stock.exists():
        return "not compared"
    return f"{100 * (labels[brain] == np.load(stock)[brain]).mean():.2f} %"
