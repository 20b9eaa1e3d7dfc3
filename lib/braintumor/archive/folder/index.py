"""Which instances a folder holds: found by walking it, read once each, and looked up from any thread."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from braintumor.archive.folder.facts import FileFacts, read_facts
from braintumor.archive.folder.model import JsonModel

_log = logging.getLogger(__name__)

FRESH_S = 1.0
"""How old an answer may be; what this process adds itself is known at once."""

Stamp = tuple[int, int]
Tree = dict[str, dict[str, dict[str, FileFacts]]]
"""Study UID -> series UID -> SOP instance UID -> file."""


class FolderIndex:
    """An index in memory; the folder itself is left as it is.

    New, changed and deleted files are noticed at the next look-up after `FRESH_S` seconds. Only what changed is read.
    Hidden files and folders are not looked at.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._files: dict[str, tuple[Stamp, FileFacts | None]] = {}
        self._tree: Tree = {}
        self._begun = -float("inf")  # when the last look began

    def tree(self, fresh_s: float | None = None) -> Tree:
        """What is there now, not older than `fresh_s`; never changed after it was handed out.

        Raises
        ------
        OSError
            If the folder itself is gone or unreadable.
        """
        oldest = time.monotonic() - (FRESH_S if fresh_s is None else fresh_s)
        if self._begun < oldest:
            with self._lock:
                if self._begun < oldest:  # else another thread has looked meanwhile
                    self._look()
        return self._tree

    def begin(self) -> None:
        """Look for the first time without keeping the caller waiting."""

        def look() -> None:
            with suppress(OSError):  # told to whoever asks
                self.tree()

        threading.Thread(target=look, name="index", daemon=True).start()

    def add(self, facts: FileFacts) -> None:
        """Enter a file that was just written, so that it is found at once."""
        with self._lock:
            self._files[str(facts.path)] = (facts.stamp, facts)
            self._tree = _tree([found for _, found in self._files.values() if found is not None])

    def _look(self) -> None:
        begun = time.monotonic()
        model, found, changed = JsonModel(), dict[str, tuple[Stamp, FileFacts | None]](), False
        for path, stamp in _walk(self.root):
            known = self._files.get(path)
            if known is None or known[0] != stamp:
                known, changed = (stamp, read_facts(Path(path), Path(path), stamp, model)), True
            found[path] = known
        if changed or len(found) != len(self._files):
            self._files = found
            self._tree = _tree([facts for _, facts in found.values() if facts is not None])
            unusable = sum(1 for _, facts in found.values() if facts is None)
            _log.info("the folder holds %d studies in %d files; %d others", len(self._tree), len(found) - unusable, unusable)
        self._begun = begun


def _walk(root: Path) -> Iterator[tuple[str, Stamp]]:
    """Path and stamp of every visible file, folders in order of their names; links are followed, each folder once."""
    pending, seen = [str(root)], set[tuple[int, int]]()
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            if folder == str(root):
                raise
            continue  # went away meanwhile, or is not for us to read
        deeper = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                status = entry.stat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield entry.path, (status.st_mtime_ns, status.st_size)
            elif stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                deeper.append(entry.path)
        pending.extend(reversed(deeper))


def _tree(files: list[FileFacts]) -> Tree:
    """Of several files with one SOP Instance UID the first by path counts."""
    tree: Tree = {}
    for facts in files:
        tree.setdefault(facts.study, {}).setdefault(facts.series, {}).setdefault(facts.uid, facts)
    return tree
