"""Fetches the OHIF viewer that `ohif.json` pins, checks it against the pinned hash, and unpacks it to `ohif-config/dist`.

    python ohif-config/fetch.py                      from the npm registry (--registry or NPM_CONFIG_REGISTRY for a mirror)
    python ohif-config/fetch.py --from app.tgz       from a file, for machines without internet

Needs the standard library only. Nothing is changed in the viewer's code but the address it believes to be served from: its
makers build it for the root of a host, we serve it under `base`. Running it again does nothing if the folder is current.
"""

from __future__ import annotations

import argparse
import base64
import fnmatch
import gzip
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

HERE = Path(__file__).resolve().parent
PIN = HERE / "ohif.json"
DIST = HERE / "dist"
STAMP = "fetched.json"
REGISTRY = "https://registry.npmjs.org"
MEMBER_ROOT = PurePosixPath("package/dist")
LARGEST_BYTES = 600 * 2**20  # of one unpacked viewer; 3.13.2 has 230 MB
BLOCK = 2**20
TIMEOUT_S = 60
COMPRESSED = {".js", ".css", ".wasm", ".html", ".json", ".svg"}
WORTH_COMPRESSING = 8 * 1024


class FetchError(Exception):
    """The viewer could not be fetched; the message says what is wrong and what to do. Nothing was changed."""


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


def is_current(pin: Pin, dist: Path = DIST) -> bool:
    """Whether the folder holds the pinned viewer, complete (the stamp is written last)."""
    try:
        return bool(json.loads((dist / STAMP).read_text("utf-8")) == pin.stamp())
    except (OSError, ValueError):
        return False


def fetch(pin: Pin, dist: Path = DIST, *, source: Path | None = None, registry: str = REGISTRY) -> None:
    """Put the pinned viewer into `dist`, all of it or nothing.

    Parameters
    ----------
    source
        A tarball on disk; None downloads it from `registry`.

    Raises
    ------
    FetchError
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
        raise FetchError(f"{dist} could not be written: {error.strerror or error}. Free space, or make it writable.") from error


def say(words: str) -> None:
    """One line of progress."""
    print(f"ohif: {words}", flush=True)


def _download(url: str, target: Path) -> Path:
    if not url.startswith(("https://", "http://")):
        raise FetchError(f"{url} is no web address. Give the registry as https://host/.")
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
        raise FetchError(
            f"the registry did not deliver {url}: {getattr(error, 'reason', error)}. "
            "Check the network, name a mirror with --registry, or copy the tarball here and use --from FILE."
        ) from error
    if total and done != total:
        raise FetchError(f"the download of {url} broke off after {done} of {total} bytes. Run it again.")
    return target


def _verify(tarball: Path, integrity: str) -> None:
    """The file's digest must be the pinned one, before a byte of it is interpreted."""
    algorithm, _, expected = integrity.partition("-")
    try:
        with tarball.open("rb") as file:
            found = base64.b64encode(hashlib.file_digest(file, algorithm).digest()).decode()
    except FileNotFoundError as error:
        raise FetchError(f"there is no file {tarball}. Name the tarball that npm serves.") from error
    if found != expected:
        raise FetchError(
            f"{tarball.name} is not the pinned viewer (its {algorithm} is {found[:16]}…, pinned is {expected[:16]}…). "
            "It was altered, is another version, or is incomplete: get it again."
        )
    say(f"{algorithm} is the pinned one")


def _unpack(tarball: Path, target: Path, leave_out: tuple[str, ...]) -> None:
    total = 0
    with tarfile.open(tarball, "r:gz") as archive:
        for member, place in _wanted(archive, leave_out):
            total += member.size
            if total > LARGEST_BYTES:
                raise FetchError(f"{tarball.name} unpacks to more than {LARGEST_BYTES // 2**20} MB. Check the pin.")
            content = archive.extractfile(member)
            if content is None:
                raise FetchError(f"{member.name} in {tarball.name} cannot be read. Get the file again.")
            file = target.joinpath(*place.parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            with content, file.open("wb") as out:
                shutil.copyfileobj(content, out, BLOCK)
    if not (target / "index.html").is_file():
        raise FetchError(f"{tarball.name} holds no {MEMBER_ROOT}/index.html. Check the pin.")


def _wanted(archive: tarfile.TarFile, leave_out: tuple[str, ...]) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    """Regular files below `package/dist`, with their path relative to it; links, devices and ways out are refused."""
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise FetchError(f"the tarball would write outside its folder ({member.name!r}). Do not use it.")
        if not path.is_relative_to(MEMBER_ROOT) or member.isdir():
            continue
        if not member.isreg():
            raise FetchError(f"the tarball holds a link or device ({member.name!r}). Do not use it.")
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
            raise FetchError(
                f"this build of OHIF has no {old!r} in {pattern}, so it cannot be served under {base}. Check the pin."
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


def main() -> int:
    """Command line: 0 done, 1 not."""
    parser = argparse.ArgumentParser(description="Fetch the pinned OHIF viewer.")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE.tgz", help="tarball on disk instead of the registry")
    parser.add_argument("--registry", default=os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY), help="npm registry or mirror")
    parser.add_argument("--dist", type=Path, default=DIST, help="folder to make (default: beside this script)")
    parser.add_argument("--force", action="store_true", help="fetch even if the folder is current")
    arguments = parser.parse_args()
    pin = Pin.read()
    if is_current(pin, arguments.dist) and not arguments.force:
        say(f"{pin.package} {pin.version} is in place")
        return 0
    try:
        fetch(pin, arguments.dist, source=arguments.source, registry=arguments.registry)
    except FetchError as error:
        print(f"ohif: {error}", file=sys.stderr)
        return 1
    say(f"{pin.package} {pin.version} is in {arguments.dist}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
