"""What a network is made of: shape, parameters and arithmetic of each part for one input size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from braintumor.segment.network import AttentionUNet


@dataclass(frozen=True, slots=True)
class NetworkPart:
    """One row of the description.

    Attributes
    ----------
    name
        E.g. ``encoder 1``, from full resolution down, ``decoder 1``, back up, ``head``.
    shape
        Of its output: channels, height, width.
    parameters
        Trainable numbers.
    gflop
        Billions of floating-point operations for one slice; a multiplication and its addition count as two.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    gflop: float


def describe(network: AttentionUNet, height: int = 192, width: int = 160) -> tuple[NetworkPart, ...]:
    """Each encoder, decoder and head of a network in eval mode, in the order of their work.

    Parameters
    ----------
    height, width
        Of the slice, in pixels, multiples of `NetworkConfig.stride`.
    """
    parts: list[tuple[str, nn.Module]] = []
    for kind, modules in (("encoder", network.encoders), ("decoder", network.decoders)):
        parts += [(f"{kind} {number}", module) for number, module in enumerate(modules, start=1)]
    parts.append(("head", network.head))
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        shapes[module] = tuple(output.shape[1:])

    hooks = [module.register_forward_hook(note) for _, module in parts]
    counter = FlopCounterMode(display=False)
    try:
        with torch.inference_mode(), counter:
            network(torch.zeros(1, network.config.in_channels, height, width))
    finally:
        for hook in hooks:
            hook.remove()
    counts = {name.split(".", 1)[-1]: sum(flops.values()) for name, flops in counter.get_flop_counts().items()}
    paths = {module: path for path, module in network.named_modules()}
    return tuple(
        NetworkPart(name, shapes[module], sum(p.numel() for p in module.parameters()), counts.get(paths[module], 0) / 1e9)
        for name, module in parts
    )
