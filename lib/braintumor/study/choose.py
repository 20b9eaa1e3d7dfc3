"""The series of a study -> at most one per sequence, each choice with its reason; a tie is an error, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from braintumor.domain import AmbiguousSequenceError, Evidence, Flag, Image, InputNotFoundError, MRSequence, Severity
from braintumor.study.classify import classify
from braintumor.study.contrast import CONCLUSIVE, enhancement
from braintumor.study.facts import HeaderFacts, facts_of, number
from braintumor.study.index import Header, Refuse, SeriesIndex, text

UNCERTAIN = 0.6
"""Confidence below which a chosen series is flagged."""


@dataclass(frozen=True, eq=False)
class SeriesCandidate:
    """One volume that could be used: a series, or one echo or multi-frame file of it.

    Attributes
    ----------
    key
        Series Instance UID, with a suffix if the series holds several volumes.
    evidence, agent
        See `braintumor.study.classify.SequenceVerdict`.
    """

    key: str
    uid: str
    headers: tuple[Header, ...]
    facts: HeaderFacts
    evidence: Evidence
    agent: bool | None

    @property
    def title(self) -> str:
        """How to name it to a person: series number and description."""
        dataset = self.headers[0].dataset
        return f"series {text(dataset, 'SeriesNumber') or '?'} ('{text(dataset, 'SeriesDescription')}')"

    @property
    def slices(self) -> int:
        """Number of images in it."""
        return sum(int(number(h.dataset, "NumberOfFrames") or 1) for h in self.headers)

    @property
    def spacing_mm(self) -> float:
        """Distance between slices as the header says it, 0 if unknown."""
        dataset = self.headers[0].dataset
        return number(dataset, "SpacingBetweenSlices") or number(dataset, "SliceThickness") or 0.0


Load = Callable[[SeriesCandidate], Image | None]
"""Reads the pixels of a candidate; None if they cannot be read and that is reported elsewhere."""


@dataclass(eq=False)
class SeriesChoice:
    """What was decided."""

    chosen: dict[MRSequence, SeriesCandidate] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)


def candidates_of(index: SeriesIndex) -> list[SeriesCandidate]:
    """Every volume of an index, classified by its header."""
    found = []
    for uid, headers in index.series.items():
        volumes = _volumes(headers)
        for number_, (label, volume) in enumerate(volumes.items()):
            facts = facts_of(volume[0].dataset)
            verdict = classify(facts)
            key = uid if len(volumes) == 1 else f"{uid} ({label or number_ + 1})"
            found.append(SeriesCandidate(key, uid, tuple(volume), facts, verdict.evidence, verdict.agent))
    return found


def choose(
    candidates: Sequence[SeriesCandidate], overrides: Mapping[MRSequence, str], load: Load, refuse: Refuse
) -> SeriesChoice:
    """Pick one candidate per sequence.

    Parameters
    ----------
    overrides
        Series UIDs (or candidate keys) the user has named.
    load
        Gives the pixels of a candidate; only asked where headers do not tell T1 from T1ce.
    refuse
        Called with an `AmbiguousSequenceError` if two are equally good, an `InputNotFoundError` if an override names nothing.
    """
    choice = SeriesChoice()
    free = _apply(overrides, list(candidates), choice, refuse)
    if not {MRSequence.T1, MRSequence.T1CE} <= set(choice.chosen):
        free = _tell_t1_apart(free, choice, load, refuse)
    for sequence in MRSequence:
        rivals = [c for c in free if c.evidence.sequence is sequence]
        if sequence in choice.chosen:
            choice.unused |= {c.key: f"{sequence.title} was named by the user" for c in rivals}
        elif rivals:
            _pick(sequence, rivals, choice, refuse)
    choice.unused |= {c.key: c.evidence.reasons[0] for c in free if c.evidence.sequence is None}
    return choice


def _volumes(headers: Sequence[Header]) -> dict[str, list[Header]]:
    """Split a series that holds several echoes (T2 and proton density acquired together), or several multi-frame files."""
    volumes: dict[str, list[Header]] = {}
    for header in headers:
        echo = number(header.dataset, "EchoTime")
        label = header.instance.uid if "NumberOfFrames" in header.dataset else "" if echo is None else f"TE {echo:g} ms"
        volumes.setdefault(label, []).append(header)
    sizes = {len(v) for v in volumes.values()}
    # Echo times that differ without making equal stacks are rounding or damage: keep them together, geometry will tell.
    return volumes if len(sizes) == 1 else {"": list(headers)}


def _apply(
    overrides: Mapping[MRSequence, str], free: list[SeriesCandidate], choice: SeriesChoice, refuse: Refuse
) -> list[SeriesCandidate]:
    for sequence, wanted in overrides.items():
        named = [c for c in free if wanted in (c.uid, c.key)]
        if len(named) != 1:
            found = "names no MR series of the input" if not named else "names a series of several volumes"
            remedy = f"use one of: {', '.join(c.key for c in free) or 'none left'}"
            refuse(InputNotFoundError(f"--{sequence.value} {wanted} {found}", remedy=remedy))
            continue
        choice.chosen[sequence] = replace(named[0], evidence=Evidence(sequence, 1.0, ("named by the user",)))
        free.remove(named[0])
    return free


def _tell_t1_apart(
    candidates: list[SeriesCandidate], choice: SeriesChoice, load: Load, refuse: Refuse
) -> list[SeriesCandidate]:
    """Decide between T1 and T1ce where the header does not say whether contrast agent was given."""
    t1_like = [c for c in candidates if c.evidence.sequence in (MRSequence.T1, MRSequence.T1CE)]
    unknown = [c for c in t1_like if c.agent is None]
    if not unknown:
        return candidates
    if MRSequence.T1CE in choice.chosen or any(c.agent for c in t1_like):
        why = "another series is the one with contrast agent"
        return _replaced(candidates, {c.key: _as(c, MRSequence.T1, 0.85, why) for c in unknown})
    native = choice.chosen.get(MRSequence.T1) or next((c for c in t1_like if c.agent is False), None)
    pair = (native, *unknown) if native is not None else tuple(unknown)
    if len(pair) == 2 and (decided := _by_pixels(pair[0], pair[1], native is None, choice, load)):
        return _replaced(candidates, decided)
    if native is None and len(unknown) > 1:
        return _undecided(candidates, unknown, refuse)
    names = ", ".join(c.title for c in unknown)
    message = f"Nothing says whether contrast agent was given for {names}; taken as T1 without. If it was, name it as T1ce."
    choice.flags.append(Flag("contrast-unknown", Severity.WARNING, message))
    return candidates


def _by_pixels(
    one: SeriesCandidate, other: SeriesCandidate, swappable: bool, choice: SeriesChoice, load: Load
) -> dict[str, SeriesCandidate]:
    """The pair as T1 and T1ce; empty if the pixels do not say. Unless `swappable`, `one` is known to be without agent."""
    first, second = load(one), load(other)
    score = 0.0 if first is None or second is None else enhancement(first, second)
    if abs(score) < CONCLUSIVE or (score < 0 and not swappable):
        return {}
    before, after = (one, other) if score > 0 else (other, one)
    message = f"No header says which T1 is with contrast agent; by its pixels it is {after.title}. Check, or name it."
    choice.flags.append(Flag("sequence-by-pixels", Severity.WARNING, message))
    decided = {after.key: _as(after, MRSequence.T1CE, 0.65, f"by its pixels: vessels light up (score {abs(score):.2f})")}
    if swappable:
        decided[before.key] = _as(before, MRSequence.T1, 0.65, "by its pixels: the other T1 has brighter vessels")
    return decided


def _undecided(candidates: list[SeriesCandidate], unknown: list[SeriesCandidate], refuse: Refuse) -> list[SeriesCandidate]:
    named = "; ".join(f"{c.uid} {c.title}" for c in unknown)
    refuse(
        AmbiguousSequenceError(
            f"neither headers nor pixels tell which of these T1 series is with contrast agent: {named}",
            remedy="name it with --t1ce UID (and the one without with --t1 UID)",
        )
    )
    nothing = Evidence(None, 0.5, ("cannot be told apart from another T1: with or without contrast agent",))
    return _replaced(candidates, {c.key: replace(c, evidence=nothing) for c in unknown})


def _replaced(candidates: list[SeriesCandidate], by: Mapping[str, SeriesCandidate]) -> list[SeriesCandidate]:
    return [by.get(c.key, c) for c in candidates]


def _as(candidate: SeriesCandidate, sequence: MRSequence, confidence: float, why: str) -> SeriesCandidate:
    reasons = (*candidate.evidence.reasons[:-1], why)  # the last reason was that nothing says it
    return replace(candidate, evidence=Evidence(sequence, confidence, reasons), agent=sequence is MRSequence.T1CE)


def _pick(sequence: MRSequence, rivals: list[SeriesCandidate], choice: SeriesChoice, refuse: Refuse) -> None:
    """The one that beats every other; a tie is refused."""
    for candidate in rivals:
        others = [c for c in rivals if c is not candidate]
        reasons = [_better(candidate, other) for other in others]
        if all(reasons):
            _take(sequence, candidate, choice)
            for other, reason in zip(others, reasons, strict=True):
                choice.unused[other.key] = f"{sequence.title} too, but {candidate.title} {reason}"
                message = f"For {sequence.title}, {candidate.title} was preferred to {other.title}: it {reason}."
                choice.flags.append(Flag("series-preferred", Severity.INFO, message))
            return
    named = "; ".join(f"{c.uid} {c.title}" for c in rivals)
    choice.unused |= {c.key: f"competes with another series for {sequence.title}" for c in rivals}
    refuse(
        AmbiguousSequenceError(
            f"{len(rivals)} series are equally good candidates for {sequence.title}: {named}",
            remedy=f"name the one to use with --{sequence.value} UID",
        )
    )


def _take(sequence: MRSequence, candidate: SeriesCandidate, choice: SeriesChoice) -> None:
    choice.chosen[sequence] = candidate
    evidence = candidate.evidence
    if evidence.confidence < UNCERTAIN:
        message = f"{candidate.title} was taken for {sequence.title} with confidence {evidence.confidence:.2f} only."
        choice.flags.append(Flag("sequence-uncertain", Severity.WARNING, message))


def _better(one: SeriesCandidate, other: SeriesCandidate) -> str | None:
    """Why `one` is clearly better than `other`, by the first criterion that tells them apart; None if it is not."""
    for difference, reason in (
        (_original(one) - _original(other), "is an original, not a derived image"),
        (round(4 * (one.evidence.confidence - other.evidence.confidence)), "is more certain"),
        (_clearly(_extent(one), _extent(other), 1.5), "covers more of the head"),
        (_clearly(-_voxel(one), -_voxel(other), 1 / 0.6), "has clearly finer slices"),
        (_corrected(one) - _corrected(other), "is corrected for distortion"),
        (_axial(one) - _axial(other), "is axial"),
    ):
        if difference:
            return reason if difference > 0 else None
    return None


def _clearly(one: float, other: float, factor: float) -> int:
    """1 or -1 if the numbers differ by more than the factor and both are known, else 0. Negative numbers: smaller is better."""
    if not one or not other:
        return 0
    larger, smaller = max(abs(one), abs(other)), min(abs(one), abs(other))
    return 0 if larger < factor * smaller else (1 if one > other else -1)


def _original(candidate: SeriesCandidate) -> int:
    return int("DERIVED" not in candidate.facts.image_type[:1])


def _extent(candidate: SeriesCandidate) -> float:
    return candidate.slices * candidate.spacing_mm


def _voxel(candidate: SeriesCandidate) -> float:
    return candidate.spacing_mm


def _corrected(candidate: SeriesCandidate) -> int:
    return next((rank for rank, value in ((2, "DIS3D"), (1, "DIS2D")) if value in candidate.facts.image_type), 0)


def _axial(candidate: SeriesCandidate) -> int:
    """1 if slices are stacked mostly head to foot; lesions are measured, and the network looks, in such slices."""
    cosines = text(candidate.headers[0].dataset, "ImageOrientationPatient").split("\\")
    if len(cosines) != 6:
        return 0
    numbers = np.array([float(c) for c in cosines])
    return int(int(np.argmax(np.abs(np.cross(numbers[:3], numbers[3:])))) == 2)
