"""One temperature for a network, fitted on labelled cases that it never saw, with the calibration before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import Case, CaseProgress, Region, Segmentation, WeightsError, channels_of, silent, to_channels
from braintumor.evaluate.calibration import Reliability, apply_temperature, fit_temperature
from braintumor.evaluate.run import with_images
from braintumor.segment import AnyEngine, load_engine, probabilities
from braintumor.segment.weights import TEMPERATURES, Model, is_own, read_metadata

SAMPLE = 250_000
"""Voxels of a case's brain that count, drawn at random: a fit does not need a million, and cases do not fit in memory."""

_DECIMALS = 4

Voxels = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted.

    Attributes
    ----------
    model
        Whose weights it belongs to.
    temperature
        To four decimals.
    before, after
        ``ece`` and ``brier`` of each region without and with the temperature, over `voxels`.
    cases
        Names, in order.
    notes
        What the reader must know, in plain words.
    """

    model: Model
    temperature: float
    before: Mapping[Region, Mapping[str, float]]
    after: Mapping[Region, Mapping[str, float]]
    cases: tuple[str, ...]
    voxels: int
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """JSON-ready, for `braintumor.segment.weights.save_temperature`."""
        return {
            "cases": list(self.cases),
            "voxels": self.voxels,
            "before": {region.value: dict(figures) for region, figures in self.before.items()},
            "after": {region.value: dict(figures) for region, figures in self.after.items()},
            "notes": list(self.notes),
        }


def calibrate(folder: Path, truth: Path, engine: str = "auto", progress: CaseProgress = silent) -> Calibrated:
    """Run a model of ours without its temperature on each case folder of `truth`, and fit one; nothing is written.

    Parameters
    ----------
    truth
        Folder of case folders that the network never saw; on its own training cases it is sure for the wrong reason.
    progress
        Called with a case's name, how many are done, and how many there are.

    Raises
    ------
    WeightsError
        If the folder is a peer's model, whose probabilities we do not change.
    BrainTumorError
        What reading a study, preparing it and loading a model raise.
    """
    if not is_own(folder):
        raise WeightsError(
            "Only a model folder of this package can be calibrated",
            remedy="Give a folder with configs/metadata.json and models/ as `braintumor train` writes it",
            path=folder,
        )
    places = with_images(truth)
    runner = load_engine(engine, folder)
    model = runner.model
    assert isinstance(model, Model)  # noqa: S101  # a folder of ours brings an engine of ours
    runner.model = replace(model, temperature=1.0)
    return _fitted(model, _collected(places, runner, progress), tuple(places), _notes(model, folder, tuple(places)))


def sample(case: Case, truth: Segmentation, engine: AnyEngine, seed: int) -> Voxels:
    """Class probabilities (n, 4) of up to `SAMPLE` voxels of the brain, and the expert's network channel (n,) of each."""
    found = probabilities(case, engine)
    places = np.flatnonzero(case.brain[found.box])
    if places.size > SAMPLE:
        places = np.sort(np.random.default_rng(seed).choice(places, SAMPLE, replace=False))
    values = found.values.reshape(len(found.values), -1)[:, places].T
    return np.ascontiguousarray(values), to_channels(truth.mask[found.box]).ravel()[places]


def _collected(places: Mapping[str, Path], engine: AnyEngine, progress: CaseProgress) -> list[Voxels]:
    from braintumor.train.data import load_case

    collected = []
    for n, (name, folder) in enumerate(places.items()):
        progress(name, n, len(places))
        collected.append(sample(*load_case(folder), engine, seed=n))
    return collected


def _fitted(model: Model, voxels: Sequence[Voxels], cases: tuple[str, ...], notes: tuple[str, ...]) -> Calibrated:
    temperature = round(fit_temperature(lambda: voxels, TEMPERATURES), _DECIMALS)
    before = _figures(voxels, lambda values: values)
    after = _figures(voxels, lambda values: apply_temperature(values, temperature, axis=1))
    return Calibrated(model, temperature, before, after, cases, sum(len(target) for _, target in voxels), notes)


def _figures(
    voxels: Sequence[Voxels], changed: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
) -> dict[Region, dict[str, float]]:
    histograms = {region: Reliability() for region in Region}
    for said, target in voxels:
        values = changed(said)
        for region, histogram in histograms.items():
            channels = channels_of(region)
            histogram.add(values[:, list(channels)].sum(axis=1), np.isin(target, channels))
    return {region: {"ece": round(h.ece or 0.0, 6), "brier": round(h.brier or 0.0, 6)} for region, h in histograms.items()}


def _notes(model: Model, folder: Path, cases: tuple[str, ...]) -> tuple[str, ...]:
    """Whether the model may have been trained on some of these cases."""
    heldout = read_metadata(folder).get("heldout", [])
    seen = [name for name in cases if name not in heldout]
    if not heldout or not seen:
        return ()
    return (f"{len(seen)} of {len(cases)} cases are not among those that {model.name} records as held out: it may know them",)
