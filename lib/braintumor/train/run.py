"""Training runs from a configuration file: cross-validation with its predictions, or the final weights from all data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braintumor import case as case_stage
from braintumor import study as study_stage
from braintumor.errors import InputNotFoundError
from braintumor.files import write_nifti
from braintumor.labels import Region
from braintumor.nouns import Case, Segmentation
from braintumor.segment import load_engine, on_grid, segment
from braintumor.segment import weights as weights_store
from braintumor.segment.network import NetworkConfig
from braintumor.train.data import Slices, from_case, from_partial, from_slice_files
from braintumor.train.loop import TrainConfig, train
from braintumor.train.sources.lgg import read_slices
from braintumor.train.splits import Splits, read_folds
from braintumor.train.truth import dice, find_truth, read_truth

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A training configuration as read from JSON.

    Attributes
    ----------
    volumes
        Folder of case folders, relative to the data folder.
    slices
        Folder of single labelled slices of further patients, or '' for none.
    partial
        Folder of slices of which only the whole tumour is labelled (`braintumor.train.sources.lgg`), or '' for none.
    splits
        Case folders by fold: fold n, and whoever may be one of its patients, is never seen by the network trained for it.
    facts
        Goes into the model's metadata as it is (name, version, description ...).
    """

    volumes: str
    slices: str
    partial: str
    splits: Splits
    train: TrainConfig
    network: NetworkConfig
    facts: dict[str, Any]


def read_config(path: Path) -> RunConfig:
    """Read a configuration; unknown keys raise TypeError, so a typing error cannot become a default."""
    content = _json(path)
    return RunConfig(
        train=TrainConfig.from_dict(content.pop("train")),
        network=NetworkConfig.from_dict(content.pop("network")),
        splits=read_folds(path.parent / content.pop("folds")),
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


def load_case(folder: Path) -> tuple[Case, Segmentation]:
    """A case prepared exactly as at inference, and its expert mask on the case's grid."""
    study = study_stage.read(folder)
    case = case_stage.prepare(study)
    return case, on_grid(read_truth(find_truth(folder), study.reference.image.grid), case.grid)


def run_all(config_path: Path, data: Path, folder: Path, publish: Path | None, progress: Progress) -> Path:
    """Train on every patient of the configuration and save the model folder, which is returned.

    Nobody is left to measure these weights on: cross-validation (`run_folds`) measures the recipe.
    """
    config = read_config(config_path)
    network = train(list(_patients(config, data).values()), folder, config.train, config.network, progress)
    target = publish or folder / "model"
    weights_store.save(network, target, config.facts)
    return target


def run_folds(config_path: Path, data: Path, folder: Path, folds: Sequence[int], progress: Progress) -> Iterator[str]:
    """Train one network per fold and yield the lines of a table: Dice of each patient by the network that never saw it.

    ``fold-N/`` gets the run and its model; ``predictions/`` the masks of all folds, on the grids of the expert masks, for
    ``braintumor evaluate``. A fold whose predictions are complete is not run again.
    """
    config = read_config(config_path)
    unknown = [number for number in folds if not 0 <= number < config.splits.k]
    if unknown:
        remedy = f"Choose from 0 to {config.splits.k - 1}"
        raise InputNotFoundError(f"There is no fold {unknown[0]}", remedy=remedy, path=config_path)
    yield f"{'case':<28}" + "".join(f"{region.value:>8}" for region in Region)
    rows: list[list[float | None]] = []
    everybody: dict[str, Slices] = {}
    for number in folds:
        heldout = config.splits.folds[number]
        own, predictions = folder / f"fold-{number}", folder / "predictions"
        cases = [data / config.volumes / name for name in heldout]
        if not all((predictions / f"{path.name}.nii.gz").exists() for path in cases):
            everybody = everybody or _patients(config, data)
            patients = [everybody[name] for name in config.splits.trained(number, everybody)]
            network = train(patients, own, config.train, config.network, progress)
            weights_store.save(network, own / "model", {**config.facts, "fold": number, "heldout": list(heldout)})
            _predict(cases, own / "model", predictions)
        for path in cases:
            rows.append(_agreement(path, predictions / f"{path.name}.nii.gz"))
            yield f"{path.name:<28}" + "".join(f"{'-' if d is None else f'{d:.3f}':>8}" for d in rows[-1])
    means = [_mean(row[n] for row in rows) for n in range(len(Region))]
    yield f"{f'mean of {len(rows)}':<28}" + "".join(f"{mean:>8.3f}" for mean in means)


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _patients(config: RunConfig, data: Path) -> dict[str, Slices]:
    """Everybody's slices, by the names that the folds use."""
    names = sorted(name for fold in config.splits.folds for name in fold)
    absent = [name for name in names if not (data / config.volumes / name).is_dir()]
    if absent:
        raise InputNotFoundError(f"Cases are not there: {', '.join(absent)}", remedy="Check --data", path=data)
    patients = {name: from_case(*load_case(data / config.volumes / name)) for name in names}
    if config.slices:
        patients |= {found.name: found for found in from_slice_files((data / config.slices).glob("*.npz"))}
    if config.partial:
        labelled = read_slices((data / config.partial).glob("*.npz"))
        patients |= {found.name: from_partial(found) for found in labelled}
    return patients


def _predict(cases: Sequence[Path], model: Path, folder: Path) -> None:
    """Masks of cases as ``CASE.nii.gz`` with BraTS values, on the grid that the expert mask has."""
    engine = load_engine("auto", model)
    folder.mkdir(parents=True, exist_ok=True)
    for path in cases:
        study = study_stage.read(path)
        found = on_grid(segment(case_stage.prepare(study), engine), study.reference.image.grid)
        write_nifti(folder / f"{path.name}.nii.gz", found.mask, found.grid)


def _agreement(case: Path, prediction: Path) -> list[float | None]:
    grid = study_stage.read(case).reference.image.grid
    predicted, truth = (read_truth(path, grid) for path in (prediction, find_truth(case)))
    return [dice(predicted, truth, region) for region in Region]
