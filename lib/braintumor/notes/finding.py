"""Which files are a patient's notes: nothing hidden, no link that leads elsewhere, nothing that is not a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from braintumor.domain import InputNotFoundError
from braintumor.notes.notices import Notices

SUFFIXES = frozenset({".txt", ".md", ".pdf"})


@dataclass(frozen=True, slots=True)
class Note:
    """A file to read.

    Attributes
    ----------
    name
        Path inside the folder of notes with "/", or the file's name.
    path
        Where its bytes are, links resolved; None if a link led out of the folder.
    """

    name: str = field(repr=False)
    path: Path | None = field(repr=False)


def find(notes: Sequence[Path] | Path, notices: Notices) -> tuple[Note, ...]:
    """All notes of a folder, its folders included, or of a list of files and folders; sorted by name.

    Raises
    ------
    InputNotFoundError
        If something does not exist, or nothing in it is a note.
    """
    found: list[Note] = []
    for place in [notes] if isinstance(notes, Path) else notes:
        if place.is_dir():
            found += _in_folder(place, notices)
        elif not os.path.lexists(place):
            raise InputNotFoundError("A note does not exist", remedy="Check the path of the notes", path=place)
        elif place.suffix.lower() in SUFFIXES:
            found.append(Note(place.name, _inside(place, place.parent)))
        else:
            notices.file("note-type-unknown")
    if not found:
        where = notes if isinstance(notes, Path) else None
        raise InputNotFoundError("No notes were found", remedy="Give a folder or files of type .txt, .md or .pdf", path=where)
    unique = {note.path if note.path is not None else note.name: note for note in reversed(found)}
    return tuple(sorted(unique.values(), key=lambda note: (note.name.casefold(), note.name)))


def _in_folder(root: Path, notices: Notices) -> list[Note]:
    found = []
    for folder, folders, files in os.walk(root, onerror=lambda _: notices.file("folder-unreadable")):
        here = Path(folder)
        outside = sum((here / name).is_symlink() and _inside(here / name, root) is None for name in folders)
        if outside:
            notices.file("folder-unreadable", outside)
        folders[:] = [name for name in folders if not name.startswith(".")]
        hidden = sum(name.startswith(".") for name in files)
        strange = [n for n in files if not n.startswith(".") and Path(n).suffix.lower() not in SUFFIXES]
        if hidden:
            notices.file("hidden-files", hidden)
        if strange:
            notices.file("note-type-unknown", len(strange))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                path = here / name
                found.append(Note(path.relative_to(root).as_posix(), _inside(path, root)))
    return found


def _inside(path: Path, root: Path) -> Path | None:
    """Where a path leads to, if that is inside a folder."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a link to nothing, or to itself
        return None
    return real if real.is_relative_to(root.resolve()) else None
