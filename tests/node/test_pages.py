"""The node's pages: what they answer when all is well, when the database is down, and to whom; nothing of a patient shows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from braintumor.domain import DatabaseError, MissingSequenceError
from braintumor.node import reasons
from braintumor.node.pages import SHOWN, Check, DestinationStanding, WorkerStanding, router
from braintumor.node.states import Reason, StudyRecord, StudyState

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
TOKEN = "a-long-token-é"
UID = "1.2.826.0.1.3680043.8.498.1"


def ago(**duration):
    return (NOW - timedelta(**duration)).isoformat(timespec="milliseconds")


def study(number, state=StudyState.ACKNOWLEDGED, **changed):
    made = StudyRecord(
        id=number,
        pseudonym=f"S-{number:012d}",
        study_uid=f"{UID}.{number}",
        state=state,
        generation=1,
        revision=4,
        instances=620,
        attempts=0,
        calling="MR1",
        created="",
        results=f"studies/{number}",
        reason="",
        detail="",
        first_received=ago(minutes=10),
        changed=ago(minutes=4),
        owner="",
        heartbeat=0,
    )
    return replace(made, **changed)


class View:
    """A node as the pages see it, with a database that can be switched off."""

    def __init__(self, *studies):
        self.studies, self.down, self.retried = list(studies), False, []

    def _answer(self):
        if self.down:
            raise DatabaseError("The database does not answer", remedy="Start it")

    def recent(self, limit):
        self._answer()
        return sorted(self.studies, key=lambda s: s.state is not StudyState.FAILED)[:limit]

    def study(self, pseudonym):
        self._answer()
        return next((s for s in self.studies if s.pseudonym == pseudonym), None)

    def events(self, pseudonym):
        self._answer()
        return [(ago(minutes=10), 1, "received", {"count": 3}), (ago(minutes=4), 1, "acknowledged", {})]

    def counts(self):
        self._answer()
        states = [s.state for s in self.studies]
        return {state: states.count(state) for state in set(states)}

    def destinations(self):
        self._answer()
        return [DestinationStanding("pacs", "dicom", 2, ago(minutes=4), ago(hours=3), "delivery")]

    def workers(self):
        return [WorkerStanding("1", "busy", "S-000000000001", ago(seconds=50)), WorkerStanding("2", "idle")]

    def checks(self):
        words = "does not answer" if self.down else "answers"
        return {"database": Check(not self.down, words), "disk": Check(True, "above its floor"), "receiving": Check(True, "")}

    def free_bytes(self):
        return 81_300_000_000

    def retry(self, pseudonym):
        self._answer()
        found = self.study(pseudonym)
        if found is None or found.state is not StudyState.FAILED:
            return False
        self.retried.append(pseudonym)
        return True


FAILED = study(
    7,
    StudyState.FAILED,
    reason=MissingSequenceError.code,
    detail=f"the series 'MEYER^ANNA t2' of {UID} lacks a slice",
    calling="<b>MR&1",
)


def client(view, token=TOKEN):
    app = FastAPI()
    app.include_router(router(view, token, lambda: NOW))
    return TestClient(app, raise_server_exceptions=False)


class Cells(HTMLParser):
    """The texts of table cells, and every element's name and attributes."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.elements, self._inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "td":
            self._inside = True
            self.cells.append("")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "td"

    def handle_data(self, data):
        if self._inside:
            self.cells[-1] += data


class TestHealth:
    def test_the_process_is_alive_also_without_its_database(self):
        view = View()
        view.down = True
        answer = client(view).get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_ready_only_if_every_check_is(self):
        view = View()
        assert client(view).get("/readyz").json()["ready"] is True
        view.down = True
        answer = client(view).get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert answer.json()["checks"]["database"] == {"ok": False, "words": "does not answer"}

    def test_metrics_are_in_prometheus_text_format(self):
        answer = client(View()).get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "# TYPE braintumor_node_instances_received_total counter" in answer.text


class TestStatusPage:
    def test_it_says_what_failed_first_and_what_to_do(self):
        cells = Cells(client(View(study(1), FAILED)).get("/").text).cells
        rows = [i for i, cell in enumerate(cells) if cell.startswith("S-") and len(cells) > i + 2 and cells[i + 2] == "620"]
        assert [cells[i] for i in rows] == [FAILED.pseudonym, study(1).pseudonym]
        assert reasons.remedy(FAILED.reason) in cells[rows[0] + 7]
        assert cells[rows[1] + 6] == "6 min 00 s"  # from the first image until the results were confirmed

    @pytest.mark.parametrize("count", [0, 5, SHOWN + 5])
    def test_it_shows_no_more_than_it_says(self, count):
        page = client(View(*(study(n) for n in range(count)))).get("/").text
        assert len(re.findall(r"S-\d{12}", page)) == min(count, SHOWN) + 1  # and one in the table of workers
        assert ("No study has arrived yet" in page) == (count == 0)

    def test_values_cannot_become_markup(self):
        page = client(View(FAILED)).get("/").text
        assert "<b>MR" not in page
        assert "&lt;b&gt;MR&amp;1" in page

    def test_it_needs_no_script_and_nothing_from_elsewhere(self):
        answer = client(View(study(1))).get("/")
        elements = Cells(answer.text).elements
        assert "script" not in {tag for tag, _ in elements}
        assert not [attrs for _, attrs in elements if any("//" in str(value) for value in attrs.values())]
        assert ("meta", {"http-equiv": "refresh", "content": "10"}) in elements
        assert "default-src 'none'" in answer.headers["content-security-policy"]

    def test_its_style_is_served_beside_it(self):
        answer = client(View()).get("/status.css")
        assert answer.headers["content-type"].startswith("text/css")
        assert "prefers-color-scheme: dark" in answer.text

    def test_without_a_database_it_says_so_and_shows_the_rest(self):
        view = View(FAILED)
        view.down = True
        answer = client(view).get("/")
        assert answer.status_code == 503
        assert "Images are still received and kept" in answer.text
        assert "81.3 GB" in answer.text

    def test_a_disk_that_does_not_answer_does_not_take_the_page_along(self, monkeypatch):
        def gone(_view):
            raise OSError("stale file handle")

        monkeypatch.setattr(View, "free_bytes", gone)
        assert "the disk does not answer" in client(View()).get("/").text


@pytest.mark.parametrize("path", ["/", "/api/studies", f"/api/studies/{FAILED.pseudonym}", "/readyz", "/metrics"])
def test_no_page_holds_a_uid_or_what_people_write_into_headers(path):
    page = client(View(FAILED)).get(path).text
    for secret in (UID, "MEYER", "t2", "studies/7"):
        assert secret not in page


class TestApi:
    def test_a_study_with_its_events(self):
        found = client(View(FAILED)).get(f"/api/studies/{FAILED.pseudonym}").json()
        assert (found["state"], found["reason"], found["seconds"]) == ("failed", FAILED.reason, 360.0)
        assert found["words"] == MissingSequenceError.meaning
        assert found["events"][0] == {"at": ago(minutes=10), "generation": 1, "event": "received", "facts": {"count": 3}}

    def test_a_study_under_way_counts_until_now_and_never_below_zero(self):
        running = study(1, StudyState.RUNNING)
        early = study(2, StudyState.RECEIVED, first_received=(NOW + timedelta(minutes=5)).isoformat())
        listed = client(View(running, early)).get("/api/studies").json()["studies"]
        assert [s["seconds"] for s in listed] == [600.0, 0.0]

    def test_the_list_has_a_limit(self):
        many = client(View(*(study(n) for n in range(9))))
        assert len(many.get("/api/studies?limit=4").json()["studies"]) == 4
        refused = many.get("/api/studies?limit=100000")
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")

    def test_an_unknown_study_is_a_problem(self):
        answer = client(View()).get("/api/studies/S-x")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert answer.json() | {"status": 404, "code": "unknown-study"} == answer.json()

    def test_a_database_that_is_down_is_a_problem_that_passes(self):
        view = View()
        view.down = True
        answer = client(view).get("/api/studies")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "database", "10")


class TestRetry:
    ADDRESS = f"/api/studies/{FAILED.pseudonym}/retry"

    def headers(self, token=TOKEN):
        return {"Authorization": f"Bearer {token}".encode()}

    def test_a_failed_study_is_taken_up_again(self):
        view = View(FAILED)
        answer = client(view).post(self.ADDRESS, headers=self.headers())
        assert (answer.status_code, view.retried) == (202, [FAILED.pseudonym])

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Authorization": ""}, {"Authorization": b"Bearer wr\xc3\xb6ng"}, {"Authorization": f"Basic {TOKEN}".encode()}],
    )
    def test_not_without_the_token(self, headers):
        view = View(FAILED)
        answer = client(view).post(self.ADDRESS, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"], view.retried) == (401, "Bearer", [])

    @pytest.mark.parametrize("token", [None, ""])
    def test_a_node_without_a_token_lets_nobody_in(self, token):
        view = View(FAILED)
        for given in ("", "None"):
            assert client(view, token).post(self.ADDRESS, headers=self.headers(given)).status_code == 403
        assert view.retried == []

    def test_only_failed_studies(self):
        answer = client(View(study(1))).post("/api/studies/S-000000000001/retry", headers=self.headers())
        assert (answer.status_code, answer.json()["code"]) == (409, "not-failed")

    def test_an_unknown_study(self):
        assert client(View()).post(self.ADDRESS, headers=self.headers()).status_code == 404

    def test_get_changes_nothing(self):
        view = View(FAILED)
        assert client(view).get(self.ADDRESS, headers=self.headers()).status_code == 405
        assert view.retried == []


def test_every_reason_has_words_and_something_to_do():
    for code in (*Reason, MissingSequenceError.code, "unsafe-geometry", "mixed-patients"):
        assert reasons.words(code) != code
        assert reasons.remedy(code)
    assert reasons.words("") == reasons.remedy("") == ""
    assert json.dumps(reasons.words("never-heard-of")) == '"never-heard-of"'
