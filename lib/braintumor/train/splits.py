"""Which patients are tested together: folds in a file, and patients known under several names never parted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from braintumor.domain import InputNotFoundError


@dataclass(frozen=True, slots=True)
class Splits:
    """The content of a folds file.

    Attributes
    ----------
    seed, k
        What `make_folds` was given.
    groups
        Names that are, or may be, one patient, for instance in two data sets. Names that are in no fold are patients who are
        only trained on. Groups that share a name are made one.
    folds
        Patients tested together, `k` tuples.
    """

    seed: int
    k: int
    groups: tuple[tuple[str, ...], ...]
    folds: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", _joined(self.groups))

    def held_out(self, fold: int) -> frozenset[str]:
        """Every name that must not be trained on when `fold` is tested: its patients and whoever may be one of them."""
        tested = set(self.folds[fold])
        return frozenset(tested.union(*(group for group in self.groups if tested & set(group))))

    def trained(self, fold: int, patients: Iterable[str]) -> tuple[str, ...]:
        """Those of `patients` that may be trained on when `fold` is tested, in their order."""
        held_out = self.held_out(fold)
        return tuple(patient for patient in patients if patient not in held_out)

    def write(self, path: Path) -> None:
        """Write the file that `read_folds` reads, one fold or group a line."""
        lines = []
        for key, value in asdict(self).items():
            if isinstance(value, tuple):
                rows = ",\n".join(f"    {json.dumps(row)}" for row in value)
                lines.append(f'  "{key}": [\n{rows}\n  ]' if rows else f'  "{key}": []')
            else:
                lines.append(f'  "{key}": {json.dumps(value)}')
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def make_folds(patients: Collection[str], k: int, seed: int = 0, groups: Iterable[Iterable[str]] = ()) -> Splits:
    """Deal patients into `k` folds.

    Parameters
    ----------
    patients
        Everyone to be tested once; their order does not matter.
    groups
        Names that must stay together; those that are no patients are kept for `Splits.held_out`.

    Returns
    -------
    Splits
        The same for the same arguments. Fold sizes differ by no more than the size of the largest group.

    Raises
    ------
    ValueError
        If there are fewer patients (or groups of them) than folds, a patient is named twice, or `k` is below 2.
    """
    twice = [name for name, count in Counter(patients).items() if count > 1]
    if twice or k < 2:
        raise ValueError(f"{twice[0]} is named twice" if twice else f"at least 2 folds are needed, not {k}")
    joined = _joined(groups)
    together = {name: number for number, group in enumerate(joined) for name in group}
    blocks: dict[object, list[str]] = {}
    for patient in sorted(patients):
        blocks.setdefault(together.get(patient, patient), []).append(patient)
    if len(blocks) < k:
        raise ValueError(f"{len(blocks)} patients that may be parted cannot fill {k} folds")
    dealt = list(blocks.values())
    np.random.default_rng(seed).shuffle(dealt)
    folds: list[list[str]] = [[] for _ in range(k)]
    # Large groups first, each into the smallest fold: no fold can then exceed another by more than one group.
    for block in sorted(dealt, key=len, reverse=True):
        min(folds, key=len).extend(block)
    return Splits(seed, k, joined, tuple(tuple(sorted(fold)) for fold in folds))


def read_folds(path: Path) -> Splits:
    """Read and check a folds file.

    Raises
    ------
    InputNotFoundError
        If it cannot be read, lacks a part, has an empty fold or another number of them than ``k``, names a patient twice, or
        parts a group.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        groups, folds = (_names(content[key]) for key in ("groups", "folds"))
        splits = Splits(int(content["seed"]), int(content["k"]), groups, folds)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputNotFoundError(
            "The folds cannot be read",
            remedy='They are JSON: {"seed": 0, "k": 5, "groups": [[...]], "folds": [[patient, ...], ...]}',
            path=path,
        ) from error
    problem = _problem(splits)
    if problem:
        raise InputNotFoundError(problem, remedy="Correct the folds: every patient belongs to exactly one", path=path)
    return splits


def _names(rows: Any) -> tuple[tuple[str, ...], ...]:
    if not all(isinstance(row, list) and all(isinstance(name, str) for name in row) for row in rows):
        raise TypeError("not lists of names")
    return tuple(tuple(row) for row in rows)


def _problem(splits: Splits) -> str | None:
    if len(splits.folds) != splits.k or not all(splits.folds):
        return f"There are {len([fold for fold in splits.folds if fold])} folds with patients, not {splits.k}"
    fold_of: dict[str, int] = {}
    for number, fold in enumerate(splits.folds):
        for patient in fold:
            if patient in fold_of:
                return f"Patient {patient} is in fold {fold_of[patient]} and again in fold {number}"
            fold_of[patient] = number
    for group in splits.groups:
        tested = sorted((name for name in group if name in fold_of), key=lambda name: fold_of[name])
        if tested and fold_of[tested[0]] != fold_of[tested[-1]]:
            return f"Patients {tested[0]} and {tested[-1]} may be one patient, and are in different folds"
    return None


def _joined(groups: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups with the ones that share a name made one; sorted."""
    found: list[set[str]] = []
    for group in groups:
        new = set(group)
        apart = [old for old in found if not old & new]
        found = [*apart, new.union(*(old for old in found if old & new))]
    return tuple(sorted(tuple(sorted(group)) for group in found if group))
