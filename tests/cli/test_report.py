"""`braintumor report` as a person uses it: read, edit, approve, amend, check, send."""

import json
import shutil

import httpx
import pydicom
import pytest

from braintumor import phantom
from braintumor.cli import main
from braintumor.domain import ABHA, PatientMismatchError
from braintumor.fhir import BASE_SYSTEM
from braintumor.report.versions import ReportFolder
from braintumor.study import read_study
from deploy.dev.fhir_server import FhirServer, missing

PASSPHRASE = "a passphrase"


def call(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code or 0


@pytest.fixture(scope="module")
def made(dicom_study, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "out"
    assert call("run", dicom_study, "-o", out, "--reason", "Follow-up", "--abha", "12 3456 7890 1234") == 0
    return out


@pytest.fixture
def out(made, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_KEY_PASSPHRASE", PASSPHRASE)
    assert call("report", "key", "-o", tmp_path / "rao.p12", "--name", "Dr A. Rao") == 0
    return shutil.copytree(made, tmp_path / "out")


def approve(out):
    return call("report", "approve", out, "--key", out.parent / "rao.p12")


def test_the_draft_is_shown_in_both_languages(out, capsys):
    capsys.readouterr()
    assert call("report", "show", out) == 0
    text = capsys.readouterr().out
    assert "Draft, version 1" in text
    assert "“Follow-up”" in text
    assert "सार" in text
    assert call("report", "show", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["identifiers"][0]["value"] == "12-3456-7890-1234"


def test_the_manifest_holds_nothing_of_the_referral(out):
    assert "Follow-up" not in (out / "result.json").read_text()
    assert "clinical-information" not in (out / "result.json").read_text()


def test_edit_approve_amend_and_what_is_refused(out, tmp_path, capsys):
    words = tmp_path / "impression.txt"
    words.write_text("Seen and agreed.\n")
    edit = ("report", "edit", out, "--language", "en", "--section", "impression", "--by", "Dr A. Rao", "--file", words)
    assert call(*edit) == 0
    assert "in en only" in capsys.readouterr().err  # the Hindi still says what it said
    assert call("report", "amend", out, "--by", "x", "--reason", "y") == 62  # a draft needs none
    assert approve(out) == 0
    assert ReportFolder(out / "report").versions() == (1, 2, 3)
    assert call(*edit) == 62
    assert approve(out) == 62
    assert call("report", "verify", out) == 0
    assert call("report", "verify", out / "report" / "v0003.pdf") == 0
    assert call("report", "amend", out, "--by", "Dr B. Sen", "--reason", "second reading") == 0


def test_tampering_ends_with_status_1(out, capsys):
    assert approve(out) == 0
    pdf = out / "report" / "v0002.pdf"
    data = bytearray(pdf.read_bytes())
    data[5000] ^= 1
    pdf.write_bytes(data)
    assert call("report", "verify", out) == 1
    assert "Wrong" in capsys.readouterr().out


def test_wrong_passphrase_expired_or_missing_key_leave_a_draft(out, monkeypatch, capsys):
    monkeypatch.setenv("BRAINTUMOR_KEY_PASSPHRASE", "another one")
    assert approve(out) == 71
    assert call("report", "approve", out, "--key", out / "nothing.p12") == 71
    assert ReportFolder(out / "report").versions() == (1,)
    assert "what to do" in capsys.readouterr().err


def test_the_final_pdf_in_dicom_is_the_signed_one(out):
    assert approve(out) == 0
    dataset = pydicom.dcmread(out / "report" / "v0002.dcm")
    assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == (out / "report" / "v0002.pdf").read_bytes()
    first = pydicom.dcmread(out / "dicom" / "report.dcm")
    assert dataset.SOPInstanceUID != first.SOPInstanceUID
    assert dataset.SeriesInstanceUID == first.SeriesInstanceUID


def test_a_report_is_sent_to_a_real_fhir_server(out, capsys):
    reason = missing()
    if reason:
        pytest.skip(reason)
    with FhirServer() as server:
        assert call("report", "send", out, "--fhir", server.url) == 62  # nothing unsigned is sent as final
        assert call("report", "send", out, "--fhir", server.url, "--draft") == 0
        assert approve(out) == 0
        assert call("report", "send", out, "--fhir", server.url) == 0
        assert "on the server" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_said_in_words(out, capsys):
    assert approve(out) == 0
    assert call("report", "send", out, "--fhir", "http://127.0.0.1:9") == 64
    assert "what to do" in capsys.readouterr().err


def test_missing_notes_and_another_patients_study_are_refused_before_anything_is_segmented(dicom_study, tmp_path, capsys):
    other = phantom.make(phantom.PhantomOptions(seed=8, spacing_mm=(4.0, 4.0, 4.0), skull=False))[0]
    phantom.write_dicom(other, tmp_path / "other")
    assert call("run", dicom_study, "-o", tmp_path / "a", "--notes", tmp_path / "nothing") == 10
    assert call("run", dicom_study, "-o", tmp_path / "a", "--prior", tmp_path / "other") == PatientMismatchError.exit_code
    assert "Segmenting" not in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_wrong_usage(dicom_study, tmp_path):
    assert call("run", dicom_study, "-o", tmp_path / "a", "--language", "xx") == 2
    assert call("run", dicom_study, "-o", tmp_path / "a", "--abha", "123") == 2
    assert call("report", "show", tmp_path) == 10


def test_the_order_on_a_fhir_server_gives_reason_and_identifiers(dicom_study, tmp_path, capsys):
    reason = missing()
    if reason:
        pytest.skip(reason)
    patient = read_study(dicom_study).patient
    system = f"{BASE_SYSTEM}/sid/patient-id"
    numbers = [{"system": system, "value": patient.patient_id}, {"system": ABHA, "value": "12-3456-7890-1234"}]
    ordered = shutil.copytree(dicom_study, tmp_path / "study")
    for path in ordered.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.AccessionNumber = "ACC-1"
        dataset.save_as(path)
    with FhirServer() as server:
        found = httpx.post(f"{server.url}/Patient", json={"resourceType": "Patient", "identifier": numbers}).json()
        order = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "identifier": [{"value": "ACC-1"}]}
        order |= {"subject": {"reference": f"Patient/{found['id']}"}, "reasonCode": [{"text": "Glioma, follow-up"}]}
        httpx.post(f"{server.url}/ServiceRequest", json=order).raise_for_status()
        assert call("run", ordered, "-o", tmp_path / "out", "--order", server.url) == 0
        assert call("run", dicom_study, "-o", tmp_path / "other", "--order", server.url) == 0
    report = ReportFolder(tmp_path / "out" / "report").latest()
    assert report.findings.request.reason == "Glioma, follow-up"
    assert [one.value for one in report.identifiers] == ["12-3456-7890-1234"]
    codes = {flag.code for flag in ReportFolder(tmp_path / "other" / "report").latest().findings.flags}
    assert "order-not-found" in codes
