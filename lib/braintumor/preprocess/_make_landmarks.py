"""Makes `landmarks.json`: `python -m braintumor.preprocess._make_landmarks CASE [CASE ...]`, on training cases only."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from braintumor.domain import MRSequence
from braintumor.preprocess import prepare_case
from braintumor.preprocess.histogram import PERCENTILES, STANDARD, Landmarks, landmarks, learn
from braintumor.study import read_study


def make(cases: list[Path], path: Path = STANDARD) -> None:
    """Learn from cases, prepared as at inference, and write the file."""
    found: dict[MRSequence, list[Landmarks]] = {sequence: [] for sequence in MRSequence}
    for folder in cases:
        case = prepare_case(read_study(folder))
        for sequence, voxels in case.display.items():
            found[sequence].append(landmarks(voxels, case.brain))
    content = {
        "percentiles": PERCENTILES,
        "cases": sorted(folder.name for folder in cases),
        "landmarks": {sequence.value: [round(float(v), 5) for v in learn(images)] for sequence, images in found.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make([Path(argument) for argument in sys.argv[1:]])
