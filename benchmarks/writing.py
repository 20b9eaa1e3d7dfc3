"""One mask to a DICOM SEG file: ours, and the Deploy SDK's writer."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom.sr.coding import Code

from benchmarks.inputs import balls
from benchmarks.measuring import Inputs, Job, Notes
from braintumor import study
from braintumor.domain import LABELS, SEGMENT_CATEGORY
from braintumor.export.common import ResultContext, save
from braintumor.export.seg import make_seg


def ours(inputs: Inputs) -> Job:
    """Codes, colours, tracking, references; every slice has a frame; the source files are read and verified again."""
    read = study.read_study(inputs.work / "dicom")
    mask = balls(read.reference.image.grid)
    path = inputs.work / "ours.dcm"

    def job() -> Notes:
        path.unlink(missing_ok=True)
        context = ResultContext.of(read, mask, datetime(2026, 1, 1))  # any time will do
        save(make_seg(read, mask, None, context), path)
        return {"megabytes": _megabytes(path), "also": "re-reads and verifies the source"}

    return job


def deploy_sdk(inputs: Inputs) -> Job:
    """The SDK's writer, all frames kept as ours does; its source is already in memory."""
    return _sdk(inputs, omit_empty_frames=False)


def deploy_sdk_sparse(inputs: Inputs) -> Job:
    """The SDK's writer as it comes: slices without tumour are left out."""
    return _sdk(inputs, omit_empty_frames=True)


def _sdk(inputs: Inputs, *, omit_empty_frames: bool) -> Job:
    import operators  # noqa: F401  # makes holoscan importable without CUDA

    # isort: split
    from monai.deploy.core import Application
    from monai.deploy.operators import DICOMDataLoaderOperator, DICOMSegmentationWriterOperator
    from monai.deploy.operators.dicom_seg_writer_operator import SegmentDescription

    logging.disable(logging.WARNING)
    graph = Application(["benchmark"])
    descriptions = [
        SegmentDescription(
            segment_label=label.name,
            segmented_property_category=_code(SEGMENT_CATEGORY),
            segmented_property_type=_code(label.code),
            algorithm_name="benchmark",
            algorithm_version="1",
        )
        for label in LABELS
    ]
    folder = inputs.work / "sdk"
    writer = DICOMSegmentationWriterOperator(
        graph, name="writer", segment_descriptions=descriptions, output_folder=folder, omit_empty_frames=omit_empty_frames
    )
    loader = DICOMDataLoaderOperator(graph, name="loader", input_folder=inputs.work / "dicom")
    reference = json.loads((inputs.work / "series.json").read_text())[0]
    [source] = loader.load_data_to_studies(inputs.work / "dicom")
    series = next(s for s in source.get_all_series() if s.SeriesInstanceUID == reference)
    grid = study.read_study(inputs.work / "dicom").reference.image.grid
    frames = _segment_numbers(balls(grid).mask).transpose(2, 1, 0)

    def job() -> Notes:
        shutil.rmtree(folder, ignore_errors=True)
        writer.create_dicom_seg(frames, series, folder)
        return {"megabytes": _megabytes(next(folder.iterdir()))}

    return job


def _segment_numbers(mask: np.ndarray) -> np.ndarray:
    table = np.zeros(256, np.uint8)
    for label in LABELS:
        table[label.value] = label.segment
    return table[mask]


def _code(code: object) -> Code:
    return Code(code.value, code.scheme, code.meaning)  # type: ignore[attr-defined]


def _megabytes(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 2)
