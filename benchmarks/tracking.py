"""Landmark error and seconds of visit-to-visit registration on phantoms with known motion.

``python -m benchmarks.tracking`` prints a small table; ``--pairs 60`` runs the whole study, ``--calibrate`` shows what the
quality figure says when the alignment is wrong or the patients differ. Peers run where they can be imported.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from braintumor.case.grid import to_sitk
from braintumor.errors import RegistrationError
from braintumor.geometry import Affine
from braintumor.labels import Region
from braintumor.nouns import Sequence
from braintumor.phantom import Layout, PhantomOptions, Visit, make, render, rigid_motion, scan_grid, truth_on
from braintumor.phantom.mr import nearest
from braintumor.track import register
from braintumor.track.register import Scan, align_visits

LANDMARKS = 500
_toolkit: Any = sitk


@dataclass(frozen=True, eq=False)
class Pair:
    """Two scans and where the landmarks (n, 3) of the first are in the second."""

    name: str
    current: Scan
    prior: Scan
    here: np.ndarray
    there: np.ndarray


def scan_of(visit: Visit, layout: Layout) -> Scan:
    """A visit's T1ce as acquired with a layout, with its true brain and tumour."""
    scene = visit.scene
    brain = nearest(scene.brain.mask, scene.brain.grid, layout.grid, layout.motion @ visit.motion)
    return Scan(render(visit, Sequence.T1CE, layout), brain, truth_on(visit, layout).region(Region.WT))


def pair_of(name: str, one: Visit, two: Visit, here: Layout, there: Layout, seed: int) -> Pair:
    """Landmarks are brain voxels at least 10 mm off the tumour of both visits: those near it are pushed by its growth."""
    current, prior = scan_of(one, here), scan_of(two, there)
    assert current.avoid is not None
    grid = current.image.grid
    far = ndimage.distance_transform_edt(~current.avoid, sampling=grid.spacing) > 10
    places = np.argwhere(current.brain & far)
    rng = np.random.default_rng(seed)
    points = grid.to_world(places[rng.choice(len(places), LANDMARKS)])
    truth = (there.motion @ two.motion) @ np.linalg.inv(here.motion @ one.motion)
    return Pair(name, current, prior, points, points @ truth[:3, :3].T + truth[:3, 3])


SPACINGS = ((3.0, 3.0, 3.0), (1.5, 1.5, 1.5), (1.0, 1.0, 5.0), (2.0, 2.0, 2.0))


def pairs(count: int, fine: bool = False) -> Iterator[Pair]:
    """Pairs over pose (to 30 mm, 30 degrees), spacing, noise, shading, growth and shrinkage."""
    seed = 0
    while True:
        rng = np.random.default_rng([seed, 99])
        detail = 1.5 if fine else 3.0
        growth, noise, bias = rng.uniform(0.4, 1.8), rng.uniform(0.01, 0.05), rng.uniform(0.05, 0.25)
        options = PhantomOptions(
            seed=seed, spacing_mm=(detail,) * 3, skull=False, visits=2, growth=growth, noise=noise, bias=bias, tumour_ml=50
        )
        first, second = make(options)
        for _ in range(6):
            if count == 0:
                return
            count -= 1
            spacing = [SPACINGS[rng.integers(4)], SPACINGS[rng.integers(4)]] if fine else [SPACINGS[0]] * 2
            shift, turn = rng.uniform(0, 30), rng.uniform(0, 30)
            here = Layout(scan_grid("axial", spacing[0], tilt_deg=tuple(rng.uniform(-8, 8, 3))))
            there = Layout(scan_grid("axial", spacing[1]), rigid_motion(rng, shift, turn))
            name = f"{seed:02d} {spacing[0]}-{spacing[1]} {shift:.0f} mm {turn:.0f} deg x{growth:.2f}"
            yield pair_of(name, second, first, here, there, seed)
        seed += 1


def ours(pair: Pair) -> Affine:
    return align_visits(pair.current, pair.prior).transform


def simpleitk(pair: Pair, *, patient: bool = False) -> Affine:
    """The recipe of SimpleITK's own registration examples: moments, Mattes mutual information, three levels.

    `patient`: with the regular-step optimiser instead, because the example's gradient descent stops early on these pairs.
    """
    fixed, moving = (to_sitk(s.image.voxels.astype(np.float32), s.image.grid) for s in (pair.current, pair.prior))
    start = _toolkit.CenteredTransformInitializer(
        fixed, moving, _toolkit.Euler3DTransform(), _toolkit.CenteredTransformInitializerFilter.MOMENTS
    )
    method = _toolkit.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, 1)  # the example's 0.01 leaves 50 voxels of 3 mm on the first level
    method.SetInterpolator(_toolkit.sitkLinear)
    if patient:
        method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 200, 0.6)
    else:
        method.SetOptimizerAsGradientDescent(1.0, 100, 1e-6, 10)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(fixed, moving)
    matrix = np.eye(4)
    corners = np.vstack([np.zeros(3), np.eye(3) * 100])
    moved = np.array([found.TransformPoint(c.tolist()) for c in corners])
    matrix[:3, :3], matrix[:3, 3] = (moved[1:] - moved[0]).T / 100, moved[0]
    return matrix


def peers() -> dict[str, Callable[[Pair], Affine]]:
    """What can be compared with here."""
    return {
        "this project": ours,
        "SimpleITK example": simpleitk,
        "SimpleITK patient": lambda pair: simpleitk(pair, patient=True),
    }


def errors(pair: Pair, matrix: Affine) -> np.ndarray:
    return np.asarray(np.linalg.norm(pair.here @ matrix[:3, :3].T + matrix[:3, 3] - pair.there, axis=1))


def study(count: int, fine: bool) -> dict[str, Any]:
    """Error of every landmark and processor seconds (all threads) of every pair, per method."""
    methods = peers()
    found: dict[str, dict[str, list[Any]]] = {name: {"errors": [], "seconds": [], "failed": []} for name in methods}
    rows = []
    for pair in pairs(count, fine):
        words = [pair.name]
        for name, method in methods.items():
            started = time.process_time()
            try:
                matrix = method(pair)
            except (RegistrationError, RuntimeError):
                found[name]["failed"].append(pair.name)
                words.append("refused")
                continue
            found[name]["seconds"].append(time.process_time() - started)
            missed = errors(pair, matrix)
            found[name]["errors"].extend(missed.tolist())
            words.append(f"{np.median(missed):.3f} mm {found[name]['seconds'][-1]:.1f} s")
        alignment = align_visits(pair.current, pair.prior)
        words.append(f"quality {alignment.quality:.3f} said {alignment.error_mm:.3f}")
        rows.append(words)
        print("  ".join(words), flush=True)
    return {
        name: {
            "median_mm": float(np.median(r["errors"])) if r["errors"] else None,
            "p95_mm": float(np.percentile(r["errors"], 95)) if r["errors"] else None,
            "seconds": float(np.median(r["seconds"])) if r["seconds"] else None,
            "failed": r["failed"],
        }
        for name, r in found.items()
    }


def calibrate(count: int) -> None:
    """Quality of true alignments, of alignments that are off, and between different patients."""
    last: Pair | None = None
    for pair in pairs(count):
        a, b = register._level(pair.current, 2.0), register._level(pair.prior, 2.0)
        matrix = ours(pair)
        off = [matrix.copy() for _ in range(3)]
        for n, mm in enumerate((3.0, 6.0, 12.0)):
            off[n][0, 3] += mm
        words = [f"{register._quality(a, b, m):.3f}" for m in (matrix, *off)]
        stranger = "-"
        if last is not None and last.name[:2] != pair.name[:2]:
            old, register.HOPELESS = register.HOPELESS, -1.0
            stranger = f"{align_visits(pair.current, last.prior).quality:.3f}"
            register.HOPELESS = old
        print(f"{pair.name}: right {words[0]}, off by 3 mm {words[1]}, 6 mm {words[2]}, 12 mm {words[3]}, other {stranger}")
        last = last if last is not None and last.name[:2] == pair.name[:2] else pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--fine", action="store_true", help="anatomy at 1.5 mm and mixed spacings, as in the clinic; slower")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.calibrate:
        calibrate(arguments.pairs)
        return
    table = study(arguments.pairs, arguments.fine)
    print(f"\n{'method':<20}{'median mm':>10}{'95 % mm':>10}{'cpu s':>10}{'failed':>8}")
    for name, row in table.items():
        cells = "".join(f"{'-' if v is None else f'{v:.3f}':>10}" for v in (row["median_mm"], row["p95_mm"], row["seconds"]))
        print(f"{name:<20}{cells}{len(row['failed']):>8}")
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
