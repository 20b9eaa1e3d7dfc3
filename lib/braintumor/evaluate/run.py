"""One evaluation: every case scored, then tables, pictures and report in one folder that appears whole."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from braintumor import __version__
from braintumor.domain import (
    CaseProgress,
    EmptyPolicy,
    InputNotFoundError,
    MRSequence,
    NotInstalledError,
    Region,
    appearing,
    check_output,
    silent,
)
from braintumor.evaluate import masks, model
from braintumor.evaluate.calibration import Reliability
from braintumor.evaluate.charts import dice_chart, reliability_chart
from braintumor.evaluate.metrics import EMPTY_MEANING, Scores, score
from braintumor.evaluate.page import EvaluationFacts, page
from braintumor.evaluate.pairs import Pair, Pairing, pair, truths
from braintumor.evaluate.pictures import picture, sheet
from braintumor.evaluate.summary import (
    CONFIDENCE,
    RESAMPLES,
    SEED,
    CaseResult,
    as_dict,
    grouped,
    groups_of,
    pooled,
    read_groups,
    summarise,
    write_cases,
    write_summary,
)
from braintumor.segment import load_engine

WORST = 3
"""Cases shown as pictures."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How to evaluate.

    Attributes
    ----------
    policy
        For regions that the expert did not mark.
    allow_missing
        Leave out masks without a partner.
    groups
        CSV with a column ``case`` and others to split the figures by, or None.
    engine, tta, sequences
        For `evaluate_model`: how to run the network, and the only sequences it gets to see (() for all).
    """

    policy: EmptyPolicy = EmptyPolicy.BRATS
    allow_missing: bool = False
    groups: Path | None = None
    engine: str = "auto"
    tta: bool = False
    sequences: tuple[MRSequence, ...] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one evaluation found and wrote.

    Attributes
    ----------
    summary
        Content of ``summary.json``.
    """

    folder: Path
    results: tuple[CaseResult, ...]
    summary: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Scored:
    result: CaseResult
    drawn: Callable[[], Image.Image]


def evaluate_masks(
    predictions: str | Path,
    truth: str | Path,
    out: str | Path,
    options: EvaluateOptions = EvaluateOptions(),
    progress: CaseProgress = silent,
) -> Evaluation:
    """Score a folder of masks, anybody's, against a folder of expert masks, and write the report to `out`.

    Parameters
    ----------
    progress
        Called with a case's name, how many are done, and how many there are.

    Raises
    ------
    InputNotFoundError
        If masks do not pair up (`pairs.pair`).
    GeometryError, CorruptFileError, UnusableImageError
        If a mask or its probabilities cannot be compared (`masks.load`, `masks.read_probabilities`).
    OutputError
        If `out` cannot be written or is not empty.
    """
    predictions, truth, out = Path(predictions), Path(truth), Path(out)
    table = _ready(out, options)
    pairing = pair(predictions, truth, allow_missing=options.allow_missing)

    def scored() -> Iterator[_Scored]:
        for n, each in enumerate(pairing.pairs):
            progress(each.name, n, len(pairing.pairs))
            yield _compare(each, options.policy, groups_of(each.name, table))

    return _finish(scored(), out, _name(predictions), _name(truth), options, _left_out(pairing))


def evaluate_model(
    folder: Path | None,
    truth: Path,
    out: Path,
    options: EvaluateOptions = EvaluateOptions(),
    progress: CaseProgress = silent,
) -> Evaluation:
    """Run our network on each case folder of `truth` and score masks and probabilities, on the grid the network works on.

    Parameters
    ----------
    folder
        Model folder; None for the one that comes with the package.

    Raises
    ------
    BrainTumorError
        As `evaluate_masks`, and what reading a study, preparing it and loading a model raise.
    """
    table = _ready(out, options)
    cases = with_images(truth)
    engine = load_engine(options.engine, folder)

    def scored() -> Iterator[_Scored]:
        for n, (case, images) in enumerate(cases.items()):
            progress(case, n, len(cases))
            found = model.judge(images, engine, tta=options.tta, sequences=options.sequences)
            yield _judged(case, found, options.policy, groups_of(case, table))

    name = f"{engine.model.name} {engine.model.version}".strip()
    views = ", averaged over flipped and rotated views" if options.tta else ""
    notes = [f"Network run by {engine.name}{views}, weights {engine.model.checksum[:12]}"]
    if options.sequences:
        notes.append(f"The network was shown only {', '.join(s.title for s in options.sequences)}")
    return _finish(scored(), out, name, _name(truth), options, tuple(notes))


def check_installed() -> None:
    """Refuse early where the packages that measure are not installed.

    Raises
    ------
    NotInstalledError
        Naming the extra that brings them.
    """
    absent = [name for name in ("surface_distance", "panoptica") if find_spec(name) is None]
    if absent:
        raise NotInstalledError(
            f"Evaluation needs {' and '.join(absent)}, which a plain installation lacks",
            remedy="pip install 'braintumor[train]'",
        )


def _ready(out: Path, options: EvaluateOptions) -> dict[str, dict[str, str]]:
    """Refuse before any work what cannot end well; returns the groups of cases."""
    check_installed()
    check_output(out)
    return {} if options.groups is None else read_groups(options.groups)


def with_images(truth: Path) -> dict[str, Path]:
    """Case folders by name, all of which hold images beside the expert's mask."""
    folders: dict[str, Path] = {}
    for case in truths(truth):
        if case.folder is None:
            raise InputNotFoundError(
                f"The network needs images, and there are none beside {case.name}",
                remedy="Give a folder of case folders, each with its sequences and the expert's mask",
                path=truth,
            )
        folders[case.name] = case.folder
    return folders


def _compare(each: Pair, policy: EmptyPolicy, groups: dict[str, str]) -> _Scored:
    loaded = masks.load(each)
    truth, predicted = loaded.truth, loaded.predicted
    scores = score(predicted.mask, truth.mask, truth.grid, policy)
    histograms, inside = {}, False
    if path := masks.probabilities_beside(loaded.path):
        values = masks.read_probabilities(path, loaded.stored, truth.grid)
        order = masks.channel_order(values, predicted.mask, path)
        brain = masks.brain_of(each, truth.grid)
        histograms = masks.reliability(values, order, truth.mask, brain, path)
        inside = brain is not None
        for region, histogram in histograms.items():
            scores[region] |= _calibration(histogram)

    def drawn() -> Image.Image:
        paths = masks.images_of(each)
        images = {s: masks.read_image(paths[s], truth.grid) for s in (MRSequence.FLAIR, MRSequence.T1CE) if s in paths}
        return picture(predicted, truth, {s: v for s, v in images.items() if v is not None}, _headline(each.name, scores))

    return _Scored(CaseResult(each.name, scores, histograms, inside, groups, loaded.notes), drawn)


def _judged(name: str, found: model.Judged, policy: EmptyPolicy, groups: dict[str, str]) -> _Scored:
    scores = score(found.predicted.mask, found.truth.mask, found.case.grid, policy)
    for region, histogram in found.reliability.items():
        scores[region] |= _calibration(histogram)
    return _Scored(
        CaseResult(name, scores, found.reliability, inside_brain=True, groups=groups),
        lambda: picture(found.predicted, found.truth, found.case.display, _headline(name, scores)),
    )


def _calibration(histogram: Reliability) -> Scores:
    return {"brier": histogram.brier, "ece": histogram.ece}


def _headline(name: str, scores: Mapping[Region, Scores]) -> str:
    values = (f"{region.value} {'-' if (dice := scores[region]['dice']) is None else f'{dice:.2f}'}" for region in Region)
    return f"{name}   Dice {', '.join(values)}"


def _finish(
    scored: Iterator[_Scored], out: Path, predictions: str, truth: str, options: EvaluateOptions, notes: Sequence[str]
) -> Evaluation:
    """Go through all cases, keeping figures of each and pictures of the worst, and write everything."""
    results: list[CaseResult] = []
    worst: list[tuple[float, int, Image.Image]] = []  # a heap: the best of the worst is thrown out first
    for n, each in enumerate(scored):
        results.append(each.result)
        badness = -_mean_dice(each.result)
        if len(worst) < WORST or badness > worst[0][0]:
            heapq.heappush(worst, (badness, -n, each.drawn()))
            if len(worst) > WORST:
                heapq.heappop(worst)
    pictures = [image for _, _, image in sorted(worst, key=lambda kept: (-kept[0], -kept[1]))]
    together = pooled(results)
    facts = EvaluationFacts(
        predictions=predictions,
        truth=truth,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        software=__version__,
        policy=options.policy,
        scope=_scope(results),
        notes=(*notes, *(note for result in results for note in result.notes)),
    )
    summary = _summary(facts, results)
    with appearing(out) as scratch:
        write_cases(scratch / "cases.csv", results)
        write_summary(scratch / "summary.csv", results)
        (scratch / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        dice_chart(results, summarise(results)).image().save(scratch / "dice.png")
        if together:
            reliability_chart(together).image().save(scratch / "reliability.png")
        gallery = sheet(pictures)
        gallery.save(scratch / "worst.png")
        (scratch / "report.html").write_text(page(facts, results, together, gallery), encoding="utf-8")
    return Evaluation(out, tuple(results), summary)


def _summary(facts: EvaluationFacts, results: Sequence[CaseResult]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "predictions": facts.predictions,
        "truth": facts.truth,
        "created": facts.created,
        "software": facts.software,
        "cases": len(results),
        "empty_policy": {"name": facts.policy.value, "meaning": EMPTY_MEANING[facts.policy]},
        "interval": {"of": "mean", "method": "percentile bootstrap", "level": CONFIDENCE, "resamples": RESAMPLES, "seed": SEED},
        "regions": as_dict(summarise(results)),
        "groups": {
            column: {value: as_dict(summarise(cases)) for value, cases in values.items()}
            for column, values in grouped(results).items()
        },
        "notes": list(facts.notes),
    }
    if together := pooled(results):
        content["calibration"] = {
            "scope": facts.scope,
            "regions": {r.value: {"ece": h.ece, "brier": h.brier, "bins": h.bins()} for r, h in together.items()},
        }
    return content


def _scope(results: Sequence[CaseResult]) -> str:
    with_histogram = [r for r in results if r.reliability]
    if not with_histogram:
        return ""
    inside = sum(r.inside_brain for r in with_histogram)
    if inside == len(with_histogram):
        return "inside the brain"
    return "inside the brain where it is known, else everywhere" if inside else "inside and outside the brain"


def _mean_dice(result: CaseResult) -> float:
    values = [v for region in Region if (v := result.scores[region]["dice"]) is not None]
    return float(np.mean(values)) if values else 1.0


def _left_out(pairing: Pairing) -> tuple[str, ...]:
    notes = []
    if pairing.without_prediction:
        notes.append(f"Left out, no prediction: {', '.join(pairing.without_prediction)}")
    if pairing.without_truth:
        notes.append(f"Left out, no truth: {', '.join(pairing.without_truth)}")
    return tuple(notes)


def _name(place: Path) -> str:
    return place.resolve().name
