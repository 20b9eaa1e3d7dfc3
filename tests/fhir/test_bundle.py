"""What the resources say of a report."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from braintumor.domain import (
    Action,
    Category,
    Confirmation,
    Direction,
    Entry,
    FhirError,
    FinalReportError,
    LesionState,
    Patient,
    Report,
    Severity,
    Status,
)
from braintumor.fhir import bundle, code_system, codes, validate
from tests import reports

ALL = pytest.mark.parametrize("name", reports.FACTORIES)


def of(content: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in content["entry"] if entry["resource"]["resourceType"] == kind]


def observation(content: dict[str, Any], code: str) -> dict[str, Any]:
    (found,) = (each for each in of(content, "Observation") if each["code"]["coding"][0]["code"] == code)
    return found


def components(resource: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["code"]["coding"][0]["code"]: each for each in resource["component"]}


@ALL
def test_sound_and_the_same_every_time(name: str) -> None:
    report = reports.FACTORIES[name]()
    made = bundle(report, pdf=b"%PDF", endpoint="https://pacs.example/wado")
    assert validate(made) == ()
    assert json.dumps(made) == json.dumps(bundle(report, pdf=b"%PDF", endpoint="https://pacs.example/wado"))


@ALL
def test_numbers_are_those_of_the_report(name: str) -> None:
    report = reports.FACTORIES[name]()
    made = bundle(report)
    for key, region in report.findings.measurements.regions.items():
        found = observation(made, f"volume-{key}")["valueQuantity"]
        assert found["value"] == round(region.volume_ml, 3)
        assert (found["system"], found["code"]) == ("http://unitsofmeasure.org", "mL")
    assert len(of(made, "BodyStructure")) == len(report.findings.measurements.lesions)


@ALL
def test_every_code_of_ours_is_published_and_every_display_is_its_own(name: str) -> None:
    published = {concept["code"]: concept["display"] for concept in code_system()["concept"]}
    assert code_system()["count"] == len(published) == len(code_system()["concept"])

    def codings(value: Any) -> Any:
        if isinstance(value, dict):
            yield from [value] if value.get("system") == codes.OURS else []
            for item in value.values():
                yield from codings(item)
        elif isinstance(value, list):
            for item in value:
                yield from codings(item)

    used = {(coding["code"], coding["display"]) for coding in codings(bundle(reports.FACTORIES[name]()))}
    assert used <= set(published.items())


def test_every_state_has_a_code() -> None:
    kinds = {"rano": Category, "confirmation": Confirmation, "severity": Severity, "course": LesionState, "change": Direction}
    for kind, words in kinds.items():
        for word in words:
            assert codes.word(kind, word).meaning


def test_nifti_makes_up_nobody_and_no_study() -> None:
    made = bundle(reports.nifti())
    assert [len(of(made, kind)) for kind in ("Patient", "Encounter", "ImagingStudy", "DocumentReference")] == [0, 0, 0, 4]
    subject = of(made, "DiagnosticReport")[0]["subject"]
    assert subject["identifier"]["value"] == "case 7 (ü)"
    assert subject["display"] == "Unidentified patient"
    assert "effectiveDateTime" not in of(made, "Observation")[0]


def test_anonymised_dicom_has_no_patient_to_mix_up() -> None:
    made = bundle(replace(reports.first_visit(), patient=Patient("", "Doe^Jane", "", "")))
    assert of(made, "Patient") == []
    assert of(made, "ImagingStudy")[0]["subject"]["display"] == "Jane Doe"
    assert validate(made) == ()


def test_imaging_study_and_endpoint() -> None:
    report = reports.amended()
    made = bundle(report, endpoint="https://pacs.example/dicom-web", accession_system="urn:accession")
    (study,), (endpoint,) = of(made, "ImagingStudy"), of(made, "Endpoint")
    assert {"system": "urn:dicom:uid", "value": f"urn:oid:{report.study.uid}"} in study["identifier"]
    assert study["basedOn"][0]["identifier"]["value"] == "ACC-2026-0042"
    assert study["basedOn"][0]["identifier"]["system"] == "urn:accession"
    assert [each["code"] for each in study["modality"]] == ["MR", "SEG"]
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (5, 13)
    first = report.study.series[0]
    assert study["series"][0]["uid"] == first.uid
    assert [(each["uid"], each["sopClass"]["code"]) for each in study["series"][0]["instance"]] == [
        (each.uid, f"urn:oid:{each.class_uid}") for each in first.instances
    ]
    assert endpoint["connectionType"]["code"] == "dicom-wado-rs"
    assert endpoint["address"] == "https://pacs.example/dicom-web"


@pytest.mark.parametrize("address", ["pacs", "file:///etc/passwd", "https://user:secret@pacs/wado", "https://a b/"])
def test_bad_endpoints(address: str) -> None:
    with pytest.raises(FhirError) as caught:
        bundle(reports.first_visit(), endpoint=address)
    assert "secret" not in str(caught.value)


def test_change_with_uncertainty() -> None:
    made = bundle(reports.grown())
    change = observation(made, "volume-change-WT")
    assert change["valueQuantity"]["value"] == 11.25
    assert change["valueQuantity"]["extension"][0]["valueDecimal"] == 0.8
    assert [each["code"] for each in change["interpretation"][0]["coding"]] == ["change-grown", "U"]
    parts = components(change)
    assert parts["change-percent"]["valueQuantity"]["value"] == 60.0
    assert parts["change-percent"]["valueQuantity"]["code"] == "%"
    assert parts["prior-date"]["valueDateTime"] == "2025-12-01"
    assert change["derivedFrom"][1]["identifier"]["value"] == f"urn:oid:{reports.uid('grown', 'prior')}"
    assert observation(made, "volume-WT")["valueQuantity"]["extension"][0]["valueDecimal"] == 0.6


def test_rano() -> None:
    found = observation(bundle(reports.grown()), "rano-category")
    assert found["valueCodeableConcept"]["coding"][0]["code"] == "rano-pd"
    parts = components(found)
    assert parts["rano-standing"]["valueCodeableConcept"]["coding"][0]["code"] == "rano-sd"
    assert parts["rano-confirmation"]["valueCodeableConcept"]["coding"][0]["code"] == "confirmation-pending"
    notes = " ".join(note["text"] for note in found["note"])
    assert "not a diagnosis" in notes
    assert "Not given: corticosteroid dose, clinical status" in notes


def test_rano_that_could_not_be_assessed_says_why() -> None:
    found = observation(bundle(reports.no_tumour()), "rano-category")
    assert found["dataAbsentReason"]["text"] == "No enhancing lesion of 1 cm was ever measured."
    assert not any(key.startswith("value") for key in found)


def test_no_tumour_is_a_volume_of_nothing() -> None:
    made = bundle(reports.no_tumour())
    assert observation(made, "volume-WT")["valueQuantity"]["value"] == 0.0
    assert of(made, "BodyStructure") == []
    assert observation(made, "lesion-course")["valueCodeableConcept"]["coding"][0]["code"] == "course-resolved"


def test_first_visit_has_no_change() -> None:
    made = bundle(reports.first_visit())
    assert not [each for each in of(made, "Observation") if "change" in each["code"]["coding"][0]["code"]]


def test_lesions_have_sides_and_are_pointed_at() -> None:
    made = bundle(reports.several_lesions())
    assert [each["locationQualifier"][0]["text"] for each in of(made, "BodyStructure")] == ["Left", "Right", "Midline"]
    places = {entry["fullUrl"] for entry in made["entry"] if entry["resource"]["resourceType"] == "BodyStructure"}
    volumes = [each for each in of(made, "Observation") if each["code"]["coding"][0]["code"] == "lesion-volume"]
    assert {each["bodySite"]["extension"][0]["valueReference"]["reference"] for each in volumes} == places
    (single,) = of(bundle(reports.first_visit()), "BodyStructure")
    assert "frontal lobe" in single["location"]["text"]


def test_flags_are_seen_everywhere() -> None:
    report = reports.doubtful()
    made = bundle(report)
    quality = observation(made, "quality-flags")
    assert quality["valueCodeableConcept"]["coding"][0]["code"] == "severity-serious"
    assert [each["code"]["text"] for each in quality["component"]] == [flag.code for flag in report.findings.flags]
    assert [note["text"][:22] for note in observation(made, "volume-ET")["note"]] == [
        "SERIOUS uncertain-mask",
        "SERIOUS no-contrast: N",
    ]
    text = of(made, "DiagnosticReport")[0]["text"]["div"]
    assert all(flag.message in text for flag in report.findings.flags)
    none = observation(bundle(reports.first_visit()), "quality-flags")
    assert none["valueCodeableConcept"]["coding"][0]["code"] == "severity-none"


def test_all_results_can_be_reached_from_the_report() -> None:
    made = bundle(reports.grown())
    urls = {entry["fullUrl"] for entry in made["entry"] if entry["resource"]["resourceType"] == "Observation"}
    panel = observation(made, "measurement-panel")
    reached = {each["reference"] for each in (*of(made, "DiagnosticReport")[0]["result"], *panel["hasMember"])}
    assert reached == urls


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (reports.first_visit(), "preliminary"),
        (replace(reports.first_visit(), version=3), "preliminary"),
        (reports.grown(), "final"),
        (replace(reports.grown(), version=4), "final"),
        (reports.amended(), "amended"),
    ],
)
def test_status(report: Report, status: str) -> None:
    made = bundle(report)
    assert {each["status"] for each in (*of(made, "DiagnosticReport"), *of(made, "Observation"))} == {status}


def test_draft_of_an_amendment_is_refused() -> None:
    final = reports.grown()
    draft = replace(final, version=2, status=Status.DRAFT, audit=(*final.audit, Entry(reports.MADE, Action.AMENDED, "Dr A")))
    with pytest.raises(FinalReportError):
        bundle(draft)


def test_both_languages() -> None:
    (report,) = of(bundle(reports.grown()), "DiagnosticReport")
    assert report["language"] == "en"
    assert report["conclusion"] == "The tumour has grown by 60 %."
    translation = {each["url"]: each for each in report["_conclusion"]["extension"][0]["extension"]}
    assert translation["lang"]["valueCode"] == "hi"
    assert translation["content"]["valueString"] == "ट्यूमर 60 % बढ़ गया है।"
    root = ElementTree.fromstring(report["text"]["div"])
    assert {block.get("lang") for block in root} == {"en", "hi"}
    (arabic,) = (
        block
        for block in ElementTree.fromstring(of(bundle(reports.many_scripts()), "DiagnosticReport")[0]["text"]["div"])
        if block.get("lang") == "ar"
    )
    assert arabic.get("dir") == "rtl"


def test_draft_says_so() -> None:
    assert "DRAFT" in of(bundle(reports.first_visit()), "DiagnosticReport")[0]["text"]["div"]
    assert "DRAFT" not in of(bundle(reports.grown()), "DiagnosticReport")[0]["text"]["div"]


def test_pdf() -> None:
    pdf = b"%PDF-1.7 " + bytes(range(256))
    (form,) = of(bundle(reports.amended(), pdf=pdf), "DiagnosticReport")[0]["presentedForm"]
    assert base64.b64decode(form["data"]) == pdf
    assert base64.b64decode(form["hash"]) == hashlib.sha1(pdf).digest()
    assert (form["size"], form["contentType"], form["title"]) == (265, "application/pdf", "Brain tumour MRI report, version 2")
    assert "presentedForm" not in of(bundle(reports.amended()), "DiagnosticReport")[0]


def test_who_made_it_from_what() -> None:
    report = reports.amended()
    made = bundle(report)
    (provenance,), (device,) = of(made, "Provenance"), of(made, "Device")
    roles = [(agent["type"]["coding"][0]["code"], agent["who"].get("display")) for agent in provenance["agent"]]
    assert roles == [("assembler", None), ("verifier", "Dr Meera Iyer"), ("author", "Dr Meera Iyer")]
    shown = [entity["what"].get("display", "") for entity in provenance["entity"]]
    assert shown[1:] == [
        f"All input files, SHA-256 {report.provenance.input_sha256}",
        f"Segmentation mask, SHA-256 {report.provenance.mask_sha256}",
    ]
    assert provenance["activity"]["coding"][0]["code"] == "UPDATE"
    assert {each["type"]["text"]: each["value"] for each in device["version"]} == {
        "software": "0.5.0",
        "model": "braintumor-unet 0.2.0",
        "engine": "openvino-bf16",
        "weights SHA-256": "ab" * 32,
    }


def test_mask_by_a_person() -> None:
    made = bundle(reports.devanagari_by_person())
    volume = observation(made, "volume-WT")
    assert volume["performer"][0]["display"] == "Asha Rao"
    assert volume["method"]["coding"][0]["code"] == "method-person"
    (device,) = of(made, "Device")
    assert [each["type"]["text"] for each in device["version"]] == ["software"]
    assert "Asha Rao" not in json.dumps(device)


def test_validate_notices() -> None:
    def broken(change: Any) -> tuple[str, ...]:
        content = json.loads(json.dumps(bundle(reports.grown())))
        change(content)
        return validate(content)

    def own(content: dict[str, Any], code: str) -> dict[str, Any]:
        return observation(content, code)

    assert validate({"resourceType": "Bundle", "type": "batch"}) == ("it is no transaction Bundle",)
    assert "refers to nothing" in broken(lambda c: c["entry"].pop(0))[0]
    assert any("share one request" in each for each in broken(lambda c: c["entry"].append(c["entry"][-1])))
    assert any(
        "unknown system" in each
        for each in broken(lambda c: own(c, "rano-category")["code"]["coding"].append({"system": "x", "code": "y"}))
    )
    assert any(
        "not in our code system" in each
        for each in broken(lambda c: own(c, "rano-category")["code"]["coding"].append({"system": codes.OURS, "code": "y"}))
    )
    assert any("says nothing" in each for each in broken(lambda c: own(c, "volume-WT").pop("valueQuantity")))
    assert any(
        "well-formed" in each for each in broken(lambda c: of(c, "DiagnosticReport")[0]["text"].update(div="<div><p></div>"))
    )
    script = '<div xmlns="http://www.w3.org/1999/xhtml"><script/></div>'
    assert any("do not belong" in each for each in broken(lambda c: of(c, "DiagnosticReport")[0]["text"].update(div=script)))
    assert any("stored again" in each for each in broken(lambda c: c["entry"][0]["request"].pop("ifNoneExist")))
    assert any("has no device" in each for each in broken(lambda c: own(c, "volume-WT").pop("device")))


def test_problems_name_no_values() -> None:
    content = bundle(reports.amended())
    content["entry"][0]["resource"]["birthDate"] = "Iyer was born long ago"
    content["entry"][0]["resource"]["gender"] = {"Iyer": 1}
    problems = validate(content)
    assert problems
    assert "Iyer" not in " ".join(problems)
