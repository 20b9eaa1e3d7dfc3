"""How much a case would teach: uncertainty of the network, and disagreement with the label a person gave it.

All scores are 0..1, and higher means: ask a person sooner. Entropy, variance over views (Wang et al. 2019, test-time
augmentation) and variance over dropout (Gal & Ghahramani 2016) are means in and around the predicted whole tumour, because over
the whole head the easy background hides what differs between cases (Jungo & Reyes 2019).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from braintumor.domain import Case, Grid, Region, Segmentation, bounding_box, channels_of, dice, region_mask
from braintumor.segment import AnyEngine, Engine, Probabilities, VolumeEngine, decide, probabilities
from braintumor.segment.engines.protocol import Batch
from braintumor.segment.engines.pytorch import TorchEngine
from braintumor.segment.postprocess import entropy
from braintumor.segment.predict import VIEWS, apply_view, invert_view, predict, single_slices
from braintumor.segment.weights import Model

AROUND_MM = 5.0
"""Width of the rim around the predicted tumour that counts: where people correct most, and where a missed part begins."""

NOTHING_FOUND_ML = 10.0
"""Where no tumour was predicted: the volume of the brain's most uncertain voxels that count instead."""

DROPOUT = 0.2
"""Share of the deepest features, and of each skip, that a dropout pass blanks."""

PASSES = 6
"""Dropout passes; with as many the order of cases hardly changes any more, and each costs as much as a segmentation."""

FEATURE_SLICES = 8
"""Slices whose deepest features are averaged into the feature of a case."""

METHODS = ("entropy", "tta", "dropout", "feature")
"""What `score` can compute; each after the first costs more passes of the network."""


@dataclass(frozen=True, slots=True)
class CaseScores:
    """What is known of one case; None where it was not computed, or cannot be.

    Attributes
    ----------
    entropy
        Mean entropy of the class probabilities over its maximum.
    tta
        Mean over WT, TC and ET of 4 x the variance of the region's probability over the flipped and rotated views.
    dropout
        The same over passes with dropout.
    disagreement
        See `disagreement`.
    feature
        Mean of the network's deepest features: alike cases are near each other (for diverse selection).
    model
        Version and checksum of the model that was asked; scores of another are out of date.
    """

    entropy: float | None = None
    tta: float | None = None
    dropout: float | None = None
    disagreement: float | None = None
    feature: tuple[float, ...] = ()
    model: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CaseScores:
        """The inverse of `as_dict`."""
        return cls(**{**values, "feature": tuple(values.get("feature", ()))})


def score(
    case: Case,
    engine: AnyEngine,
    methods: Iterable[str] = METHODS,
    *,
    label: Segmentation | None = None,
    seed: int = 0,
    found: Probabilities | None = None,
    check: Callable[[], None] = lambda: None,
) -> CaseScores:
    """Scores of a case by some of `METHODS`; a peer's model, whose inside is not ours to change, gets its entropy only.

    Parameters
    ----------
    label
        What a person made of it, on the case's grid, for the disagreement.
    seed
        Of the dropout.
    found
        The probabilities, where they are known already.
    check
        Called between passes; may raise to stop.
    """
    wanted = set(methods)
    unknown = wanted - set(METHODS)
    if unknown:
        raise ValueError(f"unknown scores {sorted(unknown)}; known are {METHODS}")
    found = found if found is not None else probabilities(case, engine)
    mask = decide(case, found, engine).mask
    scores = CaseScores(model=f"{engine.model.version} {engine.model.checksum}")
    if label is not None:
        scores = replace(scores, disagreement=disagreement(mask, label.mask))
    zone = around(mask, case.brain, entropy_of(found, case), case.grid)
    if "entropy" in wanted:
        scores = replace(scores, entropy=mean_entropy(found, zone))
    if isinstance(engine, VolumeEngine):
        return scores
    # From here on only the slices of the zone are run. A slice at its end repeats itself as its missing neighbour.
    part, inside = _slab(case, zone)
    if "tta" in wanted:
        views = (_Viewed(engine, view) for view in VIEWS)
        scores = replace(scores, tta=variance(_passes(part, views, check), inside))
    if "dropout" in wanted:
        drops = (DropoutEngine(engine.model, seed + number) for number in range(PASSES))
        scores = replace(scores, dropout=variance(_passes(part, drops, check), inside))
    if "feature" in wanted:
        scores = replace(scores, feature=feature(part, engine.model))
    return scores


def disagreement(predicted: npt.NDArray[np.uint8], label: npt.NDArray[np.uint8]) -> float:
    """1 - mean Dice of two masks over the regions that at least one of them has; 0 if both are empty.

    Parameters
    ----------
    predicted, label
        (i, j, k) with `braintumor.domain.regions.Label.value`, on one grid.
    """
    pairs = [(region_mask(predicted, region), region_mask(label, region)) for region in Region]
    values = [dice(a, b) for a, b in pairs if a.any() or b.any()]
    return 1.0 - float(np.mean(values)) if values else 0.0


def entropy_of(found: Probabilities, case: Case) -> npt.NDArray[np.float32]:
    """Entropy on the case's grid, 0 outside the brain."""
    whole = np.zeros(case.grid.shape, np.float32)
    whole[found.box] = entropy(found.values) * case.brain[found.box]
    return whole


def around(
    mask: npt.NDArray[np.uint8], brain: npt.NDArray[np.bool_], doubt: npt.NDArray[np.float32], grid: Grid
) -> npt.NDArray[np.bool_]:
    """Bool (i, j, k): the predicted tumour with a rim of `AROUND_MM` in the brain, or the most doubtful part of the brain."""
    if mask.any():
        margin = int(np.ceil(AROUND_MM / min(grid.spacing)))
        box = bounding_box(mask > 0, margin=margin)
        distance = ndimage.distance_transform_edt(mask[box] == 0, sampling=grid.spacing)
        zone = np.zeros(mask.shape, bool)
        zone[box] = distance <= AROUND_MM
        zone &= brain | (mask > 0)
        return zone
    count = min(int(np.count_nonzero(brain)), max(1, round(NOTHING_FOUND_ML / grid.voxel_ml)))
    places = np.flatnonzero(brain)
    chosen = places[np.argsort(-doubt.ravel()[places], kind="stable")[:count]]
    zone = np.zeros(mask.size, bool)
    zone[chosen] = True
    return zone.reshape(mask.shape)


def mean_entropy(found: Probabilities, zone: npt.NDArray[np.bool_]) -> float:
    """Mean over the zone of -sum p log p / log 4 (Shannon 1948; for active learning, Settles 2009)."""
    inside = zone[found.box]
    return float(entropy(found.values)[inside].mean(dtype=np.float64)) if inside.any() else 0.0


def variance(passes: Iterable[Probabilities], zone: npt.NDArray[np.bool_]) -> float:
    """Mean over regions and over the zone of 4 x the variance of a region's probability between passes: 0 alike .. 1 torn.

    Welford's sums are not needed: probabilities lie in 0..1 and passes are few.
    """
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for found in passes:
        inside = zone[found.box]
        regions = np.stack([found.values[list(channels_of(region))].sum(axis=0)[inside] for region in Region])
        total, squares, count = total + regions, squares + regions.astype(np.float64) ** 2, count + 1
    if not count or not total.size:
        return 0.0
    return float(np.clip(4.0 * (squares / count - (total / count) ** 2), 0.0, 1.0).mean())


def feature(case: Case, model: Model, count: int = FEATURE_SLICES) -> tuple[float, ...]:
    """Mean over slices and positions of the deepest encoder features, as a vector of length 1 (Sener & Savarese 2018)."""
    network, sums = model.network, []
    with torch.inference_mode():
        for batch in single_slices(case, network.config, count):
            x = torch.from_numpy(batch)
            for level, encoder in enumerate(network.encoders):
                x = encoder(x if level == 0 else network.pool(x))
            sums.append(x.mean(dim=(0, 2, 3)))
    if not sums:
        return ()
    mean = torch.stack(sums).mean(dim=0)
    mean = mean / mean.norm().clamp_min(1e-12)
    return tuple(round(float(value), 6) for value in mean)


class DropoutEngine:
    """Our network with dropout while it predicts: one draw of the posterior's approximation by Gal & Ghahramani (2016).

    The network was not trained with dropout layers. Injecting them afterwards (Loquercio et al. 2020; Ledda et al. 2023) does
    not give a calibrated variance, but orders cases, which is what is needed here; and its sequences *were* dropped in training
    (`braintumor.train.augment.AugmentConfig.drop_sequence`), so it is used to features that are missing. Whole channels are
    blanked (dropout2d) of the deepest features and of every skip but the first, which carries edges and is nearly the image.

    Parameters
    ----------
    seed
        Of the draw: one engine always blanks the same channels, in every slice, as one network of an ensemble.
    """

    def __init__(self, model: Model, seed: int, share: float = DROPOUT) -> None:
        network = copy.deepcopy(model.network)
        generator = torch.Generator().manual_seed(seed)
        for encoder, width in zip(list(network.encoders)[1:], network.config.channels[1:], strict=True):
            kept = (torch.rand(width, generator=generator) >= share).float() / (1.0 - share)
            encoder.register_forward_hook(_Blank(kept[None, :, None, None]))
        # TorchEngine copies the network with its hooks, and folds its norms.
        self._engine = TorchEngine(Model(network, model.name, model.version, model.checksum))
        self.model = model
        self.name = f"{self._engine.name}-dropout"

    def probabilities(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """See `braintumor.segment.Engine.probabilities`."""
        return self._engine.probabilities(batches)


class _Blank:
    """A forward hook that scales channels; a class, so that it can be copied with its network."""

    def __init__(self, kept: torch.Tensor) -> None:
        self.kept = kept

    def __call__(self, module: torch.nn.Module, inputs: Any, out: torch.Tensor) -> torch.Tensor:
        return out * self.kept.to(out.device, out.dtype)


class _Viewed:
    """An engine that sees every slice flipped or rotated, and answers as if it had not been."""

    def __init__(self, engine: Engine, view: tuple[bool, float]) -> None:
        self.engine, self.view = engine, view
        self.name, self.model = engine.name, engine.model

    def probabilities(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        turned = (apply_view(batch, self.view) for batch in batches)
        for found in self.engine.probabilities(turned):
            yield invert_view(found, self.view)


def _passes(case: Case, engines: Iterable[Engine], check: Callable[[], None]) -> Iterator[Probabilities]:
    for engine in engines:
        check()
        yield predict(case, engine)


def _slab(case: Case, zone: npt.NDArray[np.bool_]) -> tuple[Case, npt.NDArray[np.bool_]]:
    """The case and the zone cut to the slices that the zone reaches."""
    box = (slice(0, zone.shape[0]), slice(0, zone.shape[1]), bounding_box(zone)[2])
    return replace(
        case, grid=case.grid.cropped(box), channels=case.channels[(slice(None), *box)], brain=case.brain[box], display={}
    ), zone[box]
