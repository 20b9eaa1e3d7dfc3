"""What int8 costs: masks of the published network, quantised in several ways, beside those of float32, and the time of each.

``python -m benchmarks.quantising DATA/brats`` calibrates with slices of all cases and compares on four of them. Nothing is
stored; `braintumor.segment.quantise` makes the graph that is, once one of these agrees well enough.
"""

from __future__ import annotations

import argparse
import logging
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.network import agreement
from braintumor.datasets import find_cases
from braintumor.domain import Case, Region
from braintumor.segment.engines.openvino import OpenVinoEngine, convert
from braintumor.segment.postprocess import most_likely
from braintumor.segment.predict import predict, single_slices
from braintumor.segment.quantise import KEPT_TYPES, PER_CASE, kept, quantiser
from braintumor.segment.weights import Model, load
from braintumor.train.data import prepare_labelled

COMPARED = ("BraTS2021_01657", "BraTS2021_01476", "Brats17_TCIA_639_1", "BraTS2021_01485")
"""A large tumour, which is also the one that is timed, and three whose core or enhancement is small."""

UP = "ConvolutionBackpropData"
DEEPEST = r"encoders\.4\.body"
MERGED = "^Convolution_"
"""The decoders' convolutions, named anew by `split_concatenations`."""

VARIANTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "every large convolution": ((), ()),
    "but the transposed ones": ((), (UP,)),
    "and the deepest level": ((DEEPEST,), (UP,)),
    "encoders only": ((MERGED,), (UP,)),
    "encoders but the deepest": ((MERGED, DEEPEST), (UP,)),
    "decoders only": ((r"encoders\.",), (UP,)),
}
"""Patterns of names, and types, of what stays in higher precision besides what always does."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantising", description=__doc__)
    parser.add_argument("data", type=Path, help="folder of labelled cases, e.g. DATA/brats")
    options = parser.parse_args()
    model, slices, cases = load(), [], {}
    for labelled in find_cases(options.data):
        case, _ = prepare_labelled(labelled)
        slices += single_slices(case, model.network.config, PER_CASE)
        if labelled.name in COMPARED:
            cases[labelled.name] = case
    if absent := set(COMPARED) - set(cases):
        parser.error(f"{options.data} has no {', '.join(sorted(absent))}")
    exact = OpenVinoEngine(model, "f32")
    wanted = {name: _labels(case, exact) for name, case in cases.items()}
    print(f"{'':<28}{'s':>6}" + "".join(f"{region.value:>8}" for region in Region) + f"{'least':>8}", flush=True)
    for engine in (exact, OpenVinoEngine(model)):
        _row(engine.name, engine, cases, wanted)
    for title, (names, types) in VARIANTS.items():
        _row(title, _int8(model, slices, names, types), cases, wanted)


def _int8(model: Model, slices: list[Any], names: tuple[str, ...], types: tuple[str, ...]) -> OpenVinoEngine:
    import openvino as ov

    nncf, graph = quantiser(), convert(model)
    nncf.set_log_level(logging.ERROR)
    named = [node.get_friendly_name() for node in graph.get_ordered_ops()]
    spared = [name for name in named if any(re.search(pattern, name) for pattern in names)]
    quantised = nncf.quantize(
        graph,
        nncf.Dataset(slices),
        subset_size=len(slices),
        ignored_scope=nncf.IgnoredScope(names=[*kept(graph), *spared], types=[*KEPT_TYPES, *types], validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "graph.xml"
        ov.save_model(quantised, path, compress_to_fp16=True)
        return OpenVinoEngine(model, int8=(path.read_bytes(), path.with_suffix(".bin").read_bytes()))


def _labels(case: Case, engine: OpenVinoEngine) -> npt.NDArray[np.uint8]:
    return most_likely(predict(case, engine).values)


def _row(title: str, engine: OpenVinoEngine, cases: dict[str, Case], wanted: dict[str, npt.NDArray[np.uint8]]) -> None:
    """Mean Dice with float32 of each region, the least of all, and the best of three times on the first of `COMPARED`."""
    agreed = np.array([list(agreement(_labels(case, engine), wanted[name]).values()) for name, case in cases.items()])
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        _labels(cases[COMPARED[0]], engine)
        seconds.append(time.perf_counter() - started)
    figures = "".join(f"{mean:>8.4f}" for mean in agreed.mean(axis=0))
    print(f"{title:<28}{min(seconds):>6.2f}{figures}{agreed.min():>8.4f}", flush=True)


if __name__ == "__main__":
    main()
