"""The head around a phantom's brain: meninges, skull, scalp, eyes, sinuses, face and neck, as smooth made-up shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.phantom.anatomy import Brain, Field, axes_mm, field_of_view, sampled, smooth_field
from braintumor.phantom.contrast import Contrast

SKULL_MM = 8.0
"""From the brain's hull to the outer surface of the skull."""


@dataclass(frozen=True, eq=False)
class Head:
    """The voxels of a head outside its brain, and where they lie among its layers; all but `where` are float32 (n).

    Attributes
    ----------
    where
        int64 (n), flat indices (C order) into the brain's grid.
    hull
        mm outside the smooth hull of the brain.
    depth
        mm below the skin.
    eye, sinus
        mm from the centre of the nearer eyeball; mm outside the nearest air-filled cavity.
    texture
        Mean 0, deviation 1.
    """

    where: npt.NDArray[np.int64]
    hull: Field
    depth: Field
    eye: Field
    sinus: Field
    texture: Field


def around(brain: Brain, seed: int) -> Head:
    """The head that fits a brain; `seed` varies the thickness of the scalp and the texture of muscle and fat."""
    step = max(4.0, min(brain.grid.spacing))
    coarse = field_of_view((step, step, step))  # every shape is smooth, so a coarse grid carries it
    rng = np.random.default_rng([seed, 13])
    texture = smooth_field(rng, brain.grid, 9.0)
    hull = _hull_distance(sampled(brain.mask.astype(np.float32), brain.grid, coarse) > 0.5, step)
    scalp = 7.0 + 1.2 * smooth_field(rng, coarse, 70.0)
    x, y, z = axes_mm(coarse)
    face = 60 * (1 - np.sqrt((x / 64) ** 2 + ((y + 30) / 66) ** 2 + ((z + 58) / 66) ** 2))
    neck = 58 * (1 - np.sqrt((x / 60) ** 2 + ((y - 40) / 64) ** 2)) - 0.5 * np.maximum(z + 45, 0)
    depth = _smooth_union([SKULL_MM + scalp - hull, face, neck])
    eye = np.sqrt((np.abs(x) - 32) ** 2 + (y + 68) ** 2 + (z + 36) ** 2)
    nose = 16 * (np.sqrt((x / 13) ** 2 + ((y + 60) / 26) ** 2 + ((z + 56) / 18) ** 2) - 1)
    cheeks = np.sqrt((np.abs(x) - 27) ** 2 + (y + 58) ** 2 + (z + 64) ** 2) - 13
    sinus = np.minimum(nose, cheeks)
    fine = [sampled(f.astype(np.float32), coarse, brain.grid).ravel() for f in (hull, depth, eye, sinus)]
    where = np.flatnonzero(~brain.mask.ravel() & (fine[1] > 0))
    outside, below, from_eye, from_air = (f[where] for f in fine)
    return Head(where, outside, below, from_eye, from_air, texture.ravel()[where])


def head_signal(head: Head, contrast: Contrast) -> Field:
    """Signal of the head's voxels relative to white matter, float32 (n)."""
    muscle = contrast.muscle + (contrast.fat - contrast.muscle) * np.clip(0.7 * head.texture - 0.6, 0, 0.8)
    soft = np.interp(head.depth, [0, 0.5, 1.8, 2.6, 6, 9], [0, *[contrast.muscle] * 2, *[contrast.fat] * 2, 0])
    soft += np.clip((head.depth - 6) / 3, 0, 1) * muscle
    layers = [contrast.fluid, contrast.fluid, *[contrast.bone] * 2, *[contrast.marrow] * 2, contrast.bone]
    skull = np.interp(head.hull, [-9, 0.8, 1.8, 3.4, 4.3, 5.8, 6.8], layers)
    head_level = np.where(head.hull < SKULL_MM, skull, soft)
    head_level = np.where((head.eye < 17) & (head.hull > SKULL_MM), contrast.fat, head_level)
    head_level = np.where((head.eye < 12) & (head.hull > 4), contrast.fluid, head_level)
    air = (head.hull > 5) & (head.eye > 16) & (head.depth > 4)
    return np.where(air, head_level * np.clip(head.sinus / 2, 0, 1), head_level).astype(np.float32)


def _hull_distance(mask: npt.NDArray[np.bool_], step: float) -> Field:
    """Mm outside the smooth hull of a mask, negative inside; same shape."""
    padded = np.pad(mask, 4, mode="edge")
    closed = ndimage.binary_closing(padded, ndimage.generate_binary_structure(3, 1), iterations=3)[4:-4, 4:-4, 4:-4] | mask
    distance = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    return np.asarray(ndimage.gaussian_filter(distance, 0.7) * step, np.float32)


def _smooth_union(depths: list[npt.NDArray[np.floating[Any]]]) -> npt.NDArray[np.floating[Any]]:
    """Depth inside the union of bodies, rounded where they meet."""
    soft = 6.0
    return np.asarray(soft * np.logaddexp.reduce([depth / soft for depth in np.broadcast_arrays(*depths)]))
