"""Rigid alignment of one series to the reference, with a figure for how well they agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from braintumor.domain import (
    Affine,
    Alignment,
    AlignmentMethod,
    Flag,
    Grid,
    Image,
    MRSequence,
    RegistrationError,
    Series,
    Severity,
    canonical,
)
from braintumor.preprocess.grid import resample, single_thread, to_sitk

NMI_WARN, NMI_REFUSE = 1.03, 1.015
"""Normalised mutual information below which an alignment is called poor, or refused. Seen on 20 real studies, skull on and
skull-stripped: 1.030 to 1.21 when aligned; of three of them, 1.029 or less when 10 mm off and 1.020 or less when turned by 90
degrees. So the figure shows gross failures; an error of 5 mm (1.012 to 1.056) can pass it."""

_WORK_MM = 2.0
_SAMPLES = 25_000
_SEED = 20260101
_NUDGE = 2.0
"""Millimetres and degrees of the trial motions that tell whether a series lies where its header says."""

_STILL = 0.5
"""A smaller motion (mm and degrees) is not corrected: interpolating would blur more than it would align."""

_AGREEMENT_POINTS = 200_000


def align(sequence: MRSequence, series: Series, reference: Series, *, stripped: bool) -> tuple[Alignment, tuple[Flag, ...]]:
    """How `series` lies relative to `reference`.

    Parameters
    ----------
    stripped
        The skull is gone in both: data of that kind is registered already, and is not moved again where it agrees.

    Returns
    -------
    Alignment, flags
        The transform maps LPS+ mm of the reference to LPS+ mm of the series.

    Raises
    ------
    RegistrationError
        If the images share so little that no alignment can be trusted.
    """
    fixed, moving = _working(reference.image), series.image
    identity = np.eye(4)
    flags: list[Flag] = []
    same_grid = _ordered(moving.grid).same_as(_ordered(reference.image.grid))
    before = _agreement(fixed, moving, identity)
    if same_grid and _needs_no_search(fixed, moving, before, stripped=stripped):
        return Alignment(identity, AlignmentMethod.SAME_GRID, before), ()
    small = _working(moving)
    found = _refine(fixed, small, identity)
    after = _agreement(fixed, moving, found)
    if after < NMI_WARN:  # headers that do not share a frame of reference may be far apart
        other = _refine(fixed, small, _by_centres(fixed, small))
        agreed = _agreement(fixed, moving, other)
        if agreed > max(after, before):
            found, after = other, agreed
            words = f"{sequence.title} lies elsewhere by its header; it was brought to the reference by its content alone."
            flags.append(Flag("header-position-unused", Severity.WARNING, words))
    shift, turn = _motion(found, fixed.grid)
    if after <= before or max(shift, turn) < _STILL:
        found, after, shift, turn = identity, before, 0.0, 0.0
    if after < NMI_REFUSE:
        raise RegistrationError(
            f"{sequence.title} could not be aligned to the reference (agreement {after:.3f}, at least {NMI_REFUSE} is needed)",
            remedy="Check that it shows the same head, or leave the series out",
        )
    plain = AlignmentMethod.SAME_GRID if same_grid else AlignmentMethod.SAME_FRAME
    method = AlignmentMethod.RIGID if found is not identity else plain
    if after < NMI_WARN:
        words = f"{sequence.title} agrees poorly with the reference after alignment ({after:.3f}); check the overlay."
        flags.append(Flag("poor-registration", Severity.SERIOUS, words))
    return Alignment(found, method, after, shift, turn), tuple(flags)


def agreement(fixed: npt.NDArray[Any], moving: npt.NDArray[Any], head: npt.NDArray[np.bool_], bins: int = 48) -> float:
    """Normalised mutual information (H(A) + H(B)) / H(A, B) of two images (Studholme et al. 1999), 1 .. 2.

    Parameters
    ----------
    fixed, moving
        Same shape; intensities are cut at their 0.5 and 99.5 percentiles inside `head`. At most about 200,000
        to 400,000 evenly spread points are used; all of them changed the figure by less than 0.001.
    """
    a, b = fixed[head], moving[head]
    step = max(1, a.size // _AGREEMENT_POINTS)
    a, b = a[::step], b[::step]
    if a.size < bins:
        return 1.0
    joint = np.bincount(_levels(a, bins) * bins + _levels(b, bins), minlength=bins * bins).reshape(bins, bins)
    p = joint / joint.sum()
    together = _entropy(p)
    return 1.0 if together == 0 else (_entropy(p.sum(axis=0)) + _entropy(p.sum(axis=1))) / together


def _levels(values: npt.NDArray[Any], bins: int) -> npt.NDArray[np.intp]:
    low, high = np.percentile(values, (0.5, 99.5))
    span = max(float(high - low), 1e-12)
    return np.clip((values - low) / span * bins, 0, bins - 1).astype(np.intp)


def _entropy(p: npt.NDArray[np.float64]) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _ordered(grid: Grid) -> Grid:
    """The same points in LPS order, so that grids stored in different axis orders compare."""
    return canonical(grid).grid(grid)


def _motion(matrix: Affine, grid: Grid) -> tuple[float, float]:
    """Size of a rigid motion: millimetres at the grid's centre, and degrees."""
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    shift = float(np.linalg.norm(matrix[:3, :3] @ centre + matrix[:3, 3] - centre))
    return shift, float(np.degrees(Rotation.from_matrix(matrix[:3, :3]).magnitude()))


def _working(image: Image) -> Image:
    """An image at about 2 mm in LPS order, for speed; thick slices keep their spacing."""
    grid = _ordered(image.grid)
    spacing = np.maximum(_WORK_MM, grid.spacing)
    shape = np.maximum(1, np.rint(np.array(grid.shape) * grid.spacing / spacing)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = grid.directions * spacing
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    small = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    return Image(resample(image, small), small)


def _head(voxels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Brighter than half the mean: the head without most of the air."""
    return np.asarray(voxels > 0.5 * voxels.mean(), dtype=bool)


def _agreement(fixed: Image, moving: Image, matrix: Affine) -> float:
    return agreement(fixed.voxels, resample(moving, fixed.grid, matrix), _head(fixed.voxels))


def _needs_no_search(fixed: Image, moving: Image, agreed: float, *, stripped: bool) -> bool:
    """Whether a series on the reference's own grid may stay as it is.

    Scanned heads move between series, so both the figure and the trial motions must speak for it. Skull-stripped images
    are registered already: one of the two is enough.
    """
    if stripped:
        return agreed >= NMI_WARN or _settled(fixed, moving, agreed)
    return agreed >= NMI_WARN and _settled(fixed, moving, agreed)


def _settled(fixed: Image, moving: Image, agreed: float) -> bool:
    """Whether every small shift and every small turn about the centre makes the agreement worse."""
    centre = fixed.grid.to_world((np.array(fixed.grid.shape) - 1) / 2)
    for axis in range(3):
        for size in (-_NUDGE, _NUDGE):
            shifted, turned = np.eye(4), np.eye(4)
            shifted[axis, 3] = size
            turned[:3, :3] = Rotation.from_euler("xyz"[axis], size, degrees=True).as_matrix()
            turned[:3, 3] = centre - turned[:3, :3] @ centre
            if max(_agreement(fixed, moving, shifted), _agreement(fixed, moving, turned)) > agreed:
                return False
    return True


def _by_centres(fixed: Image, moving: Image) -> Affine:
    """The shift that brings the centres of mass together, for series whose headers share no frame of reference."""
    start = np.eye(4)
    start[:3, 3] = _centre_of_mass(moving) - _centre_of_mass(fixed)
    return start


def _centre_of_mass(image: Image) -> npt.NDArray[np.float64]:
    step = tuple(slice(None, None, max(1, n // 64)) for n in image.grid.shape)
    weight = np.clip(image.voxels[step], 0, None).astype(np.float64)
    index = np.moveaxis(np.indices(image.grid.shape)[(slice(None), *step)], 0, -1)
    total = weight.sum()
    middle = (np.array(image.grid.shape) - 1) / 2
    return image.grid.to_world(middle if total == 0 else (index * weight[..., None]).sum(axis=(0, 1, 2)) / total)


def _refine(fixed: Image, moving: Image, start: Affine) -> Affine:
    """Rigid registration by Mattes mutual information over three scales (Mattes et al. 2003), from a start."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter(fixed.grid.to_world((np.array(fixed.grid.shape) - 1) / 2).tolist())
    transform.SetTranslation(start[:3, 3].tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    # A fixed seed, and one thread below: the same study must give the same mask every time and on every machine.
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = min(1.0, _SAMPLES / np.prod(fixed.grid.shape))
    method.SetMetricSamplingPercentagePerLevel([share] * 3, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=2e-3, numberOfIterations=80, relaxationFactor=0.6, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([1, 1, 1])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(transform, inPlace=True)
    try:
        with single_thread():
            method.Execute(to_sitk(fixed.voxels, fixed.grid), to_sitk(moving.voxels, moving.grid))
    except RuntimeError:
        return start  # no overlap at this start; another start, or the agreement, decides
    # Processors differ in their last digits; 0.01 mm decides nothing.
    transform.SetParameters([round(value, 4) for value in transform.GetParameters()])
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - rotation @ centre
    return matrix
