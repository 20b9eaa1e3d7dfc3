"""Dice of cross-validated networks on degraded input and on every choice of sequences.

``python -m benchmarks.robustness CV DATA`` reads the models that ``braintumor train --fold all -o CV`` left and gives each
patient to the network that never saw it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from braintumor.domain import Case, EmptyPolicy, MRSequence, Region, Segmentation, region_dice
from braintumor.evaluate import perturb
from braintumor.segment import Engine, load_engine, segment_case
from braintumor.segment.weights import read_metadata
from braintumor.train.data import load_case

Change = Callable[[Case], Case]

CHANGES: dict[str, Change] = {
    "as scanned": lambda case: case,
    "left-right flip": perturb.mirrored,
    **{f"noise {s}": lambda case, s=s: perturb.noise(case, s) for s in (0.1, 0.3)},
    **{f"bias field +-{s:.0%}": lambda case, s=s: perturb.bias_field(case, s) for s in (0.2, 0.4)},
    **{f"contrast gamma {g}": lambda case, g=g: perturb.contrast(case, g) for g in (0.7, 1.4)},
    **{f"slices of {n} mm": lambda case, n=n: perturb.thick_slices(case, n) for n in (2, 3, 4, 5)},
    **{f"FLAIR shifted {m} mm": lambda case, m=m: perturb.misregistered(case, m) for m in (1, 2)},
}

CHOICES = [chosen for count in range(len(MRSequence), 0, -1) for chosen in combinations(MRSequence, count)]
"""The 15 non-empty choices of four sequences."""


def _changes() -> dict[str, Change]:
    changes = dict(CHANGES)
    for chosen in CHOICES[1:]:
        missing = tuple(s for s in MRSequence if s not in chosen)
        changes["only " + " ".join(s.title for s in chosen)] = lambda case, missing=missing: perturb.without(case, *missing)
    return changes


def _scores(case: Case, truth: Segmentation, change: Change, engine: Engine) -> list[float]:
    found = segment_case(change(case), engine)
    if change is perturb.mirrored:
        found = replace(found, mask=found.mask[::-1], uncertainty=None)
    values = region_dice(found.mask, truth.mask, EmptyPolicy.EXCLUDE).values()
    return [np.nan if value is None else value for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="folder that `braintumor train --fold` wrote, with fold-N/model")
    parser.add_argument("data", type=Path, help="folder of case folders, e.g. DATA/brats")
    parser.add_argument("--json", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    changes = _changes()
    rows: dict[str, list[list[float]]] = {name: [] for name in changes}
    for model in sorted(arguments.runs.glob("fold-*/model")):
        heldout = read_metadata(model)["heldout"]
        engine = load_engine("auto", model)
        for name in heldout:
            case, truth = load_case(arguments.data / name)
            for label, change in changes.items():
                rows[label].append(_scores(case, truth, change, engine))
            print(f"... {name}", flush=True)
    table: dict[str, npt.NDArray[np.float64]] = {name: np.nanmean(np.array(values), axis=0) for name, values in rows.items()}
    base = table["as scanned"]
    print(f"\n{'input':<26}" + "".join(f"{region.value:>8}" for region in Region) + "   change of WT, in points")
    for name, values in table.items():
        print(f"{name:<26}" + "".join(f"{v:>8.3f}" for v in values) + f"{100 * (values[0] - base[0]):>+10.1f}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({name: [round(float(v), 4) for v in row] for name, row in table.items()}, indent=2)
        )


if __name__ == "__main__":
    main()
