"""Registers pairs with elastix or ANTs in whatever Python has them; imports nothing of this project.

``PYTHON tracking_worker.py`` reads lines ``NAME PATH.npz`` and answers each with one line of JSON; the first line it writes is
the list of names it knows.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.util import find_spec
from typing import Any

import numpy as np

_OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the libraries print goes to the error stream
_PROBES = np.vstack([np.zeros(3), np.eye(3) * 100.0])


def _matrix(moved: Any) -> list[list[float]]:
    """4x4 from where the probes go, LPS+ mm of fixed -> moving."""
    matrix = np.eye(4)
    moved = np.asarray(moved, float)
    matrix[:3, :3], matrix[:3, 3] = (moved[1:] - moved[0]).T / 100.0, moved[0]
    return [[float(v) for v in row] for row in matrix]


def elastix(pair: Any) -> list[list[float]]:
    """itk-elastix with its default rigid parameter map, which aligns the centres of the fields of view first."""
    import itk

    def image(name: str) -> Any:
        made = itk.image_from_array(np.ascontiguousarray(pair[name].T.astype(np.float32)))
        made.SetSpacing([float(v) for v in pair[name + "_spacing"]])
        made.SetOrigin([float(v) for v in pair[name + "_origin"]])
        made.SetDirection(itk.matrix_from_array(np.ascontiguousarray(pair[name + "_directions"])))
        return made

    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(parameters.GetDefaultParameterMap("rigid"))
    _, found = itk.elastix_registration_method(image("fixed"), image("moving"), parameters, log_to_console=False)
    table = found.GetParameterMap(0)
    x, y, z, *shift = (float(v) for v in table["TransformParameters"])
    centre = np.array([float(v) for v in table["CenterOfRotationPoint"]])

    def about(axis: int, angle: float) -> Any:
        turn, (a, b) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[b, a], turn[a, b] = np.sin(angle), -np.sin(angle)
        return turn

    if table["ComputeZYX"][0] == "true":
        turn = about(2, z) @ about(1, y) @ about(0, x)
    else:
        turn = about(2, z) @ about(0, x) @ about(1, y)
    return _matrix((_PROBES - centre) @ turn.T + centre + shift)


def ants(pair: Any) -> list[list[float]]:
    """``ants.registration(type_of_transform="Rigid")``, its other settings as they are."""
    import ants as toolkit

    def image(name: str) -> Any:
        return toolkit.from_numpy(
            pair[name].astype(np.float32),
            origin=pair[name + "_origin"].tolist(),
            spacing=pair[name + "_spacing"].tolist(),
            direction=pair[name + "_directions"],
        )

    found = toolkit.registration(image("fixed"), image("moving"), type_of_transform="Rigid")
    transform = toolkit.read_transform(found["fwdtransforms"][0])
    return _matrix([transform.apply_to_point(p.tolist()) for p in _PROBES])


METHODS = {"elastix": ("itk", elastix), "ANTs": ("ants", ants)}


def _warm(name: str) -> None:
    """What is loaded on first use, which a user waits for once."""
    rng = np.random.default_rng(0)
    pair: dict[str, Any] = {}
    for role in ("fixed", "moving"):
        pair |= {role: rng.random((32, 32, 32)) + np.hanning(32), f"{role}_spacing": np.ones(3)}
        pair |= {f"{role}_origin": np.zeros(3), f"{role}_directions": np.eye(3)}
    METHODS[name][1](pair)


def main() -> None:
    known = {name: method for name, (module, method) in METHODS.items() if find_spec(module)}
    for name in known:
        _warm(name)
    print(json.dumps(list(known)), file=_OUT, flush=True)
    for line in sys.stdin:
        name, path = line.rstrip("\n").split(" ", 1)
        with np.load(path) as file:
            pair = dict(file)
        answer: dict[str, Any] = {}
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            answer["matrix"] = known[name](pair)
        except RuntimeError as error:
            answer["failed"] = str(error)[:200]
        answer |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        print(json.dumps(answer), file=_OUT, flush=True)


if __name__ == "__main__":
    main()
