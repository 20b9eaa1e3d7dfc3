"""A four-series DICOM study from files to volumes: ours, and the Deploy SDK's loader, selector and volume operators."""

from __future__ import annotations

import json
import logging

from benchmarks.measuring import Inputs, Job, Notes
from braintumor import study


def ours(inputs: Inputs) -> Job:
    """Index, hash, classify, check geometry, read all four series."""

    def job() -> Notes:
        read = study.read_study(inputs.work / "dicom")
        instances = sum(len(series.instances) for series in read.series.values())
        return {"series": len(read.series), "instances": instances, "also": "SHA-256 and geometry checks"}

    return job


def deploy_sdk(inputs: Inputs) -> Job:
    """The SDK's operators called directly; it converts one series at a time and is told which ones."""
    import operators  # noqa: F401  # makes holoscan importable without CUDA

    # isort: split
    from monai.deploy.core import Application
    from monai.deploy.operators import DICOMDataLoaderOperator, DICOMSeriesSelectorOperator, DICOMSeriesToVolumeOperator

    logging.disable(logging.WARNING)
    graph = Application(["benchmark"])
    loader = DICOMDataLoaderOperator(graph, input_folder=inputs.work / "dicom", name="loader")
    selector = DICOMSeriesSelectorOperator(graph, name="selector")
    to_volume = DICOMSeriesToVolumeOperator(graph, name="to_volume")
    uids = json.loads((inputs.work / "series.json").read_text())

    def job() -> Notes:
        studies = loader.load_data_to_studies(inputs.work / "dicom")
        volumes = []
        for uid in uids:
            rules = {"selections": [{"name": uid, "conditions": {"SeriesInstanceUID": uid}}]}
            volumes.append(to_volume.convert_to_image(selector.filter(rules, studies)).asnumpy())
        return {"series": len(volumes), "instances": sum(len(volume) for volume in volumes), "dtype": str(volumes[0].dtype)}

    return job
