"""Dice before and after a retraining run on real cases, the experts' masks standing for submitted corrections.

``python -m benchmarks.retraining -o OUT`` retrains the packaged model. It was trained on these very cases, so little can be
gained there; ``--base-cases 4`` first trains a model on that many of them, as a site's first model would be, and retrains that
with the others as corrections and the first ones as replay. Held-out patients are those of one fold of
model/configs/folds.json. The run is a job as the server starts it; stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.active_learning import cases_of, say
from braintumor.active_learning import RetrainJob, Source, run, write_job
from braintumor.active_learning.examples import read_identity
from braintumor.active_learning.mixture import mixture, on_disk
from braintumor.active_learning.registry import Registry
from braintumor.domain import Region
from braintumor.segment import weights
from braintumor.segment.network import NetworkConfig
from braintumor.segment.weights import default_folder
from braintumor.train.loop import TrainConfig, train

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    options = _options()
    pool, heldout = cases_of(options.data, options.fold, options.examples or options.output / "examples", options.cases)
    known = options.base_cases or options.replay
    old, new = pool[:known], pool[known:]
    shipped = base(old, options) if options.base_cases else default_folder()
    folder = options.output / "job"
    if not (folder / "job.json").exists():
        write_job(folder, job(new, old, heldout, shipped, options))
    status = run(folder)
    if status.verdict is None:
        sys.exit(json.dumps(dict(status.problem or {}), indent=2))
    print(f"{len(new)} submitted cases, {len(old)} replayed, {len(heldout)} held-out patients, {status.steps} steps\n")
    print(f"{'mean Dice':<24}" + "".join(f"{region.value:>8}" for region in Region))
    for title, row in (("before", status.verdict.before), ("after", status.verdict.after)):
        print(f"{title:<24}" + "".join(f"{_number(row[region]):>8}" for region in Region))
    print(per_case(folder))
    print(f"\n{status.verdict.reason}; now served: {Registry(options.output / 'registry', shipped).current().version}")


def base(cases: list[Path], options: argparse.Namespace) -> Path:
    """A model trained on a few cases only, made where missing."""
    target = options.output / "base" / "model"
    if weights.is_own(target):
        return target
    say(f"training the first model on {len(cases)} cases")
    settings: dict[str, Any] = {"steps": options.base_steps, "full_steps": options.base_steps // 6, "ema": 0.99}
    config = TrainConfig.from_dict({**settings, "batch": 8, "size": [128, 128], "full_batch": 4})
    network = NetworkConfig(tuple(int(width) for width in options.channels.split(",")), context=1)
    slices = [(on_disk(path, options.output / "base" / "slices"), 1.0) for path in cases]
    made = train(mixture(slices, [], 0.0), options.output / "base" / "training", config, network, _progress)
    weights.save(made, target, {"name": "first", "version": "0.1.0"})
    return target


def job(new: list[Path], old: list[Path], heldout: list[Path], shipped: Path, options: argparse.Namespace) -> RetrainJob:
    """What the server would write: labels, held-out cases, replay."""
    output = options.output.resolve()
    for kind, paths in (("heldout", heldout), ("replay", old)):
        (output / kind).mkdir(parents=True, exist_ok=True)
        for path in paths:
            link = output / kind / path.name
            if not link.exists():
                link.symlink_to(path.resolve())
    sources = tuple(Source(*read_identity(path)[:2], prepared=str(path.resolve())) for path in new)
    train_settings = {} if options.steps is None else {"steps": options.steps, "full_steps": options.steps // 5}
    places = {name: str(output / name) for name in ("registry", "heldout", "replay")}
    return RetrainJob(
        sources=sources,
        shipped=str(shipped.resolve()),
        division=str(output / "division.json"),
        share=0.0,
        replay_share=options.replay_share,
        train=train_settings,
        threads=options.threads,
        **places,
    )


def per_case(folder: Path) -> str:
    """Dice of each held-out case, before -> after."""
    first = json.loads((folder / "plan.json").read_text())["checksum"][:16]
    files = sorted(folder.glob("measured-*.json"), key=lambda path: path.stem != f"measured-{first}")
    both = [json.loads(path.read_text()) for path in files[:2]]
    lines = []
    for name, *rows in zip(both[0]["cases"], *(content["rows"] for content in both), strict=True):
        cells = (" -> ".join(_number(row[region.value]) for row in rows) for region in Region)
        lines.append(f"{name:<24}" + "  ".join(f"{region.value} {cell}" for region, cell in zip(Region, cells, strict=True)))
    return "\n" + "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _progress(facts: dict[str, Any]) -> None:
    if facts["step"] % 100 == 0:
        say("  ".join(f"{key} {value}" for key, value in facts.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retraining", description=__doc__)
    data = Path(os.environ.get("BRAINTUMOR_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("-o", "--output", type=Path, required=True, help="working folder; goes on from what is there")
    parser.add_argument("--data", type=Path, default=data, help="folder with brats/")
    parser.add_argument("--examples", type=Path, help="folder of prepared cases, to share it with benchmarks.active_learning")
    parser.add_argument("--fold", type=int, default=0, help="held-out patients")
    parser.add_argument("--cases", type=int, default=0, help="use so many cases of pool and held-out patients only; 0: all")
    parser.add_argument("--base-cases", type=int, default=0, help="train a first model on so many cases; 0: the packaged model")
    parser.add_argument("--base-steps", type=int, default=400)
    parser.add_argument("--channels", default="32,64,128,256,512", help="of the first model")
    parser.add_argument("--replay", type=int, default=4, help="old cases to replay with the packaged model")
    parser.add_argument("--replay-share", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=None, help="training steps; the retraining's own default without")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
