"""Serves the OHIF viewer that `braintumor viewer fetch` unpacked, with our configuration, mode and panel beside it."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from braintumor.report.fonts import TYPEFACES
from braintumor.server.ohif import CONFIG, default_dist

BASE = "/ohif"
FOREVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"  # kept by the browser, but used only after the server said it is unchanged (ETag)

# mimetypes asks the operating system's table, which may lack these or be wrong; a module of another type does not load.
TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".ttf": "font/ttf",
}
HASHED = re.compile(r"(^[0-9a-f]{16}|\.[0-9a-f]{16})\.(js|css|wasm|woff2)$")  # rspack puts a content hash into these names

NOT_FETCHED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The viewer is not installed</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem;color:#222}
code{background:#eee;padding:.2em .4em;border-radius:3px}</style></head><body>
<h1>The viewer is not installed</h1>
<p>OHIF is a separate program; one command fetches the pinned version and checks it:</p>
<p><code>braintumor viewer fetch</code></p>
<p>Without internet: <code>braintumor viewer fetch --from app-3.13.2.tgz</code>, with the tarball of the npm package
<code>@ohif/app</code>. Then load this page again; the server need not be restarted.</p>
</body></html>"""


def mount(app: FastAPI, config: Path = CONFIG, dist: Path | None = None) -> None:
    """Add ``/ohif/`` to an app: the viewer, ``app-config.js`` and ``braintumor/*`` of ours; other paths are the viewer's page.

    Parameters
    ----------
    config
        The folder of our configuration, mode and panel.
    dist
        The unpacked viewer, by default where `braintumor viewer fetch` puts it. It may appear or change while the app runs.
    """
    router = APIRouter(include_in_schema=False)
    theirs = dist or default_dist()

    @router.api_route(BASE, methods=["GET", "HEAD"])
    def without_slash(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{BASE}/{query}")

    @router.api_route(BASE + "/{path:path}", methods=["GET", "HEAD"])
    def viewer(path: str, request: Request) -> Response:
        answer = _answer(config, theirs, path, gzip="gzip" in request.headers.get("accept-encoding", ""))
        known = request.headers.get("if-none-match")
        if known is not None and known == answer.headers.get("etag"):
            return Response(status_code=304, headers={"etag": known, "cache-control": answer.headers["cache-control"]})
        return answer

    app.include_router(router)


def _answer(config: Path, theirs: Path, path: str, *, gzip: bool) -> Response:
    ours = config / "braintumor"
    if path == "app-config.js":
        return _file(config / path, ASK_FIRST)
    if path.startswith("braintumor/fonts/"):  # the report's own typefaces: the reading room's computer may lack Hindi
        found = _inside(TYPEFACES, path.removeprefix("braintumor/fonts/"))
        return _file(found, ASK_FIRST) if found else Response("no such file", 404, media_type="text/plain")
    if path.startswith("braintumor/") and Path(path).suffix:  # without a suffix it is the route of our mode
        found = _inside(ours, path.removeprefix("braintumor/"))
        return _file(found, ASK_FIRST) if found else Response("no such file", 404, media_type="text/plain")
    if not (theirs / "index.html").is_file():
        return HTMLResponse(NOT_FETCHED, 503)
    if found := _inside(theirs, path):
        return _file(found, FOREVER if HASHED.search(found.name) else ASK_FIRST, gzip=gzip)
    if Path(path).suffix in TYPES:  # a missing script must fail as such, not arrive as a page
        return Response("no such file", 404, media_type="text/plain")
    return _file(theirs / "index.html", ASK_FIRST, gzip=gzip)


def _inside(folder: Path, name: str) -> Path | None:
    """The regular file of that name below a folder; None if there is none, or the name leads out of the folder."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        return None


def _file(file: Path, caching: str, *, gzip: bool = False) -> Response:
    kind = TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
    packed = file.with_name(file.name + ".gz")
    if gzip and packed.is_file():
        file, headers["Content-Encoding"] = packed, "gzip"
    return FileResponse(file, media_type=kind, headers=headers, stat_result=file.stat())
