"""The network in PyTorch: half precision on a GPU, bf16 or float32 on a CPU."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from braintumor.segment.engines.protocol import Batch
from braintumor.segment.weights import Model


class WithSoftmax(nn.Module):
    """The network with probabilities instead of logits."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) slices -> (N, 4, H, W) float32 that sums to 1 over axis 1; always taken in float32."""
        return torch.softmax(self.network(x).float(), dim=1)


class TorchEngine:
    """PyTorch: on the GPU in float16 where there is one, else on the CPU in bf16 where it multiplies that, else float32.

    ``torch.compile`` is not used: it needs a C++ compiler where the program runs, and minutes for the sizes of one case's
    slices, to save a second or two.

    Parameters
    ----------
    precision
        Element type of the arithmetic, or None to choose as above; ``torch.float32`` is the reference that the other
        engines are compared with.
    """

    def __init__(self, model: Model, precision: torch.dtype | None = None) -> None:
        self.model = model
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._precision = precision or _fastest(self._device)
        # Channels last is how convolutions read; it saves a reordering before each of them.
        self._net = folded(WithSoftmax(model).eval()).to(self._device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self.name = f"torch-{self._device.type}-{_SHORT[self._precision]}"

    def probabilities(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """See `Engine.probabilities`."""
        mixed = self._precision is not torch.float32
        for batch in batches:
            with torch.inference_mode(), torch.autocast(self._device.type, self._precision, enabled=mixed):
                x = torch.from_numpy(batch).to(self._device, memory_format=torch.channels_last)
                yield self._net(x).float().cpu().numpy()


def folded(network: nn.Module) -> nn.Module:
    """A copy of a network in eval mode whose batch norms are part of the convolutions before: the same function, sooner."""
    return _fold(copy.deepcopy(network))


def _fold(module: nn.Module) -> nn.Module:
    for child in module.children():
        _fold(child)
    if isinstance(module, nn.Sequential):
        for n in range(len(module) - 1):
            one, two = module[n], module[n + 1]
            if isinstance(one, nn.Conv2d | nn.ConvTranspose2d) and isinstance(two, nn.BatchNorm2d):
                module[n] = fuse_conv_bn_eval(one, two, transpose=isinstance(one, nn.ConvTranspose2d))
                module[n + 1] = nn.Identity()
    return module


_SHORT = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32"}


def _fastest(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.float16
    # torch has no public way to ask; without this instruction bf16 is emulated, and slower than float32.
    has_bf16 = bool(torch.cpu._is_avx512_bf16_supported())
    return torch.bfloat16 if has_bf16 else torch.float32
