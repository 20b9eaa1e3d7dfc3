"""From a volume to the stored slices of a DICOM series: pixel quantisation, slice positions, and deliberate faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from braintumor.domain import GeometryError, Image, UnusableImageError

UINT16_MAX = 65535
PHILIPS_MAX = 4095
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Awkward:
    """What is unusual, or wrong on purpose, in a written series; the default is an ordinary one.

    Attributes
    ----------
    per_slice_rescale
        Every slice has its own Rescale Slope and Intercept and uses 12 bits, as Philips scanners do.
    missing_slices
        k of slices that are left out.
    duplicate_slices
        k of slices that are written twice, at the same position, as two instances.
    tilt_slice
        k of a slice whose orientation is turned by 5 degrees about its row direction.
    uneven_slice
        k of a slice that lies 0.4 slice spacings away from its place.
    multiframe
        One Enhanced MR Image Storage instance instead of one file per slice.
    transfer_syntax
        Explicit or implicit VR little endian, RLE, JPEG-LS lossless or JPEG 2000 lossless.
    modality
        ``MR`` or ``CT`` (a classic CT Image Storage series with the same voxels).
    shuffle
        File names without order or extension, and instance numbers in random order.
    """

    per_slice_rescale: bool = False
    missing_slices: tuple[int, ...] = ()
    duplicate_slices: tuple[int, ...] = ()
    tilt_slice: int | None = None
    uneven_slice: int | None = None
    multiframe: bool = False
    transfer_syntax: UID = ExplicitVRLittleEndian
    modality: str = "MR"
    shuffle: bool = False


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How voxel values become stored 16-bit numbers: value = stored * slope + intercept.

    Attributes
    ----------
    exact
        Whether every voxel comes back unchanged.
    max_error
        Largest possible rounding error, in voxel values.
    """

    slope: float
    intercept: float
    exact: bool

    @property
    def max_error(self) -> float:
        """0 when exact, else half a step."""
        return 0.0 if self.exact else self.slope / 2

    @property
    def identity(self) -> bool:
        """Whether the stored numbers are the voxel values themselves."""
        return self.slope == 1.0 and self.intercept == 0.0

    def store(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Voxel values -> stored numbers, same shape."""
        scaled = np.rint((np.asarray(values, np.float64) - self.intercept) / self.slope)
        return np.clip(scaled, 0, UINT16_MAX).astype(np.uint16)


@dataclass(frozen=True, eq=False)
class StoredPlane:
    """One slice as it is stored: uint16 (rows, columns), where it lies (LPS+ mm), and its rescale."""

    k: int
    copy: int
    pixels: npt.NDArray[np.uint16]
    position: Vector
    row: Vector
    column: Vector
    rescale: Quantisation


def quantise(voxels: npt.NDArray[Any], levels: int = UINT16_MAX) -> Quantisation:
    """The least lossy way to store voxel values in 16 unsigned bits.

    Integer values stay exact where their range fits (shifted by an intercept if some are negative); all others are spread
    over `levels` steps between their minimum and maximum.

    Raises
    ------
    UnusableImageError
        If a voxel is NaN or infinite.
    """
    if not np.isfinite(voxels).all():
        raise UnusableImageError(
            "the image holds values that are not finite numbers", remedy="replace NaN and infinite voxels before writing DICOM"
        )
    low, high = float(voxels.min()), float(voxels.max())
    if high - low <= UINT16_MAX and bool(np.array_equal(voxels, np.rint(voxels))):
        return Quantisation(1.0, 0.0 if low >= 0 and high <= UINT16_MAX else low, exact=True)
    return _spread(low, high, levels)


def planes_of(image: Image, awkward: Awkward) -> tuple[list[StoredPlane], Quantisation]:
    """The slices of a volume in stored form and k order, with the faults asked for.

    Parameters
    ----------
    image
        i = column, j = row, k = slice; its three axes at right angles.

    Returns
    -------
    list of Plane, Quantisation
        The quantisation of the whole volume, which `per_slice_rescale` replaces slice by slice.

    Raises
    ------
    GeometryError
        If the axes are not at right angles: DICOM slices cannot be sheared (PS3.3 C.7.6.2.1.1).
    UnusableImageError
        If a voxel is not a finite number.
    """
    _refuse_shear(image)
    volume = quantise(image.voxels)
    planes = [plane for k in range(image.grid.shape[2]) for plane in _slice_planes(image, k, awkward, volume)]
    return planes, volume


def decimal(value: float) -> str:
    """A number as a DICOM decimal string (at most 16 characters, PS3.5 6.2)."""
    return format_number_as_ds(float(value) + 0.0)  # + 0.0 turns -0.0 into 0.0


def _spread(low: float, high: float, levels: int) -> Quantisation:
    """Steps from low to high whose slope and intercept survive being written as decimal strings."""
    intercept = float(decimal(low))
    if high == low:
        return Quantisation(1.0, intercept, exact=intercept == low)
    return Quantisation(float(decimal((high - intercept) / levels)), intercept, exact=False)


def _slice_planes(image: Image, k: int, awkward: Awkward, volume: Quantisation) -> Iterator[StoredPlane]:
    if k in awkward.missing_slices:
        return
    values = image.voxels[:, :, k].T
    rescale = _spread(float(values.min()), float(values.max()), PHILIPS_MAX) if awkward.per_slice_rescale else volume
    row, column, normal = image.grid.directions.T
    position = image.grid.to_world((0, 0, k))
    if k == awkward.uneven_slice:
        position = position + 0.4 * image.grid.affine[:3, 2]
    if k == awkward.tilt_slice:
        angle = np.deg2rad(5.0)
        column = np.cos(angle) * column + np.sin(angle) * normal
    plane = StoredPlane(k, 0, np.ascontiguousarray(rescale.store(values)), position, row, column, rescale)
    yield plane
    if k in awkward.duplicate_slices:
        yield replace(plane, copy=1)


def _refuse_shear(image: Image) -> None:
    directions = image.grid.directions
    if np.abs(directions.T @ directions - np.eye(3)).max() > 1e-3:
        raise GeometryError(
            "the volume's axes are not at right angles, which DICOM slices cannot express",
            remedy="resample the volume onto an unsheared grid first",
        )
