"""OHIF changes studies without loading the page again: nothing of one patient may reach the next, and no edit is lost."""

import numpy as np
import pytest
import requests

pytestmark = [pytest.mark.campaign, pytest.mark.parametrize("served", ["folder"], indirect=True)]
"""What the page does with late answers is decided in the browser; the archive behind the server makes no difference."""


@pytest.fixture
def studies(base_url):
    lines = requests.get(f"{base_url}/api/studies", timeout=60).json()
    return [line["uid"] for line in sorted(lines, key=lambda line: line["patient"]["id"])]


def arrived(viewer, study):
    viewer.until(f"(await import('/ohif/braintumor/store.js')).store.state.study === '{study}'")
    viewer.ready()


def test_edits_made_just_before_leaving_are_kept(viewer, studies):
    first, second, _ = studies
    viewer.open(first)
    viewer.segment()
    model = viewer.mask()
    viewer.take("CircularBrush", "Enhancing tumour")
    viewer.drag(0, (0.35, 0.36), (0.42, 0.42), settle=False)
    edited = viewer.mask()
    assert not np.array_equal(model, edited)

    viewer.go(second)
    arrived(viewer, second)
    assert viewer.notices() == []
    viewer.go(first)
    arrived(viewer, first)
    viewer.press("Restore")
    viewer.idle()
    viewer.settle()
    np.testing.assert_array_equal(viewer.mask(), edited)
    viewer.press("Discard")
    viewer.settle()
    assert viewer.kept_drafts() == 0


def test_an_answer_for_the_last_study_does_not_reach_the_next(viewer, base_url, studies):
    _, second, third = studies
    viewer.open(second)
    viewer.panel.locator(".segment button.primary").click()
    viewer.go(third)
    arrived(viewer, third)
    for job in requests.get(f"{base_url}/api/jobs", timeout=60).json():
        requests.get(f"{base_url}/api/jobs/{job['id']}/events", timeout=120)  # ends with the job
    viewer.settle()
    own = requests.get(f"{base_url}/api/studies/{third}/mask", params={"series": viewer.state("series")}, timeout=60)
    assert viewer.state("mask === null") is (own.status_code == 404)
    assert viewer.state("job") is None
    assert viewer.notices() == []
    assert viewer.errors == []
