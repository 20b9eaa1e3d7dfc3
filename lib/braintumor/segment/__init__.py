"""The stage Case -> Segmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from braintumor.domain import (
    Author,
    AuthorKind,
    Case,
    Flag,
    Region,
    Segmentation,
    Severity,
    ShareProgress,
    channels_of,
    from_channels,
    region_mask,
    silent,
)
from braintumor.segment.engines import ENGINES, AnyEngine, Engine, Probabilities, VolumeEngine, load_engine
from braintumor.segment.postprocess import MIN_COMPONENT_ML, entropy, most_likely, remove_specks, without_faint_enhancement
from braintumor.segment.predict import predict

__all__ = [
    "ENGINES",
    "AnyEngine",
    "Engine",
    "Probabilities",
    "SegmentOptions",
    "VolumeEngine",
    "decide",
    "load_engine",
    "probabilities",
    "segment_case",
]

UNSURE = 0.75
"""Mean probability of the whole tumour inside its own mask below which the mask is called uncertain."""


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How to segment.

    Attributes
    ----------
    tta
        Average over flipped and rotated views: about 4 times slower. A peer's model averages over what it can.
    min_component_ml
        Smallest island of tumour kept, and least enhancement in all that is called so, in mL.
    """

    tta: bool = False
    min_component_ml: float = MIN_COMPONENT_ML


def segment_case(
    case: Case,
    engine: AnyEngine,
    options: SegmentOptions = SegmentOptions(),
    progress: ShareProgress = silent,
) -> Segmentation:
    """Label every voxel of a case; flags of the case are not repeated.

    Parameters
    ----------
    progress
        Called with the share of slices done, 0..1.
    """
    return decide(case, probabilities(case, engine, options, progress), engine, options)


def probabilities(
    case: Case,
    engine: AnyEngine,
    options: SegmentOptions = SegmentOptions(),
    progress: ShareProgress = silent,
) -> Probabilities:
    """The first half of `segment_case`: what the network says, for those who want to judge it."""
    if isinstance(engine, VolumeEngine):
        return engine.predict(case, tta=options.tta, progress=progress)
    return predict(case, engine, tta=options.tta, progress=progress)


def decide(case: Case, found: Probabilities, engine: AnyEngine, options: SegmentOptions = SegmentOptions()) -> Segmentation:
    """The second half of `segment_case`: the mask that follows from the probabilities."""
    channels = most_likely(found.values) if found.decided is None else found.decided
    channels = remove_specks(channels * case.brain[found.box], case.grid.voxel_ml, options.min_component_ml)
    channels, faint_ml = without_faint_enhancement(channels, case.grid.voxel_ml, options.min_component_ml)
    mask = np.zeros(case.grid.shape, np.uint8)
    mask[found.box] = from_channels(channels)
    uncertainty = np.zeros(case.grid.shape, np.float16)
    uncertainty[found.box] = entropy(found.values) * case.brain[found.box]
    confidence = _confidence(found, mask)
    model = engine.model
    return Segmentation(
        mask=mask,
        grid=case.grid,
        author=Author(AuthorKind.MODEL, model.name, model.version, model.checksum, engine.name),
        uncertainty=uncertainty,
        confidence=confidence,
        flags=_flags(confidence, faint_ml),
    )


def _confidence(found: Probabilities, mask: npt.NDArray[np.uint8]) -> dict[Region, float]:
    confidence = {}
    for region in Region:
        inside = region_mask(mask[found.box], region)
        if inside.any():
            confidence[region] = float(sum(found.values[c][inside].mean(dtype=np.float64) for c in channels_of(region)))
    return confidence


def _flags(confidence: dict[Region, float], faint_ml: float) -> tuple[Flag, ...]:
    flags = []
    sure = confidence.get(Region.WT, 1.0)
    if sure < UNSURE:
        message = f"The model is unsure of the tumour's outline (mean probability {sure:.2f} inside it); check the mask."
        flags.append(Flag("uncertain-mask", Severity.WARNING, message))
    if faint_ml:
        message = (
            f"The model saw enhancement in {faint_ml:.2f} mL only, too little to tell from noise or a vessel; it is counted as "
            "core that does not enhance. Look at the contrast-enhanced images."
        )
        flags.append(Flag("faint-enhancement", Severity.WARNING, message))
    return tuple(flags)
