"""float32 weights -> an int8 OpenVINO graph that gives the same masks; made once, by whoever publishes a model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import Case, EngineError, InputNotFoundError, from_channels, region_dice
from braintumor.segment.engines.openvino import convert, runtime
from braintumor.segment.engines.protocol import Batch
from braintumor.segment.predict import single_slices
from braintumor.segment.weights import load, save_int8

PER_CASE = 8
"""Calibration slices taken from each case, from its lowest to its highest."""

AGREEMENT = 0.99
"""Least Dice of every region with the mask of the float32 network, over the calibration slices."""

SENSITIVE = (".gate.", ".refine.")
"""Parts of names of layers that stay in higher precision from the start: attention ends in a sigmoid, where a step of 1/256
moves a whole channel, and its 1x1 convolutions cost little."""

KEPT_TYPES = ("Add", "Multiply", "ReduceMax", "ReduceMean")
"""Operations that stay in higher precision: sums of what was quantised apart, and what attention pools over."""

Compiled = Callable[[Batch], Any]
Labelled = Iterable[tuple[Batch, npt.NDArray[np.int64]]]


def quantize(model_folder: Path, cases: Iterable[Case], per_case: int = PER_CASE) -> Path:
    """Make the int8 graph of a model folder's weights and store it beside them, with checksums.

    Layers go back to higher precision, the most harmful first, until `AGREEMENT` is reached.

    Parameters
    ----------
    cases
        Prepared training cases whose slices show the range of every activation; read one at a time. Never held-out ones.
    per_case
        How many slices of each to take; 100 or more in all are enough.

    Returns
    -------
    Path
        The XML file in ``models/``; its binary lies beside it.

    Raises
    ------
    EngineError
        If nncf or OpenVINO is not installed.
    InputNotFoundError
        If the cases hold no slice with brain.
    WeightsError
        See `braintumor.segment.weights.load`.
    """
    ov, nncf = runtime(), quantiser()
    model = load(model_folder)
    slices = [one for case in cases for one in single_slices(case, model.network.config, per_case)]
    if not slices:
        raise InputNotFoundError("There are no slices to calibrate with", remedy="Give prepared cases of the training data")
    graph = convert(model)
    exact = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    labelled = [(one, exact(one)[0].argmax(axis=1)) for one in slices]
    quantised = nncf.quantize_with_accuracy_control(
        graph,
        nncf.Dataset(slices),
        nncf.Dataset(labelled),
        lambda compiled, data: (agreement(compiled, data), None),
        max_drop=1.0 - AGREEMENT,
        drop_type=nncf.DropType.ABSOLUTE,
        subset_size=len(slices),
        ignored_scope=nncf.IgnoredScope(names=kept(graph), types=list(KEPT_TYPES), validate=False),
        # Correcting biases by a few slices was tried: it made the masks worse.
        advanced_quantization_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
    )
    facts = {
        "calibration_slices": len(slices),
        "dice_with_float32": round(agreement(ov.Core().compile_model(quantised, "CPU"), labelled), 4),
        "versions": {"openvino": ov.__version__, "nncf": nncf.__version__},
    }
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "graph.xml"
        ov.save_model(quantised, path, compress_to_fp16=True)
        return save_int8(model_folder, model, path.read_bytes(), path.with_suffix(".bin").read_bytes(), facts)


def agreement(compiled: Compiled, labelled: Labelled) -> float:
    """Smallest Dice over WT, TC and ET between what a graph says of slices and their labels (network channels)."""
    found = np.concatenate([np.asarray(compiled(batch)[0]).argmax(axis=1).ravel() for batch, _ in labelled])
    wanted = np.concatenate([channels.ravel() for _, channels in labelled])
    return min(region_dice(from_channels(found), from_channels(wanted)).values())


def quantiser() -> Any:
    """The ``nncf`` module, which reports to nobody.

    Raises
    ------
    EngineError
        If it is not installed.
    """
    # Read once when nncf is imported: without it, nncf reports its use to its maker over the network.
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ImportError as error:
        raise EngineError("Quantising needs nncf, which is not installed", remedy="Run pip install nncf") from error
    return nncf


def kept(graph: Any) -> list[str]:
    """Names of what stays in higher precision: the first and the last convolution, and the sensitive ones."""
    names = [node.get_friendly_name() for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution"]
    return [name for n, name in enumerate(names) if n in (0, len(names) - 1) or any(part in name for part in SENSITIVE)]
