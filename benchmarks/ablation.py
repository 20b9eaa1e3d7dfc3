"""What each part of the recipe is worth: every variant trained on the same folds for the same number of steps.

``python -m benchmarks.ablation DATA -o OUT`` takes model/configs/train.json, changes one thing at a time, and prints mean Dice
over all held-out patients. It can be stopped at any time and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from braintumor.domain import EmptyPolicy, Region, region_dice
from braintumor.segment import SegmentOptions, load_engine, segment_case
from braintumor.segment.weights import default_folder
from braintumor.train import run
from braintumor.train.data import load_case

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "as published": {},
    "no attention": {"network": {"attention": False, "cbam": False}},
    "no CBAM": {"network": {"cbam": False}},
    "TopK 30 %": {"loss": {"hardest": 0.3}},
    "modulated Dice": {"loss": {"modulation": 0.5}},
    "no augmentation": {"augment": {"geometry": 0.0, "intensity": 0.0, "drop_sequence": 0.0, "misalign": 0.0}},
    "2D": {"network": {"context": 0}},
    "no deep supervision": {"network": {"deep_supervision": False}},
    "no partial labels": {"run": {"partial": ""}},
    "volumes only": {"run": {"slices": "", "partial": ""}},
}


def configuration(base: dict[str, Any], variant: str, steps: int) -> dict[str, Any]:
    """The published configuration with one thing changed and its schedule scaled to `steps`."""
    change = VARIANTS[variant]
    train = dict(base["train"])
    scale = steps / train["steps"]
    # Runs this short do not earn back the two minutes that compiling takes.
    train |= {"steps": steps, "full_steps": round(train["full_steps"] * scale), "compile": False}
    for part in ("loss", "augment"):
        train[part] = {**train.get(part, {}), **change.get(part, {})}
    network = {**base["network"], **change.get("network", {})}
    return {**base, **change.get("run", {}), "train": train, "network": network, "facts": {"name": variant, "version": "0"}}


def main() -> None:
    options = _options()
    published = default_folder() / "configs"
    base = json.loads((published / "train.json").read_text())
    base["folds"] = str((published / base["folds"]).resolve())
    folds = [int(fold) for fold in options.folds.split(",")]
    variants = options.only.split(",") if options.only else list(VARIANTS)
    print(f"{'variant':<20}" + "".join(f"{region.value:>8}" for region in Region), flush=True)
    for variant in variants:
        folder = options.output / variant.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "train.json"
        path.write_text(json.dumps(configuration(base, variant, options.steps), indent=2))
        lines = list(run.run_folds(path, options.data, folder, folds, _progress))
        print(f"{variant:<20}{lines[-1][28:]}", flush=True)
        if variant == "as published":
            print(f"{'with TTA':<20}{_with_tta(path, options.data, folder, folds)}", flush=True)


def _with_tta(path: Path, data: Path, folder: Path, folds: list[int]) -> str:
    config, rows = run.read_config(path), []
    for number in folds:
        engine = load_engine("auto", folder / f"fold-{number}" / "model")
        assert config.splits is not None  # model/configs/train.json names its folds
        for name in config.splits.folds[number]:
            case, truth = load_case(data / config.volumes / name)
            found = segment_case(case, engine, SegmentOptions(tta=True))
            rows.append(list(region_dice(found.mask, truth.mask, EmptyPolicy.EXCLUDE).values()))
    means = [np.mean([row[n] for row in rows if row[n] is not None] or [np.nan]) for n in range(len(Region))]
    return "".join(f"{mean:>8.3f}" for mean in means)


def _progress(facts: dict[str, Any]) -> None:
    if facts["step"] % 100 == 0:
        print("  ".join(f"{key} {value}" for key, value in facts.items()), file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that the paths of model/configs/train.json start from")
    parser.add_argument("-o", "--output", type=Path, required=True, help="working folder; goes on from what is there")
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps of every run")
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(VARIANTS)}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
