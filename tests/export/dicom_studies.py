"""Small DICOM studies in every awkward form, a mask and measurements for them, and the standard's own checker."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from braintumor import study as study_stage
from braintumor.domain import (
    LABELS,
    Author,
    Diameters,
    Grid,
    Image,
    Lesion,
    Measurements,
    MRSequence,
    Patient,
    RegionMeasurement,
    Segmentation,
    Side,
    Study,
)
from braintumor.phantom.dicom import Awkward, study_header, write_series

CREATED = datetime(2024, 6, 1, 12, 34, 56)
MODEL = Author("model", "attention-u-net", "0.1", "ab" * 32, "openvino-bf16")
SHAPE = (48, 40, 24)


def _turned(*signs: float, spacing: tuple[float, float, float] = (1.5, 1.2, 3.0)) -> Grid:
    """A doubly oblique grid; `signs` reverse axes."""
    a, b = 0.3, 0.2
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag(spacing) @ np.diag(signs)
    affine[:3, 3] = [-30.123, 40.5, 10.7]
    return Grid(SHAPE, affine)


STRAIGHT = Grid(SHAPE, np.array([[1.5, 0, 0, -30], [0, 1.2, 0, -40], [0, 0, 3.0, 10], [0, 0, 0, 1]]))
OBLIQUE = _turned(1, 1, 1)
NEGATED = _turned(-1, 1, -1)  # row cosines and stacking reversed
NEGATED_COLUMNS = _turned(1, -1, -1)
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


@dataclass(frozen=True)
class Variant:
    grid: Grid = STRAIGHT
    awkward: Awkward = field(default_factory=Awkward)
    character_set: str = "ISO_IR 192"
    name: str = "Müller^Jörg"


VARIANTS = {
    "straight": Variant(),
    "oblique-latin-1": Variant(OBLIQUE, character_set="ISO_IR 100"),
    "negated-japanese": Variant(NEGATED, character_set="\\ISO 2022 IR 87", name=JAPANESE),
    "negated-columns-utf-8": Variant(NEGATED_COLUMNS, name=JAPANESE),
    "multiframe": Variant(OBLIQUE, Awkward(multiframe=True)),
    "jpeg-2000": Variant(NEGATED, Awkward(transfer_syntax=JPEG2000Lossless)),
    "jpeg-ls-multiframe": Variant(NEGATED, Awkward(transfer_syntax=JPEGLSLossless, multiframe=True)),
    "rle": Variant(awkward=Awkward(transfer_syntax=RLELossless)),
    "per-slice-rescale": Variant(awkward=Awkward(per_slice_rescale=True, shuffle=True)),
}


def write_study(folder: Path, variant: Variant) -> Study:
    """Two series, T1ce and FLAIR, written to `folder` and read back through the front door."""
    patient = Patient("P-1", variant.name, "19700101", "F")
    header = replace(study_header(folder.name, patient, date(2024, 5, 6)), character_set=variant.character_set)
    voxels = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 997).astype(np.float32)
    for number, sequence in enumerate((MRSequence.T1CE, MRSequence.FLAIR), 1):
        image = Image(voxels, variant.grid)
        write_series(image, folder / sequence.value, header, sequence, series_number=number, awkward=variant.awkward)
    return study_stage.read_study(folder)


def a_mask(grid: Grid, author: Author = MODEL, values: tuple[int, ...] = (1, 2, 4)) -> Segmentation:
    """An asymmetric tumour, so that a flip or a shift shows; without the labels not in `values`."""
    mask = np.zeros(grid.shape, np.uint8)
    mask[8:25, 5:17, 3:15] = 2
    mask[12:24, 7:13, 5:12] = 1
    mask[13:20, 8:12, 6:9] = 4
    mask[40, 33, 21] = 4
    mask[~np.isin(mask, values)] = 0
    return Segmentation(mask, grid, author)


DIAMETERS = Diameters(20.1234567, 10.5, 211.29630, 3, ((0, 0, 0), (1, 1, 1)), ((0, 0, 0), (1, 1, 1)))


def a_region(name: str, side: Side | None = Side.LEFT, lobe: tuple[str, float] | None = None) -> RegionMeasurement:
    if side is None:
        return RegionMeasurement(name, 0.0, 0.0, None, None, None, None, None, np.zeros(SHAPE[2]))
    return RegionMeasurement(name, 12.3456789, 12.5, 25.25, DIAMETERS, (1.0, 2.0, 3.0), side, lobe, np.zeros(SHAPE[2]))


def some_measurements() -> Measurements:
    regions = [
        a_region("WT", Side.LEFT, ("frontal", 0.8)),
        a_region("TC", Side.BOTH, ("deep", 0.6)),
        a_region("ET", Side.MIDLINE),
        a_region("ED", Side.RIGHT, ("insula", 0.5)),
        a_region("NCR", None),
    ]
    lesion = Lesion(1, "2.25.12345", "lesion-1", {"WT": 11.5, "TC": 3.0, "ET": 1.0}, (1.0, 2.0, 3.0), Side.LEFT, DIAMETERS)
    return Measurements({r.name: r for r in regions}, (lesion,), 1400.5, 3.0)


def iod_errors(path: Path) -> list[str]:
    """Error lines of dciodvfy, the checker of the standard's maker."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


SEGMENT_NUMBERS = [label.segment for label in LABELS]
