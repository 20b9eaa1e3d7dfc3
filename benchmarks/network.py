"""The network over a prepared case: our engines, and the same weights run the way MONAI's examples do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from monai.inferers import sliding_window_inference

from benchmarks.inputs import prepared
from benchmarks.measuring import Inputs, Job, Notes
from braintumor.domain import Region, from_channels, region_dice
from braintumor.segment import AnyEngine, load_engine, probabilities
from braintumor.segment.engines.openvino import OpenVinoEngine
from braintumor.segment.engines.pytorch import TorchEngine
from braintumor.segment.postprocess import most_likely
from braintumor.segment.weights import load

SLICES = 16
"""Slices per call of the stock way; the fastest of 1, 4, 8 and 16 when tried on two cores."""

STOCK_MASK = "stock_mask.npy"
EXACT_MASK = "exact_mask.npy"


def monai_stock(inputs: Inputs) -> Job:
    """Float32 PyTorch, `sliding_window_inference` over full slices, softmax and argmax."""
    case, network = prepared(inputs.work), load().network
    slices = torch.from_numpy(_with_neighbours(case.channels, network.config.context))
    stride = network.config.stride
    window = [-(-n // stride) * stride for n in slices.shape[2:]]

    def job() -> Notes:
        with torch.inference_mode():
            parts = [sliding_window_inference(part, window, SLICES, network) for part in slices.split(SLICES)]
            labels = torch.cat(parts).softmax(1).argmax(1).numpy().transpose(2, 1, 0)
        np.save(inputs.work / STOCK_MASK, labels.astype(np.uint8))
        return {"slices": len(slices), "window": window, "threads": torch.get_num_threads()}

    return job


def _with_neighbours(channels: npt.NDArray[np.float32], context: int) -> npt.NDArray[np.float32]:
    """(4, i, j, k) -> (k, 4 * (2 * context + 1), j, i): a slice between its neighbours, the last one repeated at both ends."""
    padded = np.pad(channels, ((0, 0), (0, 0), (0, 0), (context, context)), mode="edge").transpose(3, 0, 2, 1)
    count = channels.shape[3]
    return np.concatenate([padded[place : place + count] for place in range(2 * context + 1)], axis=1)


def torch_f32(inputs: Inputs) -> Job:
    """Our PyTorch engine held to float32 on the CPU: the masks of all other engines are compared with its mask."""
    return _ours(lambda: TorchEngine(load(), torch.float32), inputs, reference=True)


def torch_engine(inputs: Inputs) -> Job:
    """Our PyTorch engine as it is chosen here."""
    return _ours(lambda: load_engine("torch"), inputs)


def openvino_f32(inputs: Inputs) -> Job:
    """Our OpenVINO engine held to float32."""
    return _ours(lambda: OpenVinoEngine(load(), "f32"), inputs)


def openvino_engine(inputs: Inputs) -> Job:
    """Our OpenVINO engine as it is chosen here."""
    return _ours(lambda: load_engine("openvino"), inputs)


def openvino_int8(inputs: Inputs) -> Job:
    """Our int8 engine, if the model has the graph for it."""
    return _ours(lambda: load_engine("openvino-int8"), inputs)


def _ours(make: Callable[[], AnyEngine], inputs: Inputs, *, reference: bool = False) -> Job:
    case = prepared(inputs.work)
    started = time.perf_counter()
    engine = make()
    start_s = round(time.perf_counter() - started, 2)

    def job() -> Notes:
        found = probabilities(case, engine)
        labels = np.zeros(case.grid.shape, np.uint8)
        labels[found.box] = most_likely(found.values) * case.brain[found.box]
        if reference:
            np.save(inputs.work / EXACT_MASK, labels)
        return {
            "engine": engine.name,
            "start_s": start_s,
            "same_labels_as_stock": _agreement(labels, case.brain, inputs.work / STOCK_MASK),
            "dice_with_torch_f32": _dice(labels, inputs.work / EXACT_MASK),
        }

    return job


def _dice(labels: npt.NDArray[np.uint8], exact: Path) -> dict[str, float] | str:
    """Dice per region with the float32 mask."""
    if not exact.exists():
        return "not compared"
    return {region.value: round(value, 4) for region, value in agreement(labels, np.load(exact)).items()}


def agreement(found: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8]) -> dict[Region, float]:
    """Dice of each region between two arrays of network channels; 1 where both have none of it."""
    return region_dice(from_channels(found), from_channels(wanted))


def _agreement(labels: npt.NDArray[np.uint8], brain: npt.NDArray[np.bool_], stock: Path) -> str:
    """Share of brain voxels with the stock way's label: slices cut to the brain change what attention pools over."""
    if not stock.exists():
        return "not compared"
    return f"{100 * (labels[brain] == np.load(stock)[brain]).mean():.2f} %"
