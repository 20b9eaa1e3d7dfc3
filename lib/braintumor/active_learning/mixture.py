"""Which slices a retraining draws: new labels by their weight, and old cases beside them against forgetting."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.active_learning.examples import read_example, read_identity
from braintumor.domain import CorruptFileError, OutputError, files_below
from braintumor.train.data import Slices

QUARTERS = 4
"""Times that an example of weight 1 is listed: weights count in quarters, and none below a quarter."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Old cases that are trained on again.

    Attributes
    ----------
    examples
        Files of `braintumor.active_learning.examples.write_example`.
    slices
        Files of single slices, see `braintumor.train.data.from_slice_files`.
    """

    examples: tuple[Path, ...] = ()
    slices: tuple[Path, ...] = ()

    @classmethod
    def find(cls, folder: Path | None) -> Replay:
        """What a folder holds; None or an empty one gives an empty replay, which the caller says.

        Raises
        ------
        CorruptFileError
            If a file is damaged.
        """
        paths = [path for path in files_below(folder) if path.suffix == ".npz"] if folder is not None else []
        whole: list[Path] = []
        single: list[Path] = []
        for path in paths:
            try:
                with np.load(path, allow_pickle=False) as stored:
                    (whole if "channels" in stored.files else single).append(path)
            except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
                raise CorruptFileError(
                    "A replayed case cannot be read", remedy="Restore it from a copy, or remove it", path=path
                ) from error
        return cls(tuple(whole), tuple(single))


def mixture(new: Sequence[tuple[Slices, float]], old: Sequence[Slices], replay_share: float) -> list[Slices]:
    """The list of patients for `braintumor.train.loop.train`, each as often as it shall weigh; no array is copied.

    Parameters
    ----------
    new
        Submitted examples with their weights.
    old
        Replayed cases; single slices keep the share that the sampler gives them.
    replay_share
        Share of draws that old volumes shall have, 0..1; reached as closely as whole repeats allow.
    """
    listed = [item for item, weight in new for _ in range(max(1, round(weight * QUARTERS)))]
    whole = [item for item in old if item.contiguous]
    single = [item for item in old if not item.contiguous]
    if not whole or replay_share <= 0:
        return [*listed, *single]
    if replay_share >= 1:
        return [*whole, *single]
    of_new, of_old = (sum(len(item.images) for item in items) for items in (listed, whole))
    wanted = replay_share / (1.0 - replay_share)  # old slices per new slice
    ratio = of_old / of_new / wanted
    times_new, times_old = (max(1, math.floor(ratio + 0.5)), 1) if ratio >= 1 else (1, max(1, math.floor(1 / ratio + 0.5)))
    return [*(listed * times_new), *(whole * times_old), *single]


def on_disk(example: Path, folder: Path) -> Slices:
    """The slices of a prepared example, mapped from files in `folder`, so that memory stays bounded.

    The files are made where missing, and appear whole.

    Raises
    ------
    CorruptFileError
        If the example cannot be read.
    OutputError
        If the files cannot be written.
    """
    images, labels = folder / f"{example.stem}.images.npy", folder / f"{example.stem}.labels.npy"
    if not (images.exists() and labels.exists()):
        slices = read_example(example).slices()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _save(images, slices.images)
            _save(labels, slices.labels)
        except OSError as error:
            raise OutputError(
                f"Training slices cannot be written: {error.strerror or error}", remedy="Free space on the disk", path=folder
            ) from error
    return Slices(read_identity(example)[0], np.load(images, mmap_mode="r"), np.load(labels, mmap_mode="r"))


def _save(path: Path, values: npt.NDArray[Any]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, values)
    partial.replace(path)
