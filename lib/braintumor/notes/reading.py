"""Files to documents: which files are notes, read within limits, text decoded, PDF pages extracted.

Nothing hidden is read, no link that leads elsewhere, nothing that is not a file; what cannot be read becomes a notice.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from braintumor.domain import InputNotFoundError, NotInstalledError
from braintumor.notes import dates, pdftext
from braintumor.notes.decoding import decode
from braintumor.notes.notices import Notices

SUFFIXES = frozenset({".txt", ".md", ".pdf"})
_PDF_MARK = b"%PDF-"
_MARK_WITHIN = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read of one patient; what is beyond a limit is left out and said in a flag.

    Attributes
    ----------
    file_bytes, all_bytes
        Of one file, and of all together.
    all_characters
        Of the text of all notes together; sentences take several times as much memory.
    files
        Notes of one patient.
    pages, page_characters
        Of one PDF, and of one of its pages.
    pdf_seconds, pdf_memory
        What one PDF may take, in seconds and bytes: a small damaged file can ask for any amount of either.
    sentences
        So many are compared by meaning; those beyond are found by keywords only.
    """

    file_bytes: int = 20_000_000
    all_bytes: int = 100_000_000
    all_characters: int = 10_000_000
    files: int = 1000
    pages: int = 200
    page_characters: int = 100_000
    pdf_seconds: int = 60
    pdf_memory: int = 1_500_000_000
    sentences: int = 10_000


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


@dataclass(frozen=True, slots=True)
class Document:
    """One note as text.

    Attributes
    ----------
    number
        1 = first by file name; what flags call it.
    name
        See `braintumor.domain.context.Citation.document`.
    pages
        Text of each page; a text file is one.
    paged
        Whether pages are those of a PDF.
    sha256
        Of the bytes as read.
    written
        When it was written, if it says so clearly.
    """

    number: int
    name: str = field(repr=False)
    pages: tuple[str, ...] = field(repr=False)
    paged: bool
    sha256: str
    written: date | None

    @property
    def text(self) -> str:
        """All pages."""
        return "\n".join(self.pages)


class _RefusedError(Exception):
    """A note that is not read; its argument is the notice's code, and it never leaves this module."""


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


def read(notes: Sequence[Note], limits: Limits, notices: Notices) -> Iterator[Document]:
    """The documents that can be read, one after the other; the others become notices.

    Raises
    ------
    NotInstalledError
        If there is a PDF and pypdf is not installed.
    """
    bytes_left, characters_left = limits.all_bytes, limits.all_characters
    for number, note in enumerate(notes, start=1):
        try:
            if number > limits.files:
                raise _RefusedError("too-many-notes")
            if note.path is None:
                raise _RefusedError("link-outside")
            data = _bytes(note.path, limits.file_bytes, bytes_left)
            bytes_left -= len(data)
            paged = note.path.suffix.lower() == ".pdf" or _PDF_MARK in data[:_MARK_WITHIN]
            pages, remarks = _pdf_pages(data, limits) if paged else _text_page(data)
            if sum(map(len, pages)) > characters_left:
                raise _RefusedError("notes-too-large")
        except _RefusedError as refusal:
            notices.note(str(refusal), number)
            continue
        for remark in remarks:
            notices.note(remark, number)
        characters_left -= sum(map(len, pages))
        written = dates.written_on(Path(note.name).name, pages[0])
        yield Document(number, note.name, pages, paged, hashlib.sha256(data).hexdigest(), written)


def _in_folder(root: Path, notices: Notices) -> list[Note]:
    found = []
    for folder, folders, files in os.walk(root, onerror=lambda _: notices.file("folder-unreadable")):
        here = Path(folder)
        outside = sum((here / name).is_symlink() and _inside(here / name, root) is None for name in folders)
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [here / name for name in files if not name.startswith(".")]
        paths = [path for path in shown if path.suffix.lower() in SUFFIXES]
        notices.file("folder-unreadable", outside)
        notices.file("hidden-files", len(files) - len(shown))
        notices.file("note-type-unknown", len(shown) - len(paths))
        found += [Note(path.relative_to(root).as_posix(), _inside(path, root)) for path in paths]
    return found


def _inside(path: Path, root: Path) -> Path | None:
    """Where a path leads to, if that is inside a folder."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a link to nothing, or to itself
        return None
    return real if real.is_relative_to(root.resolve()) else None


def _bytes(path: Path, most: int, left: int) -> bytes:
    try:
        # not following links and not waiting: the file may have been exchanged for a link or a pipe since it was found
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _RefusedError("note-unreadable")
            data = file.read(min(most, left) + 1)  # whatever size the system says: a file may grow while it is read
    except OSError as error:
        raise _RefusedError("note-unreadable") from error
    if len(data) > most:
        raise _RefusedError("note-too-large")
    if len(data) > left:
        raise _RefusedError("notes-too-large")
    if not data.strip():
        raise _RefusedError("note-empty")
    return data


def _text_page(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The text as one page, and remarks; `_pdf_pages` alike."""
    decoded = decode(data)
    if decoded is None:
        raise _RefusedError("note-not-text")
    text, guessed = decoded
    if not text.strip():
        raise _RefusedError("note-empty")
    return (text,), (("encoding-guessed",) if guessed else ())


def _pdf_pages(data: bytes, limits: Limits) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if _PDF_MARK not in data[:_MARK_WITHIN]:
        raise _RefusedError("pdf-damaged")
    result = _extract(data, limits)
    if result["problem"]:
        raise _RefusedError(f"pdf-{result['problem']}")
    pages = tuple(str(text) for text in result["texts"])
    if not any(text.strip() for text in pages):
        raise _RefusedError("pdf-without-text")
    cut = result["cut"] or result["total"] > limits.pages
    return pages, (*(("pdf-cut",) if cut else ()), *(("pdf-partly-scanned",) if result["pictured"] else ()))


def _extract(data: bytes, limits: Limits) -> dict[str, Any]:
    """What `pdftext.extract` says, asked in a process of its own."""
    numbers = (limits.pages, limits.page_characters, limits.pdf_seconds, limits.pdf_memory)
    # -P: its folder must not come before the standard library
    command = [sys.executable, "-P", str(Path(pdftext.__file__)), *(str(n) for n in numbers)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=2 * limits.pdf_seconds, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise _RefusedError("pdf-too-costly") from None  # the error holds the note
    if b"No module named 'pypdf'" in done.stderr:
        raise NotInstalledError("Notes in PDF need the package pypdf", remedy="Install pypdf, or give the notes as text")
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:  # it was stopped, or its memory ended
        raise _RefusedError("pdf-too-costly") from None
    return result
