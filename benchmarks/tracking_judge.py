"""What a transform is worth on a pair with known answers: landmarks, change of volume, and which lesion became which."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.tracking_pairs import Labels, Pair
from braintumor.domain import Affine, Estimate, LesionState, Track
from braintumor.track.lesions import Instances, carried, find_instances, track

PERCENT, ML = 3.0, 0.2
"""A change of volume is right within the larger of these: per cent of the larger true volume, and mL."""


@dataclass(frozen=True, slots=True)
class VolumeChange:
    """mL of one lesion, or of all of them (`lesion` 0), at both visits."""

    lesion: int
    before: float
    after: float
    measured: float
    sigma: float
    """Standard error of the change as `braintumor.track` states it."""

    @property
    def error_ml(self) -> float:
        """Of the change."""
        return abs(self.measured - (self.after - self.before))

    @property
    def error_percent(self) -> float:
        """Of the change, in per cent of the larger volume."""
        return 100 * self.error_ml / max(self.before, self.after)

    @property
    def right(self) -> bool:
        """Within `PERCENT` or `ML`."""
        return self.error_percent <= PERCENT or self.error_ml <= ML

    @property
    def covered(self) -> bool:
        """Within the stated 95 % interval."""
        return self.error_ml <= 1.96 * self.sigma


@dataclass(frozen=True, eq=False)
class Verdict:
    """Landmark errors in mm, changes of volume, and the mistakes of matching in words; `lesions` were to be followed."""

    landmarks_mm: npt.NDArray[np.float64]
    changes: tuple[VolumeChange, ...]
    lesions: int
    new: int
    mistakes: tuple[str, ...]


def landmarks(pair: Pair, matrix: Affine) -> npt.NDArray[np.float64]:
    """mm by which each landmark is missed."""
    return np.asarray(np.linalg.norm(pair.here @ matrix[:3, :3].T + matrix[:3, 3] - pair.there, axis=1))


def judge(pair: Pair, matrix: Affine) -> Verdict:
    """Follow the lesions of the true masks with this transform, by the functions of ``braintumor track``.

    Volumes come from the masks as they lie on each visit's grid and do not depend on the transform; which volumes belong
    to one lesion does.
    """
    grid = pair.current.image.grid
    after, before = find_instances(pair.foci > 0, grid), find_instances(pair.prior_foci > 0, pair.prior.image.grid)
    tracks = track([carried(before, grid, matrix), after], ["prior", "current"])
    mine = [_members(before, pair.prior_foci), _members(after, pair.foci)]
    mistakes = [word for one in tracks for word in _mistakes(one, mine, pair, tracks)]
    sums = _total(before), _total(after)
    true = sum(pair.prior_volumes.values()), sum(pair.volumes.values())
    changes = [VolumeChange(0, *true, sums[1].value - sums[0].value, math.hypot(sums[0].sigma, sums[1].sigma))]
    changes += [change for one in tracks if (change := _change(one, mine, pair))]
    new = len(pair.volumes.keys() - pair.prior_volumes.keys())
    followed = len(pair.volumes.keys() | pair.prior_volumes.keys())
    return Verdict(landmarks(pair, matrix), tuple(changes), followed, new, tuple(mistakes))


def _total(found: Instances) -> Estimate:
    volumes = [lesion.volume for lesion in found.lesions]
    return Estimate(sum(v.value for v in volumes), math.hypot(*(v.sigma for v in volumes)))


def _members(found: Instances, foci: Labels) -> dict[int, frozenset[int]]:
    """The true lesions in every instance: more than one where they touch."""
    return {m.number: frozenset(np.unique(foci[found.labels == m.number]).tolist()) for m in found.lesions}


def _mistakes(one: Track, mine: list[dict[int, frozenset[int]]], pair: Pair, tracks: tuple[Track, ...]) -> list[str]:
    """A lesion followed into another, called new though known, called gone though there, or the reverse of these."""
    parts = [a for a in (one.at(0), one.at(1)) if a is not None]
    sets = [mine[a.visit][a.number] for a in parts if a.number is not None]
    if len(sets) == 2:
        return [] if sets[0] & sets[1] else [f"{sorted(sets[0])} followed into {sorted(sets[1])}"]
    state = parts[-1].state
    if parts[0].visit == 0:  # it is not there any more
        return [f"{sorted(sets[0])} {state}"] if state is LesionState.RESOLVED and sets[0] & pair.volumes.keys() else []
    if state is LesionState.NEW:
        return [f"{sorted(sets[0])} called new"] if sets[0] & pair.prior_volumes.keys() else []
    relatives = [t for t in tracks if t.family == one.family and t is not one]
    known = {n for t in relatives for a in t.appearances if a.number is not None for n in mine[a.visit][a.number]}
    return [] if sets[0] & known else [f"{sorted(sets[0])} called {state}"]


def _change(one: Track, mine: list[dict[int, frozenset[int]]], pair: Pair) -> VolumeChange | None:
    """Of a lesion that is one instance by itself wherever it is seen; None for what split, merged or is in pieces."""
    measured, sigmas, seen = [0.0, 0.0], [0.0, 0.0], set()
    for a in one.appearances:
        if a.number is not None:
            measured[a.visit], sigmas[a.visit] = a.volume.value, a.volume.sigma
            seen.add(mine[a.visit][a.number])
    alone = seen.pop() if len(seen) == 1 else frozenset()
    if len(alone) != 1 or any(sum(alone <= foci for foci in visit.values()) > 1 for visit in mine):
        return None
    (number,) = alone
    before, after = pair.prior_volumes.get(number, 0.0), pair.volumes.get(number, 0.0)
    return VolumeChange(number, before, after, measured[1] - measured[0], math.hypot(*sigmas))
