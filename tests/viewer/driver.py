"""Drives the viewer as a person does: looks at the panel, drags the mouse in an image, presses buttons."""

import base64
import re
import time

import numpy as np

PATIENCE_S = 240
ROOT = "document.querySelector('braintumor-panel')?.shadowRoot"


class Viewer:
    """One page; `errors` collects what the browser reported as uncaught."""

    def __init__(self, page, base_url, shots):
        self.page, self.base_url, self.shots = page, base_url, shots
        self.panel = page.locator("braintumor-panel")
        self.errors = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def open(self, study):
        """Open a study and wait until the panel is ready to work."""
        self.page.goto(f"{self.base_url}/ohif/braintumor?StudyInstanceUIDs={study}")
        self.ready()

    def go(self, study):
        """Change to another study as OHIF itself does, without loading the page again; waits for nothing."""
        script = """address => {
            history.pushState({}, '', address);
            dispatchEvent(new PopStateEvent('popstate', { state: {} }));
        }"""
        self.page.evaluate(script, f"/ohif/braintumor?StudyInstanceUIDs={study}")

    def ready(self):
        self.until(f"{ROOT}?.querySelector('.segment button.primary:not([disabled])')")
        self.idle()

    def idle(self):
        """Nothing is being loaded or sent."""
        self.until("(await import('/ohif/braintumor/store.js')).store.state.busy === null")

    def until(self, condition):
        """Wait for a JavaScript expression, which may await. (Playwright's own waiting takes a promise for true.)"""
        deadline = time.monotonic() + PATIENCE_S
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {condition}; the panel says {self.notices()}"
            self.page.wait_for_timeout(250)

    def _holds(self, condition):
        try:
            return self.page.evaluate(f"async () => Boolean({condition})")
        except Exception as error:  # Playwright's, which is imported only where there is a browser
            if "context was destroyed" in str(error):  # the viewer went to another page meanwhile, as it does for a prior
                return False
            raise

    def shot(self, name):
        self.page.screenshot(path=self.shots / f"{name}.png")

    def press(self, name):
        self.panel.get_by_role("button", name=name, exact=True).click()

    @property
    def study(self):
        return re.search(r"StudyInstanceUIDs=([\d.]+)", self.page.url)[1]

    def state(self, field):
        return self.page.evaluate(f"async () => (await import('/ohif/braintumor/store.js')).store.state.{field}")

    def segment(self):
        """Press Segment and wait for the mask."""
        self.panel.locator(".segment button.primary").click()
        self.until("(s => s.mask && s.volumes && !s.job && !s.busy)((await import('/ohif/braintumor/store.js')).store.state)")
        self.idle()

    def volumes(self):
        """What the panel says, as text: {WT: '60.0', …}."""
        cells = self.panel.locator("[data-region]").all()
        return {cell.get_attribute("data-region"): cell.inner_text() for cell in cells}

    def mask(self):
        """The labelmap on the screen in the server's layout, flat."""
        script = """async () => {
            const voxels = (await import('/ohif/braintumor/session.js')).current();
            const parts = [];
            for (let n = 0; n < voxels.length; n += 32768) parts.push(String.fromCharCode(...voxels.subarray(n, n + 32768)));
            return btoa(parts.join(''));
        }"""
        return np.frombuffer(base64.b64decode(self.page.evaluate(script)), np.uint8)

    def colours(self):
        """Of each segment on each view that shows the mask: [{1: [r, g, b], …}, …]."""
        script = """async () => {
            const { segmentationService, viewportGridService } = (await import('/ohif/braintumor/ohif.js')).services();
            return [...viewportGridService.getState().viewports.keys()]
                .flatMap(id => segmentationService.getSegmentationRepresentations(id))
                .map(({ segments }) => Object.values(segments).map(row => [row.segmentIndex, row.color.slice(0, 3)]));
        }"""
        return [dict(segments) for segments in self.page.evaluate(script)]

    def take(self, tool, label=None):
        self.panel.locator(f"[data-tool={tool}]").click()
        if label:
            self.panel.get_by_role("radio", name=label).click()
        self.page.wait_for_timeout(500)

    def drag(self, view, start, end, steps=10, settle=True):
        """Drag the left button in a view; points as shares of its width and height."""
        box = self.page.locator(".viewport-element").nth(view).bounding_box()
        points = np.linspace(start, end, steps) * [box["width"], box["height"]] + [box["x"], box["y"]]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point)
            self.page.wait_for_timeout(40)
        self.page.mouse.up()
        if settle:
            self.settle()

    def settle(self):
        """Counting and keeping are debounced: wait until both have happened."""
        self.page.wait_for_timeout(1500)

    def titles(self):
        """Names of the sequences as they hang, row by row."""
        places = []
        for title in ("T1ce", "FLAIR", "T1", "T2"):
            label = self.page.get_by_text(title, exact=True).first
            label.wait_for()
            box = label.bounding_box()
            places.append((box["y"], box["x"], title))
        (_, _, a), (_, _, b), (_, _, c), (_, _, d) = sorted(places)
        return [[a, b], [c, d]]

    def notices(self):
        return self.panel.locator(".notice").all_inner_texts()

    def submit(self, name):
        """Press Submit; gives the annotator's name where it is asked for."""
        self.press("Submit")
        field = self.panel.locator("#name")
        if field.is_visible():
            field.fill(name)
            field.press("Enter")
        self.until(f"{ROOT}.querySelector('[role=status]')?.textContent.includes('Submitted')")
        self.idle()

    def kept_drafts(self):
        """How many unsaved edits the browser's database holds for the study."""
        script = "async study => (await (await import('/ohif/braintumor/drafts.js')).find(study)).length"
        return self.page.evaluate(script, self.study)
