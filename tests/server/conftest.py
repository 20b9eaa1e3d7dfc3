"""A running app on a copy of the phantom study, once on a folder and once on a real Orthanc."""

import shutil
from pathlib import Path

import pytest
import requests

from deploy.dev import orthanc
from tests.server.served import facts_of, running


@pytest.fixture(params=["folder", pytest.param("orthanc", marks=pytest.mark.campaign)], scope="module")
def server(request, dicom_study, tmp_path_factory):
    base = tmp_path_factory.mktemp("server")
    study, _ = facts_of(dicom_study)
    if request.param == "folder":
        shutil.copytree(dicom_study, base / "studies")
        yield from running(base / "studies", base / "state", study)
        return
    if orthanc.missing():
        pytest.skip(orthanc.missing())
    with orthanc.Orthanc() as pacs:
        for path in Path(dicom_study).rglob("*.dcm"):
            requests.post(f"http://127.0.0.1:{pacs.port}/instances", data=path.read_bytes(), timeout=10).raise_for_status()
        yield from running(pacs.url, base / "state", study)
