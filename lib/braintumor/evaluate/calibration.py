"""Are the probabilities right? Reliability histogram, expected calibration error, Brier score, temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.segment.predict import temper

BINS = 15
"""Equal widths, as in Guo et al. 2017."""

_LEAST = 1e-7
"""Probabilities below it count as it: float16 gives exact zeros, whose logarithm would be the whole loss."""

Batches = Callable[[], Iterable[tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.integer[Any]]]]]


@dataclass(eq=False)
class Reliability:
    """A histogram that grows chunk by chunk; the one mutable thing here, because volumes do not fit twice in memory.

    Attributes
    ----------
    count, positive, confidence
        Per bin: number of voxels, of true ones among them, and the sum of their probabilities.
    squared
        Sum of squared differences between probability and truth.
    """

    count: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    positive: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    confidence: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    squared: float = 0.0

    def add(self, probability: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.bool_]) -> None:
        """Count voxels; `probability` 0..1 of being inside and `truth` whether it is, same shape.

        A probability on the border of two bins counts in the lower one, except 0.

        Raises
        ------
        ValueError
            If the shapes differ, or a probability is not a number from 0 to 1.
        """
        p: npt.NDArray[np.float32] = np.asarray(probability, np.float32).ravel()
        t: npt.NDArray[np.bool_] = np.asarray(truth, bool).ravel()
        if p.shape != t.shape:
            raise ValueError(f"probability and truth must have one shape, not {probability.shape} and {truth.shape}")
        if p.size == 0:
            return
        if not (p.min() >= -1e-3 and p.max() <= 1 + 1e-3):  # false for NaN too; float16 sums stray a little
            raise ValueError("probabilities must be numbers from 0 to 1")
        p = np.clip(p, 0.0, 1.0)
        index = np.clip(np.ceil(p * BINS).astype(np.intp) - 1, 0, BINS - 1)
        self.count += np.bincount(index, minlength=BINS)
        self.positive += np.bincount(index[t], minlength=BINS)
        self.confidence += np.bincount(index, weights=p, minlength=BINS)
        self.squared += float(np.square(p - t, dtype=np.float64).sum())

    def merge(self, other: Reliability) -> None:
        """Add another histogram's voxels to this one."""
        self.count += other.count
        self.positive += other.positive
        self.confidence += other.confidence
        self.squared += other.squared

    @property
    def total(self) -> int:
        """Voxels counted."""
        return int(self.count.sum())

    @property
    def ece(self) -> float | None:
        """Expected calibration error (Naeini et al. 2015): |observed share - mean probability| per bin, weighted by voxels."""
        if not self.total:
            return None
        return float(np.abs(self.positive - self.confidence).sum() / self.total)

    @property
    def brier(self) -> float | None:
        """Mean of (probability - truth)^2 over voxels (Brier 1950)."""
        return self.squared / self.total if self.total else None

    def bins(self) -> list[dict[str, float | int | None]]:
        """Per bin: borders, number of voxels, mean probability and share of true voxels; None where it is empty."""
        edges = np.linspace(0, 1, BINS + 1)
        rows: list[dict[str, float | int | None]] = []
        for n in range(BINS):
            size = int(self.count[n])
            rows.append(
                {
                    "from": float(edges[n]),
                    "to": float(edges[n + 1]),
                    "count": size,
                    "confidence": float(self.confidence[n] / size) if size else None,
                    "observed": float(self.positive[n] / size) if size else None,
                }
            )
        return rows


def apply_temperature(
    probabilities: npt.NDArray[np.floating[Any]], temperature: float, axis: int = 0
) -> npt.NDArray[np.float32]:
    """A copy with softmax(log p / T) along the axis of the classes; see `braintumor.segment.predict.temper`."""
    changed = np.array(np.moveaxis(probabilities, axis, 0), np.float32, order="C")
    temper(changed.reshape(len(changed), 1, -1), temperature)
    return np.moveaxis(changed, 0, axis)


def negative_log_likelihood(batches: Batches, temperature: float) -> float:
    """Mean of -log p(true class) after `apply_temperature`."""
    total, count = 0.0, 0
    for probabilities, target in batches():
        logs = np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST)) / temperature
        top = logs.max(axis=1, keepdims=True)
        norm = np.log(np.exp(logs - top).sum(axis=1)) + top[:, 0]
        total += float((norm - np.take_along_axis(logs, target[:, None].astype(np.intp), axis=1)[:, 0]).sum())
        count += len(target)
    if not count:
        raise ValueError("a temperature needs at least one voxel")
    return total / count


def fit_temperature(batches: Batches, bounds: tuple[float, float] = (0.05, 20.0)) -> float:
    """The one temperature that minimises the negative log likelihood (Guo et al. 2017), to 0.1 %.

    Parameters
    ----------
    batches
        Gives the same pairs each time it is called: class probabilities (n, classes), e.g. the voxels of one case's brain, and
        the true class (n,) of each. It is called about 15 times, so it may read from disk but should not compute.
    bounds
        Where to look; the likelihood has one minimum, as it is convex in 1 / T.

    Raises
    ------
    ValueError
        If there is no voxel.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: negative_log_likelihood(batches, float(np.exp(log))), bounds=tuple(np.log(bounds)), method="bounded",
        options={"xatol": 1e-3},
    )  # fmt: skip
    return float(np.exp(found.x))
