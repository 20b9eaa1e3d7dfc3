"""Reports through the server: drafted with the prior, edited by name, signed, archived, amended; nothing is lost."""

from dataclasses import replace
from pathlib import Path

import httpx
import pydicom
import pytest

from braintumor import phantom
from braintumor.domain import ABHA
from braintumor.fhir import BASE_SYSTEM
from braintumor.server.reports import About, Signing
from braintumor.signing import verify
from deploy.dev.fhir_server import FhirServer, missing
from tests.server.served import facts_of, running
from tests.signing.identities import PASSPHRASE, make_test_identity

OPTIONS = {"spacing_mm": (3.0, 3.0, 3.0), "skull": False, "tumour_ml": 40.0}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("reports")
    pair = phantom.make(phantom.PhantomOptions(seed=7, visits=2, growth=1.5, **OPTIONS))
    for number, visit in enumerate(pair):
        phantom.write_dicom(visit, base / "studies" / f"visit-{number}")
    key = base / "key.p12"
    key.write_bytes(make_test_identity("Dr A. Rao").p12(PASSPHRASE))
    key.chmod(0o600)
    for path in (base / "studies" / "visit-1").rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.AccessionNumber = "ACC-1"
        dataset.save_as(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINTUMOR_NOTES", str(base / "notes"))
        patch.setenv("BRAINTUMOR_SIGNING_KEY", str(key))
        patch.setenv("BRAINTUMOR_KEY_PASSPHRASE", PASSPHRASE.decode())
        for made in running(base / "studies", base / "state", facts_of(base / "studies" / "visit-1")[0]):
            made.url = f"/api/studies/{made.study}/report"
            made.notes, made.patient = base / "notes", str(dataset.PatientID)
            yield made


def make(server):
    answer = server.client.post(server.url)
    assert answer.status_code == 202, answer.text
    job = server.wait(answer.json())
    assert job["state"] == "completed", job
    return server.client.get(server.url).json()


def put(server, lines, version, section="impression", language="en"):
    body = {"version": version, "by": "Dr A. Rao", "lines": lines}
    return server.client.put(f"{server.url}/{language}/{section}", json=body)


def impression(report, language="en"):
    section = next(one for one in report["sections"] if one["name"] == "impression")
    return [line["text"] for line in section["lines"][language]]


def test_a_report_goes_from_draft_to_final_and_on(server):
    assert server.client.get(server.url).status_code == 404
    draft = make(server)
    assert (draft["status"], draft["version"], draft["fresh"]) == ("draft", 1, True)
    assert [one["code"] for one in draft["languages"]] == ["en", "hi"]
    assert any("grown" in line for line in impression(draft))
    whole = draft["regions"][0]
    assert whole["prior_ml"] < whole["ml"]
    assert make(server)["version"] == 1  # the same facts: the same report

    # a person edits; who read an older version is told, and nothing of theirs is taken
    edited = put(server, ["Grown tumour."], 1).json()
    assert (edited["version"], impression(edited)) == (2, ["Grown tumour."])
    assert put(server, ["Other words."], 1).status_code == 409
    assert impression(server.client.get(server.url).json()) == ["Grown tumour."]
    assert edited["sections"][4]["edited_alone"] == ["en"]
    assert server.client.post(f"{server.url}/archive").status_code == 409  # nothing unsigned leaves
    assert not verify(server.client.get(f"{server.url}.pdf").content).is_signed

    # approved: signed, and what it was is not changed any more
    stale = server.client.post(f"{server.url}/approve", json={"version": 1, "by": "Dr A. Rao"})
    assert stale.status_code == 409
    final = server.client.post(f"{server.url}/approve", json={"version": 2, "by": "Dr A. Rao"})
    assert final.status_code == 200, final.text
    assert (final.json()["status"], final.json()["version"]) == ("final", 3)
    signed = server.client.get(f"{server.url}.pdf").content
    assert verify(signed).holds
    assert put(server, ["Other words."], 3).status_code == 409

    # in the archive, twice as once
    before = objects(server)
    for _ in range(2):
        job = server.wait(server.client.post(f"{server.url}/archive").json())
        assert job["state"] == "completed", job
    new = [one for one in objects(server) if one.SOPInstanceUID not in {o.SOPInstanceUID for o in before}]
    assert len(new) == 1
    assert new[0].EncapsulatedDocument[: new[0].EncapsulatedDocumentLength] == signed
    assert new[0].StudyInstanceUID == server.study

    # amended: a new draft, the final one stays in the history
    again = server.client.post(f"{server.url}/amend", json={"by": "Dr B. Sen", "reason": "second reading"}).json()
    assert (again["status"], again["version"]) == ("draft", 4)
    assert list(dict.fromkeys(e["action"] for e in again["history"])) == ["made", "edited", "approved", "amended"]


def test_a_final_report_is_sent_to_the_fhir_server_that_is_set_up(server, monkeypatch):
    reason = missing()
    if reason:
        pytest.skip(reason)
    reports = server.client.app.state.workspace.reports
    answer = server.client.post(f"{server.url}/fhir")
    assert (answer.status_code, "FHIR server" in answer.json()["detail"]) == (404, True)
    with FhirServer() as fhir:
        monkeypatch.setattr(reports, "fhir", fhir.url)
        assert server.client.post(f"{server.url}/fhir").status_code == 409  # a draft
        version = server.client.get(server.url).json()["version"]
        approved = server.client.post(f"{server.url}/approve", json={"version": version, "by": "Dr A. Rao"})
        assert approved.json()["sendable"] is True
        for _ in range(2):
            job = server.wait(server.client.post(f"{server.url}/fhir").json())
            assert job["state"] == "completed", job
        assert httpx.get(f"{fhir.url}/DiagnosticReport?_summary=count").json()["total"] == 1


def test_a_new_mask_makes_a_new_draft_and_keeps_the_history(server):
    before = server.client.get(server.url).json()
    series = server.series["t1ce"]
    mask, _ = server.mask(series)
    mask = mask.copy()
    mask[..., : mask.shape[2] // 2] = 0
    assert server.submit(mask, series).status_code == 201
    assert server.client.get(server.url).json()["fresh"] is False
    after = make(server)
    assert after["version"] == before["version"] + 1
    assert after["status"] == "draft"
    assert after["history"][:-1] == before["history"]
    assert after["regions"][0]["ml"] != before["regions"][0]["ml"]
    name = after["pictures"][0]["name"]
    assert server.client.get(f"{server.url}/pictures/{name}").content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/approve", {"version": 1, "by": "  "}, 422),
        ("/en/verdict", {"version": 1, "by": "x", "lines": []}, 405),
        ("/pictures/..%2f..%2fkey.p12", None, 404),
        ("/pictures/nothing", None, 404),
    ],
)
def test_wrong_requests_are_answered_in_words(server, path, body, status):
    send = server.client.post if body is not None else server.client.get
    answer = send(f"{server.url}{path}", **({"json": body} if body is not None else {}))
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_report_knows_the_patients_notes_and_the_studys_order(server, monkeypatch):
    reason = missing()
    if reason:
        pytest.skip(reason)
    make(server)
    for patient in ("somebody else", server.patient):
        (server.notes / patient).mkdir(parents=True)
        (server.notes / patient / "letter.txt").write_text(f"2023-05-02. Craniotomy and resection of a glioma ({patient}).")
    assert server.client.get(server.url).json()["fresh"] is False
    reports = server.client.app.state.workspace.reports
    numbers = [
        {"system": f"{BASE_SYSTEM}/sid/patient-id", "value": server.patient},
        {"system": ABHA, "value": "12-3456-7890-1234"},
    ]
    with FhirServer() as fhir:
        patient = httpx.post(f"{fhir.url}/Patient", json={"resourceType": "Patient", "identifier": numbers}).json()
        order = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "identifier": [{"value": "ACC-1"}]}
        order |= {"subject": {"reference": f"Patient/{patient['id']}"}, "reasonCode": [{"text": "Glioma, follow-up"}]}
        httpx.post(f"{fhir.url}/ServiceRequest", json=order).raise_for_status()
        monkeypatch.setattr(reports, "_about", replace(reports._about, orders=fhir.url))
        assert make(server)["fresh"] is True
    made = reports.folder(server.study).latest()
    assert made.findings.request.reason == "Glioma, follow-up"
    assert [one.value for one in made.identifiers] == ["12-3456-7890-1234"]
    assert made.findings.comparison is not None
    quoted = [sentence.text for sentence in made.findings.context.sentences]
    assert any(server.patient in text for text in quoted)
    assert not any("somebody else" in text for text in quoted)


@pytest.mark.parametrize("patient", ["", ".", "..", "../P1", "/etc", "P1/", "P\0"])
def test_a_patient_id_that_is_no_name_of_a_folder_has_no_notes(tmp_path, patient):
    (tmp_path / "notes" / "P1").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "notes", tmp_path / "notes" / "P1"):
        (folder / "letter.txt").write_text("Glioma.")
    about = About(notes=tmp_path / "notes")
    assert [path.parent.name for path in about.notes_of("P1")] == ["P1"]
    assert about.notes_of(patient) == ()
    assert about.fingerprint(patient) == ""


def test_without_a_key_nothing_is_called_final(server, monkeypatch):
    reports = server.client.app.state.workspace.reports
    monkeypatch.setattr(reports, "_signing", Signing())
    version = server.client.get(server.url).json()["version"]
    answer = server.client.post(f"{server.url}/approve", json={"version": version, "by": "Dr A. Rao"})
    assert answer.status_code == 404
    assert "signing key" in answer.json()["detail"]
    assert server.client.get(server.url).json()["status"] == "draft"


def objects(server):
    """Encapsulated PDFs of the archive."""
    found = [pydicom.dcmread(path) for path in Path(server.place).rglob("*.dcm")]
    return [one for one in found if "EncapsulatedDocument" in one]
