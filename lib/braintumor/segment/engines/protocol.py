"""What an engine is: one that runs our network over slices, or a peer's model that predicts whole cases itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from braintumor.domain import Case, ShareProgress, silent
from braintumor.segment.weights import Model

Batch = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Class probabilities inside a box of the case's grid; outside the box everything is background.

    Attributes
    ----------
    values
        float32 (4, i, j, k), background first, then `braintumor.domain.LABELS`.
    box
        Where they belong on the case's grid.
    decided
        uint8 (i, j, k), network channels, where the model has a rule of its own (a peer that thresholds each region), or where
        they were decided before a temperature was applied; None: the most likely class.
    """

    values: npt.NDArray[np.float32]
    box: tuple[slice, slice, slice]
    decided: npt.NDArray[np.uint8] | None = None


class Engine(Protocol):
    """Runs the network over batches of slices.

    Attributes
    ----------
    name
        What results record, with the arithmetic used, e.g. ``openvino-f32``.
    model
        Whose weights it runs.
    """

    name: str
    model: Model

    def probabilities(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Class probabilities for each batch, in order.

        Parameters
        ----------
        batches
            (n, `NetworkConfig.in_channels`, h, w) float32 C-order, h and w multiples of `NetworkConfig.stride`; sizes may
            differ between batches.

        Yields
        ------
        (n, 4, h, w) float32: background, then `braintumor.domain.LABELS`; sums to 1 over axis 1.
        """
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model of a peer it is; the checksum is the SHA-256 of its weights file (of all of them, for an ensemble)."""

    name: str
    version: str
    checksum: str


@runtime_checkable
class VolumeEngine(Protocol):
    """A peer's model that cuts, normalises and runs whole cases in its own way.

    Attributes
    ----------
    name
        What results record, e.g. ``nnunet``.
    model
        Which model it is.
    """

    name: str
    model: Identity

    def predict(self, case: Case, *, tta: bool = False, progress: ShareProgress = silent) -> Probabilities:
        """Class probabilities of a case.

        Parameters
        ----------
        tta
            Average over the flips that the model allows.

        Raises
        ------
        MissingSequenceError
            If the case lacks a sequence that the model was trained with: peers do not work without.
        """
        ...


AnyEngine = Engine | VolumeEngine
