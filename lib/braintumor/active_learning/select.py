"""Which cases a person is asked to label next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from braintumor.active_learning.scores import CaseScores

Key = Callable[[CaseScores], float | None]

_BY_SCORE: dict[str, tuple[Key, str]] = {
    "entropy": (lambda s: s.entropy, "the model is unsure of the tumour and its edge (entropy {value:.3f})"),
    "tta": (lambda s: s.tta, "the model changes its mind when the image is turned (variance {value:.3f})"),
    "dropout": (lambda s: s.dropout, "the model changes its mind when parts of it are left out (variance {value:.3f})"),
    "disagreement": (lambda s: s.disagreement, "the submitted label differs from the model's mask (1 - Dice = {value:.3f})"),
}

STRATEGIES = (*_BY_SCORE, "diverse", "random")
"""``diverse`` covers what the others would ask twice; ``random`` is the control that every other one must beat."""


@dataclass(frozen=True, slots=True)
class CaseCandidate:
    """A case that may be asked for.

    Attributes
    ----------
    key
        E.g. the study's UID.
    scores
        None: not scored yet.
    """

    key: str
    scores: CaseScores | None = None


@dataclass(frozen=True, slots=True)
class CaseChoice:
    """A case that is asked for.

    Attributes
    ----------
    score
        What decided, as the strategy defines it; None where nothing was known or the choice is random.
    reason
        In plain words, for the annotator.
    """

    key: str
    score: float | None
    reason: str


def order(
    candidates: Sequence[CaseCandidate],
    strategy: str,
    count: int | None = None,
    seed: int = 0,
    labelled: Sequence[CaseScores] = (),
) -> tuple[CaseChoice, ...]:
    """The next cases to label, most wanted first; the same for the same arguments, whatever the order of candidates.

    Cases without the score that the strategy needs come last, in random order, so that none is never asked for.

    Parameters
    ----------
    candidates
        A key that occurs twice counts once, with its first scores.
    count
        At most so many; None for all.
    seed
        Of random order, and of ties.
    labelled
        Scores of what is labelled already: ``diverse`` keeps away from those too.

    Raises
    ------
    ValueError
        If the strategy is unknown or `count` negative.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"there is no strategy '{strategy}'; choose one of {', '.join(STRATEGIES)}")
    if count is not None and count < 0:
        raise ValueError(f"cannot choose {count} cases")
    unique = sorted({c.key: c for c in reversed(candidates)}.values(), key=lambda c: c.key)
    shuffled = [unique[n] for n in np.random.default_rng(seed).permutation(len(unique))]
    if strategy == "random":
        chosen = [CaseChoice(c.key, None, "chosen at random") for c in shuffled]
    elif strategy == "diverse":
        chosen = _diverse(shuffled, labelled, len(shuffled) if count is None else count)
    else:
        chosen = _by_score(shuffled, *_BY_SCORE[strategy])
    return tuple(chosen[:count])


def _by_score(shuffled: Sequence[CaseCandidate], key: Key, words: str) -> list[CaseChoice]:
    known = [(value, c) for c in shuffled if c.scores is not None and (value := key(c.scores)) is not None]
    chosen = [CaseChoice(c.key, v, words.format(value=v)) for v, c in sorted(known, key=lambda pair: -pair[0])]
    return chosen + _unscored(shuffled, {choice.key for choice in chosen})


def _unscored(shuffled: Sequence[CaseCandidate], chosen: set[str]) -> list[CaseChoice]:
    return [CaseChoice(c.key, None, "not scored yet") for c in shuffled if c.key not in chosen]


def _diverse(shuffled: Sequence[CaseCandidate], labelled: Sequence[CaseScores], count: int) -> list[CaseChoice]:
    """Greedy k-centre (Sener & Savarese 2018), each distance weighted with the case's rank of uncertainty.

    The next case is the one with the largest (distance to the nearest labelled or chosen case) x (1 + rank), the rank of
    its entropy being 0 for the least and 1 for the most uncertain. With nothing labelled the first is the most uncertain.
    """
    size = max((len(c.scores.feature) for c in shuffled if c.scores), default=0)
    usable = [c for c in shuffled if c.scores is not None and size and len(c.scores.feature) == size]
    if not usable:
        return _unscored(shuffled, set())
    features = np.array([c.scores.feature for c in usable if c.scores])
    weight = 1.0 + _ranks(np.array([(c.scores.entropy or 0.0) if c.scores else 0.0 for c in usable]))
    centres = [np.array(s.feature) for s in labelled if len(s.feature) == size]
    distance = np.full(len(usable), np.inf)
    for centre in centres:
        distance = np.minimum(distance, np.linalg.norm(features - centre, axis=1))
    chosen: list[CaseChoice] = []
    free = np.ones(len(usable), bool)
    while free.any() and len(chosen) < count:
        value = weight if np.isinf(distance).any() else distance * weight
        best = int(np.argmax(np.where(free, value, -1.0)))
        far = None if np.isinf(distance[best]) else round(float(distance[best]), 4)
        reason = "the most uncertain of all" if far is None else f"unlike what is labelled (distance {far:.3f}), and uncertain"
        chosen.append(CaseChoice(usable[best].key, None if far is None else round(float(value[best]), 4), reason))
        free[best] = False
        distance = np.minimum(distance, np.linalg.norm(features - features[best], axis=1))
    return chosen + _unscored(shuffled, {c.key for c in usable})


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """0 for the smallest to 1 for the largest; equal values share the mean of their ranks."""
    if len(values) < 2:
        return np.ones(len(values))
    below = (values[:, None] > values[None, :]).sum(axis=1)
    equal = (values[:, None] == values[None, :]).sum(axis=1) - 1
    return (below + equal / 2) / (len(values) - 1)
