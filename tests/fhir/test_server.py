"""Against a real server with a validator of R4 proper: what is sent is valid, arrives, and arrives once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from braintumor.domain import FhirError, Identifier, Patient, Status
from braintumor.fhir import FhirClient, bundle, code_system
from deploy.dev import fhir_server
from deploy.dev.fhir_server import FhirServer
from tests import reports
from tests.fhir.compare import compare

KINDS = (
    "Patient",
    "Encounter",
    "ImagingStudy",
    "Endpoint",
    "Observation",
    "BodyStructure",
    "Device",
    "DiagnosticReport",
    "Provenance",
    "DocumentReference",
)
PDF = b"%PDF-1.7 not really"
ARCHIVE = "https://pacs.example/dicom-web"


def issues(server: FhirServer, content: dict[str, Any]) -> list[dict[str, Any]]:
    answer = httpx.post(f"{server.url}/$validate-all", json=content).raise_for_status()
    return answer.json()["issue"]


def errors(server: FhirServer, content: dict[str, Any]) -> list[dict[str, Any]]:
    return [issue for issue in issues(server, content) if issue["severity"] in ("error", "fatal")]


def counts(server: FhirServer) -> dict[str, int]:
    found = {}
    for kind in KINDS:
        answer = httpx.post(f"{server.url}/{kind}/_search", data={"_count": "1000"}).raise_for_status().json()
        found[kind] = len(answer.get("entry", ()))
    return found


def stored(server: FhirServer, kind: str, **search: str) -> list[dict[str, Any]]:
    answer = httpx.post(f"{server.url}/{kind}/_search", data={"_count": "1000", **search}).raise_for_status().json()
    return [entry["resource"] for entry in answer.get("entry", ())]


@pytest.mark.parametrize("name", reports.FACTORIES)
def test_report_is_valid_arrives_whole_and_only_once(server: FhirServer, name: str) -> None:
    report = reports.FACTORIES[name]()
    sent = bundle(report, pdf=PDF, endpoint=ARCHIVE if report.study.kind == "dicom" else "")
    assert errors(server, sent) == []
    with FhirClient(server.url) as client:
        first = client.send(sent)
        assert first.made == len(first.entries) == len(sent["entry"])
        assert all(entry.id and entry.version for entry in first.entries)
        before, read = counts(server), client.read_back(report)
        assert compare(sent, read) == ()
        assert issues(server, read) == []  # references resolved, so their targets are checked too
        again = client.send(sent)
    assert again.made == 0
    assert again.withdrawn == 0
    assert counts(server) == before
    # Medplum does not say that it found a Patient in a transaction, but gives its own id; see the count above
    assert [entry.id for entry in again.entries if entry.kind != "Patient"] == [
        entry.id for entry in first.entries if entry.kind != "Patient"
    ]


def test_validator_would_notice(server: FhirServer) -> None:
    sent = bundle(reports.first_visit())
    broken = json.loads(json.dumps(sent))
    observation = next(e["resource"] for e in broken["entry"] if e["resource"]["resourceType"] == "Observation")
    del observation["status"]
    observation["unheard"] = 1
    assert {issue["expression"][0] for issue in errors(server, broken)} >= {"Observation.status", "Observation.unheard"}


def test_code_system_is_valid(server: FhirServer) -> None:
    assert errors(server, {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": code_system()}]}) == []


def test_next_version_updates(server: FhirServer) -> None:
    first = reports.grown()
    second = reports.next_version(first, "Dr Meera Iyer", "Unchanged after all.")
    with FhirClient(server.url) as client:
        client.send(bundle(first, pdf=PDF))
        before = counts(server)
        client.send(bundle(second, pdf=PDF))
        assert compare(bundle(second, pdf=PDF), client.read_back(second)) == ()
        assert compare(bundle(first, pdf=PDF), client.read_back(second)) != ()
    assert counts(server) == {**before, "Provenance": 2}  # how the first version came about stays known
    (report,) = stored(server, "DiagnosticReport")
    assert report["status"] == "amended"
    assert report["conclusion"] == "Unchanged after all."


def test_what_a_new_version_no_longer_says_is_withdrawn(server: FhirServer) -> None:
    first = reports.approved(reports.several_lesions(), "Dr Meera Iyer")
    measurements = first.findings.measurements
    fewer = replace(
        first, findings=replace(first.findings, measurements=replace(measurements, lesions=measurements.lesions[:2]))
    )
    second = reports.next_version(fewer, "Dr Meera Iyer", "Two lesions.")
    gone = measurements.lesions[2].tracking_uid
    with FhirClient(server.url) as client:
        client.send(bundle(first))
        receipt = client.send(bundle(second))
        assert receipt.withdrawn == 3
        assert len(receipt.entries) == len(bundle(second)["entry"])
        assert compare(bundle(second), client.read_back(second)) == ()
        assert client.send(bundle(second)).withdrawn == 0
    outdated = [each for each in stored(server, "Observation") if each["status"] == "entered-in-error"]
    assert {gone in each["identifier"][0]["value"] for each in outdated} == {True}
    assert [each["active"] for each in stored(server, "BodyStructure") if gone in each["identifier"][0]["value"]] == [False]


def test_next_version_by_other_software(server: FhirServer) -> None:
    first = reports.grown()
    second = reports.next_version(first, "Dr Meera Iyer", "Measured again.")
    second = replace(second, provenance=replace(second.provenance, software_version="0.6.0"))
    with FhirClient(server.url) as client:
        client.send(bundle(first))
        client.send(bundle(second))
        assert compare(bundle(second), client.read_back(second)) == ()
    assert counts(server)["Device"] == 2


def test_older_version_and_draft_are_refused(server: FhirServer) -> None:
    first = reports.grown()
    second = reports.next_version(first, "Dr Meera Iyer", "Unchanged after all.")
    draft = replace(first, status=Status.DRAFT, audit=first.audit[:1], version=3)
    with FhirClient(server.url) as client:
        client.send(bundle(second))
        before = stored(server, "DiagnosticReport")
        with pytest.raises(FhirError, match="newer version"):
            client.send(bundle(first))
        with pytest.raises(FhirError, match="as final"):
            client.send(bundle(draft))
    assert stored(server, "DiagnosticReport") == before


def test_patient_who_is_there_is_used_and_not_changed(server: FhirServer) -> None:
    theirs = {
        "resourceType": "Patient",
        "identifier": [
            {"system": reports.ABHA, "value": "91-1234-5678-9012"},
            {"system": "https://hospital.example/mrn", "value": "7"},
        ],
        "name": [{"family": "Iyer", "given": ["Lakshmi"]}],
        "gender": "female",
        "birthDate": "1968-07-04",
    }
    httpx.post(f"{server.url}/Patient", json=theirs).raise_for_status()
    report = reports.amended()
    sent = bundle(report)
    with FhirClient(server.url) as client:
        client.send(sent)
        (patient,) = stored(server, "Patient")
        assert patient["name"] == theirs["name"]
        differences = compare(sent, client.read_back(report))
    assert differences == ("Patient: identifier lacks 2 of 3",)


def test_another_persons_number_shows(server: FhirServer) -> None:
    report = reports.amended()
    other = {
        "resourceType": "Patient",
        "identifier": [{"system": reports.ABHA, "value": "91-1234-5678-9012"}],
        "birthDate": "2001-01-01",
    }
    httpx.post(f"{server.url}/Patient", json=other).raise_for_status()
    with FhirClient(server.url) as client:
        client.send(bundle(report))
        assert "Patient: birthDate differs" in compare(bundle(report), client.read_back(report))


def test_two_reports_share_patient_study_and_device(server: FhirServer) -> None:
    first = reports.first_visit()
    other = replace(first, uid=reports.uid("another report"))
    with FhirClient(server.url) as client:
        client.send(bundle(first))
        client.send(bundle(other))
        assert compare(bundle(first), client.read_back(first)) == ()
        assert compare(bundle(other), client.read_back(other)) == ()
    found = counts(server)
    assert [found[kind] for kind in ("Patient", "ImagingStudy", "Encounter", "Device", "DiagnosticReport")] == [1, 1, 1, 1, 2]


def test_read_back_of_an_unknown_report(server: FhirServer) -> None:
    with FhirClient(server.url) as client, pytest.raises(FhirError, match="does not have this report"):
        client.read_back(reports.first_visit())


def test_search_reads_all_pages(server: FhirServer) -> None:
    report = reports.several_lesions()
    with FhirClient(server.url) as client:
        client.transport.page = 7
        client.send(bundle(report))
        assert compare(bundle(report), client.read_back(report)) == ()


def test_context_from_order_and_patient(server: FhirServer) -> None:
    mrn, numbers = "https://hospital.example/mrn", "https://hospital.example/accession"
    name = {"use": "official", "family": "Iyer", "given": ["Lakshmi"], "prefix": ["Dr"]}
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": mrn, "value": "P-010"}, {"system": reports.ABHA, "value": "91-1"}],
        "name": [name],
        "gender": "female",
        "birthDate": "1968-07-04",
    }
    made = httpx.post(f"{server.url}/Patient", json=patient).json()
    order = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "system": numbers, "value": "ACC-1"}],
        "subject": {"reference": f"Patient/{made['id']}"},
        "reasonCode": [{"text": "Glioma, follow-up"}, {"coding": [{"display": "Headache"}]}],
    }
    httpx.post(f"{server.url}/ServiceRequest", json=order).raise_for_status()
    expected = Patient("P-010", "Iyer^Lakshmi^^Dr", "19680704", "F")
    with FhirClient(server.url, patient_system=mrn, accession_system=numbers) as client:
        for found in (
            client.context(accession="ACC-1"),
            client.context(Identifier("", "P-010")),
            client.context(Identifier(reports.ABHA, "91-1"), accession="ACC-1"),
        ):
            assert found.patient == expected
            assert found.identifiers == (Identifier(reports.ABHA, "91-1"),)
            assert found.reason == "Glioma, follow-up; Headache"
            assert found.accession == "ACC-1"
        for question in ({"accession": "ACC-2"}, {"patient": Identifier(mrn, "nobody")}, {}):
            with pytest.raises(FhirError):
                client.context(**question)


def test_context_refuses_an_order_for_somebody_else(server: FhirServer) -> None:
    ids = [
        httpx.post(
            f"{server.url}/Patient", json={"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": v}]}
        ).json()["id"]
        for v in ("1", "2")
    ]
    order = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "identifier": [{"value": "A"}]}
    httpx.post(f"{server.url}/ServiceRequest", json=order | {"subject": {"reference": f"Patient/{ids[0]}"}})
    with FhirClient(server.url) as client:
        assert client.context(Identifier("urn:x", "1"), accession="A").accession == "A"
        with pytest.raises(FhirError, match="another patient"):
            client.context(Identifier("urn:x", "2"), accession="A")


def test_a_real_server_that_takes_a_part_only_is_noticed(server: FhirServer) -> None:
    """Medplum's router answers 200 although one entry of the transaction failed."""
    sent = bundle(reports.first_visit())
    (entry,) = (e for e in sent["entry"] if e["resource"]["resourceType"] == "Device")
    entry["request"]["url"] = "Nonsense?identifier=1"
    with FhirClient(server.url) as client, pytest.raises(FhirError, match=r"took 26 of 27 resources.*Not taken: Device"):
        client.send(sent)


def test_r4b_has_the_elements_of_r4(started: FhirServer) -> None:
    """`validate` uses R4B's classes: for what we use, R4 has the same elements, at every depth."""
    from fhir.resources.R4B import get_fhir_model_class

    folder = fhir_server.MODULES / "@medplum" / "definitions" / "dist" / "fhir" / "r4"
    kinds = (*KINDS, "Bundle", "CodeSystem", "ServiceRequest", "OperationOutcome")
    types = ("Identifier", "HumanName", "CodeableConcept", "Coding", "Quantity", "Reference", "Attachment", "Narrative")
    elements = {}
    for file in ("profiles-resources.json", "profiles-types.json"):
        for entry in json.loads((folder / file).read_text("utf-8"))["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "StructureDefinition" and resource["id"] in (*kinds, *types):
                elements[resource["id"]] = [element["path"] for element in resource["snapshot"]["element"]]
    assert set(elements) == {*kinds, *types}
    for kind, paths in elements.items():
        for owner in {path.rpartition(".")[0] for path in paths} - {""}:
            name = "".join(part[:1].upper() + part[1:] for part in owner.split("."))
            have = {field.alias or key for key, field in get_fhir_model_class(name).model_fields.items()}
            wanted = {path.rpartition(".")[2] for path in paths if path.rpartition(".")[0] == owner}
            lacking = {each for each in wanted if not each.endswith("[x]")} - have
            assert not lacking, (kind, owner)
