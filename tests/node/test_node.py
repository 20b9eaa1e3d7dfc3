"""The whole node as a hospital runs it: a process of its own, DCMTK sends, Orthanc receives, operators look."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import httpx
import pydicom
import pytest
from pydicom.uid import UID

from braintumor import pipeline
from braintumor.cli import main
from braintumor.node.ledger import Ledger
from braintumor.node.schema import Database
from braintumor.node.settings import load
from braintumor.node.states import StudyState
from deploy.dev.orthanc import AE_TITLE, Orthanc, missing
from deploy.dev.services import PostgreSql, free_port

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(shutil.which("storescu") is None, reason="needs DCMTK's storescu"),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

SEG = UID("1.2.840.10008.5.1.4.1.1.66.4")
TOKEN = "a-token-of-the-tests"
PATIENT = {
    "PatientName": "Quixote^Dulcinea",
    "PatientID": "MRN-0815-4711",
    "PatientBirthDate": "19510203",
    "AccessionNumber": "ACC-99-1234",
    "StudyDescription": "Secret words of the study",
    "InstitutionName": "Hospital of La Mancha",
    "ReferringPhysicianName": "Panza^Sancho",
}
SETTINGS = """
state = "state"
database = "{database}"
[dicom]
port = {dicom}
calling = ["STORESCU"]
[http]
port = {http}
[complete]
quiet_s = 1.5
[work]
lease_s = 5
[deliver]
first_wait_s = 0.3
longest_wait_s = 1
[disk]
free_mb = 10
[[destinations]]
name = "pacs"
kind = "dicom"
host = "127.0.0.1"
port = {pacs}
ae_title = "{title}"
send = ["segmentation", "measurements", "report"]
"""


class Node:
    """A node process, its settings, and what it has said."""

    def __init__(self, folder, pacs_port, database=""):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.file, self.log = folder, folder / "node.toml", folder / "node.log"
        self.dicom, self.http = free_port(), free_port()
        self.file.write_text(
            SETTINGS.format(database=database, dicom=self.dicom, http=self.http, pacs=pacs_port, title=AE_TITLE)
        )
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "braintumor", "node", "start", "--settings", str(self.file)]
        environment = {**os.environ, "BRAINTUMOR_NODE_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        assert until(self.ready), self.log.read_text()

    def ready(self):
        try:
            return self.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path):
        return httpx.get(f"http://127.0.0.1:{self.http}{path}", timeout=5)

    def send(self, folder, *options):
        command = ["storescu", "+r", "+sd", *options, "-aec", "BRAINTUMOR", "127.0.0.1", str(self.dicom), str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).returncode

    def ledger(self):
        return Ledger(Database(load(self.file).database_url))

    def only(self):
        """The one study there is."""
        found = self.ledger().recent(10)
        assert len(found) == 1
        return found[0]

    def reaches(self, state, seconds=120):
        def there():
            found = self.ledger().recent(1)
            return bool(found) and found[0].state == state

        return until(there, seconds)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def study(dicom_study, tmp_path_factory):
    """The phantom with a patient in every header."""
    folder = tmp_path_factory.mktemp("sent")
    for number, path in enumerate(sorted(dicom_study.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        for keyword, value in PATIENT.items():
            setattr(dataset, keyword, value)
        dataset.save_as(folder / f"{number:04}.dcm")
    return folder


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    with Orthanc(tmp_path_factory.mktemp("pacs"), dicom=free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def done(pacs, study, tmp_path_factory):
    """A node that has done one study, and still runs."""
    node = Node(tmp_path_factory.mktemp("node"), pacs.dicom)
    node.start()
    assert node.send(study) == 0
    assert node.reaches(StudyState.ACKNOWLEDGED), node.log.read_text()[-3000:]
    yield node
    node.stop()


def stored(pacs, study_uid, **query):
    answer = httpx.get(f"{pacs.url}/studies/{study_uid}/instances", params=query, timeout=10)
    return answer.json() if answer.status_code == 200 and answer.content else []


def test_the_destination_has_the_segmentation_of_the_command_line(done, pacs, study, tmp_path):
    (found,) = stored(pacs, done.only().study_uid, SOPClassUID=SEG)
    uid, series = found["00080018"]["Value"][0], found["0020000E"]["Value"][0]
    body = httpx.get(f"{pacs.url}/studies/{done.only().study_uid}/series/{series}/instances/{uid}", timeout=10)
    start = body.content.index(b"\r\n\r\n") + 4
    (tmp_path / "seg.dcm").write_bytes(body.content[start : body.content.rindex(b"\r\n--")])
    ours = pydicom.dcmread(pipeline.run(study, tmp_path / "run").folder / "dicom" / "segmentation.dcm")
    theirs = pydicom.dcmread(tmp_path / "seg.dcm")
    assert theirs.PixelData == ours.PixelData
    assert theirs.PatientID == PATIENT["PatientID"]


def test_nothing_of_the_patient_stands_in_a_log_a_metric_or_a_page(done, study):
    study_facts = done.only()
    told = done.log.read_text() + "".join(done.get(path).text for path in ("/", "/metrics", "/readyz", "/api/studies"))
    told += done.get(f"/api/studies/{study_facts.pseudonym}").text
    header = pydicom.dcmread(next(iter(sorted(study.iterdir()))))
    secrets = [*PATIENT.values(), *re.split(r"[\^ ]", PATIENT["PatientName"]), str(header.SeriesDescription)]
    secrets += [header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID, header.FrameOfReferenceUID]
    assert [secret for secret in secrets if str(secret).lower() in told.lower()] == []
    assert study_facts.pseudonym in told


def test_every_line_of_the_log_is_one_json_object_with_an_event(done):
    lines = [json.loads(line) for line in done.log.read_text().splitlines()]
    events = [line["event"] for line in lines]
    for event in ("node-started", "received", "complete", "running", "produced", "study-acknowledged"):
        assert event in events


def test_metrics_tell_what_happened(done):
    text = done.get("/metrics").text
    count = len(list(done.ledger().series(done.only().id)[0].files))
    assert f'braintumor_node_instances_received_total{{outcome="new"}} {4 * count}.0' in text
    assert 'braintumor_node_studies{state="acknowledged"} 1.0' in text
    assert 'braintumor_node_stage_seconds_count{stage="segment"} 1.0' in text
    assert 'braintumor_node_deliveries_total{destination="pacs",outcome="acknowledged"} 1.0' in text


def test_the_command_line_shows_how_it_stands(done, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["node", "status", "--settings", str(done.file), "--json"])
    assert stop.value.code == 0
    body = json.loads(capsys.readouterr().out)
    assert body["studies"]["acknowledged"] == 1
    assert [study["pseudonym"] for study in body["recent"]] == [done.only().pseudonym]


def test_sending_the_whole_study_again_changes_nothing(done, pacs, study):
    before = done.only(), stored(pacs, done.only().study_uid)
    assert done.send(study) == 0
    assert until(lambda: 'outcome="same"' in done.get("/metrics").text)
    assert (done.only(), stored(pacs, done.only().study_uid)) == before


def test_another_calling_title_is_refused(done, study):
    assert done.send(study, "-aet", "STRANGER") != 0


def test_a_second_node_on_the_same_state_is_refused(done, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["node", "start", "--settings", str(done.file)])
    assert stop.value.code == 53
    assert "Another node runs" in capsys.readouterr().err


def test_asked_to_stop_it_ends_in_peace_and_begins_again_as_it_was(pacs, study, tmp_path):
    node = Node(tmp_path / "node", pacs.dicom)
    node.start()
    assert node.send(study) == 0
    assert node.reaches(StudyState.RUNNING)
    node.process.terminate()
    assert node.process.wait(90) == 0
    assert node.only().state in (StudyState.PRODUCED, StudyState.DELIVERED, StudyState.ACKNOWLEDGED)  # it finished its study
    node.start()
    assert node.reaches(StudyState.ACKNOWLEDGED)
    node.stop()


def test_killed_while_its_database_is_down_it_still_loses_nothing(pacs, study, tmp_path):
    database = PostgreSql()
    try:
        database.start()
    except RuntimeError as error:
        pytest.skip(str(error))
    node = Node(tmp_path / "node", pacs.dicom, database.url)
    node.start()
    database.kill()
    assert node.send(study) == 0  # receiving needs no database
    assert node.get("/readyz").status_code == 503
    node.kill()
    database.start()
    node.start()
    assert node.reaches(StudyState.ACKNOWLEDGED), node.log.read_text()[-3000:]
    assert node.only().instances == len(list(study.iterdir()))
    assert "instances-recovered" in node.log.read_text()
    node.stop()
    database.close()
