"""Against a server that misbehaves: what is tried again, what is refused, and that no message or log holds patient data."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import FhirError, Identifier, Patient
from braintumor.fhir import BASE_SYSTEM, FhirClient, bundle
from braintumor.fhir.transport import TOKEN, Transport
from tests import reports
from tests.fhir.hostile import Answer, Scripted, outcome, says, scripted

REPORT = replace(reports.amended(), patient=Patient("MRN-4711", "Iyer^Lakshmi=लक्ष्मी^अय्यर", "19680704", "F"))
SENT = bundle(REPORT)
SECRETS = ("Iyer", "Lakshmi", "लक्ष्मी", "MRN-4711", "4711", "19680704", "1968-07-04", "91-1234-5678-9012", "ACC-2026-0042")


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


class Pauses(list[float]):
    """Instead of sleeping."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client(script: Scripted, **more: Any) -> FhirClient:
    made = FhirClient(script.url, **{"timeout": 5.0, **more})
    made.transport.pause = Pauses()
    return made


def taken(**changes: Any) -> Answer:
    """The answer of a server that stored everything; `changes` by index of the entry, None leaves it out."""
    entries = [
        {"response": {"status": "201 Created", "location": f"{e['resource']['resourceType']}/id-{n}/_history/1"}}
        for n, e in enumerate(SENT["entry"])
    ]
    for name, change in changes.items():
        entries[int(name[1:])] = change
    return says({"resourceType": "Bundle", "type": "transaction-response", "entry": [e for e in entries if e is not None]})


def refusal(script: Scripted, **more: Any) -> FhirError:
    """The error of sending; its text must never hold what is the patient's."""
    with client(script, **more) as fhir, pytest.raises(FhirError) as caught:
        fhir.send(SENT)
    shown = f"{caught.value} {caught.value!r} {caught.value.problem}"
    assert not [secret for secret in SECRETS if secret.lower() in shown.lower()]
    return caught.value


def test_receipt_tells_ids_versions_and_parts(script: Scripted) -> None:
    script.answers = [taken()]
    with client(script) as fhir:
        receipt = fhir.send(SENT)
    assert receipt.made == len(receipt.entries) == len(SENT["entry"])
    assert (receipt.entries[0].kind, receipt.entries[0].id, receipt.entries[0].version) == ("Patient", "id-0", "1")
    assert "report" in {entry.part for entry in receipt.entries}


@pytest.mark.parametrize("first", [Answer(500), Answer(503), Answer(429), Answer(502, b"<html>"), Answer(drop=True)])
def test_what_may_pass_is_tried_again(script: Scripted, first: Answer) -> None:
    script.answers = [first, taken()]
    with client(script) as fhir:
        assert fhir.send(SENT).made
    assert len(script.posted) == 2
    assert script.posted[0].body == script.posted[1].body


def test_pauses_grow_and_obey_the_server(script: Scripted) -> None:
    script.answers = [
        Answer(500),
        Answer(429, headers={"Retry_After": "7"}),
        Answer(503, headers={"Retry_After": "9999"}),
        taken(),
    ]
    with client(script) as fhir:
        fhir.send(SENT)
        assert [*cast("Pauses", fhir.transport.pause)] == [0.5, 7.0, 30.0]


def test_gives_up_in_the_end(script: Scripted) -> None:
    script.answers = [Answer(503)] * 9
    assert "failed (HTTP 503)" in str(refusal(script))
    assert len(script.posted) == 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(401), "does not accept the token"),
        (Answer(403), "does not allow it"),
        (Answer(404), "nothing at this address"),
        (Answer(413, b"<html>too large</html>"), "too large"),
        (outcome("Multiple matches", 412), "more than one match"),
        (Answer(200, b"<html>hello</html>"), "does not answer in FHIR"),
        (Answer(200, b'{"entry": ['), "does not answer in FHIR"),
        (Answer(200, b"[1, 2]"), "does not answer in FHIR"),
        (Answer(200, b"\xff\xfe"), "does not answer in FHIR"),
        (Answer(200, b"[" * 100_000), "does not answer in FHIR"),
        (says({"resourceType": "Patient"}), "does not say what it stored"),
        (says({"resourceType": "Bundle", "entry": "all"}), "does not say what it stored"),
        (outcome("Observation.code is missing", 200), "Observation.code is missing"),
        (outcome("Observation.code is missing", 422), "Observation.code is missing"),
        (says({"resourceType": "OperationOutcome", "issue": "?"}, 400), "refused (HTTP 400)"),
    ],
)
def test_what_cannot_pass_is_refused_at_once(script: Scripted, answer: Answer, words: str) -> None:
    script.answers = [answer]
    assert words in str(refusal(script))
    assert len(script.posted) == 1


def test_hanging_server_does_not_hold_us(script: Scripted) -> None:
    script.answers = [Answer(hang=30.0)] * 2
    began = time.monotonic()
    assert "did not answer within" in str(refusal(script, timeout=0.3, attempts=2))
    assert time.monotonic() - began < 10


def test_dripping_server_does_not_hold_us(script: Scripted) -> None:
    script.answers = [Answer(200, b" " * 1000, drip=0.05)]
    began = time.monotonic()
    assert "did not answer within" in str(refusal(script, timeout=0.5, attempts=1))
    assert time.monotonic() - began < 10


def test_nobody_there() -> None:
    with scripted() as gone:
        pass
    with client(gone) as fhir, pytest.raises(FhirError, match="cannot be reached"):
        fhir.send(SENT)


def test_redirect_gets_nothing(script: Scripted) -> None:
    with scripted() as other:
        script.answers = [Answer(307, headers={"Location": other.url})]
        assert "redirects to another place" in str(refusal(script))
        assert other.asked == []


def test_next_page_elsewhere_gets_nothing(script: Scripted) -> None:
    with scripted() as other:
        page = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": f"{other.url}?p=2"}]}
        script.found["DiagnosticReport"] = says(page)
        assert "names another place" in str(refusal(script))
        assert other.asked == []
    assert script.posted == []


def test_search_that_gives_a_part_only_stops_the_sending(script: Scripted) -> None:
    script.found["Observation"] = says({"resourceType": "Bundle", "type": "searchset", "total": 3})
    assert "part of its answer" in str(refusal(script))
    assert script.posted == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"_3": {"response": {"status": "422", "outcome": json.loads(outcome("no such code").body)}}},
            "HTTP 422, no such code",
        ),
        ({"_3": None}, "the answer is about another resource"),
        ({"_3": {}}, "no answer for it"),
        ({"_3": {"response": {"status": "201", "location": "Basic/1"}}}, "about another resource"),
        ({"_3": "?"}, "no answer for it"),
    ],
)
def test_half_accepted_is_told(script: Scripted, change: dict[str, Any], words: str) -> None:
    script.answers = [taken(**change)]
    error = str(refusal(script))
    assert f"of {len(SENT['entry'])} resources" in error
    assert "Taken: Patient, Device" in error
    assert words in error


def test_server_that_ignores_what_is_searched_for(script: Scripted) -> None:
    """It answers with everybody's resources; none of them may be withdrawn, and nobody be taken for the patient."""
    other = {"resourceType": "Observation", "id": "1", "status": "final", "meta": {"tag": [{"system": "x", "code": "y"}]}}
    script.found["Observation"] = says(
        {"resourceType": "Bundle", "entry": [{"resource": other}, {"resource": {**other, "meta": {}}}]}
    )
    people = [{"resource": {"resourceType": "Patient", "id": "1", "identifier": [{"system": "urn:x", "value": "2"}]}}]
    script.found["Patient"] = says({"resourceType": "Bundle", "entry": people})
    script.answers = [taken()]
    with client(script) as fhir:
        assert fhir.send(SENT).withdrawn == 0
        with pytest.raises(FhirError, match="knows no patient"):
            fhir.context(Identifier("urn:x", "1"))
    assert len(json.loads(script.posted[0].body)["entry"]) == len(SENT["entry"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceType",
                    "entry",
                    "resource",
                    "response",
                    "status",
                    "location",
                    "meta",
                    "tag",
                    "identifier",
                    "name",
                    "issue",
                    "link",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(transaction=JSON, found=JSON, kind=st.sampled_from(["Bundle", "OperationOutcome", "Patient"]))
def test_no_answer_crashes_us(transaction: Any, found: Any, kind: str) -> None:
    def fhir_like(content: Any) -> Any:
        return {**content, "resourceType": kind} if isinstance(content, dict) else content

    tag = {"tag": [{"system": f"{BASE_SYSTEM}/sid/report", "code": REPORT.uid}]}
    one = {"resourceType": "DiagnosticReport", "id": "1", "meta": tag, "identifier": found, "result": found}
    person = {"resourceType": "Patient", "id": "1", "identifier": [{"value": "1"}], "name": found, "gender": found}
    transport = Transport("http://127.0.0.1/fhir", attempts=1)

    def call(method: str, path: str, **more: Any) -> Any:
        answers = {
            "": fhir_like(transaction),
            "/DiagnosticReport/_search": {"resourceType": "Bundle", "entry": [{"resource": one}]},
            "/Patient/_search": {"resourceType": "Bundle", "entry": [{"resource": person}]},
        }
        status = answers.get(path, {**found, "resourceType": "Bundle"} if isinstance(found, dict) else found)
        return transport._answer(200, json.dumps(status).encode(), frozenset())

    fhir = FhirClient("http://127.0.0.1/fhir")
    fhir.transport = transport
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transport, "call", lambda self, method, path, **more: call(method, path, **more))
        for action in (
            lambda: fhir.send(SENT),
            lambda: fhir.read_back(REPORT),
            lambda: fhir.context(Identifier("", "1"), accession="2"),
            lambda: fhir.context(Identifier("", "1")),
        ):
            with contextlib.suppress(FhirError):
                action()


def test_answer_that_cannot_be_unpacked(script: Scripted) -> None:
    script.answers = [Answer(200, b"not gzip", {"Content_Encoding": "gzip"})]
    assert "cannot be reached" in str(refusal(script, attempts=1))


def test_outcome_that_repeats_what_was_sent(script: Scripted) -> None:
    echo = "Patient Lakshmi IYER (born 1968-07-04, 19680704) with MRN-4711 and 'anything' conflicts with ACC-2026-0042"
    script.answers = [outcome(echo, 422)]
    error = str(refusal(script))
    assert "conflicts with" in error
    assert "anything" not in error


def test_outcome_of_an_entry_that_repeats_what_was_sent(script: Scripted) -> None:
    bad = {"response": {"status": "400", "outcome": json.loads(outcome("bad name: लक्ष्मी Iyer").body)}}
    script.answers = [taken(_0=bad)]
    assert "bad name" in str(refusal(script))


def test_nothing_of_the_patient_is_logged(script: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    script.answers = [Answer(500), outcome("Lakshmi Iyer", 400)]
    refusal(script)
    with client(script) as fhir, pytest.raises(FhirError):
        fhir.context(Identifier(reports.ABHA, "91-1234-5678-9012"), accession="ACC-2026-0042")
    assert not [secret for secret in SECRETS if secret in caplog.text]
    assert not [asked for asked in script.asked if any(secret in asked.path for secret in SECRETS)]


def test_token_from_argument_file_and_environment(script: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n", encoding="utf-8")
    monkeypatch.setenv(TOKEN, "from-environment")
    for chosen, expected in (({"token": "given"}, "given"), ({"token_file": file}, "from-file"), ({}, "from-environment")):
        script.answers = [taken()]
        with client(script, **chosen) as fhir:
            fhir.send(SENT)
            assert expected not in repr(fhir.transport)
        assert script.posted[-1].headers["Authorization"] == f"Bearer {expected}"


def test_bad_tokens(tmp_path: Path) -> None:
    with pytest.raises(FhirError, match="cannot be read"):
        FhirClient("http://127.0.0.1/fhir", token_file=tmp_path / "absent")
    with pytest.raises(FhirError, match="no token has") as caught:
        FhirClient("http://127.0.0.1/fhir", token="sec ret\nX-Evil: 1")
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["ftp://h/fhir", "fhir", "", "https://", "https://u:p@h/fhir", "https://h/fhir?x=1", "http://hospital/fhir"]
)
def test_bad_addresses(address: str) -> None:
    with pytest.raises(FhirError):
        FhirClient(address)


def test_plain_http_on_purpose() -> None:
    assert Transport("http://hospital.example/fhir/", plain=True).base_url == "http://hospital.example/fhir"


def test_unsound_bundle_is_not_sent(script: Scripted) -> None:
    broken = {**SENT, "entry": SENT["entry"][1:]}
    with client(script) as fhir, pytest.raises(FhirError, match="not sound"):
        fhir.send(broken)
    assert script.asked == []
