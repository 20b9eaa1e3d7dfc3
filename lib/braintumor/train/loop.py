"""The training loop: mixed precision, warm-up and cosine, EMA, several GPUs, resumable with identical state."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from braintumor.domain import TrainingProgress, silent
from braintumor.segment.network import AttentionUNet, NetworkConfig, Outputs
from braintumor.train.augment import AugmentConfig, augment
from braintumor.train.data import FRAME, BalancedSampler, Slices
from braintumor.train.losses import LossConfig, training_loss


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides a training run; written beside its weights.

    Attributes
    ----------
    steps, batch, size
        Optimiser steps, crops per step and their (height, width) in pixels: crops first, because most of a slice is
        easy and costs as much as the hard part.
    full_steps, full_batch, full_size
        The last part of `steps`, on whole slices, so that the network and its batch statistics see what inference shows.
    learning_rate, weight_decay
        Of AdamW; the rate warms up over `warmup` steps and follows a cosine to 1 % of itself.
    ema
        Decay of the averaged weights, which are the ones published.
    extra_share, thick
        See `BalancedSampler`.
    compile
        Fuse the network's operations with torch.compile: a minute at the start, then faster steps
        (`benchmarks.run --only training`).
    """

    steps: int = 2000
    batch: int = 16
    size: tuple[int, int] = (96, 96)
    full_steps: int = 300
    full_batch: int = 8
    full_size: tuple[int, int] = (192, 160)
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    warmup: int = 100
    ema: float = 0.995
    extra_share: float = 0.5
    thick: float = 0.0
    seed: int = 0
    compile: bool = False
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """From JSON; unknown keys raise TypeError, so a typing error cannot become a default."""
        plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        plain["loss"] = LossConfig(**plain.get("loss", {}))
        plain["augment"] = AugmentConfig(**plain.get("augment", {}))
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class _Place:
    """Which of the processes that torchrun started is this one; alone without it."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> _Place:
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(distributed.get_rank(), count)


class _State:
    """Model, averaged model and optimiser: with the step's number, all that a resumed run needs.

    Randomness is drawn anew at each step from (seed, rank, step), so a checkpoint holds no generator.
    """

    def __init__(
        self, config: TrainConfig, network: NetworkConfig, place: _Place, start: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        torch.manual_seed(config.seed)
        self.place = place
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        self.device = own if torch.cuda.is_available() else torch.device("cpu")
        self.model = AttentionUNet(network).to(self.device)
        if start is not None:
            self.model.load_state_dict(start)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        average = AttentionUNet(network).to(self.device)
        average.load_state_dict(self.model.state_dict())
        self.average = average.eval()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        # bf16 pays only where the hardware multiplies it; elsewhere the CPU falls back to a path 20 times slower.
        self.mixed = self.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        self.step = 0
        self.outputs = self._outputs(config)

    def _outputs(self, config: TrainConfig) -> Callable[[torch.Tensor], Outputs]:
        whole: Any = _AllOutputs(self.model)
        if self.place.count > 1:
            whole = DistributedDataParallel(whole)
        return torch.compile(whole) if config.compile else whole

    def save(self, path: Path) -> None:
        if self.place.rank:
            return
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        # Early on a long memory would average in the random start, so the decay grows with the step.
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1.0 - decay)
            else:
                mean.copy_(value)


class _AllOutputs(torch.nn.Module):
    """`AttentionUNet.outputs` as a module, which is what DistributedDataParallel wraps."""

    def __init__(self, network: AttentionUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> Outputs:
        return self.network.outputs(x)


class StoppedError(Exception):
    """The run was asked to stop: its checkpoint is written, and the same call goes on from there."""


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then cosine to 1 % of the peak at the last step."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))


def train(
    patients: list[Slices],
    folder: Path,
    config: TrainConfig | None = None,
    network: NetworkConfig | None = None,
    progress: TrainingProgress = silent,
    report_every: int = 20,
    save_every: int = 100,
    start: Mapping[str, torch.Tensor] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> AttentionUNet:
    """Train, or go on where a killed run in the same folder stopped, and return the averaged model (eval mode).

    Under ``torchrun`` each process trains on its own draws and the gradients are averaged; the first one writes.

    Parameters
    ----------
    patients
        Slices of the training patients.
    folder
        Gets ``checkpoint.pt``, ``config.json``, ``curve.jsonl`` and, where tensorboard is installed, its event files.
    progress
        Called every `report_every` steps, and after the last, with step, loss, learning rate and steps per second.
    start
        Weights to begin with instead of random ones (the state of an `AttentionUNet` of the same `network`); a checkpoint in
        `folder` comes first.
    stop
        Asked after every step; the run ends with a checkpoint as soon as it says True.

    Raises
    ------
    StoppedError
        If `stop` said so before the last step.
    """
    config, network = config or TrainConfig(), network or NetworkConfig()
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    place = _Place.join()
    state = _State(config, network, place, start)
    if checkpoint.exists():
        state.load(checkpoint)
    if place.rank == 0:
        (folder / "config.json").write_text(json.dumps({"train": asdict(config), "network": network.as_dict()}, indent=2))
    sampler = BalancedSampler(patients, network.context, config.extra_share, config.thick)
    curves = _Curves(folder if place.rank == 0 else None)
    started, done, losses = time.monotonic(), state.step, []
    while state.step < config.steps:
        losses.append(_one_step(state, sampler, config))
        if state.step % save_every == 0 or state.step == config.steps:
            state.save(checkpoint)
        if state.step % report_every == 0 or state.step == config.steps:
            facts = {
                "step": state.step,
                "loss": round(float(np.mean(losses)), 4),
                "learning_rate": round(learning_rate(config, state.step), 6),
                "steps_per_s": round((state.step - done) / (time.monotonic() - started), 2),
            }
            started, done, losses = time.monotonic(), state.step, []
            curves.add(facts)
            progress(facts)
        if state.step < config.steps and stop():
            state.save(checkpoint)
            raise StoppedError
    return state.average


class _Curves:
    """``curve.jsonl``, and the same figures as TensorBoard events where that is installed."""

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / "curve.jsonl" if folder else None
        self.board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        if folder:
            self.board = SummaryWriter(str(folder))

    def add(self, facts: dict[str, Any]) -> None:
        if self.path is None:
            return
        with self.path.open("a") as curve:
            curve.write(json.dumps(facts) + "\n")
        if self.board is not None:
            for key in facts.keys() - {"step"}:
                self.board.add_scalar(key, facts[key], facts["step"])
            self.board.flush()


def _one_step(state: _State, sampler: BalancedSampler, config: TrainConfig) -> float:
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step)
    full = state.step >= config.steps - config.full_steps
    seed = np.random.SeedSequence([config.seed, state.place.rank, state.step])
    draws = sampler.batch(config.full_batch if full else config.batch, np.random.default_rng(seed))
    centres = draws.centres
    if full:
        centres = torch.tensor([[FRAME[0] / 2, FRAME[1] / 2]]).expand(len(centres), 2)
    generator = torch.Generator().manual_seed(int(seed.generate_state(1)[0]))
    size = config.full_size if full else config.size
    images, target = augment(draws.images, draws.labels, centres, generator, size, config.augment)
    images = images.to(state.device, memory_format=torch.channels_last)
    state.model.train()
    with torch.autocast(state.device.type, dtype=torch.bfloat16, enabled=state.mixed):
        outputs = state.outputs(images)
    share = config.loss.share_at(state.step / config.steps)
    partial = draws.partial.to(state.device) if bool(draws.partial.any()) else None
    loss = training_loss(outputs, target.to(state.device), config.loss, share, partial)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 5.0)
    state.optimizer.step()
    state.step += 1
    state.update_average(config.ema)
    return float(loss.detach())
