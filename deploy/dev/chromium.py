"""The headless Chromium of tests and benchmarks: which program, and how it draws where there is no graphics card."""

from __future__ import annotations

import os
import shutil

FLAGS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL on the processor ...
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    # ... and only WebGL: the page and its 2D canvases through it as well would take twice as long to the first image.
    "--disable-gpu-compositing",
    "--disable-gpu-rasterization",
    "--disable-accelerated-2d-canvas",
)


def program() -> str | None:
    """The browser of the operating system (Playwright's own would have to be downloaded); None if there is none."""
    return os.environ.get("BRAINTUMOR_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
