"""Folders on this machine's disk that can be fetched again at any time: complete or absent, and not more than agreed."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from braintumor.domain import OutputError

_PART = ".part-"


def default_cache() -> Path:
    """Where caches belong on this machine (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "braintumor"


class FolderCache:
    """Folders by key; the least recently used go first when there is too much.

    Parameters
    ----------
    most_bytes
        Size it may reach.
    spare_s
        What was used in the last so many seconds is never removed: somebody may be reading it.
    """

    def __init__(self, root: Path, most_bytes: int, spare_s: float = 900.0) -> None:
        self._root = root
        self._most = most_bytes
        self._spare_s = spare_s
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}

    def get(self, key: str, fill: Callable[[Path], None]) -> Path:
        """The folder of `key`; filled by `fill` if it is not there, once, whoever asks at the same time.

        Raises
        ------
        OutputError
            If the cache cannot be written, e.g. because the disk is full.
        """
        place = self._root / key
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        try:
            with busy:
                if not place.is_dir():
                    self._fill(place, fill)
                os.utime(place)
                return place
        except OSError as error:
            raise OutputError(
                f"a study could not be kept on this machine: {error.strerror or error}",
                remedy="free space on the disk of the cache, or name another place for it",
                path=self._root,
            ) from error

    def _fill(self, place: Path, fill: Callable[[Path], None]) -> None:
        part = self._root / f"{_PART}{secrets.token_hex(8)}"
        part.mkdir(parents=True)
        try:
            fill(part)
            try:
                part.rename(place)
            except OSError:
                if not place.is_dir():  # else another process was faster, with the same content
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self._shrink(place)

    def _shrink(self, newest: Path) -> None:
        with self._lock:
            entries = [(_used(path), _size(path), path) for path in self._root.iterdir() if path != newest]
            total, now = sum(size for _, size, _ in entries) + _size(newest), time.time()
            for used, size, path in sorted(entries):
                if now - used < self._spare_s:
                    break
                if total > self._most or path.name.startswith(_PART):  # a part that old was left by a server that was killed
                    doomed = self._root / f"{_PART}{secrets.token_hex(8)}"
                    with suppress(OSError):  # renamed first, so that nobody finds half a folder
                        path.rename(doomed)
                        shutil.rmtree(doomed)
                        total -= size


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def _size(folder: Path) -> int:
    with suppress(OSError):
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    return 0
