"""Dice won per click by ways to correct a mask, on real cases: ``python -m benchmarks.refinement``.

An annotator is played: the click goes to the middle of the largest part where mask and expert differ, with the expert's label.
Masks are the network's own on patients that it never saw, and expert masks that were spoilt: a lobe missing, a spill, a part
under a wrong label. Every way gets the same cases, chooses its own next click by what it left wrong, and is timed by the
processor's clock on one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import random_walker

from braintumor.domain import LABELS, OEDEMA, Case, EmptyPolicy, bounding_box, region_dice
from braintumor.refine import Hint, refine
from braintumor.refine.evidence import Box
from braintumor.refine.grow import geodesic, reach_mm, smoothed
from braintumor.segment import decide, load_engine, probabilities
from braintumor.segment.engines import Probabilities
from braintumor.segment.weights import default_folder, read_metadata
from braintumor.train.data import load_case

ROOT = Path(__file__).resolve().parents[1]
CLICKS = 5
SHOWN = (1, 3, 5)
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Scene:
    """A case with what the network said and the expert drew, cut to the tumour's surroundings."""

    case: Case
    truth: Mask
    start: Mask
    found: Probabilities


Way = Callable[[Scene, Mask, list[Hint]], Mask]


def brush(scene: Scene, mask: Mask, hints: list[Hint]) -> Mask:
    """A ball of 5 mm: one stamp of the brush."""
    painted, (box, away) = mask.copy(), _ball(scene, hints[-1], 5.0)
    painted[box][away <= 5.0] = hints[-1].label
    return painted


def walker(scene: Scene, mask: Mask, hints: list[Hint]) -> Mask:
    """scikit-image's random walker: clicks and everything beyond 10 mm are seeds, what lies between is asked."""
    painted, (box, away) = mask.copy(), _ball(scene, hints[-1], 20.0)
    seeds = np.where(away > 10.0, mask[box].astype(int) + 1, 0)
    seeds[away <= 1.5] = hints[-1].label + 1
    for hint in hints:
        place = tuple(n - s.start for n, s in zip(hint.ijk, box, strict=True))
        if all(0 <= n < size for n, size in zip(place, seeds.shape, strict=True)):
            seeds[place] = hint.label + 1
    names = np.unique(seeds[seeds > 0])
    if len(names) > 1:
        numbered = np.searchsorted(names, seeds) + 1
        numbered[seeds == 0] = 0
        data = np.moveaxis(scene.case.channels[(slice(None), *box)], 0, -1)
        painted[box] = names[random_walker(data, numbered, mode="cg_j", tol=1e-2, channel_axis=-1) - 1] - 1
    return painted


def geodesic_only(scene: Scene, mask: Mask, hints: list[Hint]) -> Mask:
    """Everything within the geodesic reach of the click gets its label, without a random walk at the border."""
    hint, spacing = hints[-1], scene.case.grid.spacing
    painted, (box, away) = mask.copy(), _ball(scene, hint, 25.0)
    has = mask[box] == hint.label
    reach = reach_mm(float(away[has].min()) if has.any() and away[has].min() <= 22.0 else None)
    features = smoothed(scene.case.channels[(slice(None), *box)], spacing)
    marked = np.array([[n - s.start for n, s in zip(hint.ijk, box, strict=True)]])
    painted[box][geodesic(features, None, marked, spacing, ~scene.case.brain[box], 25.0) <= reach] = hint.label
    return painted


def ours(scene: Scene, mask: Mask, hints: list[Hint]) -> Mask:
    """`braintumor.refine.refine`, given all clicks so far."""
    return refine(scene.case, scene.case.grid, mask, scene.found, hints).on(mask)


WAYS: dict[str, Way] = {"brush 5 mm": brush, "random walker": walker, "geodesic": geodesic_only, "refine (both)": ours}


def _ball(scene: Scene, hint: Hint, radius: float) -> tuple[Box, npt.NDArray[np.float64]]:
    """The box of a ball, and each voxel's distance in mm from its middle."""
    sides, squares = [], []
    for axis, (n, size, spacing) in enumerate(zip(hint.ijk, scene.truth.shape, scene.case.grid.spacing, strict=True)):
        reach = int(np.ceil(radius / spacing))
        side = slice(max(0, n - reach), min(size, n + reach + 1))
        sides.append(side)
        squares.append(
            ((np.arange(side.start, side.stop) - n) * spacing).reshape([-1 if a == axis else 1 for a in range(3)]) ** 2
        )
    return (sides[0], sides[1], sides[2]), np.sqrt(squares[0] + squares[1] + squares[2])


def next_click(mask: Mask, truth: Mask, used: set[Hint]) -> Hint | None:
    """The middle of the largest connected error of one label that was not clicked yet."""
    best, chosen = 0, None
    for label in (0, *(row.value for row in LABELS)):
        parts, count = ndimage.label((truth == label) & (mask != label))
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        for number in np.argsort(sizes)[::-1][:3]:
            if sizes[number] <= best:
                break
            box = ndimage.find_objects(parts, max_label=number + 1)[number]
            depth = ndimage.distance_transform_edt(np.pad(parts[box] == number + 1, 1))[1:-1, 1:-1, 1:-1]
            i, j, k = (int(n + s.start) for n, s in zip(np.unravel_index(depth.argmax(), depth.shape), box, strict=True))
            if Hint((i, j, k), label) not in used:
                best, chosen = int(sizes[number]), Hint((i, j, k), label)
    return chosen


def spoilt(truth: Mask, kind: str, brain: npt.NDArray[np.bool_], seed: int) -> Mask:
    """An expert mask with one fault of 8 to 14 mm with an uneven border."""
    rng = np.random.default_rng(seed)
    mask = truth.copy()
    rim = ndimage.binary_dilation(truth > 0, iterations=2) & (truth == 0) & brain
    places = np.argwhere(rim if kind == "spill" else truth > 0)
    centre, radius = places[rng.integers(len(places))], rng.uniform(8, 14)
    away = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.ogrid[tuple(slice(n) for n in truth.shape)], centre, strict=True)))
    fault = away + 60 * ndimage.gaussian_filter(rng.normal(0, 1, truth.shape), 4) < radius
    old = int(truth[tuple(centre)])
    others = [row.value for row in LABELS if row.value != old]
    if kind == "missing":
        mask[fault] = 0
    elif kind == "spill":
        mask[fault & (truth == 0) & brain] = OEDEMA.value
    else:
        mask[fault & (truth == old)] = others[rng.integers(len(others))]
    return mask


def scenes(data: Path, names: list[str], model: Path) -> dict[str, list[Scene]]:
    """Per kind of fault one scene per case."""
    kinds: dict[str, list[Scene]] = {"network's own": [], "missing": [], "spill": [], "wrong label": []}
    engine = load_engine("auto", model)
    for seed, name in enumerate(names):
        case, expert = load_case(data / name)
        found = probabilities(case, engine)
        own = decide(case, found, engine).mask
        box = bounding_box((own > 0) | (expert.mask > 0), margin=28)
        cut = Case(name, case.grid.cropped(box), np.ascontiguousarray(case.channels[(slice(None), *box)]), {},
                   case.brain[box], case.present, {})  # fmt: skip
        full = np.zeros((len(found.values), *case.grid.shape), np.float32)
        full[0] = 1.0
        full[(slice(None), *found.box)] = found.values
        said = Probabilities(np.ascontiguousarray(full[(slice(None), *box)]), bounding_box(np.ones(cut.grid.shape, bool)))
        truth = np.ascontiguousarray(expert.mask[box])
        kinds["network's own"].append(Scene(cut, truth, np.ascontiguousarray(own[box]), said))
        for kind in ("missing", "spill", "wrong label"):
            kinds[kind].append(Scene(cut, truth, spoilt(truth, kind, cut.brain, seed + 10), said))
        print(f"... {name}", flush=True)
    return kinds


@dataclass(eq=False)
class Row:
    """Figures of one way on one kind of fault."""

    dice: list[list[float]] = field(default_factory=list)
    errors: list[list[float]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def text(self) -> str:
        dice = np.nanmean(np.array(self.dice), axis=0)
        left = np.array(self.errors)
        gone = 100 * (1 - left / left[:, :1]).mean(axis=0)
        figures = "".join(f"{gone[n]:>8.1f}" for n in SHOWN)
        gain = 100 * (dice[-1] - dice[0]) / CLICKS
        times = f"{np.median(self.milliseconds):>8.0f}{max(self.milliseconds):>7.0f}"
        return f"{figures}{dice[0]:>9.3f}{dice[-1]:>8.3f}{gain:>8.2f}{times}"


def played(scene: Scene, way: Way, row: Row) -> None:
    """`CLICKS` clicks on one scene."""
    mask, hints = scene.start, list[Hint]()
    dice, errors = [_dice(mask, scene.truth)], [float(np.count_nonzero(mask != scene.truth))]
    for _ in range(CLICKS):
        hint = next_click(mask, scene.truth, set(hints))
        if hint is not None:
            hints.append(hint)
            started = time.process_time()
            mask = way(scene, mask, hints)
            row.milliseconds.append(1000 * (time.process_time() - started))
        dice.append(_dice(mask, scene.truth))
        errors.append(float(np.count_nonzero(mask != scene.truth)))
    row.dice.append(dice)
    row.errors.append(errors)


def _dice(mask: Mask, truth: Mask) -> float:
    """Mean over the regions that the expert marked."""
    values = region_dice(mask, truth, EmptyPolicy.EXCLUDE).values()
    return float(np.mean([value for value in values if value is not None]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refinement", description=__doc__)
    data = Path(os.environ.get("BRAINTUMOR_DATA") or ROOT.parent / "shared" / "data") / "brats"
    parser.add_argument("--data", type=Path, default=data, help="folder of case folders")
    parser.add_argument("--model", type=Path, default=default_folder())
    parser.add_argument("--cases", nargs="*", help="names; without it those that the model records as held out")
    options = parser.parse_args()
    names = options.cases or read_metadata(options.model)["heldout"]
    print(f"{'mask':<15}{'way':<15}{'wrong voxels gone, % after clicks':>24}")
    heading = "".join(f"{n:>8}" for n in SHOWN)
    for kind, group in scenes(options.data, names, options.model).items():
        print(f"\n{kind:<15}{'':<15}{heading}{'Dice':>9}{'after':>8}{'/click':>8}{'ms':>8}{'max':>7}")
        for name, way in WAYS.items():
            row = Row()
            for scene in group:
                played(scene, way, row)
            print(f"{'':<15}{name:<15}{row.text()}", flush=True)


if __name__ == "__main__":
    main()
