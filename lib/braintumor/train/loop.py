"""The training loop: mixed precision, warm-up and cosine, EMA, resumable with identical state."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from braintumor.segment.network import AttentionUNet, NetworkConfig
from braintumor.train.augment import augment
from braintumor.train.data import FRAME, BalancedSampler, Slices
from braintumor.train.losses import dice_ce_loss


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
    drop_sequence
        Chance of each sequence to be blanked in a crop.
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
    drop_sequence: float = 0.1
    seed: int = 0


class _State:
    """Model, averaged model, optimiser and random generators: all that a resumed run needs."""

    def __init__(self, config: TrainConfig, network: NetworkConfig) -> None:
        torch.manual_seed(config.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = AttentionUNet(network).to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        average = AttentionUNet(network).to(self.device)
        average.load_state_dict(self.model.state_dict())
        self.average = average.eval()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        # bf16 pays only where the hardware multiplies it; elsewhere the CPU falls back to a path 20 times slower.
        self.mixed = self.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        self.step = 0

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "rng": json.dumps(self.rng.bit_generator.state),
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
        self.generator.set_state(state["generator"])
        self.rng.bit_generator.state = json.loads(state["rng"])
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
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
    report_every: int = 20,
    save_every: int = 100,
) -> AttentionUNet:
    """Train, or go on where a killed run in the same folder stopped, and return the averaged model (eval mode).

    Parameters
    ----------
    patients
        Slices of the training patients.
    folder
        Gets ``checkpoint.pt``, ``config.json`` and ``curve.jsonl``.
    progress
        Called every `report_every` steps with step, loss and steps per second.
    """
    config, network = config or TrainConfig(), network or NetworkConfig()
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    state = _State(config, network)
    if checkpoint.exists():
        state.load(checkpoint)
    (folder / "config.json").write_text(json.dumps({"train": asdict(config), "network": network.as_dict()}, indent=2))
    sampler = BalancedSampler(patients)
    started, done, losses = time.monotonic(), state.step, []
    while state.step < config.steps:
        losses.append(_one_step(state, sampler, config))
        if state.step % save_every == 0 or state.step == config.steps:
            state.save(checkpoint)
        if state.step % report_every == 0:
            speed = (state.step - done) / (time.monotonic() - started)
            facts = {"step": state.step, "loss": round(float(np.mean(losses)), 4), "steps_per_s": round(speed, 2)}
            with (folder / "curve.jsonl").open("a") as curve:
                curve.write(json.dumps(facts) + "\n")
            progress(facts)
            losses = []
    return state.average


def _one_step(state: _State, sampler: BalancedSampler, config: TrainConfig) -> float:
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step)
    full = state.step >= config.steps - config.full_steps
    images, labels, centres = sampler.batch(config.full_batch if full else config.batch, state.rng)
    if full:
        centres = torch.tensor([[FRAME[0] / 2, FRAME[1] / 2]]).expand(len(images), 2)
    size = config.full_size if full else config.size
    images, target = augment(images, labels, centres, state.generator, size, config.drop_sequence)
    images = images.to(state.device, memory_format=torch.channels_last)
    state.model.train()
    with torch.autocast(state.device.type, dtype=torch.bfloat16, enabled=state.mixed):
        logits = state.model(images)
    loss = dice_ce_loss(logits, target.to(state.device))
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 5.0)
    state.optimizer.step()
    state.step += 1
    state.update_average(config.ema)
    return float(loss.detach())
