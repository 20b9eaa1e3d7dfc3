"""Results appear whole or not at all: written aside, moved into place at the end."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from braintumor.domain.errors import OutputError

MANIFEST = "result.json"
"""Moved last: a folder without it holds no finished result."""

_PARTIAL = ".partial-"


def check_output(out: Path) -> None:
    """Refuse early what could not be written at the end; creates nothing.

    Raises
    ------
    OutputError
        If `out` is a file, holds something already, or its place is not writable.
    """
    if out.exists() and not out.is_dir():
        raise OutputError("The output is a file, not a folder", remedy="Name a folder with -o", path=out)
    if out.is_dir():
        if any(not entry.name.startswith(_PARTIAL) for entry in out.iterdir()):
            raise OutputError("The output folder is not empty", remedy="Name another folder, or empty this one", path=out)
        place = out
    else:
        place = next(parent for parent in out.resolve().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise OutputError("The output folder cannot be written", remedy="Choose a folder you may write to", path=place)


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A scratch folder whose content becomes `out` when the block ends without an error, and vanishes otherwise.

    A new `out` appears by one rename. An existing empty one (a container's mounted volume cannot be renamed) gets the
    entries one by one, `MANIFEST` last.

    Raises
    ------
    OutputError
        As `check_output`, and when the disk is full or goes away meanwhile.
    """
    check_output(out)
    existed = out.is_dir()
    place = out if existed else out.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        for stale in place.glob(f"{_PARTIAL}{'' if existed else out.name + '-'}*"):
            shutil.rmtree(stale, ignore_errors=True)  # left behind by a run that was killed
        scratch = place / f"{_PARTIAL}{out.name}-{os.getpid()}"
        scratch.mkdir()
    except OSError as error:
        raise explained(error, out) from error
    try:
        yield scratch
        if existed:
            _move_entries(scratch, out)
        else:
            scratch.replace(out)
    except OSError as error:
        raise explained(error, out) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move_entries(scratch: Path, out: Path) -> None:
    entries = sorted(scratch.iterdir(), key=lambda entry: entry.name == MANIFEST)
    moved: list[Path] = []
    try:
        moved.extend(entry.replace(out / entry.name) for entry in entries)
    except BaseException:
        for entry in moved:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        raise


def explained(error: OSError, out: Path) -> OutputError:
    """The system's refusal to write, as an error that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("The disk is full", remedy="Free about 100 MB, or choose another disk", path=out)
    return OutputError(
        f"Writing failed: {error.strerror or type(error).__name__}", remedy="Choose a folder you may write to", path=out
    )
