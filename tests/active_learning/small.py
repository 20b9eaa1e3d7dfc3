"""Small things to learn from: cases of a few slices whose tumour is bright in one sequence, and a tiny network."""

import numpy as np
import torch

from braintumor.active_learning import Example, write_example
from braintumor.active_learning.registry import Registry
from braintumor.domain import Author, Case, Grid, MRSequence, Segmentation
from braintumor.segment import weights
from braintumor.segment.engines.pytorch import TorchEngine
from braintumor.segment.network import AttentionUNet, NetworkConfig

TINY = NetworkConfig(channels=(8, 16), cbam=False)
TRAIN = {
    "steps": 30,
    "batch": 4,
    "size": [32, 32],
    "full_steps": 4,
    "full_batch": 2,
    "full_size": [64, 48],
    "warmup": 2,
    "learning_rate": 0.01,
    "ema": 0.9,
}


def example(name, patient=None, seed=0, brightness=3.0, weight=1.0):
    """A brain of 44 x 36 x 6 voxels of 2 mm with an enhancing block; `brightness` makes it easy or invisible."""
    rng = np.random.default_rng(seed)
    shape = (44, 36, 6)
    brain = np.zeros(shape, bool)
    brain[4:40, 4:32] = True
    mask = np.zeros(shape, np.uint8)
    i, j = rng.integers(8, 24), rng.integers(8, 18)
    mask[i : i + 10, j : j + 10, 1:5] = 4
    channels = (rng.normal(0, 0.3, (4, *shape)) * brain).astype(np.float32)
    channels[1] += brightness * (mask > 0)
    grid = Grid(shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    case = Case(name, grid, channels, {}, brain, tuple(MRSequence), {})
    return Example(name, patient or name, case, Segmentation(mask, grid, Author("human", "A. Notator")), weight)


def network(seed=0):
    torch.manual_seed(seed)
    return AttentionUNet(TINY).eval()


def engine(net=None):
    return TorchEngine(weights.Model(net or network(), "tiny", "1.0.0", "0" * 64), torch.float32)


def shipped(folder, seed=0):
    weights.save(network(seed), folder, {"name": "tiny", "version": "1.0.0"})
    return folder


def written(folder, *examples):
    """The examples as files, in a folder."""
    for item in examples:
        write_example(item, folder / f"{item.name}.npz")
    return folder


def registry(place):
    return Registry(place / "registry", place / "shipped")
