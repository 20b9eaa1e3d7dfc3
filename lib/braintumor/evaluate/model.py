"""A network as the one to be evaluated: mask and probabilities of a case from one pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from braintumor.domain import Case, MissingSequenceError, MRSequence, Region, Segmentation, channels_of
from braintumor.evaluate.calibration import Reliability
from braintumor.evaluate.masks import reliability
from braintumor.evaluate.perturb import without
from braintumor.segment import AnyEngine, SegmentOptions, decide, probabilities


@dataclass(frozen=True, eq=False)
class Judged:
    """A case with the expert's mask and the network's answer, all on the case's grid."""

    case: Case
    truth: Segmentation
    predicted: Segmentation
    reliability: dict[Region, Reliability]


def judge(folder: Path, engine: AnyEngine, *, tta: bool = False, sequences: tuple[MRSequence, ...] = ()) -> Judged:
    """Prepare a case as at inference, run the network, and compare its probabilities inside the brain with the expert.

    Parameters
    ----------
    sequences
        The only ones the network gets to see; () for all. The others are blank, as where they were never acquired.

    Raises
    ------
    MissingSequenceError
        If the case has none of `sequences`.
    """
    from braintumor.train.data import load_case

    case, truth = load_case(folder)
    seen = limited(case, sequences) if sequences else case
    settings = SegmentOptions(tta=tta)
    found = probabilities(seen, engine, settings)
    predicted = decide(seen, found, engine, settings)
    order = {region: channels_of(region) for region in Region}
    box = found.box
    histograms = reliability(list(found.values), order, truth.mask[box], case.brain[box])
    return Judged(case, truth, predicted, histograms)


def limited(case: Case, sequences: tuple[MRSequence, ...]) -> Case:
    """The case without every other sequence."""
    if not set(sequences) & set(case.present):
        names = " or ".join(s.title for s in sequences)
        raise MissingSequenceError(f"The case has no {names}", remedy="Choose other --sequences, or leave this case out")
    return without(case, *(s for s in MRSequence if s not in sequences))
