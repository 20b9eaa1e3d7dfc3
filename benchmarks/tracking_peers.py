"""What a user would register two visits with: this project, SimpleITK's recipe, elastix and ANTs as they come."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from benchmarks.tracking_pairs import Pair
from braintumor.domain import Affine, RegistrationError
from braintumor.preprocess.grid import to_sitk
from braintumor.track.register import align_visits

_WORKER = Path(__file__).with_name("tracking_worker.py")
_toolkit: Any = sitk


@dataclass(frozen=True, eq=False)
class Found:
    """What a method made of a pair: LPS+ mm of the current visit -> of the prior, None where it gave up; and what it cost.

    `cpu_s` counts all threads. Reading the pair's file is not counted for the methods that run in a Python of their own.
    """

    matrix: Affine | None
    cpu_s: float
    wall_s: float


Method = Callable[[Pair], Found]


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


def _timed(method: Callable[[Pair], Affine]) -> Method:
    def run(pair: Pair) -> Found:
        cpu, wall = time.process_time(), time.perf_counter()
        matrix: Affine | None = None
        with suppress(RegistrationError, RuntimeError):  # counted as given up
            matrix = method(pair)
        return Found(matrix, time.process_time() - cpu, time.perf_counter() - wall)

    return run


class _Worker:
    """Another Python that has elastix or ANTs; it lives as long as the study, so that imports are not timed twice."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(_WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.names: list[str] = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a peer's Python ended; run benchmarks/tracking_worker.py by hand to see why")
        return json.loads(line)

    def run(self, name: str, pair: Pair) -> Found:
        assert self._process.stdin is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pair.npz"
            arrays: dict[str, Any] = {}
            for role, scan in (("fixed", pair.current), ("moving", pair.prior)):
                grid = scan.image.grid
                arrays |= {role: scan.image.voxels, f"{role}_spacing": np.array(grid.spacing)}
                arrays |= {f"{role}_origin": grid.origin, f"{role}_directions": grid.directions}
            np.savez(path, **arrays)
            print(f"{name} {path}", file=self._process.stdin, flush=True)
            answer = self._answer()
        matrix = np.array(answer["matrix"]) if "matrix" in answer else None
        return Found(matrix, answer["cpu_s"], answer["wall_s"])


def methods(pythons: Iterable[str], wanted: Iterable[str] = ()) -> dict[str, Method]:
    """What can be compared with here: elastix and ANTs where one of the Pythons has them. `wanted`: only these, if any."""
    found: dict[str, Method] = {
        "this project": _timed(ours),
        "SimpleITK example": _timed(simpleitk),
        "SimpleITK patient": _timed(lambda pair: simpleitk(pair, patient=True)),
    }
    for python in pythons:
        worker = _Worker(python)
        for name in worker.names:
            found[name] = lambda pair, name=name, worker=worker: worker.run(name, pair)  # type: ignore[misc]
    chosen = set(wanted) or set(found)
    return {name: method for name, method in found.items() if name in chosen}
