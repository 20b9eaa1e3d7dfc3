"""Gets the OHIF viewer that `ohif.json` pins, checks it against the pinned hash, and unpacks it.

Nothing is changed in the viewer's code but the address it believes to be served from: its makers build it for the root of a
host, we serve it under `Pin.base`. Running it again does nothing if the folder is current.
"""

from __future__ import annotations

import base64
import fnmatch
import gzip
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import platformdirs

from braintumor.domain import ViewerError

_PACKAGE = Path(__file__).resolve().parents[1]
CONFIG = _PACKAGE / "_viewer" if (_PACKAGE / "_viewer").is_dir() else _PACKAGE.parents[1] / "ohif-config"
"""Our configuration, mode and panel, and the pin: packaged in the wheel, else the repository's `ohif-config`."""
PIN = CONFIG / "ohif.json"
FOLDER_VARIABLE = "BRAINTUMOR_VIEWER"
"""Environment variable naming another folder for the unpacked viewer."""
STAMP = "fetched.json"
REGISTRY = "https://registry.npmjs.org"
MEMBER_ROOT = PurePosixPath("package/dist")
LARGEST_BYTES = 600 * 2**20  # of one unpacked viewer; 3.13.2 has 230 MB
BLOCK = 2**20
TIMEOUT_S = 60
COMPRESSED = {".js", ".css", ".wasm", ".html", ".json", ".svg"}
WORTH_COMPRESSING = 8 * 1024


def default_dist() -> Path:
    """Where the unpacked viewer lies: $BRAINTUMOR_VIEWER, else a checkout's `ohif-config/dist`, else the user's data folder."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    if CONFIG.name == "ohif-config":
        return CONFIG / "dist"
    return platformdirs.user_data_path("braintumor") / "viewer"


@dataclass(frozen=True, slots=True)
class Pin:
    """Which viewer is wanted; one to one the content of `ohif.json`.

    Attributes
    ----------
    integrity
        ``sha512-`` and the base64 digest of the tarball, as npm's registry states it.
    base
        Path prefix it will be served under, with a slash at both ends.
    leave_out
        Files of `package/dist` that are not unpacked: folders (with a slash) or patterns.
    """

    package: str
    version: str
    tarball: str
    integrity: str
    base: str
    leave_out: tuple[str, ...]

    @classmethod
    def read(cls, path: Path = PIN) -> Pin:
        """Read a pin file."""
        content = json.loads(path.read_text("utf-8"))
        return cls(**{**content, "leave_out": tuple(content["leave_out"])})

    def stamp(self) -> dict[str, str]:
        """What tells a current folder from an old one, or from one made by another version of this script."""
        script = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        return {"version": self.version, "integrity": self.integrity, "base": self.base, "script": script}


def is_current(pin: Pin, dist: Path) -> bool:
    """Whether the folder holds the pinned viewer, complete (the stamp is written last)."""
    try:
        return bool(json.loads((dist / STAMP).read_text("utf-8")) == pin.stamp())
    except (OSError, ValueError):
        return False


def fetch(pin: Pin, dist: Path, *, source: Path | None = None, registry: str = REGISTRY) -> None:
    """Put the pinned viewer into `dist`, all of it or nothing.

    Parameters
    ----------
    source
        A tarball on disk; None downloads it from `registry`.

    Raises
    ------
    ViewerError
        If it cannot be had, is not what was pinned, or cannot be written.
    """
    dist.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".ohif-", dir=dist.parent) as aside:
            tarball = source or _download(f"{registry.rstrip('/')}/{pin.tarball}", Path(aside) / "app.tgz")
            _verify(tarball, pin.integrity)
            fresh = Path(aside) / "dist"
            say("unpacking")
            _unpack(tarball, fresh, pin.leave_out)
            _rebase(fresh, pin.base)
            say("compressing")
            _compress(fresh)
            (fresh / STAMP).write_text(json.dumps(pin.stamp(), indent=1) + "\n", "utf-8")
            _swap(fresh, dist, Path(aside) / "old")
    except OSError as error:
        raise ViewerError(
            f"The viewer could not be written: {error.strerror or error}", remedy="Free space, or make it writable", path=dist
        ) from error


def say(words: str) -> None:
    """One line of progress."""
    print(f"ohif: {words}", flush=True)


def _download(url: str, target: Path) -> Path:
    if not url.startswith(("https://", "http://")):
        raise ViewerError(f"{url} is not a web address", remedy="Give the registry as https://host/")
    say(f"downloading {url}")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, target.open("wb") as file:  # noqa: S310 - checked above
            total, done, told = int(answer.headers.get("Content-Length") or 0), 0, 0
            while block := answer.read(BLOCK):
                file.write(block)
                done += len(block)
                if total and done * 4 // total > told:
                    told = done * 4 // total
                    say(f"{done / 2**20:.0f} of {total / 2**20:.0f} MB")
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ViewerError(
            f"The registry did not deliver {url}: {getattr(error, 'reason', error)}",
            remedy="Check the network, name a mirror with --registry, or copy the tarball here and use --from FILE",
        ) from error
    if total and done != total:
        raise ViewerError(f"The download of {url} stopped after {done} of {total} bytes", remedy="Run it again")
    return target


def _verify(tarball: Path, integrity: str) -> None:
    """The file's digest must be the pinned one, before a byte of it is interpreted."""
    algorithm, _, expected = integrity.partition("-")
    try:
        with tarball.open("rb") as file:
            found = base64.b64encode(hashlib.file_digest(file, algorithm).digest()).decode()
    except FileNotFoundError as error:
        raise ViewerError("The tarball does not exist", remedy="Name the tarball that npm serves", path=tarball) from error
    if found != expected:
        raise ViewerError(
            f"{tarball.name} is not the pinned viewer (its {algorithm} is {found[:16]}…, pinned is {expected[:16]}…)",
            remedy="It was altered, is another version, or is incomplete: get it again",
        )
    say(f"{algorithm} is the pinned one")


def _unpack(tarball: Path, target: Path, leave_out: tuple[str, ...]) -> None:
    total = 0
    with tarfile.open(tarball, "r:gz") as archive:
        for member, place in _wanted(archive, leave_out):
            total += member.size
            if total > LARGEST_BYTES:
                raise ViewerError(f"{tarball.name} unpacks to more than {LARGEST_BYTES // 2**20} MB", remedy="Check the pin")
            content = archive.extractfile(member)
            if content is None:
                raise ViewerError(f"{member.name} in {tarball.name} cannot be read", remedy="Get the file again")
            file = target.joinpath(*place.parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            with content, file.open("wb") as out:
                shutil.copyfileobj(content, out, BLOCK)
    if not (target / "index.html").is_file():
        raise ViewerError(f"{tarball.name} holds no {MEMBER_ROOT}/index.html", remedy="Check the pin")


def _wanted(archive: tarfile.TarFile, leave_out: tuple[str, ...]) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    """Regular files below `package/dist`, with their path relative to it; links, devices and ways out are refused."""
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise ViewerError(f"The tarball would write outside its folder ({member.name!r})", remedy="Do not use it")
        if not path.is_relative_to(MEMBER_ROOT) or member.isdir():
            continue
        if not member.isreg():
            raise ViewerError(f"The tarball holds a link or device ({member.name!r})", remedy="Do not use it")
        place = path.relative_to(MEMBER_ROOT)
        if not any(_matches(str(place), pattern) for pattern in leave_out):
            yield member, place


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatchcase(name, pattern)


def _rebase(dist: Path, base: str) -> None:
    """Tell the build where it is served: bundler's public path, links of the page, fonts of the style sheets."""
    changed = 0
    for pattern, old, new in (
        ("*.js", '__webpack_require__.p = "/";', f'__webpack_require__.p = "{base}";'),
        ("*.css", "url(/", f"url({base}"),
        ("index.html", 'href="/', f'href="{base}'),
        ("index.html", 'src="/', f'src="{base}'),
        ("index.html", 'window.PUBLIC_URL="/"', f'window.PUBLIC_URL="{base}"'),
    ):
        hits = 0
        for file in dist.glob(pattern):
            content = file.read_text("utf-8")
            if old in content:
                file.write_text(content.replace(old, new), "utf-8")
                hits += 1
        if not hits:
            raise ViewerError(
                f"This build of OHIF has no {old!r} in {pattern}, so it cannot be served under {base}", remedy="Check the pin"
            )
        changed += hits
    say(f"{changed} places now say {base}")


def _compress(dist: Path) -> None:
    """A `.gz` beside every large text: the server then sends 12 MB instead of 47 without compressing per request."""
    for file in sorted(dist.rglob("*")):
        if file.suffix in COMPRESSED and file.is_file() and file.stat().st_size > WORTH_COMPRESSING:
            packed = gzip.compress(file.read_bytes(), 6, mtime=0)
            file.with_name(file.name + ".gz").write_bytes(packed)


def _swap(fresh: Path, dist: Path, old: Path) -> None:
    if dist.exists():
        dist.rename(old)
    fresh.rename(dist)
