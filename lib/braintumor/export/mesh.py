"""Surfaces of the tumour regions: one STL per region for planning tools, one coloured GLB of all for viewers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import ndimage
from skimage.measure import marching_cubes

from braintumor.domain import REGION_NAMES, Affine, Grid, Region, Segmentation, bounding_box, region_colour

SMOOTHING_MM = 0.8
"""Standard deviation of the Gaussian that takes the voxel steps off; well below what a reader measures."""

MAX_TRIANGLES = 150_000
"""Upper bound per surface, so that a browser turns it smoothly."""

GLTF_FROM_LPS: Affine = np.array([[1e-3, 0.0, 0.0, 0.0], [0.0, 0.0, 1e-3, 0.0], [0.0, -1e-3, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""LPS+ mm -> glTF 2.0 section 3.4: metres, +Y up (head), the model faces +Z (anterior), so +X is the patient's left."""

_OPACITY = {Region.WT: 0.25, Region.TC: 0.5, Region.ET: 1.0}


def surface(mask: npt.NDArray[np.bool_], grid: Grid) -> trimesh.Trimesh | None:
    """Closed triangle surface around the True voxels.

    The mask is smoothed by `SMOOTHING_MM` and cut at the level that keeps its number of voxels, so that thin rims and single
    voxels do not vanish; marching cubes after Lewiner et al., J. Graphics Tools 8(2), 2003. The enclosed volume is within
    3 per cent of the voxels' for solid regions; a rim two voxels thick may lose a tenth. Measure on the mask, not on this.

    Parameters
    ----------
    mask
        bool (i, j, k) on `grid`.

    Returns
    -------
    trimesh.Trimesh or None
        Vertices LPS+ mm, normals outwards, at most `MAX_TRIANGLES` faces; None for an empty mask.
    """
    if not mask.any():
        return None
    box = bounding_box(mask)
    sigma = [max(SMOOTHING_MM / size, 0.5) for size in grid.spacing]  # thick slices need half a slice, or steps remain
    faces, step = MAX_TRIANGLES + 1, 0
    while faces > MAX_TRIANGLES:
        step += 1
        # Zeros all around, or the surface stays open where the region touches the edge of the volume.
        margin = 3 + 2 * step
        field = ndimage.gaussian_filter(np.pad(mask[box].astype(np.float32), margin), sigma, truncate=3.0)
        vertices, triangles, *_ = marching_cubes(field, _level(field, int(mask[box].sum())), step_size=step)
        faces = len(triangles)
    start = np.array([s.start for s in box]) - margin
    if np.linalg.det(grid.affine[:3, :3]) > 0:  # skimage winds inwards in index space; a mirroring affine undoes that
        triangles = triangles[:, ::-1]
    return trimesh.Trimesh(grid.to_world(vertices + start), triangles)


def write_mesh(segmentation: Segmentation, folder: Path) -> list[Path]:
    """Write ``tumour_WT.stl``, ``tumour_TC.stl``, ``tumour_ET.stl`` and ``tumour.glb`` into an existing folder.

    STL has no units: vertices are patient coordinates, LPS+ in mm, and the header says ``SPACE=LPS``, which 3D Slicer reads.
    GLB is in metres with +Y up (`GLTF_FROM_LPS`), one node per region, outer regions translucent.

    Returns
    -------
    list of Path
        What was written; empty regions have no file, and without any region there is no GLB.
    """
    scene, written = trimesh.Scene(), []
    for region in Region:
        mesh = surface(segmentation.region(region), segmentation.grid)
        if mesh is None:
            continue
        path = folder / f"tumour_{region.value}.stl"
        path.write_bytes(_stl(mesh))
        written.append(path)
        scene.add_geometry(_for_gltf(mesh, region), node_name=REGION_NAMES[region], geom_name=region.value)
    if written:
        path = folder / "tumour.glb"
        path.write_bytes(scene.export(file_type="glb", include_normals=True))
        written.append(path)
    return written


def _level(field: npt.NDArray[np.float32], count: int) -> float:
    """The level between the `count`-th largest value of the field and the next smaller one."""
    values = np.partition(field.ravel(), (field.size - count - 1, field.size - count))
    return float(values[field.size - count - 1 : field.size - count + 1].mean(dtype=np.float64))


def _stl(mesh: trimesh.Trimesh) -> bytes:
    """Binary STL with the coordinate system in its 80-byte header."""
    data: Any = mesh.export(file_type="stl")
    return b"braintumor; mm; SPACE=LPS".ljust(80) + bytes(data[80:])


def _for_gltf(mesh: trimesh.Trimesh, region: Region) -> Any:
    """A copy in glTF's axes and units, in the region's colour."""
    copy = mesh.copy()
    copy.apply_transform(GLTF_FROM_LPS)
    copy.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(
            name=region.value,
            baseColorFactor=[
                *((value / 255.0) ** 2.2 for value in region_colour(region)),
                _OPACITY[region],
            ],  # glTF wants linear RGB
            metallicFactor=0.0,
            roughnessFactor=0.6,
            alphaMode="BLEND" if _OPACITY[region] < 1.0 else "OPAQUE",
        )
    )
    return copy
