"""A follow-up in the real viewer: its prior hangs beside it, aligned and linked, and the panel shows the change."""

import numpy as np
import pytest
import requests

from braintumor import phantom
from tests.viewer.conftest import browse, serve

pytestmark = pytest.mark.campaign

CAMERAS = """async () => {
    const { services } = await import('/ohif/braintumor/ohif.js');
    const { viewportGridService, cornerstoneViewportService } = services();
    return [...viewportGridService.getState().viewports.keys()]
        .map(id => cornerstoneViewportService.getCornerstoneViewport(id).getCamera())
        .map(({ focalPoint, viewPlaneNormal }) => [[...focalPoint], [...viewPlaneNormal]]);
}"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    base = tmp_path_factory.mktemp("followed")
    options = phantom.PhantomOptions(
        seed=7, spacing_mm=(3.0, 3.0, 3.0), skull=False, visits=2, growth=1.5, shift_mm=20.0, turn_deg=18.0, tumour_ml=40.0
    )
    for number, visit in enumerate(phantom.make(options)):
        phantom.write_dicom(visit, base / "studies" / f"visit-{number}")
    yield from serve(base / "studies", base, "folder")


@pytest.fixture(scope="module")
def viewer(followed, browser):
    return browse(browser, followed.base_url, "followup")


def test_a_follow_up_opens_beside_its_prior(viewer, followed):
    current, prior = (study["uid"] for study in requests.get(f"{followed.base_url}/api/studies", timeout=60).json())
    viewer.open(current)
    viewer.until(f"location.search.includes('{prior}')")
    viewer.ready()
    compared(viewer, "s.track")
    viewer.page.wait_for_timeout(1500)
    viewer.shot("1-opened")

    # the numbers are the server's
    timeline = requests.get(f"{followed.base_url}/api/studies/{current}/timeline", timeout=60).json()["timeline"]
    volumes = timeline["visits"][-1]["volume_ml"]
    cells = viewer.panel.locator("[data-change=WT] td").all_inner_texts()
    assert cells[1] == f"{volumes['WT']['value']:.1f}"
    assert timeline["changes"][-1]["regions"]["WT"]["words"] in cells[2]
    assert "working grid" in viewer.panel.locator("#change").inner_text()  # of 1 mm; the mask above is counted in 3 mm voxels
    assert timeline["rano"][-1]["category"] in viewer.panel.locator("[data-rano]").inner_text()

    # the prior is cut in the plane of the current study, and stays so while that is scrolled
    matrix = np.array(timeline["visits"][0]["alignment_to_current"]["transform_lps"])
    assert_linked(viewer, matrix)
    views = viewer.page.locator(".viewport-element")
    before = viewer.page.evaluate(CAMERAS)[0][0]
    for lead in (0, 1):  # the study leads, then the prior
        views.nth(lead).hover()
        viewer.page.mouse.wheel(0, 300)
        viewer.page.wait_for_timeout(1500)
        assert_linked(viewer, matrix)
        now = viewer.page.evaluate(CAMERAS)[0][0]
        assert np.linalg.norm(np.subtract(now, before)) > 1.0
        before = now
    viewer.shot("2-scrolled")

    # what images do not say is asked for, and used
    viewer.panel.locator("#change .facts summary").click()
    viewer.panel.locator("#radiotherapy").fill("2020-01-31")
    viewer.shot("3-facts")
    viewer.press("Assess again")
    compared(viewer, "s.track?.wish.radiotherapy_end")
    assert "end of radiotherapy" not in viewer.panel.locator("#change").inner_text()

    # and it can be looked at alone
    viewer.press("This study only")
    viewer.page.wait_for_url(lambda url: "alone" in url)
    viewer.ready()
    assert prior not in viewer.page.url
    assert viewer.titles() == [["T1ce", "FLAIR"], ["T1", "T2"]]
    viewer.shot("4-alone")
    assert viewer.errors == []


def compared(viewer, condition):
    """Wait for a comparison of which a condition holds."""
    viewer.until(f"(s => {condition} && !s.tracking && !s.busy)((await import('/ohif/braintumor/store.js')).store.state)")


def assert_linked(viewer, matrix):
    """Views 0 and 2 show the study, 1 and 3 the prior in the same place and direction."""
    cameras = viewer.page.evaluate(CAMERAS)
    for study, prior in ((0, 1), (2, 3)):
        (point, normal), (there, direction) = cameras[study], cameras[prior]
        np.testing.assert_allclose(matrix[:3, :3] @ point + matrix[:3, 3], there, atol=0.05)
        np.testing.assert_allclose(matrix[:3, :3] @ normal, direction, atol=1e-3)
