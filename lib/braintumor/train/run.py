"""Training runs from a configuration file: cross-validation with its predictions, or the final weights from all data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braintumor import preprocess as case_stage
from braintumor.datasets import LabelledCase, find_cases, read
from braintumor.datasets.lgg import read_slices
from braintumor.datasets.truth import read_truth
from braintumor.domain import EmptyPolicy, InputNotFoundError, Region, TrainingProgress, region_dice, write_nifti
from braintumor.preprocess import on_grid
from braintumor.segment import load_engine, segment_case
from braintumor.segment import weights as weights_store
from braintumor.segment.network import NetworkConfig
from braintumor.train.data import Slices, from_case, from_partial, from_slice_files, prepare_labelled
from braintumor.train.loop import TrainConfig, train
from braintumor.train.splits import Splits, make_folds, read_folds

FOLDS = 5
"""Folds of a data set that comes without a file of them."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A training configuration as read from JSON.

    Attributes
    ----------
    volumes
        Folder of labelled cases relative to the data folder, in any layout that `braintumor.datasets.find_cases` knows.
    slices
        Folder of single labelled slices of further patients, or '' for none.
    partial
        Folder of slices of which only the whole tumour is labelled (`braintumor.datasets.lgg`), or '' for none.
    splits
        Cases by fold: fold n, and whoever may be one of its patients, is never seen by the network trained for it. None for a
        configuration without a folds file: patients are dealt into `FOLDS` folds then.
    facts
        Goes into the model's metadata as it is (name, version, description ...).
    """

    volumes: str
    slices: str
    partial: str
    splits: Splits | None
    train: TrainConfig
    network: NetworkConfig
    facts: dict[str, Any]


def read_config(path: Path) -> RunConfig:
    """Read a configuration; unknown keys raise TypeError, so a typing error cannot become a default."""
    content = _json(path)
    folds = content.pop("folds", "")
    return RunConfig(
        train=TrainConfig.from_dict(content.pop("train")),
        network=NetworkConfig.from_dict(content.pop("network")),
        splits=read_folds(path.parent / folds) if folds else None,
        **content,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputNotFoundError(
            "The configuration cannot be read as JSON", remedy="See model/configs/train.json", path=path
        ) from error
    return content


def run_all(config_path: Path, data: Path, folder: Path, publish: Path | None, progress: TrainingProgress) -> Path:
    """Train on every patient of the configuration and save the model folder, which is returned.

    Nobody is left to measure these weights on: cross-validation (`run_folds`) measures the recipe.
    """
    config = read_config(config_path)
    cases = _cases(config, data)
    wanted = cases if config.splits is None else [name for fold in config.splits.folds for name in fold]
    patients = _patients(config, data, _named(wanted, cases, data))
    network = train(list(patients.values()), folder, config.train, config.network, progress)
    target = publish or folder / "model"
    weights_store.save(network, target, config.facts)
    return target


def run_folds(config_path: Path, data: Path, folder: Path, folds: Sequence[int], progress: TrainingProgress) -> Iterator[str]:
    """Train one network per fold and yield the lines of a table: Dice of each patient by the network that never saw it.

    ``fold-N/`` gets the run and its model; ``predictions/`` the masks of all folds, on the grids of the expert masks, for
    ``braintumor evaluate``; ``folds.json`` who was tested where, if the configuration does not say so. A fold whose
    predictions are complete is not run again.
    """
    config = read_config(config_path)
    found = _cases(config, data)
    splits = config.splits or _dealt(found.values(), folder / "folds.json")
    unknown = [number for number in folds if not 0 <= number < splits.k]
    if unknown:
        remedy = f"Choose from 0 to {splits.k - 1}"
        raise InputNotFoundError(f"There is no fold {unknown[0]}", remedy=remedy, path=config_path)
    yield f"{'case':<28}" + "".join(f"{region.value:>8}" for region in Region)
    rows: list[list[float | None]] = []
    everybody: dict[str, Slices] = {}
    for number in folds:
        heldout = splits.folds[number]
        own, predictions = folder / f"fold-{number}", folder / "predictions"
        cases = list(_named(heldout, found, data).values())
        if not all((predictions / f"{name}.nii.gz").exists() for name in heldout):
            names = [name for fold in splits.folds for name in fold]
            everybody = everybody or _patients(config, data, _named(names, found, data))
            patients = [everybody[name] for name in splits.trained(number, everybody)]
            network = train(patients, own, config.train, config.network, progress)
            weights_store.save(network, own / "model", {**config.facts, "fold": number, "heldout": list(heldout)})
            _predict(cases, own / "model", predictions)
        for case in cases:
            rows.append(_agreement(case, predictions / f"{case.name}.nii.gz"))
            yield f"{case.name:<28}" + "".join(f"{'-' if d is None else f'{d:.3f}':>8}" for d in rows[-1])
    means = [_mean(row[n] for row in rows) for n in range(len(Region))]
    yield f"{f'mean of {len(rows)}':<28}" + "".join(f"{mean:>8.3f}" for mean in means)


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _cases(config: RunConfig, data: Path) -> dict[str, LabelledCase]:
    """Cases by name. One whose mask does not tell all regions apart is no volume to learn all of them from.

    Raises
    ------
    InputNotFoundError
    """
    found = {case.name: case for case in find_cases(data / config.volumes)}
    coarse = [name for name, case in found.items() if case.regions != frozenset(Region)]
    if coarse:
        raise InputNotFoundError(
            f"{len(coarse)} of {len(found)} masks do not tell all regions apart, {coarse[0]}'s among them",
            remedy="Take these cases out, or train with labels for core, oedema and enhancing tumour",
            path=data / config.volumes,
        )
    return found


def _named(names: Iterable[str], cases: Mapping[str, LabelledCase], data: Path) -> dict[str, LabelledCase]:
    absent = [name for name in names if name not in cases]
    if absent:
        raise InputNotFoundError(f"Cases are not there: {', '.join(absent)}", remedy="Check --data", path=data)
    return {name: cases[name] for name in names}


def _dealt(cases: Iterable[LabelledCase], path: Path) -> Splits:
    """Folds for a data set that comes without, kept so that a run that goes on tests the same patients."""
    if not path.exists():
        patients: dict[str, list[str]] = {}
        for case in cases:
            patients.setdefault(case.patient, []).append(case.name)
        names = [name for visits in patients.values() for name in visits]
        try:
            splits = make_folds(names, FOLDS, groups=patients.values())
        except ValueError as error:
            raise InputNotFoundError(
                f"{len(patients)} patients are too few for {FOLDS} folds", remedy="Add cases, or train on all of them"
            ) from error
        path.parent.mkdir(parents=True, exist_ok=True)
        splits.write(path)
    return read_folds(path)


def _patients(config: RunConfig, data: Path, cases: Mapping[str, LabelledCase]) -> dict[str, Slices]:
    """Everybody's slices, by the names that the folds use."""
    patients = {name: from_case(*prepare_labelled(cases[name])) for name in sorted(cases)}
    if config.slices:
        patients |= {found.name: found for found in from_slice_files((data / config.slices).glob("*.npz"))}
    if config.partial:
        labelled = read_slices((data / config.partial).glob("*.npz"))
        patients |= {found.name: from_partial(found) for found in labelled}
    return patients


def _predict(cases: Sequence[LabelledCase], model: Path, folder: Path) -> None:
    """Masks of cases as ``CASE.nii.gz`` with BraTS values, on the grid that the expert mask has."""
    engine = load_engine("auto", model)
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        study, _ = read(case)
        found = on_grid(segment_case(case_stage.prepare_case(study), engine), study.reference.image.grid)
        write_nifti(folder / f"{case.name}.nii.gz", found.mask, found.grid)


def _agreement(case: LabelledCase, prediction: Path) -> list[float | None]:
    _, truth = read(case)
    predicted = read_truth(prediction, truth.grid)
    return list(region_dice(predicted.mask, truth.mask, EmptyPolicy.EXCLUDE).values())
