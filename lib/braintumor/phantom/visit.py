"""Makes phantom visits, and writes them as BraTS-style NIfTI or as DICOM series with grids and motion of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from braintumor.domain import (
    LABELS,
    LPS_FROM_RAS,
    Affine,
    Author,
    AuthorKind,
    BrainTumorError,
    Image,
    MRSequence,
    OutputError,
    Patient,
    Region,
    Segmentation,
    region_mask,
)
from braintumor.phantom.anatomy import field_of_view, person, white_matter_seeds
from braintumor.phantom.contrast import CONTRASTS
from braintumor.phantom.dicom import SERIES_NUMBERS, Awkward, StudyHeader, study_header, write_series
from braintumor.phantom.head import around
from braintumor.phantom.layout import Layout, rigid_motion
from braintumor.phantom.mr import PhantomScene, acquire, degrade, nearest, signal
from braintumor.phantom.tumour import TumourPlan, grow

FIRST_VISIT = date(2024, 1, 15)
LARGEST_ML = 250.0
AUTHOR = Author(kind=AuthorKind.HUMAN, name="phantom truth")


@dataclass(frozen=True)
class PhantomOptions:
    """What to make.

    Attributes
    ----------
    seed
        Decides person, tumour, motion, bias and noise; the same anatomy at any spacing.
    spacing_mm
        Of the visits' common grid, along L, P, S.
    skull
        With a head around the brain; else 0 outside the brain.
    visits, growth, interval_days
        Number of visits, factor of the tumour's volume from one to the next, days between them.
    shift_mm, turn_deg
        Length of the head's translation and angle of its rotation at every visit after the first.
    noise
        Rician sigma, as a share of the signal of white matter.
    bias
        Standard deviation of the logarithm of the coil's bias field.
    tumour_ml
        Whole tumour at the first visit; 0 for a healthy brain.
    foci
        Number of tumours.

    Raises
    ------
    BrainTumorError
        If a value is out of range.
    """

    seed: int = 0
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    skull: bool = True
    visits: int = 1
    growth: float = 1.3
    interval_days: int = 90
    shift_mm: float = 0.0
    turn_deg: float = 0.0
    noise: float = 0.025
    bias: float = 0.12
    tumour_ml: float = 60.0
    foci: int = 1

    def __post_init__(self) -> None:
        largest = self.tumour_ml * max(1.0, self.growth ** (self.visits - 1))
        for sound, problem, remedy in (
            (min(self.spacing_mm) >= 0.5 and max(self.spacing_mm) <= 12, "the spacing is out of range", "use 0.5 to 12 mm"),
            (self.visits >= 1, "a phantom needs a visit", "ask for one visit or more"),
            (1 <= self.foci <= 4, "the number of foci is out of range", "use 1 to 4"),
            (self.growth > 0, "the growth factor is not positive", "use a factor such as 1.3"),
            (
                self.tumour_ml >= 0 and largest <= LARGEST_ML,
                f"the tumour would measure {largest:.0f} mL, more than a head can hold or less than nothing",
                f"use fewer visits, a smaller growth or a smaller tumour, at most {LARGEST_ML:.0f} mL in the end",
            ),
        ):
            if not sound:
                raise BrainTumorError(problem, remedy=remedy)


@dataclass(frozen=True, eq=False)
class PhantomVisit:
    """One visit of a phantom patient, with everything that is true about it.

    Attributes
    ----------
    images
        The four sequences on one grid; float32 with integer values.
    truth
        The tumour on the same grid.
    brain
        bool (i, j, k), on the same grid.
    motion
        4x4 rigid: LPS+ mm of a point of the head at the first visit -> at this visit.
    volumes_ml
        Voxels of `truth` times voxel volume; keys NCR, ED, WT, TC, ET.
    scene
        What the images were rendered from, in the frame of the first visit's head.
    """

    images: Mapping[MRSequence, Image]
    truth: Segmentation
    brain: npt.NDArray[np.bool_]
    motion: Affine
    date: date
    volumes_ml: Mapping[str, float]
    options: PhantomOptions
    number: int
    scene: PhantomScene = field(repr=False)


def make(options: PhantomOptions) -> tuple[PhantomVisit, ...]:
    """The visits of one phantom patient, oldest first.

    Raises
    ------
    InputNotFoundError
        If the template is not installed.
    """
    return tuple(_visit(options, number) for number in range(options.visits))


def render(visit: PhantomVisit, sequence: MRSequence, layout: Layout) -> Image:
    """One sequence of a visit as acquired with a layout of its own; float32 with integer values."""
    options = visit.options
    motion = layout.motion @ visit.motion
    grid, scene = layout.grid, visit.scene
    clean = acquire(signal(scene, sequence), scene.brain.grid, grid, motion)
    mask = None if options.skull else nearest(scene.brain.mask, scene.brain.grid, grid, motion)
    rng = np.random.default_rng([options.seed, visit.number, list(MRSequence).index(sequence)])
    sigma = options.noise * CONTRASTS[sequence].scale
    return degrade(clean, grid, rng, bias=options.bias, sigma=sigma, mask=mask)


def truth_on(visit: PhantomVisit, layout: Layout) -> Segmentation:
    """The true tumour as it lies in an acquisition with a layout of its own."""
    mask = nearest(visit.scene.labels, visit.scene.brain.grid, layout.grid, layout.motion @ visit.motion)
    return Segmentation(mask, layout.grid, AUTHOR)


def write_nifti(visit: PhantomVisit, folder: Path) -> Path:
    """Write a visit the BraTS way: ``CASE/CASE_t1.nii.gz``, ``_t1ce``, ``_t2``, ``_flair``, ``_seg``, affine in RAS+.

    Parameters
    ----------
    folder
        The case's folder; its name is the name of the case.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    nifti: Any = nib.Nifti1Image  # carries no types
    affine, name = LPS_FROM_RAS @ visit.truth.grid.affine, folder.resolve().name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for sequence, image in visit.images.items():
            nib.save(nifti(image.voxels.astype(np.int16), affine), folder / f"{name}_{sequence.value}.nii.gz")
        nib.save(nifti(visit.truth.mask, affine), folder / f"{name}_seg.nii.gz")
    except OSError as error:
        problem = f"the phantom could not be written: {error.strerror or error}"
        raise OutputError(problem, remedy="choose a writable folder with free space", path=folder) from error
    return folder


def patient(options: PhantomOptions) -> Patient:
    """The made-up person a phantom belongs to."""
    return Patient(f"PHANTOM-{options.seed:04d}", "Phantom^Glioma", "19600101", "O")


def write_dicom(
    visit: PhantomVisit,
    folder: Path,
    *,
    header: StudyHeader | None = None,
    layouts: Mapping[MRSequence, Layout] | None = None,
    awkward: Mapping[MRSequence, Awkward] | None = None,
) -> dict[MRSequence, list[Path]]:
    """Write a visit as a DICOM study: one folder per sequence, files in k order.

    Parameters
    ----------
    header
        Made from the visit's options if absent: the same patient at all visits.
    layouts
        Sequences that are acquired on a grid, or with a motion, of their own; the others use the visit's grid.
    awkward
        Sequences that are written unusually.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    header = header or study_header(visit.options.seed, patient(visit.options), visit.date)
    written = {}
    for sequence, number in SERIES_NUMBERS.items():
        layout = (layouts or {}).get(sequence)
        image = visit.images[sequence] if layout is None else render(visit, sequence, layout)
        home = folder / f"{number}_{sequence.value}"
        variant = (awkward or {}).get(sequence)
        written[sequence] = write_series(image, home, header, sequence, series_number=number, awkward=variant)
    return written


def _visit(options: PhantomOptions, number: int) -> PhantomVisit:
    scene = _scene(options, number)
    rng = np.random.default_rng([options.seed, number, 5])
    motion = rigid_motion(rng, options.shift_mm, options.turn_deg) if number else np.eye(4)
    layout = Layout(field_of_view(options.spacing_mm))
    mask = nearest(scene.labels, scene.brain.grid, layout.grid, motion)
    truth = Segmentation(mask, layout.grid, AUTHOR)
    bare = PhantomVisit(
        images={},
        truth=truth,
        brain=nearest(scene.brain.mask, scene.brain.grid, layout.grid, motion),
        motion=motion,
        date=FIRST_VISIT + timedelta(days=options.interval_days * number),
        volumes_ml=_volumes(truth),
        options=options,
        number=number,
        scene=scene,
    )
    return replace(bare, images={sequence: render(bare, sequence, layout) for sequence in MRSequence})


def _scene(options: PhantomOptions, number: int) -> PhantomScene:
    """The head at one visit, before it moves: the same person and seeds at all visits, a tumour of that day's size."""
    detail = min(options.spacing_mm)
    grid = field_of_view((detail, detail, detail))
    plan = TumourPlan(_seeds(options), options.tumour_ml * options.growth**number)
    displacement = plan.displacement if plan.volume_ml > 0 else None
    brain = person(np.random.default_rng([options.seed, 1]), grid, displacement)
    labels = grow(np.random.default_rng([options.seed, 2]), brain, plan)
    return PhantomScene(brain, labels, around(brain, options.seed) if options.skull else None, options.seed)


def _seeds(options: PhantomOptions) -> tuple[tuple[float, float, float], ...]:
    """Starting points, the later ones at least 35 mm from the earlier."""
    rng = np.random.default_rng([options.seed, 3])
    points, chosen = white_matter_seeds(), []
    for _ in range(options.foci):
        point = points[rng.integers(len(points))]
        chosen.append((float(point[0]), float(point[1]), float(point[2])))
        points = points[np.linalg.norm(points - point, axis=1) > 35]
    return tuple(chosen)


def _volumes(truth: Segmentation) -> dict[str, float]:
    """True volumes in mL by label and region: counts times voxel volume."""
    voxel = truth.grid.voxel_ml
    labels = {label.short: float((truth.mask == label.value).sum()) * voxel for label in LABELS}
    return labels | {region.value: float(region_mask(truth.mask, region).sum()) * voxel for region in Region}
