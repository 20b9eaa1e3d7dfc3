"""Training of the same network on the same slices: our loop, and MONAI's `SupervisedTrainer` with its usual transforms."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer
from monai.losses import DiceCELoss
from monai.transforms import (
    Compose,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandFlipd,
    RandGaussianNoised,
    RandRotated,
    RandScaleIntensityd,
    RandShiftIntensityd,
)

from benchmarks.inputs import balls, prepared
from benchmarks.measuring import Inputs, Job, Notes
from braintumor.domain import Case, Segmentation
from braintumor.segment.network import AttentionUNet
from braintumor.train.data import FRAME, from_case
from braintumor.train.loop import TrainConfig, train

STEPS, BATCH = 12, 8
SIZE = (FRAME[0] - FRAME[0] % 16, FRAME[1] - FRAME[1] % 16)
"""Whole slices for both: the largest that both can take."""


def _case(inputs: Inputs) -> tuple[Case, Segmentation]:
    case = prepared(inputs.work)
    return case, balls(case.grid)


def monai_trainer(inputs: Inputs) -> Job:
    """Float32, region labels as MONAI's tutorials train them, dictionary transforms in the data loader."""
    slices = from_case(*_case(inputs))
    items = [
        {"image": image[:, : SIZE[0], : SIZE[1]].astype(np.float32), "label": label[None, : SIZE[0], : SIZE[1]]}
        for image, label in zip(slices.images, slices.labels, strict=True)
    ]
    both, bilinear = ("image", "label"), ("bilinear", "nearest")
    transforms = Compose(
        [
            RandFlipd(both, prob=0.5, spatial_axis=1),
            RandRotated(both, range_x=0.35, prob=0.7, mode=bilinear),
            Rand2DElasticd(both, spacing=(30, 30), magnitude_range=(1, 2), prob=0.5, mode=bilinear, padding_mode="zeros"),
            RandScaleIntensityd("image", factors=0.25, prob=1.0),
            RandShiftIntensityd("image", offsets=0.25, prob=1.0),
            RandAdjustContrastd("image", prob=1.0, gamma=(0.7, 1.4)),
            RandGaussianNoised("image", prob=1.0, std=0.15),
        ]
    )
    loader = DataLoader(Dataset(items[: STEPS * BATCH], transforms), batch_size=BATCH, shuffle=True, drop_last=True)
    network = AttentionUNet()
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=loader,
        network=network,
        optimizer=torch.optim.AdamW(network.parameters(), lr=1e-3),
        loss_function=DiceCELoss(to_onehot_y=True, softmax=True),
        inferer=SimpleInferer(),
    )

    def job() -> Notes:
        trainer.run()
        return _notes(len(loader), float(trainer.state.output[0]["loss"]))

    return job


def our_loop(inputs: Inputs) -> Job:
    """`braintumor.train.loop.train`, without torch.compile, whose start takes longer than this measurement."""
    return _ours(inputs, compiled=False)


def our_loop_compiled(inputs: Inputs) -> Job:
    """The same with torch.compile; the compilation itself is done before the clock starts."""
    return _ours(inputs, compiled=True)


def _ours(inputs: Inputs, *, compiled: bool) -> Job:
    patients = [from_case(*_case(inputs))]
    config = TrainConfig(steps=STEPS, full_steps=STEPS, full_batch=BATCH, full_size=SIZE, compile=compiled)
    losses: list[float] = []

    def note(facts: dict[str, Any]) -> None:
        losses.append(facts["loss"])

    def run(settings: TrainConfig) -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(
                patients,
                Path(folder),
                settings,
                progress=lambda facts: losses.append(facts["loss"]),
                report_every=settings.steps,
            )

    if compiled:
        run(replace(config, steps=1, full_steps=1))

    def job() -> Notes:
        run(config)
        return _notes(STEPS, losses[-1])

    return job


def _notes(steps: int, loss: float) -> Notes:
    return {"slices": steps * BATCH, "size": SIZE, "threads": torch.get_num_threads(), "last_loss": round(loss, 2)}
