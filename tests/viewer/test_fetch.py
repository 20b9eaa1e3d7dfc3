"""The viewer is fetched only if it is the pinned one, all of it or nothing, and never outside its folder."""

import base64
import dataclasses
import hashlib
import io
import tarfile

import pytest

from braintumor.domain import ViewerError
from braintumor.server.ohif import Pin, fetch, is_current

PAGE = b'<html><script>window.PUBLIC_URL="/"</script><link href="/a.css"><script src="/app.js"></script></html>'
DIST = {
    "index.html": PAGE,
    "app.js": b'__webpack_require__.p = "/";' + b"// padding" * 2000,
    "a.css": b"@font-face{src:url(/f.woff2)}",
    "app-config.js": b"window.config = {}",
    "ort/big.wasm": b"0",
}


def packed(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def pin_for(tarball):
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    return dataclasses.replace(Pin.read(), integrity=f"sha512-{digest}")


@pytest.fixture
def tarball(tmp_path):
    return packed(tmp_path / "app.tgz", {f"package/dist/{name}": content for name, content in DIST.items()})


def test_it_is_unpacked_for_our_address_without_what_is_left_out(tarball, tmp_path):
    dist, pin = tmp_path / "dist", pin_for(tarball)
    fetch(pin, dist, source=tarball)
    assert (dist / "index.html").read_text().count("/ohif/") == 3
    assert (dist / "app.js").read_text().startswith('__webpack_require__.p = "/ohif/";')
    assert (dist / "app.js.gz").is_file()
    assert not (dist / "ort").exists()
    assert not (dist / "app-config.js").exists()
    assert is_current(pin, dist)
    assert not is_current(dataclasses.replace(pin, version="9.9.9"), dist)


def test_another_file_than_the_pinned_one_is_refused_and_the_old_viewer_stays(tarball, tmp_path):
    dist, pin = tmp_path / "dist", pin_for(tarball)
    fetch(pin, dist, source=tarball)
    other = packed(tmp_path / "other.tgz", {"package/dist/index.html": b"evil"})
    with pytest.raises(ViewerError, match="not the pinned viewer"):
        fetch(pin, dist, source=other)
    assert is_current(pin, dist)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".ohif")] == []


@pytest.mark.parametrize("name", ["package/dist/../../evil.js", "/package/dist/evil.js", "package/dist/..\\evil.js"])
def test_a_way_out_of_the_folder_is_refused(tmp_path, name):
    bad = packed(tmp_path / "bad.tgz", {"package/dist/index.html": PAGE, name: b"x"})
    with pytest.raises(ViewerError, match="outside its folder"):
        fetch(pin_for(bad), tmp_path / "dist", source=bad)
    assert not (tmp_path / "dist").exists()


def test_a_build_that_cannot_be_served_below_a_path_is_refused(tmp_path):
    odd = packed(tmp_path / "odd.tgz", {"package/dist/index.html": PAGE, "package/dist/a.css": DIST["a.css"]})
    with pytest.raises(ViewerError, match="cannot be served under /ohif/"):
        fetch(pin_for(odd), tmp_path / "dist", source=odd)


def test_a_registry_that_does_not_answer_is_said(tmp_path):
    with pytest.raises(ViewerError, match="--from FILE"):
        fetch(Pin.read(), tmp_path / "dist", registry="http://127.0.0.1:9")
