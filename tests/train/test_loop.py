"""Training: augmentation keeps what it must, learning happens, and a killed run goes on with identical state."""

import json

import numpy as np
import pytest
import torch

from braintumor.segment.network import NetworkConfig
from braintumor.train.augment import AugmentConfig, augment
from braintumor.train.data import FRAME, Slices
from braintumor.train.loop import TrainConfig, learning_rate, train

SMALL = NetworkConfig(channels=(8, 16), cbam=False)
CONFIG = TrainConfig(steps=6, batch=3, size=(32, 32), full_steps=2, full_batch=2, full_size=(64, 48), warmup=2, seed=3)


def patients():
    rng = np.random.default_rng(0)
    images = np.zeros((25, 4, *FRAME), np.float16)
    labels = np.zeros((25, *FRAME), np.uint8)
    images[:, :, 60:150, 50:130] = rng.normal(size=(25, 4, 90, 80))
    labels[:, 90:110, 80:100] = 3
    images[:, 1, 90:110, 80:100] += 3.0
    return [Slices("p", images, labels)]


def test_augmentation_keeps_background_size_and_labels_and_repeats_by_seed():
    item = patients()[0]
    images, labels = torch.from_numpy(item.images[:6]).float(), torch.from_numpy(item.labels[:6])
    centres = torch.full((6, 2), 100.0)
    first = augment(images, labels, centres, torch.Generator().manual_seed(4), (48, 64))
    again = augment(images, labels, centres, torch.Generator().manual_seed(4), (48, 64))
    assert first[0].shape == (6, 4, 48, 64)
    assert first[1].shape == (6, 48, 64)
    assert set(first[1].unique().tolist()) <= {0, 3}
    assert (first[1] == 3).any(dim=(1, 2)).all()
    assert torch.equal(first[0], again[0])
    assert first[0].abs().max() <= 5.0


def test_a_sequence_may_vanish_but_never_all():
    item = patients()[0]
    images, labels = torch.from_numpy(item.images[:8]).float(), torch.from_numpy(item.labels[:8])
    out, _ = augment(
        images, labels, torch.full((8, 2), 100.0), torch.Generator().manual_seed(0), (32, 32), AugmentConfig(drop_sequence=0.95)
    )
    kept = (out != 0).any(dim=(2, 3)).sum(dim=1)
    assert (kept >= 1).all()
    assert (kept < 4).any()


def test_without_augmentation_nothing_is_random():
    item = patients()[0]
    images, labels = torch.from_numpy(item.images[:2]).float(), torch.from_numpy(item.labels[:2])
    none = AugmentConfig(geometry=0.0, intensity=0.0, drop_sequence=0.0)
    centres = torch.full((2, 2), 100.0)
    one, other = (augment(images, labels, centres, torch.Generator().manual_seed(n), (32, 32), none) for n in (0, 1))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_a_bias_field_multiplies_what_was_measured_smoothly_and_leaves_the_background():
    images = torch.zeros(4, 8, 64, 64)
    images[:, :, 8:56, 8:56] = 2.0
    only = AugmentConfig(geometry=0.0, intensity=0.0, drop_sequence=0.0, bias=0.2)
    labels, centres = torch.zeros(4, 64, 64, dtype=torch.uint8), torch.full((4, 2), 31.5)
    out, _ = augment(images, labels, centres, torch.Generator().manual_seed(0), (64, 64), only)
    assert torch.equal(out != 0, images != 0)
    assert torch.equal(out[:, :4], out[:, 4:])  # the slices of a context together
    inside = out[:, :, 8:56, 8:56]
    assert 0.1 < float(inside.std()) < 1.5
    assert float((inside[..., 1:] - inside[..., :-1]).abs().max()) < 0.15


def test_the_slices_of_a_context_change_together():
    item = patients()[0]
    one = torch.from_numpy(item.images[:3]).float()
    images, labels = torch.cat((one, one, one), dim=1), torch.from_numpy(item.labels[:3])
    config = AugmentConfig(drop_sequence=0.5, misalign=0.5, bias=0.1)
    out, _ = augment(images, labels, torch.full((3, 2), 100.0), torch.Generator().manual_seed(1), (32, 32), config)
    parts = out.view(3, 3, 4, 32, 32)
    assert ((parts[:, 0] == 0).all(dim=(2, 3)) == (parts[:, 2] == 0).all(dim=(2, 3))).all()
    assert (parts[:, 0] - parts[:, 2]).abs().mean() < 0.2  # only the noise differs


def test_learning_rate_warms_up_and_decays():
    rates = [learning_rate(CONFIG, step) for step in range(CONFIG.steps + 1)]
    assert rates[0] == pytest.approx(CONFIG.learning_rate / 2)
    assert max(rates) == pytest.approx(CONFIG.learning_rate)
    assert rates[-1] == pytest.approx(CONFIG.learning_rate * 0.01)


def test_a_killed_run_resumes_with_identical_state(tmp_path):
    class KilledError(Exception):
        pass

    def kill_at_step_3(facts):
        if facts["step"] == 3:
            raise KilledError

    whole = train(patients(), tmp_path / "whole", CONFIG, SMALL)
    with pytest.raises(KilledError):
        train(patients(), tmp_path / "parts", CONFIG, SMALL, progress=kill_at_step_3, report_every=3, save_every=1)
    resumed = train(patients(), tmp_path / "parts", CONFIG, SMALL)
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert json.loads((tmp_path / "parts/config.json").read_text())["train"]["seed"] == 3


def test_loss_falls(tmp_path):
    seen = []
    config = TrainConfig(
        steps=60, batch=6, size=(48, 48), full_steps=0, warmup=5, learning_rate=5e-3, augment=AugmentConfig(drop_sequence=0.0)
    )
    train(patients(), tmp_path, config, SMALL, progress=seen.append)
    losses = [facts["loss"] for facts in seen]
    assert losses[-1] < 0.8 * losses[0]
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == len(losses) == 3
