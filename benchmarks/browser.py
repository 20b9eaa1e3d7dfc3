"""How long a person waits for the first image: the viewer itself, in headless Chromium, from address to pixels."""

from __future__ import annotations

import importlib.util
import shutil
import time

SOFTWARE_GL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic"]
"""No graphics card is needed; with one, images come sooner."""

HAS_IMAGE = """() => (window.cornerstone?.getRenderingEngines() ?? [])
    .flatMap(engine => engine.getViewports())
    .some(view => {
        const canvas = view.getCanvas();
        if (!canvas.width) return false;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        for (let n = 0; n < data.length; n += 16) if (data[n] > 60) return true;
        return false;
    })"""


def missing() -> str:
    """Why it cannot be measured here; '' if it can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return "" if shutil.which("chromium") else "there is no chromium"


def first_images(address: str, studies: list[str]) -> list[float]:
    """Seconds from asking for each study's page to brain on the screen, one after the other in one browser."""
    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE_GL)
        page = browser.new_page(viewport={"width": 1600, "height": 950})
        for study in studies:
            started = time.perf_counter()
            page.goto(f"{address}/ohif/braintumor?StudyInstanceUIDs={study}", wait_until="commit")
            page.wait_for_function(HAS_IMAGE, polling=50, timeout=120_000)
            seconds.append(time.perf_counter() - started)
        browser.close()
    return seconds
