"""Where test data comes from: the real cases if they are there, and small volumes made on the spot."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from braintumor.domain import Grid, Image

ROOT = Path(__file__).resolve().parents[1]
RELEASE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]["fallback-version"]
"""The release that recipes and documents name; tests/test_release.py holds them to it."""


def real_data(*parts):
    """A place in the real data (BRAINTUMOR_DATA, else ../shared/data beside the project), or skip the test."""
    root = Path(os.environ.get("BRAINTUMOR_DATA") or ROOT.parent / "shared" / "data")
    place = root.joinpath(*parts)
    if not place.exists():
        pytest.skip(f"no real data at {place}: set BRAINTUMOR_DATA to the folder that holds it")
    return place


def tilted_grid(shape=(40, 36, 5), spacing=(1.5, 2.0, 4.0), turn_deg=(10.0, 20.0, 30.0), reverse=False):
    """An oblique, anisotropic grid off the origin; `reverse` runs its slices against the right-handed normal."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() * spacing
    if reverse:
        affine[:3, 2] *= -1
    affine[:3, 3] = (-33.3, 44.4, 12.3)
    return Grid(shape, affine)


def counting_image(grid, high=900, seed=0):
    """Integer voxels that differ from neighbour to neighbour, so that any swap of axes or slices shows."""
    rng = np.random.default_rng(seed)
    return Image(rng.integers(0, high, grid.shape).astype(np.float32), grid)


def dciodvfy(path):
    """What the standard's checker calls an error in a DICOM file; skips where the tool is absent."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]
