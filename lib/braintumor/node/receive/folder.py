"""The folder door: files that are dropped into a folder are kept and removed from it, once they have stopped growing."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from braintumor.node.receive.intake import Count, IngestResult, Intake
from braintumor.node.settings import Watch
from braintumor.node.spool import LARGEST_INSTANCE, Arrival, IngestOutcome, Refusal, Spool

log = logging.getLogger("braintumor.node.receive.folder")

CALLING = "folder"
"""What is entered as the sender of its instances."""

REFUSED = "refused"
"""Subfolder for what is not taken; beside each file stands one with the reason as a code."""

_LONGEST_WAIT_S = 60.0

_Look = tuple[int, int, int]
"""Inode, size and time of last change."""


class WatchedFolder:
    """Takes every regular file below a folder, whatever its name; symbolic links are left alone, and so are subfolders.

    A file is taken when its size and time were the same at two looks, so a program that copies slowly is not cut off. What
    cannot be kept for lack of space stays where it is, and is tried again.
    """

    def __init__(
        self, settings: Watch, spool: Spool, on_kept: Callable[[Arrival], None], count: Count = lambda code: None
    ) -> None:
        self._folder, self._every = settings.folder, settings.every_s
        self._intake = Intake(spool, on_kept, count)
        self._seen: dict[Path, _Look] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._missing = False

    @property
    def running(self) -> bool:
        """Whether it is watching."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to watch; nothing to do if no folder is set."""
        if self._folder is not None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="folder", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the file at hand, and end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)
            self._thread = None

    def look(self) -> bool:
        """Take what stood still since the last look; False if there was no space for it. What the thread does."""
        if self._folder is None:
            return True
        found = dict(_files(self._folder))
        still = [path for path, look in found.items() if self._seen.get(path) == look]
        self._seen = found
        for path in still:
            if self._stop.is_set():
                break
            outcome = self._take(self._folder, path, found[path])
            if outcome is IngestOutcome.NO_SPACE:
                return False
        return True

    def __enter__(self) -> WatchedFolder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        wait = self._every
        while not self._stop.wait(wait):
            try:
                fits = self.look()
                self._missing = False
            except Exception as error:  # noqa: BLE001  the folder may be a share that comes and goes
                if not self._missing:
                    log.warning("folder-unreachable", extra={"facts": {"error": type(error).__name__}})
                self._missing, fits = True, True
            wait = self._every if fits else min(2 * wait, max(_LONGEST_WAIT_S, self._every))

    def _take(self, folder: Path, path: Path, look: _Look) -> IngestOutcome | None:
        """Keep one file; None if it changed or cannot be read after all."""
        try:
            content = _read(path, look)
            if content is None:
                return None
            taken = self._intake.take(content, CALLING) if content else self._intake.refuse(_why_empty(look), CALLING)
            if taken.outcome.is_kept:
                path.unlink()
            elif taken.outcome in (IngestOutcome.REFUSED, IngestOutcome.CONFLICT):
                _put_aside(folder, path, taken)
        except OSError as error:  # not ours to read, or gone
            log.warning("file-left", extra={"facts": {"error": type(error).__name__}})
            return None
        return taken.outcome


def _files(folder: Path) -> Iterator[tuple[Path, _Look]]:
    """Regular files below a folder, except those that were put aside."""
    for where, folders, names in os.walk(folder, onerror=_raise):
        here = Path(where)
        if here == folder and REFUSED in folders:
            folders.remove(REFUSED)
        for name in names:
            path = here / name
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, _looked(found)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | PermissionError):
        raise error


def _looked(found: os.stat_result) -> _Look:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path, look: _Look) -> bytes | None:
    """Content of a file that is still what was looked at, and was while it was read; empty if it is too large."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if _looked(os.fstat(handle)) != look:
            return None
        content = file.read() if look[1] <= LARGEST_INSTANCE else b""
        return content if _looked(os.fstat(handle)) == look else None


def _why_empty(look: _Look) -> Refusal:
    return Refusal.TOO_LARGE if look[1] else Refusal.UNREADABLE


def _put_aside(folder: Path, path: Path, taken: IngestResult) -> None:
    """Move a file below `REFUSED`, where nothing is overwritten, and say why beside it."""
    wanted = folder / REFUSED / path.relative_to(folder)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    target, number = wanted, 1
    while target.exists() or target.is_symlink():
        number += 1
        target = wanted.with_name(f"{wanted.name}~{number}")
    target.with_name(f"{target.name}.reason.txt").write_text(f"{taken.reason or taken.outcome}\n", "ascii")
    path.rename(target)
