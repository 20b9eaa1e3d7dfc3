"""The whole loop in the real viewer: open, segment, correct, submit, next case, train, segment again."""

import json
import re

import numpy as np
import pytest
import requests
from dicomweb_client import DICOMwebClient

from tests.data import dciodvfy

pytestmark = pytest.mark.campaign

ANNOTATOR = "Dr Test"


def api(base_url, path, **query):
    answer = requests.get(f"{base_url}/api{path}", params=query, timeout=60)
    answer.raise_for_status()
    return answer


def measured(answer):
    return json.loads(answer.headers["x-measurements"])


def shown_as(volumes):
    """Volumes as the panel writes them: one decimal, two below 1 mL."""
    return {name: f"{value:.{2 if 0 < value < 1 else 1}f}" for name, value in volumes.items()}


def human(versions):
    return [version for version in versions if version["kind"] == "human"]


def test_annotate_correct_retrain(viewer, base_url, tmp_path):
    first = next(study["uid"] for study in api(base_url, "/studies").json() if study["patient"]["id"] == "PHANTOM-0007")

    # open: four sequences by the classifier's answer
    viewer.open(first)
    assert viewer.titles() == [["T1ce", "FLAIR"], ["T1", "T2"]]
    viewer.shot("1-open")

    # segment: the browser's volumes are the API's
    viewer.segment()
    series = viewer.state("series")
    model = api(base_url, f"/studies/{first}/mask", series=series)
    assert viewer.volumes() == shown_as(measured(model))
    np.testing.assert_array_equal(viewer.mask(), np.frombuffer(model.content, np.uint8))
    table = {label["segment"]: label["rgb"] for label in api(base_url, "/about").json()["labels"]}
    assert viewer.colours() == [table] * 4
    viewer.shot("2-segmented")

    # paint and erase with the real brush; the volumes follow
    before = viewer.mask()
    viewer.take("CircularBrush", "Enhancing tumour")
    viewer.drag(0, (0.62, 0.36), (0.70, 0.42))
    painted = viewer.mask()
    assert np.count_nonzero(painted == 4) > np.count_nonzero(before == 4)
    viewer.take("CircularEraser")
    viewer.drag(0, (0.62, 0.36), (0.65, 0.38))
    edited = viewer.mask()
    assert np.count_nonzero(edited) < np.count_nonzero(painted)
    counted = requests.post(f"{base_url}/api/studies/{first}/measure?series={series}", data=edited.tobytes(), timeout=60).json()
    assert viewer.volumes() == shown_as(counted)
    assert viewer.kept_drafts() == 1
    assert re.search(r"Not submitted: \+[\d.]+ mL(, |$)", viewer.panel.locator(".state").inner_text())
    viewer.shot("3-edited")

    # submit: in the archive, valid, and identical after a reload
    viewer.submit(ANNOTATOR)
    version = human(api(base_url, f"/studies/{first}").json()["versions"])[0]
    assert version["author"] == ANNOTATOR
    assert viewer.panel.locator(f"[data-version='{version['uid']}']").get_attribute("aria-current") == "true"
    assert viewer.kept_drafts() == 0
    assert_valid_seg(base_url, first, version["uid"], tmp_path)
    viewer.shot("4-submitted")
    viewer.page.reload()
    viewer.ready()
    np.testing.assert_array_equal(viewer.mask(), edited)

    # next case: the other patient, opened by its URL
    viewer.press("Next case")
    viewer.page.wait_for_url(lambda url: first not in url)
    viewer.ready()
    second = viewer.study
    assert second != first
    viewer.segment()
    viewer.submit(ANNOTATOR)
    viewer.shot("5-next-case")

    # train: the verdict is shown, and the served version follows it
    old = api(base_url, "/about").json()["model"]["version"]
    viewer.panel.locator("#training summary").click()
    viewer.press("Train on submitted labels")
    training = "(await import('/ohif/braintumor/store.js')).store.state.training"
    viewer.until(f"(now => now?.last && !['pending', 'running'].includes(now.job?.state))({training})")
    viewer.idle()
    viewer.shot("6-trained")
    assert viewer.notices() == []
    last = api(base_url, "/train").json()["last"]
    new = api(base_url, "/about").json()["model"]["version"]
    assert (new != old) == last["published"]
    verdict = viewer.panel.locator(".verdict").inner_text()
    assert (f"Version {new} is published" in verdict) if last["published"] else ("Not published" in verdict)

    # segment again: by the version that is served now
    viewer.segment()
    assert viewer.state("mask.version") == f"model:{new}"
    assert new in viewer.panel.locator("header .model").inner_text()
    viewer.shot("7-again")
    assert viewer.errors == []


def assert_valid_seg(base_url, study, uid, folder):
    """The archive itself holds the label, and the standard's checker finds no error in it."""
    found = [d for d in DICOMwebClient(f"{base_url}/dicom-web").iter_study(study) if d.SOPInstanceUID == uid]
    assert [d.Modality for d in found] == ["SEG"]
    found[0].save_as(folder / "label.dcm", enforce_file_format=True)
    assert dciodvfy(folder / "label.dcm") == []
