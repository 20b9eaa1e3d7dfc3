"""Edits survive a closed page, a server that does not answer, and somebody who submits first."""

import numpy as np
import pytest
import requests

pytestmark = [pytest.mark.campaign, pytest.mark.parametrize("served", ["folder"], indirect=True)]
"""What is lost or not is decided in the browser; the archive behind the server makes no difference (test_loop has both)."""


def worklist(base_url):
    return {line["patient"]["id"]: line["uid"] for line in requests.get(f"{base_url}/api/studies", timeout=60).json()}


def humans(base_url, study):
    versions = requests.get(f"{base_url}/api/studies/{study}", timeout=60).json()["versions"]
    return [version["author"] for version in versions if version["kind"] == "human"]


def painted(viewer):
    viewer.take("CircularBrush", "Enhancing tumour")
    viewer.drag(0, (0.35, 0.36), (0.42, 0.42))
    return viewer.mask()


def test_edits_outlive_page_connection_and_competition(viewer, base_url):
    study = worklist(base_url)["PHANTOM-0009"]
    viewer.open(study)
    viewer.segment()
    model, edited = viewer.mask(), painted(viewer)
    assert not np.array_equal(model, edited)

    # the page goes without a submission: the edits are offered when it comes back
    viewer.page.reload()
    viewer.ready()
    np.testing.assert_array_equal(viewer.mask(), model)
    assert "Unsaved edits were found" in " ".join(viewer.notices())
    viewer.shot("8-draft-offered")
    viewer.press("Restore")
    viewer.idle()
    viewer.settle()
    np.testing.assert_array_equal(viewer.mask(), edited)

    # no connection: said in words, nothing is lost, and it works again afterwards
    viewer.page.context.set_offline(True)
    viewer.press("Submit")
    field = viewer.panel.locator("#name")
    if field.is_visible():
        field.fill("Dr Late")
        field.press("Enter")
    viewer.idle()
    assert "The server does not answer" in " ".join(viewer.notices())
    assert viewer.kept_drafts() == 1
    viewer.shot("9-offline")
    viewer.page.context.set_offline(False)

    # meanwhile somebody else was faster: both are kept, and only when the person says so
    series = viewer.state("series")
    params = {"series": series, "annotator": "Dr Early"}
    requests.put(f"{base_url}/api/studies/{study}/label", params=params, data=model.tobytes(), timeout=60).raise_for_status()
    viewer.until("(await import('/ohif/braintumor/store.js')).store.state.phase === 'ready'")
    viewer.press("Submit")
    viewer.idle()
    assert "Dr Early" in " ".join(viewer.notices())
    assert humans(base_url, study) == ["Dr Early"]
    viewer.shot("10-newer-version")
    viewer.press("Keep both")
    viewer.idle()
    assert humans(base_url, study) == [viewer.state("mask.author"), "Dr Early"]
    assert viewer.kept_drafts() == 0
    np.testing.assert_array_equal(viewer.mask(), edited)
    assert viewer.errors == []


WATCH = """window.covered = false;
    new MutationObserver(records => records.forEach(({ addedNodes }) => addedNodes.forEach(node => {
        window.covered ||= node.textContent.includes('Something went wrong');
    }))).observe(document, { childList: true, subtree: true });"""
"""Whether OHIF's own message was ever shown: it lies over the buttons for some seconds."""


def test_images_that_do_not_arrive_are_said_without_covering_anything(viewer, base_url):
    refused = []

    def refuse_three(route):
        if len(refused) < 3:
            refused.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    viewer.page.add_init_script(WATCH)
    viewer.page.route("**/frames/*", refuse_three)
    viewer.open(worklist(base_url)["PHANTOM-0008"])
    viewer.until("(await import('/ohif/braintumor/store.js')).store.state.notices.some(({ id }) => id === 'images')")
    viewer.settle()
    viewer.shot("11-images-lost")
    assert not viewer.page.evaluate("window.covered")
    viewer.page.unroute("**/frames/*")
    viewer.press("Load again")
    viewer.page.wait_for_timeout(2000)
    viewer.ready()
    viewer.settle()
    assert viewer.notices() == []
