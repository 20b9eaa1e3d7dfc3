"""The 2D attention U-Net over axial slices of four sequences; every variant is a configuration of this one class."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from braintumor.domain import LABELS, MRSequence


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What makes one variant of the network; saved beside its weights.

    Attributes
    ----------
    channels
        Feature channels per level, from full resolution down.
    context
        2.5D input: neighbouring slices on each side whose sequences are stacked as further input channels.
    out_channels
        Background and one per label, in `braintumor.domain.LABELS` order.
    attention
        Gate the skip connections (equation 1); False is the ablation.
    cbam
        Channel and spatial attention after every encoder level but the first, where it would cost most and see least.
    deep_supervision
        Logits at half and quarter resolution as well, for the loss; inference never computes them.
    classify
        A second head that says whether the slice holds tumour (the Y-Net's classifier).
    """

    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    context: int = 0
    out_channels: int = len(LABELS) + 1
    attention: bool = True
    cbam: bool = True
    deep_supervision: bool = False
    classify: bool = False

    @property
    def in_channels(self) -> int:
        """Slices k-context .. k+context, each with all sequences in `MRSequence` order."""
        return len(MRSequence) * (2 * self.context + 1)

    @property
    def stride(self) -> int:
        """Input height and width must be multiples of this."""
        return int(2 ** (len(self.channels) - 1))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """The inverse of `as_dict`; unknown keys raise TypeError."""
        return cls(**{**values, "channels": tuple(values.get("channels", cls().channels))})


def _conv(cin: int, cout: int) -> nn.Sequential:
    # Batch norm, not instance norm: it folds into the convolution at inference and costs nothing there.
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class ChannelAttention(nn.Module):
    """Which feature matters: sigmoid(MLP(avgpool) + MLP(maxpool)) (Woo et al. 2018, equation 2)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1), nn.ReLU(inplace=True), nn.Conv2d(channels // reduction, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape, each channel weighted 0..1."""
        mean, peak = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.mlp(mean) + self.mlp(peak))


class SpatialAttention(nn.Module):
    """Where it matters: sigmoid(conv7x7([mean over channels; max over channels])) (Woo et al. 2018, equation 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape, each pixel weighted 0..1."""
        summary = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.conv(summary))


class AttentionGate(nn.Module):
    """Additive attention on a skip connection (paper, equations 1 and 2; Oktay et al. 2018).

    alpha = sigmoid(W_alpha . relu(W_x x + W_g g + b)) and the skip becomes alpha * x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.w_x = nn.Sequential(nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner))
        self.w_g = nn.Sequential(nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner))
        self.w_alpha = nn.Conv2d(inner, 1, 1)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """Skip features x and gating signal g, both (N, C, H, W) -> gated skip of the same shape."""
        alpha = torch.sigmoid(self.w_alpha(torch.relu(self.w_x(x) + self.w_g(g))))
        return alpha * x


class _Encoder(nn.Module):
    def __init__(self, cin: int, cout: int, cbam: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(cin, cout), _conv(cout, cout))
        self.refine = nn.Sequential(ChannelAttention(cout), SpatialAttention()) if cbam else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.refine(self.body(x)))


class _Decoder(nn.Module):
    def __init__(self, cin: int, cout: int, attention: bool) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(cin, cout, 2, stride=2, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True)
        )
        self.gate = AttentionGate(cout) if attention else None
        self.merge = _conv(2 * cout, cout)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        up = self.up(x)
        gated = skip if self.gate is None else self.gate(skip, up)
        return cast("Tensor", self.merge(torch.cat((gated, up), dim=1)))


class Outputs(NamedTuple):
    """All that the network says while it is trained.

    Attributes
    ----------
    logits
        (N, `out_channels`, H, W).
    deeper
        With `deep_supervision`, the same at half and quarter resolution, else empty.
    presence
        With `classify`, (N,) logits of 'this slice holds tumour', else None.
    """

    logits: Tensor
    deeper: tuple[Tensor, ...]
    presence: Tensor | None


class AttentionUNet(nn.Module):
    """2D U-Net with attention-gated skips and CBAM.

    Input (N, `NetworkConfig.in_channels`, H, W), z-scored slices, rows to posterior and columns to the patient's left, H and W
    multiples of `NetworkConfig.stride`. Output (N, `out_channels`, H, W) logits: background, then `braintumor.domain.LABELS`.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NetworkConfig()
        widths = config.channels
        inputs = (config.in_channels, *widths[:-1])
        self.encoders = nn.ModuleList(
            _Encoder(cin, cout, cbam=config.cbam and level > 0)
            for level, (cin, cout) in enumerate(zip(inputs, widths, strict=True))
        )
        self.pool = nn.MaxPool2d(2)
        self.decoders = nn.ModuleList(
            _Decoder(cin, cout, config.attention) for cin, cout in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], config.out_channels, 1)
        supervised = widths[1:3] if config.deep_supervision else ()
        self.deeper = nn.ModuleList(nn.Conv2d(width, config.out_channels, 1) for width in supervised)
        self.presence = nn.Linear(2 * widths[-1], 1) if config.classify else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, `in_channels`, H, W) slices -> (N, `out_channels`, H, W) logits."""
        return cast("Tensor", self.head(self._levels(x)[0]))

    def outputs(self, x: Tensor) -> Outputs:
        """`forward` with what only the loss, or a reader of the presence, needs; the same input."""
        levels = self._levels(x)
        deeper = tuple(head(level) for head, level in zip(self.deeper, levels[1:], strict=False))
        presence = None
        if self.presence is not None:
            deepest = levels[-1]
            summary = torch.cat((deepest.mean(dim=(2, 3)), deepest.amax(dim=(2, 3))), dim=1)
            presence = self.presence(summary)[:, 0]
        return Outputs(self.head(levels[0]), deeper, presence)

    def _levels(self, x: Tensor) -> list[Tensor]:
        """Decoded features from full resolution down; the last are the encoder's deepest."""
        skips: list[Tensor] = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(x if level == 0 else self.pool(x))
            skips.append(x)
        levels = [x]
        for decoder, skip in zip(self.decoders, skips[-2::-1], strict=True):
            x = decoder(x, skip)
            levels.insert(0, x)
        return levels
