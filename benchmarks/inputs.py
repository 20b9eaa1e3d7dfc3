"""Makes what all measurements read: a NIfTI case, its DICOM form, the prepared case, and a study as scanned.

In the shared folder: ``dicom/`` (the co-registered case), ``scanned/`` (DICOM; four grids, not registered),
``prepared.npz`` (channels, brain and affine of the prepared case), ``series.json`` (series UIDs, the reference first).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.measuring import Inputs, Job, Notes
from braintumor import phantom, study
from braintumor.domain import ENHANCING, NECROTIC_CORE, OEDEMA, Author, Case, Grid, MRSequence, Segmentation
from braintumor.preprocess import prepare_case


def make(inputs: Inputs) -> Job:
    """Everything above, from the cases named on the command line or, where there are none, from a phantom."""

    def job() -> Notes:
        work, named, scanned = inputs.work, inputs.extra.get("case"), inputs.extra.get("as_scanned")
        case = Path(named) if named else phantom.write_nifti(_visit(skull=False), work / "case")
        phantom.case_to_dicom(case, work / "dicom")
        if scanned:
            phantom.case_to_dicom(Path(scanned), work / "scanned")
        else:
            phantom.write_dicom(_visit(skull=True), work / "scanned", layouts=phantom.clinical_layouts(0))
        kinds = {"registered": named, "as_scanned": scanned}
        return {"shape": _prepare(work), **{key: "real" if path else "phantom" for key, path in kinds.items()}}

    return job


def _visit(*, skull: bool) -> phantom.PhantomVisit:
    return phantom.make(phantom.PhantomOptions(skull=skull))[0]


def _prepare(work: Path) -> list[int]:
    read = study.read_study(work / "dicom")
    case = prepare_case(read)
    np.savez(work / "prepared.npz", channels=case.channels, brain=case.brain, affine=case.grid.affine)
    others = [series.uid for series in read.series.values() if series is not read.reference]
    (work / "series.json").write_text(json.dumps([read.reference.uid, *others]))
    return list(case.grid.shape)


def prepared(work: Path) -> Case:
    """The prepared case, without its pictures."""
    with np.load(work / "prepared.npz") as stored:
        channels, brain, affine = stored["channels"], stored["brain"], stored["affine"]
    i, j, k = brain.shape
    return Case("benchmark", Grid((i, j, k), affine), channels, {}, brain, tuple(MRSequence), {})


def balls(grid: Grid) -> Segmentation:
    """Three nested balls in the middle of a grid, labelled like a tumour of about 110 mL."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid.to_world(index) - grid.to_world((np.array(grid.shape) - 1) / 2), axis=-1)
    mask = np.zeros(grid.shape, np.uint8)
    for label, radius_mm in ((OEDEMA, 30.0), (ENHANCING, 18.0), (NECROTIC_CORE, 12.0)):
        mask[distance <= radius_mm] = label.value
    return Segmentation(mask, grid, Author("model", "benchmark", "1", "0" * 64, "none"))
