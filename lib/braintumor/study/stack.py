"""The planes of a series -> one regular stack, or a refusal that names the file; nothing is ever stretched to fit."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from braintumor.domain import GeometryError, Grid, UnusableImageError, grid_from_dicom
from braintumor.study.facts import number
from braintumor.study.index import DECODING_ERRORS, Header

Vector = npt.NDArray[np.float64]

COSINE_TOLERANCE = 1e-3
"""Largest difference of a direction cosine between slices; 0.06 degrees, well above rounding and below any real tilt."""
SPACING_TOLERANCE = 0.02
"""Largest relative difference between slice distances; 5 mm slices rounded to 0.1 mm pass."""
IN_PLANE_TOLERANCE_MM = 0.1
"""Largest sideways shift of a slice against the line of the stack."""
SMALLEST = (8, 32, 32)
"""Fewest voxels along the shortest, middle and longest axis for anatomy to be recognisable."""


@dataclass(frozen=True, eq=False, slots=True)
class SlicePlane:
    """One slice: where it lies (PS3.3 C.7.6.2), and how stored numbers become values (PS3.3 C.11.1).

    Attributes
    ----------
    header
        The file it is in.
    frame
        1-based number inside the file.
    position
        LPS+ mm of the centre of the first pixel.
    cosines
        6 numbers, row direction then column direction.
    spacing
        (between rows, between columns), mm.
    """

    header: Header
    frame: int
    position: Vector
    cosines: Vector
    spacing: Vector
    slope: float
    intercept: float

    @property
    def name(self) -> str:
        """For messages: the file, and the frame if it holds several."""
        return f"{self.header.name} frame {self.frame}" if "NumberOfFrames" in self.header.dataset else self.header.name


def planes_of(headers: Seq[Header]) -> list[SlicePlane]:
    """The slices of a series in file order; a multi-frame file gives one per frame.

    Raises
    ------
    GeometryError
        If a slice does not say where it lies.
    """
    planes = []
    for header in headers:
        dataset = header.dataset
        try:
            frames = dataset.get("PerFrameFunctionalGroupsSequence")
            if frames:
                shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
                planes += [_frame_plane(header, n + 1, frame, shared) for n, frame in enumerate(frames)]
            else:
                planes.append(_plane(header, 1, dataset, dataset, dataset, dataset))
        except DECODING_ERRORS as error:
            raise GeometryError(
                f"{header.name} does not say where its slice lies",
                remedy="export the series again with Image Position, Image Orientation and Pixel Spacing",
                path=header.instance.path,
            ) from error
    return planes


def _frame_plane(header: Header, number_: int, frame: Dataset, shared: Dataset) -> SlicePlane:
    def group(name: str) -> Dataset:
        return next((g[name].value[0] for g in (frame, shared) if g.get(name)), Dataset())

    transform = group("PixelValueTransformationSequence")
    measures, orientation = group("PixelMeasuresSequence"), group("PlaneOrientationSequence")
    return _plane(header, number_, group("PlanePositionSequence"), orientation, measures, transform)


def _plane(
    header: Header, frame: int, position: Dataset, orientation: Dataset, measures: Dataset, rescale: Dataset
) -> SlicePlane:
    plane = SlicePlane(
        header,
        frame,
        np.array(position.ImagePositionPatient, np.float64),
        np.array(orientation.ImageOrientationPatient, np.float64),
        np.array(measures.PixelSpacing, np.float64),
        float(rescale.get("RescaleSlope", 1.0)),
        float(rescale.get("RescaleIntercept", 0.0)),
    )
    numbers = np.concatenate([plane.position, plane.cosines, plane.spacing, (plane.slope, plane.intercept)])
    if numbers.size != 13 or not np.isfinite(numbers).all() or plane.slope == 0 or plane.spacing.min() <= 0:
        raise ValueError("geometry or rescale is incomplete")
    return plane


def stacked(planes: Seq[SlicePlane]) -> tuple[list[SlicePlane], Grid]:
    """Sort planes along the normal of the stack, and the grid they make.

    Returns
    -------
    list of Plane, Grid
        k ascends along ``cross(row, column)``; i = column, j = row.

    Raises
    ------
    GeometryError
        On mixed image or pixel sizes, mixed orientation (tilt), duplicate positions, missing or unevenly spaced slices, or a
        sheared stack.
    UnusableImageError
        If the stack is smaller than `SMALLEST`.
    """
    shape = _same_size(planes)
    _same_plane(planes)
    cosines = np.median([p.cosines for p in planes], axis=0)
    row, column = cosines[:3] / np.linalg.norm(cosines[:3]), cosines[3:] / np.linalg.norm(cosines[3:])
    normal = np.cross(row, column)
    planes = sorted(planes, key=lambda p: float(p.position @ normal))
    _evenly_spaced(planes, np.array([p.position @ normal for p in planes]))
    _unsheared(planes, normal)
    shape3 = (shape[1], shape[0], len(planes))
    refuse_small(shape3, planes[0].name)
    spacing = planes[0].spacing
    first, last = planes[0].position, planes[-1].position
    return planes, grid_from_dicom(row.tolist(), column.tolist(), first.tolist(), last.tolist(), spacing.tolist(), shape3)


def refuse_small(shape: tuple[int, int, int], name: str) -> None:
    """Raise `UnusableImageError` if a volume is smaller than `SMALLEST`, in whatever axis order."""
    if any(have < need for have, need in zip(sorted(shape), SMALLEST, strict=True)):
        size = "x".join(str(n) for n in shape)
        raise UnusableImageError(
            f"the image of {name} has only {size} voxels",
            remedy=f"give a whole volume, at least {SMALLEST[2]}x{SMALLEST[1]} pixels and {SMALLEST[0]} slices",
        )


def _refusal(problem: str, plane: SlicePlane) -> GeometryError:
    remedy = "export the series again complete and unaltered, remove the stray file, or leave the series out"
    return GeometryError(problem, remedy=remedy, path=plane.header.instance.path)


def _same_size(planes: Seq[SlicePlane]) -> tuple[int, int]:
    """(rows, columns) of all planes."""
    first = planes[0]
    shape = _shape(first)
    for plane in planes:
        if plane.header is not first.header and _shape(plane) != shape:
            raise _refusal(f"{plane.name} has another image size than {first.name}", plane)
        if np.abs(plane.spacing - first.spacing).max() > 1e-3 * first.spacing.max():
            raise _refusal(f"{plane.name} has another pixel spacing than {first.name}", plane)
    return shape


def _shape(plane: SlicePlane) -> tuple[int, int]:
    rows, columns = (number(plane.header.dataset, keyword) or 0 for keyword in ("Rows", "Columns"))
    return int(rows), int(columns)


def _same_plane(planes: Seq[SlicePlane]) -> None:
    """All slices must share one orthonormal orientation."""
    cosines = np.array([p.cosines for p in planes])
    middle = np.median(cosines, axis=0)
    off = np.abs(cosines - middle).max(axis=1)
    if off.max() > COSINE_TOLERANCE:
        odd = int(np.argmax(off > COSINE_TOLERANCE))
        raise _refusal(f"{planes[odd].name} is tilted against the other slices (mixed orientation)", planes[odd])
    row, column = middle[:3], middle[3:]
    if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > 1e-2:
        raise _refusal(f"{planes[0].name} has an orientation that is not two perpendicular unit vectors", planes[0])


def _evenly_spaced(planes: Seq[SlicePlane], along: Vector) -> None:
    steps = np.diff(along)
    if not steps.size:
        return
    if steps.min() < 1e-3:
        here = int(np.argmin(steps))
        raise _refusal(f"{planes[here].name} and {planes[here + 1].name} lie at the same position", planes[here + 1])
    # The lower median: with few slices, the upper one could be the gap itself.
    usual = float(np.percentile(steps, 50, method="lower"))
    odd = np.abs(steps - usual) > SPACING_TOLERANCE * usual + 1e-3
    if not odd.any():
        return
    here = int(np.argmax(odd))
    before, after, step = planes[here].name, planes[here + 1].name, steps[here]
    missing = round(step / usual) - 1
    if missing >= 1 and abs(step / usual - missing - 1) < 0.1:
        count = "a slice is missing" if missing == 1 else f"{missing} slices are missing"
        problem = f"{count} between {before} and {after}: {step:.2f} mm apart where {usual:.2f} mm is usual"
    else:
        problem = f"slices are unevenly spaced: {before} and {after} are {step:.2f} mm apart where {usual:.2f} mm is usual"
    raise _refusal(problem, planes[here + 1])


def _unsheared(planes: Seq[SlicePlane], normal: Vector) -> None:
    positions = np.array([p.position for p in planes])
    sideways = positions - np.outer(positions @ normal, normal)
    shift = np.linalg.norm(sideways - np.median(sideways, axis=0), axis=1)
    if shift.max() > IN_PLANE_TOLERANCE_MM:
        odd = int(np.argmax(shift))
        raise _refusal(f"{planes[odd].name} is shifted sideways by {shift[odd]:.2f} mm against the stack", planes[odd])
