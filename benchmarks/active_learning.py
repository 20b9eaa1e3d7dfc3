"""Labels needed against Dice for each strategy, on real cases whose labels are handed out as the strategy asks for them.

``python -m benchmarks.active_learning -o OUT`` prints a table and writes ``OUT/active_learning.csv``. Networks start from
random weights, the held-out patients are those of one fold of model/configs/folds.json. It can be stopped at any time and
goes on where it was; strategies, seeds and rounds can be added later.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

import numpy as np

from braintumor.active_learning.select import STRATEGIES
from braintumor.active_learning.simulate import Point, SimulationPlan, labels_needed, prepare_cases, simulate
from braintumor.datasets import patient_of
from braintumor.domain import Region
from braintumor.segment.network import NetworkConfig
from braintumor.segment.weights import default_folder
from braintumor.train.splits import read_folds

ROOT = Path(__file__).resolve().parents[1]


def say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def cases_of(data: Path, fold: int, folder: Path, limit: int = 0) -> tuple[list[Path], list[Path]]:
    """Prepared examples of the patients that may be trained on, and of the held-out ones; `limit` of each, 0 for all."""
    splits = read_folds(default_folder() / "configs" / "folds.json")
    everybody = [name for names in splits.folds for name in names if (data / "brats" / name).is_dir()]
    heldout = [name for name in everybody if name in splits.held_out(fold)]
    pool = list(splits.trained(fold, everybody))
    if not heldout or not pool:
        sys.exit(f"There are no cases in {data / 'brats'}: set --data or BRAINTUMOR_DATA")
    cut = [names[: limit or None] for names in (pool, heldout)]
    made = [prepare_cases([(n, patient_of(n), data / "brats" / n) for n in names], folder, say) for names in cut]
    return made[0], made[1]


def main() -> None:
    options = _options()
    pool, heldout = cases_of(options.data, options.fold, options.examples or options.output / "examples", options.cases)
    channels = tuple(int(width) for width in options.channels.split(","))
    plan = SimulationPlan(
        strategies=tuple(options.strategies.split(",")),
        seeds=tuple(int(seed) for seed in options.seeds.split(",")),
        start=options.start,
        batch=options.batch,
        rounds=options.rounds,
        first_steps=options.first_steps,
        steps=options.steps,
        network=NetworkConfig(channels=channels, context=options.context),
    )
    points: list[Point] = []
    for point in simulate(pool, heldout, options.output / "work", plan, say):
        points.append(point)
        write(points, options.output / "active_learning.csv")
    print(f"{len(pool)} cases to ask for, {len(heldout)} held-out patients, mean Dice over {len(plan.seeds)} seed(s)")
    for region in Region:
        print(table(points, region))
    print(summary(points))


def write(points: list[Point], path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["strategy", "seed", "round", "labels", *(region.value for region in Region), "added"])
        for p in points:
            rows.writerow([p.strategy, p.seed, p.round, p.labels, *(p.dice[region] for region in Region), " ".join(p.added)])


def table(points: list[Point], region: Region) -> str:
    """Strategies down, numbers of labels across."""
    counts = sorted({point.labels for point in points})
    lines = [f"\n{region.value + ', labels':<16}" + "".join(f"{count:>8}" for count in counts)]
    for strategy in dict.fromkeys(point.strategy for point in points):
        cells = []
        for count in counts:
            own = [p.dice[region] for p in points if (p.strategy, p.labels) == (strategy, count)]
            known = [value for value in own if value is not None]
            cells.append(f"{np.mean(known):>8.3f}" if known else f"{'-':>8}")
        lines.append(f"{strategy:<16}" + "".join(cells))
    return "\n".join(lines)


def summary(points: list[Point]) -> str:
    """Labels that each strategy needs for what random reaches at its best."""
    control = [p.dice[Region.WT] or 0.0 for p in points if p.strategy == "random"]
    if not control:
        return ""
    target = min(max(p.dice[Region.WT] or 0.0 for p in points if (p.strategy, p.seed) == ("random", s)) for s in _seeds(points))
    needed = labels_needed(points, Region.WT, target)
    words = ", ".join(f"{name} {'-' if count is None else f'{count:g}'}" for name, count in needed.items())
    return f"\nlabels for WT Dice {target:.3f} (what random reaches): {words}"


def _seeds(points: list[Point]) -> set[int]:
    return {point.seed for point in points}


def _options() -> argparse.Namespace:
    plan, parser = SimulationPlan(), argparse.ArgumentParser(prog="python -m benchmarks.active_learning", description=__doc__)
    data = Path(os.environ.get("BRAINTUMOR_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("-o", "--output", type=Path, required=True, help="working folder; goes on from what is there")
    parser.add_argument("--data", type=Path, default=data, help="folder with brats/")
    parser.add_argument("--examples", type=Path, help="folder of prepared cases, to share it with benchmarks.retraining")
    parser.add_argument("--fold", type=int, default=0, help="held-out patients")
    parser.add_argument("--cases", type=int, default=0, help="use so many cases of pool and held-out patients only; 0: all")
    parser.add_argument("--strategies", default=",".join(plan.strategies), help=f"of {', '.join(STRATEGIES)}")
    parser.add_argument("--seeds", default="0")
    for name in ("start", "batch", "rounds", "first_steps", "steps"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(plan, name))
    parser.add_argument("--channels", default=",".join(str(width) for width in plan.network.channels))
    parser.add_argument("--context", type=int, default=plan.network.context)
    return parser.parse_args()


if __name__ == "__main__":
    main()
