"""float32 weights -> an int8 OpenVINO graph, calibrated on real brain slices; done once, by whoever publishes a model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from braintumor.errors import EngineError, InputNotFoundError
from braintumor.nouns import Case
from braintumor.segment.engines.openvino import convert, runtime
from braintumor.segment.predict import single_slices
from braintumor.segment.weights import load, save_int8

PER_CASE = 8
"""Calibration slices taken from each case, from its lowest to its highest."""

SENSITIVE = ("w_alpha", ".refine.")
"""Parts of names of layers that stay in higher precision: what feeds a sigmoid, where a step of 1/256 moves a whole channel."""


def quantize(model_folder: Path, cases: Iterable[Case], per_case: int = PER_CASE) -> Path:
    """Make the int8 graph of a model folder's weights and store it beside them, with checksums.

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
    ov, nncf = runtime(), _nncf()
    model = load(model_folder)
    chosen = [one for case in cases for one in single_slices(case, model.network.config, per_case)]
    if not chosen:
        raise InputNotFoundError("There are no slices to calibrate with", remedy="Give prepared cases of the training data")
    graph = convert(model)
    quantised = nncf.quantize(
        graph,
        nncf.Dataset(chosen),
        subset_size=len(chosen),
        ignored_scope=nncf.IgnoredScope(names=_kept(graph)),
        fast_bias_correction=True,
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "graph.xml"
        ov.save_model(quantised, path, compress_to_fp16=True)
        versions = {"openvino": ov.__version__, "nncf": nncf.__version__}
        facts = {"calibration_slices": len(chosen), "versions": versions}
        return save_int8(model_folder, model, path.read_bytes(), path.with_suffix(".bin").read_bytes(), facts)


def _nncf() -> Any:
    # Read once when nncf is imported: without it, nncf reports its use to its maker over the network.
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ImportError as error:
        raise EngineError("Quantising needs nncf, which is not installed", remedy="Run pip install nncf") from error
    return nncf


def _kept(graph: Any) -> list[str]:
    """The first and the last convolution, and the sensitive ones."""
    names = [node.get_friendly_name() for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution"]
    return [name for n, name in enumerate(names) if n in (0, len(names) - 1) or any(part in name for part in SENSITIVE)]
