"""What a browser gets below /ohif/: the viewer, ours beside it, and a plain page if the viewer is not there."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from braintumor.server import viewer
from tests.data import ROOT

HASHED = "app.bundle.0123456789abcdef.js"


@pytest.fixture
def config(tmp_path):
    dist, ours = tmp_path / "dist", tmp_path / "braintumor"
    dist.mkdir()
    ours.mkdir()
    (dist / "index.html").write_text("<html>viewer</html>")
    (dist / HASHED).write_text("1")
    (dist / f"{HASHED}.gz").write_bytes(b"\x1f\x8b packed")
    (dist / "0123456789abcdef.wasm").write_bytes(b"\0asm")
    (ours / "panel.js").write_text("export {}")
    (tmp_path / "app-config.js").write_text("window.config = {}")
    (tmp_path / "secret.txt").write_text("no")
    return tmp_path


@pytest.fixture
def client(config):
    app = FastAPI()
    viewer.mount(app, config, config / "dist")
    return TestClient(app, follow_redirects=False, headers={"accept-encoding": "identity"})


@pytest.mark.parametrize(
    ("path", "kind", "caching"),
    [
        ("", "text/html", "no-cache"),
        ("braintumor?StudyInstanceUIDs=1.2", "text/html", "no-cache"),
        ("app-config.js", "text/javascript", "no-cache"),
        ("braintumor/panel.js", "text/javascript", "no-cache"),
        (HASHED, "text/javascript", "immutable"),
        ("0123456789abcdef.wasm", "application/wasm", "immutable"),
    ],
)
def test_each_file_has_its_type_and_lifetime(client, path, kind, caching):
    answer = client.get(f"/ohif/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert caching in answer.headers["cache-control"]


def test_large_scripts_go_compressed_to_those_who_take_it(client):
    with client.stream("GET", f"/ohif/{HASHED}", headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"].startswith("text/javascript")


def test_what_is_unchanged_is_not_sent_again(client):
    tag = client.get("/ohif/braintumor/panel.js").headers["etag"]
    assert client.get("/ohif/braintumor/panel.js", headers={"if-none-match": tag}).status_code == 304


def test_the_address_without_slash_keeps_its_query(client):
    assert client.get("/ohif?StudyInstanceUIDs=1.2").headers["location"] == "/ohif/?StudyInstanceUIDs=1.2"


@pytest.mark.parametrize(
    "path", ["braintumor/missing.js", "missing.bundle.js", "braintumor/..%2f..%2fsecret.txt", "%2e%2e/secret.txt"]
)
def test_nothing_else_is_given_out(client, path):
    answer = client.get(f"/ohif/{path}")
    assert answer.status_code == 404 or answer.text == "<html>viewer</html>"


def test_without_the_viewer_a_page_says_what_to_do(client, config):
    (config / "dist" / "index.html").unlink()
    answer = client.get("/ohif/braintumor?StudyInstanceUIDs=1.2")
    assert answer.status_code == 503
    assert "braintumor viewer fetch" in answer.text


def test_our_modules_name_only_each_other():
    """No build and no content network: every import is a file beside it."""
    folder = ROOT / "ohif-config" / "braintumor"
    for file in folder.glob("*.js"):
        for line in file.read_text().splitlines():
            if line.startswith(("import ", "} from")) and " from " in line:
                name = line.split("from")[-1].strip(" ';")
                assert (folder / name).is_file(), f"{file.name}: {name}"
