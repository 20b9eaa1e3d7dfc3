"""What an annotator says of single voxels, checked, and gathered into strokes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import LABELS, Grid, SubmissionError

MAX_HINTS = 20_000
"""Voxels that one call takes: more is painting, which needs no algorithm."""

_VALUES = (0, *(label.value for label in LABELS))

Voxel = tuple[int, int, int]


@dataclass(frozen=True, slots=True, order=True)
class Hint:
    """An annotator's 'this voxel is …': an index (i, j, k) on the mask's grid, and a `Label.value`, or 0 for 'not tumour'."""

    ijk: Voxel
    label: int


@dataclass(frozen=True, eq=False)
class Stroke:
    """Hints of one label that hang together: a click, or the voxels of a scribble.

    Attributes
    ----------
    label
        Value in the mask.
    voxels
        int (n, 3), indices on the mask's grid, in ascending order.
    """

    label: int
    voxels: npt.NDArray[np.intp]


def checked(hints: Iterable[Hint], grid: Grid) -> dict[Voxel, int]:
    """Label by voxel.

    Raises
    ------
    SubmissionError
        If an index is not three whole numbers or lies outside the grid, a label is unknown, two hints contradict each
        other, or there are more than `MAX_HINTS`.
    """
    found: dict[Voxel, int] = {}
    for number, hint in enumerate(hints):
        if number >= MAX_HINTS:
            raise SubmissionError(
                f"There are more than {MAX_HINTS:,} marked voxels", remedy="Mark fewer, or paint the region with the brush"
            )
        place = _place(hint, grid)
        if isinstance(hint.label, bool) or not isinstance(hint.label, int | np.integer) or hint.label not in _VALUES:
            raise SubmissionError(f"A hint has the unknown label {hint.label!r}", remedy=f"Use one of {_listed(_VALUES)}")
        if found.setdefault(place, int(hint.label)) != hint.label:
            raise SubmissionError(
                f"Two hints give voxel {place} different labels, {found[place]} and {hint.label}", remedy="Keep one of them"
            )
    return found


def strokes(found: Mapping[Voxel, int], grid: Grid) -> list[Stroke]:
    """Hints of one label whose voxels touch (26-neighbourhood) as one; by label and place, whatever order they came in."""
    gathered: list[Stroke] = []
    for label in sorted(set(found.values())):
        voxels = np.array(sorted(place for place, value in found.items() if value == label), np.intp)
        low = voxels.min(axis=0)
        marked = np.zeros(tuple(voxels.max(axis=0) - low + 1), bool)
        marked[tuple((voxels - low).T)] = True
        parts, count = ndimage.label(marked, structure=np.ones((3, 3, 3), bool))
        numbers = parts[tuple((voxels - low).T)]
        gathered += [Stroke(label, voxels[numbers == number]) for number in range(1, count + 1)]
    return gathered


def _place(hint: Hint, grid: Grid) -> Voxel:
    index = tuple(hint.ijk)
    if len(index) != 3 or any(isinstance(n, bool) or not isinstance(n, int | np.integer) for n in index):
        raise SubmissionError("A hint's place must be three whole numbers i, j, k", remedy="Send voxel indices")
    if not all(0 <= n < size for n, size in zip(index, grid.shape, strict=True)):
        raise SubmissionError(
            f"A hint lies at {tuple(int(n) for n in index)}, outside the image of {grid.shape} voxels",
            remedy="Send indices on the grid of the mask",
        )
    return int(index[0]), int(index[1]), int(index[2])


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(str(value) for value in values)
