"""Puts instances into the folder so that they are either there completely or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from braintumor.archive.folder.facts import FileFacts
from braintumor.domain import OutputError, sync_folder

INCOMING = ".braintumor-incoming"
"""Hidden folder that instances are written to before they are moved to their place."""

_LEFT_BEHIND_S = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class InstanceBytes:
    """The bytes of one instance and what they are; `facts.path` is the place they are to have."""

    facts: FileFacts
    data: bytes


def keep(root: Path, arrivals: Sequence[InstanceBytes]) -> list[FileFacts]:
    """Write all aside, make sure they are on the disk, then move each to its place.

    Returns
    -------
    list
        The facts with the stamps of the files as they are now; when this returns, a loss of power loses nothing.

    Raises
    ------
    OutputError
        If the disk is full or the folder cannot be written: then nothing was added.
    """
    aside: list[Path] = []
    incoming = root / INCOMING
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        for arrival in arrivals:
            aside.append(incoming / f"{secrets.token_hex(8)}.dcm")
            _write(aside[-1], arrival.data)
        kept = [_place(path, arrival.facts) for path, arrival in zip(aside, arrivals, strict=True)]
        for folder in {facts.path.parent for facts in kept}:
            for part in (folder, folder.parent, root):
                sync_folder(part)
        return kept
    except OSError as error:
        raise OutputError(
            f"the folder of studies cannot be written: {error.strerror or error}",
            remedy="free space on its disk or allow writing to it, then send again",
            path=root,
        ) from error
    finally:
        for path in aside:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # another thread may have something in it
            incoming.rmdir()


def tidy(root: Path, now: float) -> None:
    """Remove what a server that was killed had written aside, if it is older than an hour at `now` (seconds of the epoch)."""
    incoming = root / INCOMING
    with suppress(OSError):
        for path in incoming.glob("*.dcm"):
            if now - path.stat().st_mtime > _LEFT_BEHIND_S:
                path.unlink(missing_ok=True)
        incoming.rmdir()


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _place(aside: Path, facts: FileFacts) -> FileFacts:
    facts.path.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(facts.path)
    status = facts.path.stat()
    return replace(facts, stamp=(status.st_mtime_ns, status.st_size))
