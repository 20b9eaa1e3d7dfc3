"""Renders a brain with its tumour as the four MR sequences: contrast, texture, slice thickness, coil bias, Rician noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import LABELS, NECROTIC_CORE, OEDEMA, Affine, Grid, Image, MRSequence, bounding_box
from braintumor.phantom.anatomy import CSF, GREY, WHITE, Brain, Field, smooth_field
from braintumor.phantom.contrast import CONTRASTS, Contrast
from braintumor.phantom.head import Head, head_signal


@dataclass(frozen=True, eq=False)
class PhantomScene:
    """Everything that is true about one head at one time, on a fine grid in the head's own frame.

    Attributes
    ----------
    labels
        uint8 (i, j, k), the tumour.
    head
        None for a skull-stripped phantom.
    seed
        Of the textures.
    """

    brain: Brain
    labels: npt.NDArray[np.uint8]
    head: Head | None
    seed: int


def signal(scene: PhantomScene, sequence: MRSequence) -> Field:
    """Noise-free signal of the scene in one sequence, float32 (i, j, k) on the scene's grid, 0 in air."""
    contrast, mask = CONTRASTS[sequence], scene.brain.mask
    levels = [0.0, contrast.fluid, contrast.grey, 1.0, 1.04]
    image = np.zeros(mask.shape, np.float32)
    image[mask] = np.interp(scene.brain.t1[mask], [0.0, CSF, GREY, WHITE, 250.0], levels)
    _add_vessels(image, scene, contrast)
    _add_tumour(image, scene, contrast)
    if scene.head is not None:
        image.reshape(-1)[scene.head.where] = head_signal(scene.head, contrast)
    # The scanner's point spread: edges of masks must not be sharper than anatomy.
    blurred = ndimage.gaussian_filter(image, [0.45 / step for step in scene.brain.grid.spacing])
    return np.asarray(blurred * np.float32(contrast.scale), np.float32)


def acquire(source: Field, scene_grid: Grid, grid: Grid, motion: Affine) -> Field:
    """What a scanner sees of a signal on its own grid when the head has moved.

    Parameters
    ----------
    source
        float32 (i, j, k) on `scene_grid`.
    motion
        4x4 rigid, LPS+ mm in the scene -> LPS+ mm in the scanner.

    Returns
    -------
    float32 (i, j, k) of `grid`, averaged over the size of its voxels.
    """
    matrix = _to_scene(scene_grid, grid, motion)
    if grid.shape == scene_grid.shape and np.allclose(matrix, np.eye(4), atol=1e-9):
        return source
    steps = [max(1, round(float(np.linalg.norm(matrix[:3, axis])))) for axis in range(3)]
    total = np.zeros(grid.shape, np.float32)
    for part in np.ndindex(*steps):
        offset = matrix[:3, 3] + matrix[:3, :3] @ ((np.array(part) + 0.5) / steps - 0.5)
        total += ndimage.affine_transform(source, matrix[:3, :3], offset, output_shape=grid.shape, order=1, mode="nearest")
    return np.asarray(total / np.float32(np.prod(steps)), np.float32)


def nearest(mask: npt.NDArray[Any], scene_grid: Grid, grid: Grid, motion: Affine) -> npt.NDArray[Any]:
    """Labels of the scene at the voxel centres of another grid, without interpolation; same dtype as `mask`."""
    matrix = _to_scene(scene_grid, grid, motion)
    if grid.shape == scene_grid.shape and np.allclose(matrix, np.eye(4), atol=1e-9):
        return mask
    numbers = mask.astype(np.uint8)
    shape, rotation, offset = grid.shape, matrix[:3, :3], matrix[:3, 3]
    sampled = ndimage.affine_transform(numbers, rotation, offset, output_shape=shape, order=0, mode="nearest")
    return np.asarray(sampled, mask.dtype)


def degrade(
    clean: Field, grid: Grid, rng: np.random.Generator, *, bias: float, sigma: float, mask: npt.NDArray[np.bool_] | None
) -> Image:
    """Coil bias and Rician noise (Gudbjartsson 1995, doi:10.1002/mrm.1910340618), rounded to whole numbers as scanners store.

    Parameters
    ----------
    bias
        Standard deviation of the logarithm of the multiplicative field.
    sigma
        Standard deviation of the noise in each channel, in stored units.
    mask
        Brain of a skull-stripped image: 0 outside, at least 1 inside; None to keep the head and the noise of the air.

    Returns
    -------
    Image
        float32 with integer values.
    """
    noisy = clean * np.exp(np.float32(bias) * _coil_field(rng, grid.shape))
    if sigma > 0:
        noisy += rng.standard_normal(grid.shape, np.float32) * np.float32(sigma)
        noisy = np.hypot(noisy, rng.standard_normal(grid.shape, np.float32) * np.float32(sigma))
    whole = np.rint(noisy)
    if mask is not None:
        whole = np.where(mask, np.maximum(whole, 1), 0)
    return Image(whole.astype(np.float32), grid)


def _to_scene(scene_grid: Grid, grid: Grid, motion: Affine) -> Affine:
    """4x4: voxel index of `grid` -> voxel index of the scene, whose head has moved."""
    return np.asarray(np.linalg.inv(motion @ scene_grid.affine) @ grid.affine, np.float64)


def _coil_field(rng: np.random.Generator, shape: tuple[int, int, int]) -> Field:
    """A bias field over an array of any orientation: random cosines of up to one and a half periods, deviation 1."""
    modes, weights = np.arange(1, 4), np.array([1.0, 0.6, 0.3])
    bases = [(np.cos(np.pi * np.outer(np.linspace(0, 1, n), modes)) * weights).astype(np.float32) for n in shape]
    field = rng.standard_normal((3, 3, 3)).astype(np.float32)
    for base in bases:
        field = np.tensordot(field, base, axes=(0, 1))
    return np.asarray(field / max(float(field.std()), 1e-6), np.float32)


def _add_vessels(image: Field, scene: PhantomScene, contrast: Contrast) -> None:
    """Blood vessels in the subarachnoid space and choroid plexus: they enhance too, and are no tumour."""
    texture = smooth_field(np.random.default_rng([scene.seed, 11]), scene.brain.grid, 9.0)
    share = scene.brain.fluid * np.clip((texture - 1.1) * 2, 0, 0.7)
    image += share * (np.float32(contrast.vessel) - image)


def _add_tumour(image: Field, scene: PhantomScene, contrast: Contrast) -> None:
    """The tumour's tissue in place of the brain's, with soft edges and a texture of its own."""
    if not scene.labels.any():
        return
    spacing = scene.brain.grid.spacing
    box = bounding_box(scene.labels > 0, margin=max(2, round(6 / min(spacing))))
    texture = smooth_field(np.random.default_rng([scene.seed, 12]), scene.brain.grid.cropped(box), 5.0)
    part, labels = image[box], scene.labels[box]
    total, shares = np.zeros_like(part), np.zeros_like(part)
    for label in LABELS:
        blur = 1.3 if label is OEDEMA else 0.6
        share = ndimage.gaussian_filter((labels == label.value).astype(np.float32), [blur / step for step in spacing])
        roughness = np.float32({OEDEMA: 0.025, NECROTIC_CORE: 0.07}.get(label, 0.10))
        tissue = contrast.lesion(label.value) * (1 + roughness * texture)
        if label is OEDEMA:  # water between the fibres: the anatomy still shows through
            tissue = 0.8 * tissue + 0.2 * contrast.oedema * part
        total, shares = total + share * tissue, shares + share
    part[...] = (1 - np.minimum(shares, 1)) * part + total / np.maximum(shares, 1)
