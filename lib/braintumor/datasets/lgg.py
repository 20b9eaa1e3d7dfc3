"""The 2D 'LGG MRI Segmentation' set (Buda et al. 2019): three sequences with the skull on, whole tumour only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import OEDEMA, CorruptFileError, MRSequence
from braintumor.preprocess.brain import find_brain
from braintumor.preprocess.intensity import zscore

STORED = (MRSequence.T1, MRSequence.T1CE, MRSequence.FLAIR)
"""Channels of the set, in its order; T2 was not published with it."""

_SLICE_MM = 5
"""About how far apart its slices are; the files do not say."""
_PADDING = 8
_LABEL_INSIDE = 0.95
"""Least share of the tumour inside the brain found; below it the brain was missed and the slice is left out."""
_SMALLEST_BRAIN = 6000
"""Pixels; smaller cuts are the top of the head, where the outline is not reliable."""


@dataclass(frozen=True, eq=False)
class LabelledSlices:
    """Axial slices of one patient, rows to posterior and columns to the patient's left; pixels of 0.8 to 1 mm (not stored).

    Attributes
    ----------
    images
        float32 (n, 4, 256, 256) in `MRSequence` order, z-scored over the brain of all slices, 0 outside it; T2 is all 0.
    mask
        uint8 (n, 256, 256), 0 and `OEDEMA.value`, which stands for an undivided whole tumour.
    brain
        bool (n, 256, 256).
    """

    name: str
    images: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.bool_]


def read_slices(paths: Iterable[Path]) -> Iterator[LabelledSlices]:
    """Each file (``image`` uint8 (n, 3, 256, 256), ``label`` (n, 256, 256) of 0 and 1) as slices fit for training.

    Slices whose brain was not found are left out; a patient without any other gives nothing. Takes about 13 s per patient.

    Raises
    ------
    CorruptFileError
        If a file cannot be read or has another layout.
    """
    for path in sorted(paths):
        images, tumour = _stored(path)
        brain = _brain(images[:, 0])
        good = _usable(brain, tumour)
        if not good.any():
            continue
        images, tumour, brain = images[good], tumour[good], brain[good]
        scored = np.zeros((len(images), len(MRSequence), *brain.shape[1:]), np.float32)
        for channel, sequence in enumerate(STORED):
            scored[:, list(MRSequence).index(sequence)] = zscore(images[:, channel], brain)
        yield LabelledSlices(path.stem, scored, np.where(tumour & brain, np.uint8(OEDEMA.value), np.uint8(0)), brain)


def _stored(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, labels = stored["image"], stored["label"]
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise CorruptFileError("The slices cannot be read", remedy="Copy the file again from its source", path=path) from error
    if images.ndim != 4 or images.shape[1] != len(STORED) or labels.shape != (len(images), *images.shape[2:]):
        raise CorruptFileError(
            f"'image' and 'label' have the shapes {images.shape} and {labels.shape}",
            remedy="They must be (n, 3, height, width) and (n, height, width)",
            path=path,
        )
    return images, labels > 0


def _brain(t1: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """The brain in a stack of T1 slices, (n, rows, columns).

    The finder wants a whole head at about 1 mm: slices are repeated to their thickness, and the first and last further,
    because it closes the brain towards the ends of what it sees.
    """
    order = np.clip(np.arange(-_PADDING, len(t1) + _PADDING), 0, len(t1) - 1)
    volume = np.repeat(t1[order], _SLICE_MM, axis=0).transpose(2, 1, 0).astype(np.float32)
    mask, _, _ = find_brain({MRSequence.T1: volume}, voxel_ml=0.001)
    middle = mask[:, :, _SLICE_MM // 2 :: _SLICE_MM].transpose(2, 1, 0)
    return np.ascontiguousarray(middle[_PADDING : _PADDING + len(t1)])


def _usable(brain: npt.NDArray[np.bool_], tumour: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    size = np.count_nonzero(tumour, axis=(1, 2))
    inside = np.count_nonzero(tumour & brain, axis=(1, 2))
    found: npt.NDArray[np.bool_] = (inside >= _LABEL_INSIDE * size) & (np.count_nonzero(brain, axis=(1, 2)) >= _SMALLEST_BRAIN)
    return found
