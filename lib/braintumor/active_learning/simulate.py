"""What a strategy is worth: labels that are known are handed out as it asks for them, and Dice is measured after each batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from braintumor.active_learning.examples import Example, read_example, read_identity, write_example
from braintumor.active_learning.gate import Row, mean, measure_all
from braintumor.active_learning.mixture import mixture, on_disk
from braintumor.active_learning.scores import CaseScores, score
from braintumor.active_learning.select import STRATEGIES, CaseCandidate, order
from braintumor.domain import Region, write_json
from braintumor.segment import load_engine, weights
from braintumor.segment.network import NetworkConfig
from braintumor.train.loop import TrainConfig, train

NEEDS: dict[str, tuple[str, ...]] = {
    "entropy": ("entropy",),
    "tta": ("tta",),
    "dropout": ("dropout",),
    "diverse": ("entropy", "feature"),
    "disagreement": (),
    "random": (),
}
"""Scores that a strategy asks for; ``disagreement`` looks at labels before anybody drew them, for comparison only."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """One simulation.

    Attributes
    ----------
    strategies
        Of `braintumor.active_learning.select.STRATEGIES`.
    seeds
        Each draws another start; the first cases and their network are the same for all strategies.
    start, batch, rounds
        Labelled cases at the start, cases added per round, and rounds.
    first_steps, steps
        Training steps of the start, from random weights, and of each round, from the round before.
    network
        Trained anew: a shipped model has seen the cases that a simulation pretends not to know.
    train
        Other values of `braintumor.train.loop.TrainConfig`.
    """

    strategies: tuple[str, ...] = ("random", "entropy", "tta", "dropout", "diverse")
    seeds: tuple[int, ...] = (0,)
    start: int = 2
    batch: int = 2
    rounds: int = 4
    first_steps: int = 300
    steps: int = 150
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(channels=(16, 32, 64, 128, 256), context=1))
    train: dict[str, Any] = field(default_factory=lambda: {"batch": 8, "size": [128, 128], "full_batch": 4, "ema": 0.98})

    def __post_init__(self) -> None:
        unknown = set(self.strategies) - set(STRATEGIES)
        if unknown:
            raise ValueError(f"there is no strategy {sorted(unknown)[0]!r}; choose from {', '.join(STRATEGIES)}")


@dataclass(frozen=True, slots=True)
class Point:
    """Dice after a round.

    Attributes
    ----------
    labels
        Number of labelled cases that the network was trained on.
    added
        Names of those that this round added.
    dice
        Mean over the held-out cases.
    """

    strategy: str
    seed: int
    round: int
    labels: int
    added: tuple[str, ...]
    dice: Row


def simulate(
    pool: Sequence[Path], heldout: Sequence[Path], folder: Path, plan: SimulationPlan, say: Say = lambda text: None
) -> Iterator[Point]:
    """Yield a point per strategy, seed and round; what a killed simulation finished is not done again.

    Parameters
    ----------
    pool, heldout
        Prepared examples (`braintumor.active_learning.examples.write_example`) of different patients.
    folder
        Working folder; one plan each.

    Raises
    ------
    ValueError
        If a patient is on both sides, the pool is too small for the plan, or the folder holds another plan's work.
    """
    files = {read_identity(path)[0]: path for path in pool}
    if {read_identity(path)[1] for path in pool} & {read_identity(path)[1] for path in heldout}:
        raise ValueError("a patient is in the pool and held out")
    if len(files) < plan.start + plan.batch:
        raise ValueError(f"{len(files)} cases are too few for a start of {plan.start} and a batch of {plan.batch}")
    _same_plan(folder, plan, sorted(files), [read_identity(path)[0] for path in heldout])
    work = _Work(files, heldout, folder, plan, say)
    for seed in plan.seeds:
        first = work.start(seed)
        for strategy in plan.strategies:
            yield _as(first, strategy)
            before, place = first, folder / f"seed-{seed}" / "start"
            labelled = list(first.added)
            for number in range(1, plan.rounds + 1):
                if len(labelled) == len(files):
                    break
                target = folder / f"seed-{seed}" / strategy / f"round-{number}"
                before = work.round(strategy, seed, number, labelled, place, target)
                labelled += before.added
                place = target
                yield before


def _as(point: Point, strategy: str) -> Point:
    return Point(strategy, point.seed, point.round, point.labels, point.added, point.dice)


def _same_plan(folder: Path, plan: SimulationPlan, pool: list[str], heldout: list[str]) -> None:
    """Strategies, seeds and rounds may be added to a folder; all else must be as it was."""
    path = folder / "plan.json"
    own = {k: v for k, v in asdict(plan).items() if k not in ("strategies", "seeds", "rounds")}
    wanted = json.loads(json.dumps({**own, "pool": pool, "heldout": heldout}))
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise ValueError(f"{folder} holds a simulation with other settings or cases; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, wanted)


@dataclass(frozen=True, slots=True)
class _Work:
    files: dict[str, Path]
    heldout: Sequence[Path]
    folder: Path
    plan: SimulationPlan
    say: Say

    def start(self, seed: int) -> Point:
        """The cases everybody starts with, drawn by seed, and the network trained on them."""
        target = self.folder / f"seed-{seed}" / "start"
        names = [c.key for c in order([CaseCandidate(name) for name in self.files], "random", self.plan.start, seed)]
        return self._learned("start", seed, 0, [], names, None, target)

    def round(self, strategy: str, seed: int, number: int, labelled: list[str], model: Path, target: Path) -> Point:
        """Ask for a batch by the strategy, label it, train on."""
        kept = target / "chosen.json"
        if kept.exists():
            names = json.loads(kept.read_text())
        else:
            names = self._asked(strategy, seed + number, labelled, model)
            target.mkdir(parents=True, exist_ok=True)
            write_json(kept, names)
        return self._learned(strategy, seed, number, labelled, names, model, target)

    def _asked(self, strategy: str, seed: int, labelled: list[str], model: Path) -> list[str]:
        free = [name for name in self.files if name not in labelled]
        wanted = free + (labelled if strategy == "diverse" else [])
        if strategy == "random":
            wanted = []
        engine = load_engine("torch", model / "model")
        scores: dict[str, CaseScores] = {}
        for name in wanted:
            self.say(f"{strategy}: scoring {name}")
            item = read_example(self.files[name])
            label = item.label if strategy == "disagreement" else None
            scores[name] = score(item.case, engine, NEEDS[strategy], label=label)
        candidates = [CaseCandidate(name, scores.get(name)) for name in free]
        near = [scores[name] for name in labelled if name in scores]
        return [choice.key for choice in order(candidates, strategy, self.plan.batch, seed, near)]

    def _learned(
        self, strategy: str, seed: int, number: int, labelled: list[str], added: list[str], model: Path | None, target: Path
    ) -> Point:
        result = target / "result.json"
        names = [*labelled, *added]
        if not result.exists():
            self.say(f"{strategy}, seed {seed}, round {number}: training on {len(names)} cases")
            self._train(names, seed, model, target)
            rows = measure_all(
                [partial(read_example, path) for path in self.heldout], load_engine("torch", target / "model"), lambda n: None
            )
            write_json(result, {"dice": mean(rows), "cases": rows})
        dice = {Region(key): value for key, value in json.loads(result.read_text())["dice"].items()}
        return Point(strategy, seed, number, len(names), tuple(added), dice)

    def _train(self, names: list[str], seed: int, model: Path | None, target: Path) -> None:
        steps = self.plan.first_steps if model is None else self.plan.steps
        settings = {"steps": steps, "full_steps": steps // 6, "warmup": max(1, steps // 10), "seed": seed, **self.plan.train}
        begin: dict[str, torch.Tensor] | None = None
        if model is not None:
            begin = weights.load(model / "model").network.state_dict()
        slices = [(on_disk(self.files[name], self.folder / "slices"), 1.0) for name in sorted(names)]
        network = train(
            mixture(slices, [], 0.0), target / "training", TrainConfig.from_dict(settings), self.plan.network, start=begin
        )
        weights.save(network, target / "model", {"name": "simulation", "version": "0"})


def prepare_cases(cases: Sequence[tuple[str, str, Path]], folder: Path, say: Say = lambda text: None) -> list[Path]:
    """Prepared examples of labelled case folders, made where missing.

    Parameters
    ----------
    cases
        Name, patient and folder (`braintumor.train.data.load_case`) of each.
    """
    from braintumor.train.data import load_case

    made = []
    for name, patient, place in cases:
        path = folder / f"{name}.npz"
        if not path.exists():
            say(f"preparing {name}")
            write_example(Example(name, patient, *load_case(place)), path)
        made.append(path)
    return made


def labels_needed(points: Sequence[Point], region: Region, target: float) -> dict[str, float | None]:
    """For each strategy the mean over seeds of the fewest labels that reach a Dice; None if a seed never does."""
    found: dict[str, float | None] = {}
    for strategy in dict.fromkeys(point.strategy for point in points):
        own = [point for point in points if point.strategy == strategy]
        first = [
            min((p.labels for p in own if p.seed == seed and (p.dice[region] or 0.0) >= target), default=None)
            for seed in {point.seed for point in own}
        ]
        reached = [count for count in first if count is not None]
        found[strategy] = sum(reached) / len(reached) if len(reached) == len(first) else None
    return found
