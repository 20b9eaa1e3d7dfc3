"""Augmentation of slice batches: geometry, intensities and missing sequences, all from one random generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from braintumor.domain import MRSequence


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far a batch may be changed.

    Attributes
    ----------
    geometry, intensity
        Scale of all ranges of that kind: 1 as published, 0 none. The left-right flip belongs to the geometry.
    drop_sequence
        Chance of each sequence to be blanked; at least one always stays.
    misalign
        Chance of each sequence to be shifted by 1 or 2 pixels against the others, as after an imperfect registration.
    bias
        Largest standard deviation of a multiplicative bias field of the scanner, as a share of the intensity.
    """

    geometry: float = 1.0
    intensity: float = 1.0
    drop_sequence: float = 0.1
    misalign: float = 0.0
    bias: float = 0.0


MEAN_OVER_DEVIATION = 4.0
"""Mean of a brain's intensities in their own standard deviations, about: where a z-score's 0 lies above black."""


def augment(
    images: Tensor,
    labels: Tensor,
    centres: Tensor,
    generator: torch.Generator,
    size: tuple[int, int],
    config: AugmentConfig | None = None,
) -> tuple[Tensor, Tensor]:
    """Random geometry and intensities for a batch.

    Parameters
    ----------
    images
        (N, 4 * slices, H, W) float32, z-scored, exactly 0 outside the brain; the slices of a 2.5D input change together.
    labels
        (N, H, W) uint8, network channels.
    centres
        (N, 2) float, (row, column) in pixels around which to cut.
    generator
        The only source of randomness.
    size
        (height, width) of the result.

    Returns
    -------
    images (N, 4 * slices, height, width) float32 and labels (N, height, width) int64.
    """
    config = config or AugmentConfig()
    images = _misaligned(images, generator, config.misalign) if config.misalign else images
    grid = _sampling_grid(images, centres, generator, size, config.geometry)
    warped = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    mask = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    brain = (warped != 0).any(dim=1, keepdim=True)
    if config.bias:
        warped = _biased(warped, generator, config.bias) * brain
    if config.intensity:
        warped = _intensities(warped, brain, generator, config.intensity)
    return _drop(warped, generator, config.drop_sequence), mask[:, 0].long()


def _uniform(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=g)


def _sampling_grid(images: Tensor, centres: Tensor, g: torch.Generator, size: tuple[int, int], scale: float = 1.0) -> Tensor:
    """Rotation, anisotropic scale, shift, left-right flip and a smooth elastic field, as one sampling grid."""
    n, _, height, width = images.shape
    angle = scale * _uniform(n, -0.35, 0.35, g) * (torch.rand(n, generator=g) < 0.7)
    zoom = torch.exp(scale * _uniform(n, -0.22, 0.22, g))
    ratio = torch.exp(scale * _uniform(n, -0.08, 0.08, g))
    flip = torch.where(torch.rand(n, generator=g) < min(0.5, 0.5 * scale), -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # affine_grid works in units of half the image: rotate in pixels, then return to those units.
    sx, sy = size[1] / width, size[0] / height
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = cos * zoom * ratio * flip * sx
    theta[:, 0, 1] = -sin * zoom / ratio * sy * height / width
    theta[:, 1, 0] = sin * zoom * ratio * flip * sx * width / height
    theta[:, 1, 1] = cos * zoom / ratio * sy
    jitter = 16.0 * min(1.0, scale)
    theta[:, 0, 2] = (centres[:, 1] + _uniform(n, -jitter, jitter, g) + 0.5) * 2.0 / width - 1.0
    theta[:, 1, 2] = (centres[:, 0] + _uniform(n, -jitter, jitter, g) + 0.5) * 2.0 / height - 1.0
    grid = functional.affine_grid(theta, [n, 1, *size], align_corners=False)
    coarse = torch.randn(n, 2, 6, 5, generator=g) * 0.03 * scale * (torch.rand(n, generator=g) < 0.5)[:, None, None, None]
    elastic = functional.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    return grid + elastic.permute(0, 2, 3, 1)


def _intensities(x: Tensor, brain: Tensor, g: torch.Generator, scale: float = 1.0) -> Tensor:
    """Contrast, brightness, gamma, bias field, blur and noise, each sequence on its own; background stays 0."""
    n, channels, height, width = x.shape
    c = len(MRSequence)

    def per_sequence(low: float, high: float) -> Tensor:
        return _every_slice(scale * _uniform(n * c, low, high, g).view(n, c, 1, 1), channels)

    x = x * torch.exp(per_sequence(-0.25, 0.25)) + per_sequence(-0.25, 0.25)
    # Gamma on the z-scores' own range: bends contrast as another scanner or protocol would.
    gamma = torch.exp(per_sequence(-0.35, 0.35))
    x = 10.0 * ((x + 5.0) / 10.0).clamp(0.0, 1.5) ** gamma - 10.0 * 0.5**gamma
    coarse = torch.randn(n, c, 3, 3, generator=g) * 0.12 * scale
    field = functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    x = x + _every_slice(field, channels) * x.abs().clamp(max=2.0)
    if float(torch.rand(1, generator=g)) < 0.3 * min(1.0, scale):
        factor = math.exp(float(_uniform(1, math.log(0.35), 0.0, g)))
        small = functional.interpolate(x, scale_factor=factor, mode="area")
        x = functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    noise = torch.randn(n, channels, height, width, generator=g) * scale * _uniform(n, 0.0, 0.15, g).view(n, 1, 1, 1)
    return (x + noise).clamp(-5.0, 5.0) * brain


def _biased(x: Tensor, g: torch.Generator, largest: float) -> Tensor:
    """A smooth field that multiplies what the scanner measured; in z-scores that adds as well, because 0 is not black there."""
    n, channels, height, width = x.shape
    c = len(MRSequence)
    coarse = torch.randn(n, c, 3, 3, generator=g) * _uniform(n * c, 0.0, largest, g).view(n, c, 1, 1)
    field = functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    return x + _every_slice(field, channels) * (x + MEAN_OVER_DEVIATION)


def _every_slice(per_sequence: Tensor, channels: int) -> Tensor:
    """(N, 4, ...) values repeated for each slice of a 2.5D input, (N, channels, ...)."""
    return per_sequence.repeat(1, channels // per_sequence.shape[1], 1, 1)


def _misaligned(x: Tensor, g: torch.Generator, chance: float) -> Tensor:
    """Shift single sequences by up to 2 pixels; what a roll carries around the edge is background."""
    n, c = x.shape[0], len(MRSequence)
    moved = torch.rand(n, c, generator=g) < chance
    shifts = torch.randint(-2, 3, (n, c, 2), generator=g)
    x = x.clone()
    for sample, sequence in moved.nonzero().tolist():
        rows, columns = shifts[sample, sequence].tolist()
        x[sample, sequence::c] = x[sample, sequence::c].roll((rows, columns), dims=(1, 2))
    return x


def _drop(x: Tensor, g: torch.Generator, chance: float) -> Tensor:
    """Blank whole sequences, never all of them."""
    n, c = x.shape[0], len(MRSequence)
    keep = torch.rand(n, c, generator=g) >= chance
    keep[torch.arange(n), torch.randint(c, (n,), generator=g)] = True
    return x * _every_slice(keep.float()[:, :, None, None], x.shape[1])
