"""One training run from a configuration file: data in, held-out figures and a published model folder out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from braintumor import case as case_stage
from braintumor import study as study_stage
from braintumor.errors import InputNotFoundError
from braintumor.labels import Region
from braintumor.nouns import Case, Segmentation
from braintumor.segment import load_engine, on_grid, segment
from braintumor.segment import weights as weights_store
from braintumor.segment.network import NetworkConfig
from braintumor.train.data import Slices, from_case, from_slice_files
from braintumor.train.loop import TrainConfig, train
from braintumor.train.truth import dice, find_truth, read_truth


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A training configuration as read from JSON.

    Attributes
    ----------
    volumes
        Folder of case folders, relative to the data folder.
    slices
        Folder of single labelled slices of further patients, or '' for none.
    heldout
        Case folders that are never trained on and give the published figures.
    facts
        Goes into the model's metadata as it is (name, version, description ...).
    """

    volumes: str
    slices: str
    heldout: tuple[str, ...]
    train: TrainConfig
    network: NetworkConfig
    facts: dict[str, Any]


def read_config(path: Path) -> RunConfig:
    """Read a configuration; unknown keys raise TypeError, so a typing error cannot become a default."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputNotFoundError(
            "The configuration cannot be read as JSON", remedy="See model/configs/train.json", path=path
        ) from error
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in content.pop("train").items()
    }
    return RunConfig(
        train=TrainConfig(**settings),
        network=NetworkConfig.from_dict(content.pop("network")),
        heldout=tuple(content.pop("heldout")),
        **content,
    )


def load_case(folder: Path) -> tuple[Case, Segmentation]:
    """A case prepared exactly as at inference, and its expert mask on the case's grid."""
    study = study_stage.read(folder)
    case = case_stage.prepare(study)
    return case, on_grid(read_truth(find_truth(folder), study.reference.image.grid), case.grid)


def run(
    config_path: Path, data: Path, folder: Path, publish: Path | None, progress: Callable[[dict[str, Any]], None]
) -> Iterator[str]:
    """Train, publish if a model folder is named, and yield the lines of the held-out table.

    The held-out cases are read only after training.
    """
    config = read_config(config_path)
    cases = sorted(path for path in (data / config.volumes).iterdir() if path.is_dir())
    absent = set(config.heldout) - {path.name for path in cases}
    if absent:
        raise InputNotFoundError(f"Held-out cases are not there: {', '.join(sorted(absent))}", remedy="Check --data", path=data)
    patients: list[Slices] = [from_case(*load_case(path)) for path in cases if path.name not in config.heldout]
    if config.slices:
        patients += from_slice_files((data / config.slices).glob("*.npz"))
    network = train(patients, folder, config.train, config.network, progress)
    target = publish or folder / "model"
    weights_store.save(network, target, config.facts)
    yield from evaluate([path for path in cases if path.name in config.heldout], target)


def evaluate(cases: list[Path], model: Path | None = None, engine: str = "auto") -> Iterator[str]:
    """Dice of each case and their mean, as lines of a table; a region that the expert did not mark shows as ``-``."""
    runner = load_engine(engine, model)
    yield f"{'case':<28}" + "".join(f"{region.value:>8}" for region in Region)
    rows = []
    for path in cases:
        case, truth = load_case(path)
        predicted = segment(case, runner)
        rows.append([dice(predicted, truth, region) for region in Region])
        yield f"{path.name:<28}" + "".join(f"{'-' if d is None else f'{d:.3f}':>8}" for d in rows[-1])
    means = [np.mean([row[n] for row in rows if row[n] is not None] or [np.nan]) for n in range(len(Region))]
    yield f"{f'mean of {len(rows)}':<28}" + "".join(f"{mean:>8.3f}" for mean in means)
