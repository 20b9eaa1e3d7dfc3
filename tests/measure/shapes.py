"""Solids of known size, drawn on any grid."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from braintumor.domain import Author, Grid, Segmentation


def grid(shape, spacing=(1.0, 1.0, 1.0), turn_deg=(0.0, 0.0, 0.0), centre=(0.0, 0.0, 0.0)):
    """A grid whose middle lies at `centre` (LPS+ mm), turned about x, y and z."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() * np.array(spacing)
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def offsets(grid, centre):
    """Voxel centres (i, j, k, 3) relative to `centre`, LPS+ mm."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return grid.to_world(index) - np.array(centre)


def ellipsoid(grid, semi_axes, centre=(0.0, 0.0, 0.0), turn_deg=(0.0, 0.0, 0.0)):
    """Bool: voxel centres inside an ellipsoid whose axes are turned about x, y and z."""
    axes = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    return (((offsets(grid, centre) @ axes) / np.array(semi_axes)) ** 2).sum(axis=-1) <= 1.0


def segmentation(grid, **labelled):
    """A segmentation with label values under their short names, drawn in the order given: ``ED=mask, NCR=mask``."""
    mask = np.zeros(grid.shape, np.uint8)
    for short, where in labelled.items():
        mask[where] = {"NCR": 1, "ED": 2, "ET": 4}[short]
    return Segmentation(mask, grid, Author("human", "test"))
