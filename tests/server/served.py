"""The app under test: made in this process, on whichever archive."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("monailabel._version", reason="the server extra is not installed")

from fastapi.testclient import TestClient
from monailabel.config import settings
from monailabel.interfaces.utils.app import clear_cache

from braintumor.server import upstream
from braintumor.server.asgi import create_app


@dataclass
class Server:
    """The app under test, and the facts of its study that tests ask for."""

    client: TestClient
    place: str
    study: str
    series: dict

    def wait(self, job):
        """The job when it is over."""
        while job["state"] in ("pending", "running"):
            job = self.client.get(f"/api/jobs/{job['id']}").json()
        return job

    def segment(self, study=None):
        response = self.client.post(f"/api/studies/{study or self.study}/segment")
        assert response.status_code == 202, response.text
        job = self.wait(response.json())
        assert job["state"] == "completed", job
        return job["result"]

    def mask(self, series, version=""):
        response = self.client.get(f"/api/studies/{self.study}/mask", params={"series": series, "version": version})
        assert response.status_code == 200, response.text
        shape = tuple(int(n) for n in response.headers["x-shape"].split(","))
        return np.frombuffer(response.content, np.uint8).reshape(shape, order="F"), response.headers

    def submit(self, mask, series, **more):
        params = {"series": series, "annotator": "Ada Lovelace", **more}
        return self.client.put(f"/api/studies/{self.study}/label", params=params, content=mask.tobytes(order="F"))


def serve(place, state):
    clear_cache()
    settings.MONAI_LABEL_APP_DIR = str(Path(upstream.__file__).parent)
    settings.MONAI_LABEL_STUDIES = str(place)
    settings.MONAI_LABEL_APP_CONF = {"state": str(state), "steps": "2"}
    return create_app()


def facts_of(folder):
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in Path(folder).rglob("*.dcm")]
    return headers[0].StudyInstanceUID, {str(h.SeriesInstanceUID) for h in headers}


def running(place, state, study):
    with TestClient(serve(place, state), raise_server_exceptions=False) as client:
        sequences = client.get(f"/api/studies/{study}").json()["sequences"]
        yield Server(client, str(place), str(study), {s["sequence"]: uid for uid, s in sequences.items()})
