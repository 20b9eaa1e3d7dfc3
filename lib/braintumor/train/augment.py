"""Augmentation of slice batches: geometry, intensities and missing sequences, all from one random generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def augment(
    images: Tensor,
    labels: Tensor,
    centres: Tensor,
    generator: torch.Generator,
    size: tuple[int, int],
    drop_sequence: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Random geometry and intensities for a batch.

    Parameters
    ----------
    images
        (N, 4, H, W) float32, z-scored, exactly 0 outside the brain.
    labels
        (N, H, W) uint8, network channels.
    centres
        (N, 2) float, (row, column) in pixels around which to cut.
    generator
        The only source of randomness.
    size
        (height, width) of the result.
    drop_sequence
        Chance of each sequence to be blanked; at least one always stays.

    Returns
    -------
    images (N, 4, height, width) float32 and labels (N, height, width) int64.
    """
    grid = _sampling_grid(images, centres, generator, size)
    warped = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    mask = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    brain = (warped != 0).any(dim=1, keepdim=True)
    warped = _intensities(warped, brain, generator)
    return _drop(warped, generator, drop_sequence), mask[:, 0].long()


def _uniform(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=g)


def _sampling_grid(images: Tensor, centres: Tensor, g: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Rotation, anisotropic scale, shift, left-right flip and a smooth elastic field, as one sampling grid."""
    n, _, height, width = images.shape
    angle = _uniform(n, -0.35, 0.35, g) * (torch.rand(n, generator=g) < 0.7)
    zoom = torch.exp(_uniform(n, -0.22, 0.22, g))
    ratio = torch.exp(_uniform(n, -0.08, 0.08, g))
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # affine_grid works in units of half the image: rotate in pixels, then return to those units.
    sx, sy = size[1] / width, size[0] / height
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = cos * zoom * ratio * flip * sx
    theta[:, 0, 1] = -sin * zoom / ratio * sy * height / width
    theta[:, 1, 0] = sin * zoom * ratio * flip * sx * width / height
    theta[:, 1, 1] = cos * zoom / ratio * sy
    jitter = 16.0
    theta[:, 0, 2] = (centres[:, 1] + _uniform(n, -jitter, jitter, g) + 0.5) * 2.0 / width - 1.0
    theta[:, 1, 2] = (centres[:, 0] + _uniform(n, -jitter, jitter, g) + 0.5) * 2.0 / height - 1.0
    grid = functional.affine_grid(theta, [n, 1, *size], align_corners=False)
    coarse = torch.randn(n, 2, 6, 5, generator=g) * 0.03 * (torch.rand(n, generator=g) < 0.5)[:, None, None, None]
    elastic = functional.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    return grid + elastic.permute(0, 2, 3, 1)


def _intensities(x: Tensor, brain: Tensor, g: torch.Generator) -> Tensor:
    """Contrast, brightness, gamma, bias field, blur and noise, each sequence on its own; background stays 0."""
    n, c, height, width = x.shape
    shape = (n, c, 1, 1)
    x = x * torch.exp(_uniform(n * c, -0.25, 0.25, g)).view(shape) + _uniform(n * c, -0.25, 0.25, g).view(shape)
    # Gamma on the z-scores' own range: bends contrast as another scanner or protocol would.
    gamma = torch.exp(_uniform(n * c, -0.35, 0.35, g)).view(shape)
    x = 10.0 * ((x + 5.0) / 10.0).clamp(0.0, 1.5) ** gamma - 10.0 * 0.5**gamma
    coarse = torch.randn(n, c, 3, 3, generator=g) * 0.12
    x = x + functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True) * x.abs().clamp(max=2.0)
    if float(torch.rand(1, generator=g)) < 0.3:
        factor = math.exp(float(_uniform(1, math.log(0.35), 0.0, g)))
        small = functional.interpolate(x, scale_factor=factor, mode="area")
        x = functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    noise = torch.randn(n, c, height, width, generator=g) * _uniform(n, 0.0, 0.15, g).view(n, 1, 1, 1)
    return (x + noise).clamp(-5.0, 5.0) * brain


def _drop(x: Tensor, g: torch.Generator, chance: float) -> Tensor:
    """Blank whole sequences, never all of them."""
    n, c = x.shape[:2]
    keep = torch.rand(n, c, generator=g) >= chance
    keep[torch.arange(n), torch.randint(c, (n,), generator=g)] = True
    return x * keep[:, :, None, None]
