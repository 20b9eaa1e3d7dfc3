"""One small visit made by hand: an ellipsoid of a brain with a three-shelled tumour in its left half."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from braintumor.domain import (
    Alignment,
    Author,
    Case,
    Evidence,
    Flag,
    Grid,
    Image,
    Instance,
    Measurements,
    MRSequence,
    Patient,
    Region,
    Segmentation,
    Series,
    Severity,
    Study,
)
from braintumor.measure import measure_case
from braintumor.report import provenance_of

AUTHOR = Author("model", "attention-unet", "1.2.3", "ab" * 32, "pytorch")
UNCERTAIN = Flag("uncertain-outline", Severity.WARNING, "A part of the outline is uncertain.")
POOR = Flag("poor-registration", Severity.SERIOUS, "FLAIR agrees poorly with T1ce.")


@dataclass(frozen=True, eq=False)
class Stages:
    """What the stages would hand to the report."""

    study: Study
    case: Case
    segmentation: Segmentation
    measurements: Measurements

    @property
    def facts(self):
        return provenance_of(self.study, self.segmentation, datetime(2026, 1, 2, 3, 4, 5))

    def __iter__(self):
        return iter((self.study, self.case, self.segmentation, self.measurements))


def ball(grid, centre_mm, radii_mm):
    """Bool: voxels inside an ellipsoid."""
    points = grid.to_world(np.stack(np.indices(grid.shape), axis=-1))
    return (((points - np.asarray(centre_mm)) / np.asarray(radii_mm)) ** 2).sum(axis=-1) <= 1


def make_stages(spacing=(3.0, 3.0, 3.0), drop=(), rigid=(), empty=False, kind="nifti", patient=None, direction=(1, 1, 1)):
    """`direction` runs an axis the other way round: the anatomy stays where it is."""
    extent = np.array([150.0, 180.0, 150.0])
    shape = np.round(extent / spacing).astype(int)
    signs = np.array(direction)
    affine = np.diag([*(np.array(spacing) * signs), 1.0])
    affine[:3, 3] = -(shape - 1) / 2 * spacing * signs
    grid = Grid(tuple(shape), affine)
    brain = ball(grid, (0, 0, 0), (65, 80, 62))
    mask = np.zeros(grid.shape, np.uint8)
    if not empty:
        for value, radii in ((2, (24, 30, 20)), (4, (15, 18, 14)), (1, (7, 8, 7))):
            mask[ball(grid, (30, 10, 5), radii)] = value
    rng = np.random.default_rng(3)
    images = {
        s: np.where(brain, 100 + 10 * n + 40 * (mask > 0) + rng.normal(0, 5, grid.shape), 0).astype(np.float32)
        for n, s in enumerate(MRSequence)
        if s not in drop
    }
    reference = MRSequence.T1CE if MRSequence.T1CE in images else next(iter(images))
    alignment = {s: Alignment(np.eye(4), "same-grid", 1.25) for s in images}
    alignment |= {s: Alignment(np.eye(4), "rigid", 1.123, 3.4, 1.7) for s in rigid}
    alignment[reference] = Alignment(np.eye(4), "reference", None)
    channels = np.stack([images.get(s, np.zeros(grid.shape, np.float32)) for s in MRSequence])
    case = Case("case-7", grid, channels, images, brain, tuple(images), alignment, ("N4 skipped: no skull",), (UNCERTAIN,))
    doubt = np.where(brain, 0.05, 0).astype(np.float16)
    doubt[ball(grid, (30, 10, 5), (26, 32, 22)) & (mask != 1)] = 0.6
    confidence = {} if empty else dict.fromkeys(Region, 0.9)
    segmentation = Segmentation(mask, grid, AUTHOR, doubt, confidence, (UNCERTAIN, POOR))
    series = {
        s: Series(
            f"series-{s}",
            Image(voxels, grid),
            (Instance(f"{s}.nii.gz", f"{n:064x}", Path(f"{s}.nii.gz")),),
            (1,) * grid.shape[2],
            {},
            Evidence(s, 1.0, ("file name",)),
        )
        for n, (s, voxels) in enumerate(images.items())
    }
    when = date(2024, 1, 15) if kind == "dicom" else None
    study = Study("case-7", kind, patient or Patient(), when, series)
    return Stages(study, case, segmentation, measure_case(segmentation, brain, case_id="case-7"))


@pytest.fixture(scope="session")
def stages():
    """All four sequences on one grid, as NIfTI."""
    return make_stages()


@pytest.fixture(scope="session")
def moved_stages():
    """A DICOM study without T2 whose FLAIR was registered."""
    return make_stages(
        drop=(MRSequence.T2,), rigid=(MRSequence.FLAIR,), kind="dicom", patient=Patient("PID-42", "Doe^Jane", "19610217", "F")
    )


@pytest.fixture(scope="session")
def healthy_stages():
    """No tumour at all."""
    return make_stages(empty=True)


@pytest.fixture
def make():
    """The maker itself, for variants."""
    return make_stages


@pytest.fixture
def by_hand(stages):
    """The visit with a mask drawn by a person."""
    return Stages(
        stages.study, stages.case, replace(stages.segmentation, author=Author("human", "reader 1")), stages.measurements
    )
