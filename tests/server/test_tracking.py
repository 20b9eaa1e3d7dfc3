"""A study is compared with its prior through the server: aligned, measured, kept until something changes."""

import numpy as np
import pytest

from braintumor import phantom
from tests.server.served import facts_of, running

OPTIONS = {"spacing_mm": (3.0, 3.0, 3.0), "skull": False, "tumour_ml": 40.0}
TURN_DEG = 18.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("tracking")
    pair = phantom.make(phantom.PhantomOptions(seed=7, visits=2, growth=1.5, shift_mm=20.0, turn_deg=TURN_DEG, **OPTIONS))
    other = phantom.make(phantom.PhantomOptions(seed=8, **OPTIONS))[0]
    folders = [base / "studies" / f"study-{number}" for number in range(3)]
    for visit, folder in zip((*pair, other), folders, strict=True):
        phantom.write_dicom(visit, folder)
    prior, current, stranger = (facts_of(folder)[0] for folder in folders)
    for made in running(base / "studies", base / "state", current):
        made.prior, made.other = str(prior), str(stranger)
        made.url = f"/api/studies/{made.study}"
        yield made


def compare(server, **wish):
    answer = server.client.post(f"{server.url}/track", json=wish)
    assert answer.status_code == 202, answer.text
    return server.wait(answer.json())


@pytest.fixture(scope="module")
def compared(server):
    assert server.client.get(f"{server.url}/timeline").status_code == 404
    job = compare(server)
    assert job["state"] == "completed", job
    return server.client.get(f"{server.url}/timeline").json()


def test_the_prior_is_found_and_aligned(server, compared):
    timeline = compared["timeline"]
    assert [visit["study_uid"] for visit in timeline["visits"]] == [server.prior, server.study]
    alignment = timeline["visits"][0]["alignment_to_current"]
    assert alignment["rotation_deg"] == pytest.approx(TURN_DEG, abs=0.5)
    assert timeline["visits"][1]["alignment_to_current"] is None
    assert compared["fresh"] is True


def test_what_images_do_not_say_is_missing_until_it_is_said(server, compared):
    assert "end of radiotherapy" in compared["timeline"]["rano"][-1]["inputs_missing"]
    known = {server.study: {"steroid_mg": 4, "clinical": "stable"}}
    first = compared["timeline"]["visits"][0]["date"]
    assert compare(server, known=known, baseline=first, radiotherapy_end="2020-01-31")["state"] == "completed"
    told = server.client.get(f"{server.url}/timeline").json()
    assert told["timeline"]["rano"][-1]["inputs_missing"] == []
    assert told["wish"]["known"][server.study] == {"steroid_mg": 4.0, "clinical": "stable", "preoperative": False}


def test_it_is_computed_once(server, compared):
    kept = server.client.app.state.workspace.settings.state / "timelines"
    compare(server)
    before = {path: path.stat().st_mtime_ns for path in kept.glob("*/timeline.json")}
    compare(server)
    assert {path: path.stat().st_mtime_ns for path in kept.glob("*/timeline.json")} == before


def test_a_corrected_mask_makes_it_stale_and_the_next_comparison_uses_it(server, compared):
    series = server.series["t1ce"]
    mask, _ = server.mask(series)
    halved = mask.copy()
    halved[..., : int(np.argwhere(mask)[:, 2].mean())] = 0
    assert server.submit(halved, series).status_code == 201
    assert server.client.get(f"{server.url}/timeline").json()["fresh"] is False
    compare(server)
    after = server.client.get(f"{server.url}/timeline").json()
    assert after["fresh"] is True
    assert after["timeline"]["visits"][1]["mask_by"] == {"kind": "human", "name": "Ada Lovelace"}
    was, now = (content["timeline"]["visits"][1]["volume_ml"]["WT"]["value"] for content in (compared, after))
    assert now < 0.8 * was
    first = {lesion["tracking_uid"] for lesion in compared["timeline"]["lesions"] if lesion["appearances"][0]["visit"] == 0}
    assert first <= {lesion["tracking_uid"] for lesion in after["timeline"]["lesions"]}


def test_a_comparison_is_stored_in_the_archive_once_and_is_no_version_of_the_mask(server, compared):
    compare(server)
    before = server.client.get(server.url).json()["versions"]
    work = server.client.app.state.workspace
    modalities = []
    for _ in range(2):
        job = server.wait(server.client.post(f"{server.url}/timeline/archive").json())
        assert job["state"] == "completed", job
        listed = [series.modality for series in work.store.study(server.study).series]
        modalities.append(sorted(m for m in listed if m != "MR"))
    assert job["result"]["stored"] == ["change", "lesions", "measurements", "registration-1"]
    assert modalities[0] == modalities[1]
    assert {"REG", "SR", "SEG"} <= set(modalities[0])
    assert server.client.get(server.url).json()["versions"] == before
    assert server.client.get(f"{server.url}/timeline").json()["fresh"] is True


def test_pictures_are_served_by_name_and_nothing_else_is(server, compared):
    answer = server.client.get(f"{server.url}/timeline/trend.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.text.startswith("<svg")
    for name in ("timeline.json", "..%2F..%2Fnotes.json", "other.svg"):
        assert server.client.get(f"{server.url}/timeline/{name}").status_code == 404


def test_a_study_without_a_prior_says_so(server):
    answer = server.client.post(f"/api/studies/{server.prior}/track")
    assert answer.status_code == 422
    assert "no earlier study" in answer.json()["detail"]
    assert server.client.post(f"{server.url}/track", json={"priors": ["1.2.3"]}).status_code == 404


def test_another_patient_is_refused_in_words(server):
    job = compare(server, priors=[server.other])
    assert job["state"] == "failed"
    assert "different patients" in job["problem"]["detail"]
