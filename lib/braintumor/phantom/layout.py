"""How sequences are acquired: scanner grids of any plane, tilt and spacing, and the head's rigid motion between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from braintumor.domain import Affine, Grid, MRSequence
from braintumor.phantom.anatomy import FOV_HIGH, FOV_LOW

_PLANES = {  # patient axis and direction of columns, rows and slices, as viewers expect them
    "axial": ((0, 1), (1, 1), (2, 1)),
    "sagittal": ((1, 1), (2, -1), (0, 1)),
    "coronal": ((0, 1), (2, -1), (1, 1)),
}
_CENTRE = (FOV_LOW + FOV_HIGH) / 2


@dataclass(frozen=True, eq=False)
class Layout:
    """How one sequence is acquired: on which grid, and how the head had moved by then.

    Attributes
    ----------
    motion
        4x4 rigid: LPS+ mm of a point of the head in the visit -> while this sequence ran.
    """

    grid: Grid
    motion: Affine = field(default_factory=lambda: np.eye(4))


def scan_grid(
    plane: str,
    spacing_mm: tuple[float, float, float],
    *,
    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    reverse: bool = False,
) -> Grid:
    """A scanner's grid that covers the phantom's field of view.

    Parameters
    ----------
    plane
        ``axial``, ``sagittal`` or ``coronal``, with rows and columns as viewers expect them.
    spacing_mm
        Between columns (i), between rows (j), between slices (k).
    tilt_deg
        Turns about the patient's x, y and z axis, applied in this order: an oblique slab.
    reverse
        Slices in the opposite order, for instance axial ones from head to feet.
    """
    directions = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(_PLANES[plane]):
        directions[axis, column] = -sign if reverse and column == 2 else sign
    extent = np.abs(directions.T @ (FOV_HIGH - FOV_LOW))
    counts = np.ceil(extent / spacing_mm).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", tilt_deg, degrees=True).as_matrix() @ directions * spacing_mm
    affine[:3, 3] = _CENTRE - affine[:3, :3] @ ((counts - 1) / 2)
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def rigid_motion(rng: np.random.Generator, shift_mm: float, turn_deg: float) -> Affine:
    """4x4: a turn by `turn_deg` about a random axis through the middle of the head, then a shift in a random direction."""
    axis, direction = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(np.deg2rad(turn_deg) * axis).as_matrix()
    motion[:3, 3] = _CENTRE - motion[:3, :3] @ _CENTRE + shift_mm * direction
    return motion


def clinical_layouts(
    seed: int, *, detail_mm: float = 1.0, shift_mm: float = 3.0, turn_deg: float = 2.0
) -> dict[MRSequence, Layout]:
    """A usual hospital protocol: four different grids, and the head moves a little between the sequences.

    T1ce is a sagittal isotropic volume of `detail_mm` and defines the frame (no motion); the others are thick, oblique
    axial slices, the T2 from head to feet, each moved by `shift_mm` and `turn_deg` in a direction of its own.
    """
    rng = np.random.default_rng([seed, 77])
    tilt, fine, medium = (-12.0, 2.0, 1.5), 0.8 * detail_mm, 0.9 * detail_mm
    grids = {
        MRSequence.T1: scan_grid("axial", (medium, medium, max(5.0, detail_mm)), tilt_deg=tilt),
        MRSequence.T2: scan_grid("axial", (fine, fine, max(4.0, detail_mm)), tilt_deg=tilt, reverse=True),
        MRSequence.FLAIR: scan_grid("axial", (medium, medium, max(5.0, detail_mm)), tilt_deg=tilt),
    }
    layouts = {sequence: Layout(grid, rigid_motion(rng, shift_mm, turn_deg)) for sequence, grid in grids.items()}
    return layouts | {MRSequence.T1CE: Layout(scan_grid("sagittal", (detail_mm, detail_mm, detail_mm)))}
