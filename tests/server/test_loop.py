"""Segment, correct, submit, look again: what the viewer's panel does, on both kinds of archive."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from braintumor.export.seg import read_seg
from tests.data import dciodvfy


def dice_of(before, after):
    regions = {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
    pairs = {name: (np.isin(before, values), np.isin(after, values)) for name, values in regions.items()}
    return {name: 2 * (a & b).sum() / (a.sum() + b.sum()) for name, (a, b) in pairs.items()}


@pytest.fixture(scope="module")
def segmented(server):
    server.result = server.segment()
    return server


def test_the_server_says_what_it_is(server):
    about = server.client.get("/api/about").json()
    assert about["model"]["version"]
    assert "Not a medical device" in about["research_use"]
    assert [label["value"] for label in about["labels"]] == [1, 2, 4]


def test_a_study_tells_its_sequences_with_reasons(server):
    study = server.client.get(f"/api/studies/{server.study}").json()
    assert set(server.series) == {"t1", "t1ce", "t2", "flair"}
    assert all(one["reasons"] for one in study["sequences"].values())
    assert [line["uid"] for line in server.client.get("/api/studies").json()] == [server.study]


def test_segment_answers_on_the_grid_of_whichever_series_is_named(segmented):
    volumes = {}
    for sequence, uid in segmented.series.items():
        mask, headers = segmented.mask(uid)
        assert set(np.unique(mask)) <= {0, 1, 2, 4}
        volumes[sequence] = json.loads(headers["x-measurements"])["WT"]
    measured = segmented.result["measurements"]["regions"]["WT"]["volume_ml"]
    assert measured > 10
    assert volumes["t1ce"] == pytest.approx(measured, rel=0.05)
    assert max(volumes.values()) == pytest.approx(min(volumes.values()), rel=0.1)  # same tumour, four grids


def test_it_is_computed_once(segmented):
    kept = segmented.client.app.state.workspace.settings.state / "masks"
    before = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert segmented.segment() == segmented.result
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == before


def test_progress_is_told_as_events_until_the_end(segmented):
    job = segmented.client.post(f"/api/studies/{segmented.study}/segment").json()
    with segmented.client.stream("GET", f"/api/jobs/{job['id']}/events") as stream:
        states = [json.loads(line[5:])["state"] for line in stream.iter_lines() if line.startswith("data:")]
    assert states[-1] == "completed"


def test_a_corrected_mask_becomes_a_valid_seg_in_the_archive_and_comes_back_identical(segmented, tmp_path):
    series = segmented.series["flair"]
    mask, _ = segmented.mask(series)
    corrected = mask.copy()
    i, j, k = np.argwhere(corrected == 0)[len(corrected) // 2]
    corrected[i, j, k] = 4
    corrected[corrected == 1] = 4
    body = gzip.compress(corrected.tobytes(order="F"))
    params = {"series": series, "annotator": "Ada Lovelace", "base": ""}
    response = segmented.client.put(f"/api/studies/{segmented.study}/label", params=params, content=body)
    assert response.status_code == 201, response.text
    version = response.json()
    assert version["author"] == "Ada Lovelace"
    assert version["change"]["dice"] == pytest.approx(dice_of(mask, corrected), abs=1e-4)
    assert version["change"]["added_ml"] > 0
    again, _ = segmented.mask(series, version["uid"])
    assert np.array_equal(again, corrected)
    label = segmented.client.get("/datastore/label", params={"label": version["uid"], "tag": "final"})
    assert label.status_code == 200
    work = segmented.client.app.state.workspace
    stored = next(v for v in work.store.labels(segmented.study) if v.uid == version["uid"])
    assert dciodvfy(work.store.label_file(stored)) == []
    grid = work.labels.grid(segmented.study, series)
    assert np.array_equal(read_seg(work.store.label_file(stored), grid).mask, corrected)
    listed = segmented.client.get(f"/api/studies/{segmented.study}").json()["versions"]
    assert (listed[0]["uid"], listed[0]["kind"], listed[-1]["kind"]) == (version["uid"], "human", "model")


def test_two_annotators_at_once_lose_nothing(segmented):
    series = segmented.series["t1ce"]
    mask, _ = segmented.mask(series)
    base = segmented.client.get(f"/api/studies/{segmented.study}").json()["versions"][0]["uid"]
    masks = [np.where(mask == 2, value, mask).astype(np.uint8) for value in (0, 4)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda m, who: segmented.submit(m, series, annotator=who, base=base), masks, ["First", "Second"])
        )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201, 409]
    late = next(answer for answer in answers if answer.status_code == 409)
    winner = next(answer for answer in answers if answer.status_code == 201).json()
    assert late.json()["newer"]["uid"] == winner["uid"]
    loser = masks[answers.index(late)]
    both = segmented.submit(loser, series, annotator="Second", base=base, force=True)
    assert both.status_code == 201
    uids = [v["uid"] for v in segmented.client.get(f"/api/studies/{segmented.study}").json()["versions"]]
    assert {winner["uid"], both.json()["uid"]} <= set(uids)
    assert np.array_equal(segmented.mask(series, both.json()["uid"])[0], loser)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda mask: mask[:-1], 422, "voxels"),
        (lambda mask: np.full_like(mask, 3), 422, "value 3"),
        (lambda mask: mask[..., :0], 422, "voxels"),
    ],
)
def test_a_label_that_cannot_be_is_refused_in_words(segmented, change, status, words):
    series = segmented.series["t1ce"]
    before = segmented.client.get(f"/api/studies/{segmented.study}").json()["versions"]
    response = segmented.submit(change(segmented.mask(series)[0]), series)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert words in response.json()["detail"]
    assert segmented.client.get(f"/api/studies/{segmented.study}").json()["versions"] == before


@pytest.mark.parametrize("name", ["", "  ", "A" * 65, "Doe^Jane", "a\\b"])
def test_a_name_that_dicom_cannot_hold_is_refused(segmented, name):
    series = segmented.series["t1ce"]
    assert segmented.submit(segmented.mask(series)[0], series, annotator=name).status_code == 422


def test_unknown_things_are_404_in_plain_words(server):
    for url in ("/api/studies/1.2.3", "/api/jobs/none", "/api/models/none/serve", "/nothing"):
        response = server.client.post(url) if url.endswith("serve") else server.client.get(url)
        assert response.status_code == 404, url
        assert {"type", "title", "status", "detail", "remedy", "code"} <= set(response.json())


def test_refining_changes_only_its_box_and_obeys_the_click(segmented):
    import base64

    series = segmented.series["t1ce"]
    mask, _ = segmented.mask(series)
    outside = [int(n) for n in np.argwhere(mask == 2)[0]]
    wish = {
        "clicks": [{"ijk": outside, "label": 0}],
        "mask": base64.b64encode(gzip.compress(mask.tobytes(order="F"))).decode(),
    }
    response = segmented.client.post(f"/api/studies/{segmented.study}/refine", params={"series": series}, json=wish)
    assert response.status_code == 200, response.text
    box = tuple(slice(a, b) for a, b in response.json()["box"])
    voxels = np.frombuffer(gzip.decompress(base64.b64decode(response.json()["mask"])), np.uint8)
    patch = voxels.reshape(tuple(s.stop - s.start for s in box), order="F")
    refined = mask.copy()
    refined[box] = patch
    assert refined[tuple(outside)] == 0
    wish["clicks"][0]["ijk"] = [9999, 0, 0]
    response = segmented.client.post(f"/api/studies/{segmented.study}/refine", params={"series": series}, json=wish)
    assert response.status_code == 422
