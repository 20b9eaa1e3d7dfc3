"""Matches a brain mask to a symmetric standard brain, which gives the mid-sagittal plane and the lobe of any point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from braintumor.domain import Affine, Grid

LOBES = ("frontal", "parietal", "temporal", "occipital", "insula", "deep", "cerebellum", "brainstem")
"""Names of the lobe map. ``deep`` is basal ganglia and thalamus with the white matter and ventricles nearest to them."""

ATLAS_FILE = Path(__file__).with_name("lobes.npz")
"""Derived data, made once by `braintumor.measure._make_lobes`, which says from what; the file carries the notices."""

POOR_MATCH_MM = 5.0
"""Median distance between the two brain surfaces above which side and lobe are not to be trusted; usual is 2 mm."""

ODD_SIZE = 1.6
"""Stretch along any axis, or its inverse, that no head needs to become the standard one; usual is 1.0 to 1.3."""

Points = npt.NDArray[np.float64]

_SAMPLING_MM = 4.0
_SURFACE_POINTS = 800
_TOLERATED_MM = 4.0
"""Surface distances beyond this count linearly, not squared: resection cavities and neck remnants must not pull."""
_USUAL = np.repeat([0.25, 30.0, 0.12], 3)
"""One standard deviation of head rotation (rad), offset (mm) and log size against the standard brain, as a weak prior."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """The symmetric standard brain.

    Attributes
    ----------
    lobes
        uint8 (i, j, k), position in `LOBES`, also defined outside the brain (nearest).
    distance
        float32 (i, j, k), mm to the brain's surface, negative inside.
    grid
        Of both; LPS+, x = 0 is the mid-sagittal plane.
    """

    lobes: npt.NDArray[np.uint8]
    distance: npt.NDArray[np.float32]
    grid: Grid


@cache
def load_atlas() -> Atlas:
    """The lobe map that ships with the package; read once."""
    with np.load(ATLAS_FILE) as data:
        lobes = data["lobes"]
        i, j, k = lobes.shape
        return Atlas(lobes, data["distance"].astype(np.float32), Grid((i, j, k), data["affine"]))


@dataclass(frozen=True, eq=False)
class Match:
    """How a patient's brain lies in the standard brain: an affine without shear.

    Attributes
    ----------
    matrix
        4x4, LPS+ mm of the patient -> LPS+ mm of the atlas.
    error_mm
        Median distance of the matched brain surfaces.
    """

    matrix: Affine
    error_mm: float

    @property
    def trustworthy(self) -> bool:
        """Whether surfaces and size agree well enough to speak of sides and lobes."""
        stretch = np.linalg.norm(self.matrix[:3, :3], axis=1)
        return bool(self.error_mm <= POOR_MATCH_MM and stretch.max() <= ODD_SIZE and stretch.min() >= 1 / ODD_SIZE)

    def left_of_midline(self, world: Points) -> Points:
        """Signed distance in mm of points (n, 3), LPS+ mm, from the mid-sagittal plane; positive = patient's left."""
        normal = self.matrix[0, :3]
        return np.asarray((world @ normal + self.matrix[0, 3]) / np.linalg.norm(normal))

    def lobes(self, world: Points) -> npt.NDArray[np.uint8]:
        """Position in `LOBES` of points (n, 3), LPS+ mm."""
        atlas = load_atlas()
        index = np.rint(atlas.grid.to_index(world @ self.matrix[:3, :3].T + self.matrix[:3, 3])).astype(int)
        i, j, k = index.clip(0, np.array(atlas.grid.shape) - 1).T
        return np.asarray(atlas.lobes[i, j, k])


def match_brain(brain: npt.NDArray[np.bool_], grid: Grid) -> Match | None:
    """Rotate, shift and scale a brain mask's surface onto the standard brain's (least squares, robust to outliers).

    The surface needs no complete brain: where the mask leaves the field of view there is no surface, and a weak prior
    (heads lie about straight and are about of usual size) decides instead. The standard brain is symmetric, so its plane
    x = 0, carried back, is the patient's mid-sagittal plane, on real brains repeatable to 1 or 2 degrees. Lobes are as
    precise as proportional scaling makes them (Talairach 1988): not to the gyrus, and blind to a shift of the midline
    inside the skull.

    Parameters
    ----------
    brain
        Bool (i, j, k) on `grid`.

    Returns
    -------
    Match or None
        None if the mask is too small to have a surface.
    """
    surface = _surface(brain, grid)
    if len(surface) < _USUAL.size:
        return None
    atlas = load_atlas()
    to_index = np.linalg.inv(atlas.grid.affine)
    centre, centre_of_atlas = _middle(surface), _middle(atlas.grid.to_world(np.argwhere(atlas.distance < 0)))

    def matrix(parameters: Points) -> Affine:
        turn, shift, size = parameters.reshape(3, 3)
        linear = np.exp(size)[:, None] * Rotation.from_rotvec(turn).as_matrix()
        affine = np.eye(4)
        affine[:3, :3] = linear
        affine[:3, 3] = centre_of_atlas + shift - linear @ centre
        return affine

    def distances(parameters: Points) -> Points:
        affine = to_index @ matrix(parameters)
        index = affine[:3, :3] @ surface.T + affine[:3, 3:]
        return np.asarray(ndimage.map_coordinates(atlas.distance, index, order=1, mode="nearest"), np.float64)

    def residuals(parameters: Points) -> Points:
        return np.concatenate([distances(parameters), parameters / _USUAL * _TOLERATED_MM])

    # a hundredth of a millimetre is enough, so the tolerances are wider than the default
    fit = optimize.least_squares(
        residuals, np.zeros(9), loss="soft_l1", f_scale=_TOLERATED_MM, x_scale=_USUAL, ftol=1e-5, xtol=1e-5, gtol=1e-5
    )
    return Match(matrix(fit.x), float(np.median(np.abs(distances(fit.x)))))


def _surface(brain: npt.NDArray[np.bool_], grid: Grid) -> Points:
    """At most `_SURFACE_POINTS` outermost voxel centres of the mask, LPS+ mm, none where the field of view cuts it."""
    steps = [max(1, round(_SAMPLING_MM / s)) for s in grid.spacing]
    coarse = brain[tuple(slice(None, None, s) for s in steps)]
    # a mask made by thresholding may have holes, whose walls are no surface of the brain
    solid = ndimage.binary_fill_holes(coarse)
    rim = np.argwhere(solid & ~ndimage.binary_erosion(solid, border_value=1))
    return grid.to_world(rim[:: max(1, len(rim) // _SURFACE_POINTS)] * np.array(steps))


def _middle(points: Points) -> Points:
    """Centre of the bounding box of points (n, 3)."""
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)
