"""Dice of the published model on the cases that its training configuration kept out: ``python -m benchmarks.accuracy DATA``."""

from __future__ import annotations

import argparse
from pathlib import Path

from braintumor.segment.weights import default_folder
from braintumor.train.run import evaluate, read_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that the paths of model/configs/train.json start from")
    data = parser.parse_args().data
    config = read_config(default_folder() / "configs" / "train.json")
    for line in evaluate([data / config.volumes / name for name in config.heldout]):
        print(line, flush=True)


if __name__ == "__main__":
    main()
