"""The whole line as a user meets it: a DICOM study in, every result out."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.measuring import Inputs, Job, Notes
from braintumor import pipeline


def registered(inputs: Inputs) -> Job:
    """Four series on one grid, skull-stripped: no registration needed."""
    return _line(inputs.work / "dicom", inputs.work / "results")


def as_scanned(inputs: Inputs) -> Job:
    """Four grids, skull on: registration, brain mask and bias correction included."""
    return _line(inputs.work / "scanned", inputs.work / "results")


def _line(source: Path, out: Path) -> Job:
    def job() -> Notes:
        shutil.rmtree(out, ignore_errors=True)
        results = pipeline.run(source, out)
        methods = {name: facts["method"] for name, facts in results.manifest["preparation"]["alignment"].items()}
        return {"stages_s": results.manifest["timings_s"], "alignment": methods}

    return job
