"""A server killed at any moment loses nothing that it confirmed, and a disk or an archive that fails is said in words."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from braintumor import phantom as generator
from tests.data import ROOT
from tests.server.served import facts_of

pytestmark = pytest.mark.campaign


class Process:
    """``braintumor serve`` as users start it, in a process that can be killed."""

    def __init__(self, studies, state, stock=False, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.studies, self.state, self.environment, self.stock = studies, state, environment, stock
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.log = state.parent / "server.log"

    def start(self):
        command = [sys.executable, "-m", "braintumor", "serve", str(self.studies), "--port", str(self.port)]
        command += ["--state", str(self.state), "--steps", "4"]
        if self.stock:
            app = ROOT / "apps" / "braintumor"
            command = [
                sys.executable,
                "-m",
                "monailabel.main",
                "start_server",
                "--app",
                str(app),
                "--studies",
                str(self.studies),
            ]
            command += ["--uvicorn_app", "braintumor.server.asgi:app", "--host", "127.0.0.1", "--port", str(self.port)]
            command += ["--conf", "state", str(self.state)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **self.environment})
        for _ in range(600):
            try:
                return self.client.get("/healthz").raise_for_status()
            except httpx.HTTPError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.1)
        pytest.fail(f"the server did not start:\n{self.log.read_text()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0 or self.process.returncode in (-signal.SIGTERM, 143, 130), self.log.read_text()


@pytest.fixture
def process(dicom_study, tmp_path):
    shutil.copytree(dicom_study, tmp_path / "studies")
    running = Process(tmp_path / "studies", tmp_path / "state")
    running.study, _ = facts_of(dicom_study)
    running.start()
    yield running
    if running.process.poll() is None:
        running.kill()


def t1ce(process):
    study = process.client.get(f"/api/studies/{process.study}").json()
    return next(uid for uid, one in study["sequences"].items() if one["sequence"] == "t1ce")


def submit(process, series, mask, name):
    params = {"series": series, "annotator": name}
    return process.client.put(f"/api/studies/{process.study}/label", params=params, content=mask.tobytes(order="F"))


def versions(process):
    listed = process.client.get(f"/api/studies/{process.study}").json()["versions"]
    return {v["uid"]: v["author"] for v in listed if v["kind"] == "human"}


def test_kill_during_submit_loses_nothing_confirmed_and_leaves_nothing_half(process):
    series = t1ce(process)
    shape = shape_of(process, series)
    confirmed = {}
    for round_ in range(2):
        mask = np.zeros(shape, np.uint8)
        mask[5 + round_, 5:9, 3:6] = 2
        killer = subprocess.Popen(
            [sys.executable, "-c", f"import os,time; time.sleep({0.05 + 0.2 * round_}); os.kill({process.process.pid}, 9)"]
        )
        try:
            answer = submit(process, series, mask, f"Reader {round_}")
            if answer.status_code == 201:
                confirmed[answer.json()["uid"]] = mask
        except httpx.HTTPError:
            pass  # not confirmed: the browser still has it and sends it again
        killer.wait()
        process.process.wait(10)
        process.start()
    mask = np.zeros(shape, np.uint8)
    mask[1:4, 1:4, 1:4] = 4
    answer = submit(process, series, mask, "Last")
    assert answer.status_code == 201, answer.text
    confirmed[answer.json()["uid"]] = mask
    listed = versions(process)
    assert set(confirmed) <= set(listed)
    for uid in listed:  # also those that were stored and not confirmed can be read whole
        params = {"series": series, "version": uid}
        response = process.client.get(f"/api/studies/{process.study}/mask", params=params)
        assert response.status_code == 200
        if uid in confirmed:
            assert response.content == confirmed[uid].tobytes(order="F")


def shape_of(process, series):
    job = process.client.post(f"/api/studies/{process.study}/segment").json()
    while job["state"] in ("pending", "running"):
        time.sleep(0.1)
        job = process.client.get(f"/api/jobs/{job['id']}").json()
    response = process.client.get(f"/api/studies/{process.study}/mask", params={"series": series})
    return tuple(int(n) for n in response.headers["x-shape"].split(","))


KILLER = """
import os, signal, sys
if "braintumor.active_learning" in sys.orig_argv:
    real, left = os.replace, [int(os.environ["DIE_BEFORE_REPLACEMENT"])]
    def replace(source, target, **more):
        if "/models" in str(target):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
        return real(source, target, **more)
    os.replace = replace
"""
"""As sitecustomize.py: server and training die together while the training publishes."""


@pytest.mark.parametrize("deadly", [4, 5], ids=["before the new version is there", "before it is the one served"])
def test_kill_during_publish_serves_the_old_version_and_then_the_new_one(tmp_path, deadly):
    studies = [tmp_path / "studies" / str(seed) for seed in (7, 8, 9)]
    for seed, folder in zip((7, 8, 9), studies, strict=True):
        options = generator.PhantomOptions(seed=seed, spacing_mm=(4.0, 4.0, 4.0), skull=False)
        generator.write_dicom(generator.make(options)[0], folder)
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    more = {"PYTHONPATH": str(tmp_path), "DIE_BEFORE_REPLACEMENT": str(deadly)}
    running = Process(tmp_path / "studies", tmp_path / "state", **more)
    running.start()
    try:
        for folder in studies:
            running.study = str(facts_of(folder)[0])
            series = t1ce(running)
            shape_of(running, series)
            mask = running.client.get(f"/api/studies/{running.study}/mask", params={"series": series}).content
            params = {"series": series, "annotator": "Ada"}
            put = running.client.put(f"/api/studies/{running.study}/label", params=params, content=mask)
            assert put.status_code == 201
        before = running.client.get("/api/models").json()["current"]
        assert running.client.post("/api/train", json={"steps": 1}).status_code == 202
        assert running.process.wait(240) == -signal.SIGKILL  # while it published
        running.environment = {}
        running.start()
        deadline = time.monotonic() + 120
        while (state := running.client.get("/api/train").json())["job"]["state"] in ("pending", "running"):
            assert time.monotonic() < deadline, state
            time.sleep(0.3)
        assert state["job"]["state"] == "completed", state
        assert state["last"]["published"]
        models = running.client.get("/api/models").json()
        assert models["current"] == state["last"]["version"] != before
        assert len(models["versions"]) == 2  # not added once more by the second attempt
        assert all(len(versions(running)) == 1 for running.study in [str(facts_of(folder)[0]) for folder in studies])
    finally:
        if running.process.poll() is None:
            running.kill()


def test_stopping_is_clean_and_the_log_holds_no_patient(process):
    series = t1ce(process)
    mask = np.zeros(shape_of(process, series), np.uint8)
    assert submit(process, series, mask, "Ada Lovelace").status_code == 201
    assert process.client.post("/infer/brain_tumour", params={"image": series, "output": "json"}).status_code == 200
    assert process.client.get("/api/studies/1.2.3").status_code == 404
    patient = process.client.get("/api/studies").json()[0]["patient"]
    process.stop()
    said = process.log.read_text() + "".join(p.read_text() for p in Path(process.state).rglob("*.log"))
    for secret in (patient["id"], patient["name"], "Glioma"):
        assert secret
        assert secret not in said


def test_a_second_start_knows_what_the_first_did(process):
    series = t1ce(process)
    shape = shape_of(process, series)
    before = process.client.get(f"/api/studies/{process.study}/mask", params={"series": series}).content
    process.kill()
    process.start()
    started = time.monotonic()
    again = process.client.get(f"/api/studies/{process.study}/mask", params={"series": series})
    assert again.status_code == 200, "it was segmented before the server was killed"
    assert again.content == before
    assert len(before) == int(np.prod(shape))
    assert time.monotonic() - started < 30


def test_the_stock_command_starts_the_same_server(dicom_study, tmp_path):
    shutil.copytree(dicom_study, tmp_path / "studies")
    running = Process(tmp_path / "studies", tmp_path / "state", stock=True)
    running.start()
    try:
        assert "brain_tumour" in running.client.get("/info/").json()["models"]
        assert len(running.client.get("/api/studies").json()) == 1
    finally:
        running.kill()


def test_an_archive_that_is_down_is_a_502_in_words(tmp_path):
    running = Process("http://127.0.0.1:9/dicom-web", tmp_path / "state")
    running.start()
    try:
        answer = running.client.get("/api/studies")
        assert answer.status_code == 502
        assert json.loads(answer.text)["remedy"]
        assert running.client.get("/healthz").status_code == 200
        assert running.client.get("/api/about").status_code == 200
    finally:
        running.kill()
