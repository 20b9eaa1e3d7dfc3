"""From submitted labels to a new version, with three patients: next case, train, verdict, roll back."""

import json
import time
from pathlib import Path

import pytest

from braintumor import phantom as generator
from tests.server.served import Server, facts_of, serve

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A server with three patients in a folder."""
    from fastapi.testclient import TestClient

    base = tmp_path_factory.mktemp("three")
    uids = []
    for seed in (7, 8, 9):
        options = generator.PhantomOptions(seed=seed, spacing_mm=(4.0, 4.0, 4.0), skull=False)
        generator.write_dicom(generator.make(options)[0], base / "studies" / str(seed))
        uids.append(str(facts_of(base / "studies" / str(seed))[0]))
    with TestClient(serve(base / "studies", base / "state"), raise_server_exceptions=False) as client:
        server = Server(client, str(base), uids[0], {})
        server.uids = uids
        yield server


def label(server, study):
    server.segment(study)
    sequences = server.client.get(f"/api/studies/{study}").json()["sequences"]
    series = next(uid for uid, one in sequences.items() if one["sequence"] == "t1ce")
    mask = server.client.get(f"/api/studies/{study}/mask", params={"series": series}).content
    params = {"series": series, "annotator": "Ada"}
    assert server.client.put(f"/api/studies/{study}/label", params=params, content=mask).status_code == 201


def training(server):
    """The job of the training when it is over."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        job = server.client.get("/api/train").json()["job"]
        if job["state"] not in ("pending", "running"):
            return job
        time.sleep(0.3)
    pytest.fail("the training did not end")


def test_nothing_to_train_on_is_said_at_once(three):
    answer = three.client.post("/api/train")
    assert answer.status_code == 409
    assert "label" in answer.json()["detail"]


def test_the_whole_loop(three):
    first = three.client.post("/api/next", json={"strategy": "random"}).json()
    assert first["study"] in three.uids
    for uid in three.uids:
        label(three, uid)
    assert three.client.post("/api/next", json={"strategy": "entropy"}).status_code == 404
    review = three.client.post("/api/next", json={"strategy": "disagreement"}).json()
    assert review["score"] == pytest.approx(0.0, abs=1e-6)  # the labels are the model's own masks
    before = three.client.get("/api/models").json()
    started = three.client.post("/api/train", json={"steps": 2})
    assert started.status_code == 202, started.text
    assert three.client.post("/api/train").status_code == 429  # one at a time
    job = training(three)
    assert job["state"] == "completed", job
    state = three.client.get("/api/train").json()
    assert [point["step"] for point in state["curve"]][-1] == 2
    verdict = state["last"]
    assert verdict["reason"]
    assert 0 <= verdict["after"]["WT"] <= 1
    after = three.client.get("/api/models").json()
    assert (after["current"] != before["current"]) == verdict["published"]
    if verdict["published"]:
        assert three.client.get("/api/about").json()["model"]["version"] == verdict["version"]
        result = three.segment(three.uids[0])
        assert result["model_version"] != before["current"]
        back = three.client.post(f"/api/models/{before['current']}/serve")
        assert back.status_code == 200
    assert three.client.get("/api/models").json()["current"] == before["current"]


def test_stopping_a_training_publishes_nothing(three):
    before = three.client.get("/api/models").json()["current"]
    assert three.client.post("/api/train", json={"steps": 5000}).status_code == 202
    stopped = three.client.delete("/api/train")
    assert stopped.status_code == 200
    assert training(three)["state"] == "cancelled"
    assert three.client.get("/api/models").json()["current"] == before
    assert three.client.delete("/api/train").status_code == 404


def test_no_patient_in_the_files_of_a_training(three):
    patients = {line["patient"]["id"] for line in three.client.get("/api/studies").json()}
    jobs = list((Path(three.place) / "state" / "training").rglob("*.json"))
    assert jobs
    for path in jobs:
        text = path.read_text()
        assert not any(patient in text for patient in patients), path
        json.loads(text)


def test_scores_for_the_other_strategies_are_computed_in_the_background(three):
    three.client.app.state.workspace.labels.human = lambda entry: None  # as if nobody had submitted
    try:
        three.client.post("/api/next", json={"strategy": "tta"})
        jobs = [job for job in three.client.get("/api/jobs").json() if job["kind"] == "score"]
        assert len(jobs) == 3
        assert {three.wait(job)["state"] for job in jobs} == {"completed"}
        choice = three.client.post("/api/next", json={"strategy": "tta"}).json()
        assert 0 < choice["score"] <= 1
        assert "turned" in choice["reason"]
    finally:
        del three.client.app.state.workspace.labels.human
