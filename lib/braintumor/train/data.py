"""Training slices in memory, cut to the brain, and a class-balanced sampler over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from braintumor import preprocess as case_stage
from braintumor import study as study_stage
from braintumor.datasets import LabelledCase, read
from braintumor.datasets.lgg import LabelledSlices
from braintumor.datasets.truth import find_truth, read_truth
from braintumor.domain import OEDEMA, Case, Segmentation, to_channels
from braintumor.preprocess import on_grid
from braintumor.preprocess.intensity import zscore

FRAME = (216, 184)
"""Height (posterior) and width (left) of stored slices in pixels of 1 mm; every adult brain fits."""

SLICE_SET_ORDER = (1, 2, 3, 0)
"""Channel of T1, T1ce, T2, FLAIR in the 2D slice set, which stores FLAIR, T1, T1ce, T2 (undocumented there; found by
comparing mean intensities per label with volumes whose sequences are known: enhancing tumour is bright only in channel
2, oedema brightest in channel 0 and bright in channel 3; `tests/train/test_data.py` repeats the proof)."""


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices of one patient.

    Attributes
    ----------
    images
        float16 (n, 4, *FRAME), sequences in `MRSequence` order; one that is missing is all 0.
    labels
        uint8 (n, *FRAME), network channels.
    contiguous
        Whether neighbours in the arrays are neighbours in the head.
    partial
        Labels above 0 only say 'whole tumour'.
    """

    name: str
    images: npt.NDArray[np.float16]
    labels: npt.NDArray[np.uint8]
    contiguous: bool = True
    partial: bool = False


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step sees before augmentation.

    Attributes
    ----------
    images
        (n, 4 * (2 * context + 1), *FRAME) float32.
    labels
        (n, *FRAME) uint8, network channels.
    centres
        (n, 2) float32: pixel (row, column) to cut around; tumour, where the slice has any, in two draws of three.
    partial
        (n,) bool, see `Slices.partial`.
    """

    images: Tensor
    labels: Tensor
    centres: Tensor
    partial: Tensor


def _framed(planes: npt.NDArray[Any], centre: tuple[int, int]) -> npt.NDArray[Any]:
    """(..., H, W) cut or zero-padded to FRAME around a centre pixel."""
    out = np.zeros((*planes.shape[:-2], *FRAME), planes.dtype)
    source, target = [], []
    for axis in range(2):
        start = centre[axis] - FRAME[axis] // 2
        low, high = max(0, start), min(planes.shape[axis - 2], start + FRAME[axis])
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    out[..., target[0], target[1]] = planes[..., source[0], source[1]]
    return out


def _centre(brain: npt.NDArray[np.bool_]) -> tuple[int, int]:
    rows, columns = np.flatnonzero(brain.any(axis=1)), np.flatnonzero(brain.any(axis=0))
    return int(rows[0] + rows[-1]) // 2, int(columns[0] + columns[-1]) // 2


def load_case(folder: Path) -> tuple[Case, Segmentation]:
    """A case folder prepared exactly as at inference, and its expert mask on the case's grid.

    Raises
    ------
    BrainTumorError
        As `braintumor.study.read_study` and `braintumor.datasets.truth.find_truth`.
    """
    study = study_stage.read_study(folder)
    case = case_stage.prepare_case(study)
    return case, on_grid(read_truth(find_truth(folder), study.reference.image.grid), case.grid)


def prepare_labelled(found: LabelledCase) -> tuple[Case, Segmentation]:
    """A case of a data set, as `load_case`; errors as `braintumor.datasets.read`."""
    study, truth = read(found)
    case = case_stage.prepare_case(study)
    return case, on_grid(truth, case.grid)


def from_case(case: Case, truth: Segmentation) -> Slices:
    """Every slice of a prepared case that holds brain, with its expert mask."""
    used = np.flatnonzero(case.brain.any(axis=(0, 1)))
    planes = case.channels[:, :, :, used].transpose(3, 0, 2, 1).astype(np.float16)
    masks = to_channels(truth.mask[:, :, used]).transpose(2, 1, 0)
    centre = _centre(np.asarray(case.brain.any(axis=2)).T)
    return Slices(case.case_id, _framed(planes, centre), _framed(masks, centre))


def from_partial(labelled: LabelledSlices) -> Slices:
    """Slices of which only the whole tumour is labelled."""
    centre = _centre(np.asarray(labelled.brain.any(axis=0)))
    images, masks = _framed(labelled.images, centre).astype(np.float16), _framed(to_channels(labelled.mask), centre)
    return Slices(labelled.name, images, masks, contiguous=False, partial=True)


def from_slice_files(paths: Iterable[Path]) -> list[Slices]:
    """Slices of the 2D set (``image`` (4, i, j) z-scored, ``label`` (i, j) of 0/1/2/4), one `Slices` per patient."""
    groups: dict[str, list[tuple[npt.NDArray[np.float16], npt.NDArray[np.uint8]]]] = {}
    for path in sorted(paths):
        with np.load(path) as stored:
            image = stored["image"].astype(np.float32)[list(SLICE_SET_ORDER)]
            label = np.asarray(stored["label"], np.uint8)
        # Background is each channel's constant minimum, not 0.
        brain = (image != image.min(axis=(1, 2), keepdims=True)).any(axis=0)
        planes = np.stack([zscore(channel, brain) for channel in image]).transpose(0, 2, 1)
        centre = _centre(brain.T)
        patient = path.stem.split("_slice_")[0]
        item = (_framed(planes, centre).astype(np.float16), _framed(to_channels(label.T), centre))
        groups.setdefault(patient, []).append(item)
    return [
        Slices(name, np.stack([i for i, _ in g]), np.stack([m for _, m in g]), contiguous=False) for name, g in groups.items()
    ]


THICK = ((1, 1), (2, 2), (1, 2))
"""Neighbours (above, below) averaged into a slice to look like one of 3, 5 and 4 mm."""


class BalancedSampler:
    """Draws batches so that a third of the slices hold core or enhancing tumour and a third any tumour.

    Parameters
    ----------
    context
        Neighbours on each side, stacked as channels; a slice without a neighbour repeats itself.
    extra_share
        Share of the tumour draws that come from single slices: many patients, though few slices, so that they count for
        more than their number.
    thick
        Chance of a slice to be averaged with its neighbours, as a thicker one would be.
    """

    def __init__(self, patients: list[Slices], context: int = 0, extra_share: float = 0.3, thick: float = 0.0) -> None:
        self.patients, self.context, self.thick = patients, context, thick
        index = [(p, s) for p, item in enumerate(patients) for s in range(len(item.images))]
        self.index = np.array(index)
        core = np.array(
            [bool(((m := patients[p].labels[s]) > 0).sum() > 20 and (m != OEDEMA.channel)[m > 0].any()) for p, s in index]
        )
        tumour = np.array([bool((patients[p].labels[s] > 0).any()) for p, s in index])
        few = np.array([not patients[p].contiguous for p, _ in index])
        self.pools = [np.flatnonzero(~few), np.flatnonzero(tumour & ~few), np.flatnonzero(core & ~few)]
        self.extra = np.flatnonzero(few)
        self.extra_share = extra_share if self.extra.size else 0.0

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """`size` slices; `rng` is the only source of randomness."""
        chosen = [self._draw(n, rng) for n in range(size)]
        images = np.stack([self._stack(p, s, rng) for p, s in chosen])
        labels = np.stack([self.patients[p].labels[s] for p, s in chosen])
        centres = np.empty((size, 2), np.float32)
        for n in range(size):
            wanted = np.flatnonzero(labels[n] if rng.random() < 2 / 3 else np.zeros(0))
            pool = wanted if wanted.size else np.flatnonzero(images[n].any(axis=0))
            centres[n] = np.unravel_index(int(rng.choice(pool)), FRAME)
        partial = torch.tensor([self.patients[p].partial for p, _ in chosen])
        return Batch(torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(centres), partial)

    def _draw(self, n: int, rng: np.random.Generator) -> tuple[int, int]:
        pool = self.pools[n % len(self.pools)]
        if not pool.size or (n % len(self.pools) and rng.random() < self.extra_share):
            pool = self.extra
        patient, number = self.index[pool[rng.integers(pool.size)]]
        return int(patient), int(number)

    def _stack(self, patient: int, number: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """One slice with its context, (4 * (2 * context + 1), *FRAME)."""
        item = self.patients[patient]
        above, below = THICK[rng.integers(len(THICK))] if item.contiguous and rng.random() < self.thick else (0, 0)
        step = above + below + 1
        planes = []
        for offset in range(-self.context, self.context + 1):
            centre = number + offset * step if item.contiguous else number
            centre = min(max(centre, 0), len(item.images) - 1)
            part = item.images[max(0, centre - above) : centre + below + 1].astype(np.float32)
            planes.append(part[0] if len(part) == 1 else part.mean(axis=0))
        return planes[0] if len(planes) == 1 else np.concatenate(planes)
