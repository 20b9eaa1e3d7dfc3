"""How long a person waits for the first image: the viewer itself, in headless Chromium, from the click to pixels."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.dev import chromium

WATCH = (Path(__file__).parent / "first_image.js").read_text()
PATIENCE_MS = 120_000
SETTLE_MS = 8_000
"""Until the slices of one study have arrived, before the next is opened."""


def missing() -> str:
    """Why it cannot be measured here; '' if it can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return "" if chromium.program() else "there is no chromium"


def by_address(address: str, studies: list[str]) -> list[float]:
    """Seconds from asking for each study's page to brain on the screen, one after the other in one browser."""
    seconds = []
    with _page() as page:
        for study in studies:
            page.goto(f"{address}/ohif/braintumor?StudyInstanceUIDs={study}", wait_until="commit")
            seconds.append(_wait(page))
    return seconds


def from_worklist(address: str, patients: list[str]) -> list[float]:
    """Seconds from the click on a study's mode in the worklist to brain on the screen; the viewer runs already."""
    seconds = []
    with _page() as page:
        for patient in patients:
            page.goto(f"{address}/ohif/?mrn={patient}", wait_until="commit")
            page.get_by_text(patient, exact=True).first.click(timeout=PATIENCE_MS)
            mode = page.get_by_role("button", name="Brain tumour").first
            mode.wait_for(timeout=PATIENCE_MS)
            page.evaluate("window.begin()")
            mode.click()
            seconds.append(_wait(page))
    return seconds


@contextmanager
def _page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.program(), args=list(chromium.FLAGS))
        page = browser.new_page(viewport={"width": 1600, "height": 950})
        page.add_init_script(WATCH)
        yield page
        browser.close()


def _wait(page: Any) -> float:
    page.wait_for_function("() => window.firstImage", polling=100, timeout=PATIENCE_MS)
    milliseconds: float = page.evaluate("window.firstImage")
    page.wait_for_timeout(SETTLE_MS)
    return round(milliseconds / 1000, 2)
