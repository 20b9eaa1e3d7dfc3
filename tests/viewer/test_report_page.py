"""The report's page in a real browser: made, edited, nothing lost, approved, stored, and opened in OHIF as a PDF."""

import pytest
import requests

from braintumor import phantom
from braintumor.signing import make_identity
from tests.viewer.conftest import browse, serve

pytestmark = pytest.mark.campaign

PDF_IN_OHIF = """async () => {
    const { services } = await import('/ohif/braintumor/ohif.js');
    const { displaySetService, viewportGridService } = services();
    const pdf = displaySetService.getActiveDisplaySets().find(set => set.Modality === 'DOC');
    viewportGridService.setDisplaySetsForViewport({
        viewportId: viewportGridService.getState().activeViewportId, displaySetInstanceUIDs: [pdf.displaySetInstanceUID],
    });
}"""


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    base = tmp_path_factory.mktemp("reported")
    options = phantom.PhantomOptions(seed=7, spacing_mm=(3.0, 3.0, 3.0), skull=False, visits=2, growth=1.5, tumour_ml=40.0)
    for number, visit in enumerate(phantom.make(options)):
        phantom.write_dicom(visit, base / "studies" / f"visit-{number}")
    key = base / "rao.p12"
    key.write_bytes(make_identity("Dr A. Rao", 30, b"a passphrase"))
    key.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINTUMOR_SIGNING_KEY", str(key))
        patch.setenv("BRAINTUMOR_KEY_PASSPHRASE", "a passphrase")
        yield from serve(base / "studies", base, "folder")


def test_from_draft_to_the_archive(reported, browser):
    viewer = browse(browser, reported.base_url, "report")
    page = viewer.page
    study = requests.get(f"{reported.base_url}/api/studies", timeout=60).json()[0]["uid"]
    page.goto(f"{reported.base_url}/ohif/braintumor/report.html?study={study}")
    page.get_by_role("button", name="Make report").click()
    page.get_by_text("Draft, version 1").wait_for(timeout=120_000)
    page.get_by_role("heading", name="सार").wait_for()
    viewer.shot("1-draft")

    # the table and the sentences round alike
    whole = page.get_by_role("row", name="Whole tumour").get_by_role("cell").all_inner_texts()
    assert f"from {whole[0]} mL to {whole[1]} mL" in page.locator("main").inner_text().replace("\u00a0", " ")
    for value, digits in ((53.25, 1), (53.75, 1), (53.55, 1), (0.125, 2), (0.375, 2), (2.5, 0), (-0.25, 1), (0.0, 1)):
        shown = page.evaluate("async ([v, d]) => (await import('/ohif/braintumor/dom.js')).fixed(v, d)", [value, digits])
        assert shown == f"{value:.{digits}f}"

    # nothing is saved without a name, and what was typed stays
    page.get_by_label("Edit Impression").click()
    area = page.get_by_label("Impression", exact=True)
    area.fill("Grown tumour.")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Your name is missing").wait_for()
    page.get_by_label("Your name").fill("Dr A. Rao")

    # the connection fails: said in words, the text is kept, also over a reload
    page.route("**/report/en/impression", lambda route: route.abort())
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The server does not answer").wait_for()
    page.unroute("**/report/en/impression")
    page.reload()
    assert page.get_by_label("Impression", exact=True).input_value() == "Grown tumour."
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Draft, version 2").wait_for()
    page.get_by_text("A person changed this section in English only.").wait_for()

    # a faster colleague: told, and the words are still there
    page.get_by_label("Edit Diagnosis").click()
    page.get_by_label("Diagnosis", exact=True).fill("To be discussed.")
    body = {"version": 2, "by": "Dr B. Sen", "lines": ["Faster."]}
    requests.put(f"{reported.base_url}/api/studies/{study}/report/en/findings", json=body, timeout=60).raise_for_status()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody else changed the report").wait_for()
    assert page.get_by_label("Diagnosis", exact=True).input_value() == "To be discussed."
    page.reload()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Draft, version 4").wait_for()

    # approved and stored
    page.get_by_role("button", name="Approve and sign").click()
    page.get_by_text("Final, version 5: approved by Dr A. Rao").wait_for(timeout=60_000)
    assert page.get_by_label("Edit Impression").count() == 0
    with page.expect_response("**/api/jobs/**"):
        page.get_by_role("button", name="Store in the archive").click()
    viewer.shot("2-final")

    # and there in the viewer, as the PDF that was signed
    signed = requests.get(f"{reported.base_url}/api/studies/{study}/report.pdf", timeout=60).content
    page.goto(f"{reported.base_url}/ohif/braintumor?StudyInstanceUIDs={study}&alone=1")
    viewer.ready()
    page.evaluate(PDF_IN_OHIF)
    document = page.locator("object[type='application/pdf']")
    document.wait_for(state="attached", timeout=60_000)
    shown = requests.get(f"{reported.base_url}{document.get_attribute('data')}", timeout=60)
    assert shown.headers["content-type"] == "application/pdf"
    assert shown.content == signed
