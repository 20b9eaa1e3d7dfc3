"""``python -m benchmarks.tracking_progression DATA/progression OUT`` follows the two treated patients end to end, masks given.

The files' headers say 1 mm along all axes, which is a placeholder: the heads are then 24 mm high. They get `SPACING`, at which
they have the proportions of a head; the masks' 1 becomes enhancing tumour. OUT gets a timeline, trend and overlay per patient.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import nibabel as nib
import numpy as np

from braintumor import pipeline
from braintumor.domain import ENHANCING, LPS_FROM_RAS, Grid, write_nifti
from braintumor.track import TrackOptions, VisitNotes

SPACING = (0.9375, 0.9375, 6.5)
DATES = {"Pre": date(2020, 1, 1), "Post": date(2020, 3, 1)}
"""Made up: the data set gives none."""


def prepare(source: Path, folder: Path) -> dict[str, tuple[Path, Path]]:
    """A patient's visits, each a study folder and a mask, with spacing and label put right."""
    made = {}
    for visit in DATES:
        study = folder / visit.lower()
        study.mkdir(parents=True, exist_ok=True)
        read: Any = nib.load  # carries no types
        scan, mask = (read(source / f"{visit}_{kind}.nii.gz") for kind in ("Scan_T1", "Mask"))
        affine = LPS_FROM_RAS @ scan.affine @ np.diag([*SPACING, 1.0])
        grid = Grid(scan.shape, affine)
        write_nifti(study / f"{visit.lower()}_t1ce.nii.gz", np.asarray(scan.dataobj, np.float32), grid)
        labels = np.where(np.asarray(mask.dataobj) > 0, ENHANCING.value, 0).astype(np.uint8)
        made[visit] = study, folder / f"{visit.lower()}_mask.nii.gz"
        write_nifti(made[visit][1], labels, grid)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="must not hold these results yet")
    arguments = parser.parse_args()
    for source in sorted(path for path in arguments.data.iterdir() if path.is_dir()):
        made = prepare(source, arguments.out / source.name / "input")
        notes = tuple(VisitNotes(mask=made[visit][1], date=DATES[visit]) for visit in ("Post", "Pre"))
        began = perf_counter()
        out = arguments.out / source.name / "timeline"
        results = pipeline.track_visits([made["Post"][0], made["Pre"][0]], out, TrackOptions(notes=notes))
        found = results.manifest
        print(f"{source.name}: {perf_counter() - began:.0f} s, {json.dumps(found['visits'][0]['alignment_to_current'])}")
        for track in [*found["core_lesions"]]:
            stages = ", ".join(f"{a['state']} {a['volume_ml']['value']:.2f} mL" for a in track["appearances"])
            print(f"  {track['tracking_id']}: {stages}")
        change = found["changes"][0]["regions"]["ET"]
        print(
            f"  enhancing: {change['words']} {change['ml']}; RANO {found['rano'][-1]['category']}: {found['rano'][-1]['rule']}"
        )


if __name__ == "__main__":
    main()
