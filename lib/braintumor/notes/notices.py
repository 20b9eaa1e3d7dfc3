"""What went wrong with which note, gathered while reading and said as flags that hold neither file names nor text."""

from __future__ import annotations

from collections.abc import Iterable

from braintumor.domain import Flag, Severity

_INFO, _WARNING, _SERIOUS = Severity.INFO, Severity.WARNING, Severity.SERIOUS

_ABOUT_NOTES = {
    "note-too-large": (_WARNING, "larger than the limit, not read"),
    "notes-too-large": (_WARNING, "not read, because all notes together are larger than the limit"),
    "too-many-notes": (_WARNING, "not read, because there are more notes than the limit"),
    "note-unreadable": (_WARNING, "cannot be opened, or is not an ordinary file"),
    "link-outside": (_WARNING, "a symbolic link that leads out of its folder, not followed"),
    "note-not-text": (_WARNING, "named as text, but its content is not text; not read"),
    "note-empty": (_INFO, "empty"),
    "encoding-guessed": (_INFO, "neither UTF-8 nor marked as UTF-16; its letters were decoded by the likeliest old encoding"),
    "pdf-damaged": (_WARNING, "a PDF that cannot be read, because it is damaged"),
    "pdf-encrypted": (_WARNING, "a PDF that cannot be read without its password"),
    "pdf-too-costly": (_WARNING, "a PDF that takes more time or memory than allowed, not read"),
    "pdf-without-text": (
        _WARNING,
        "a PDF without text, such as a scan; it was not read and needs a person, or text recognition",
    ),
    "pdf-partly-scanned": (_WARNING, "a PDF with some pages that hold pictures and no text; those were not read"),
    "pdf-cut": (_WARNING, "a PDF longer than the limit, read in part only"),
    "notes-of-other-patient": (_SERIOUS, "names another patient than the study does; left out"),
    "patient-unconfirmed": (
        _WARNING,
        "does not say whose it is in a way that can be compared with the study; taken as this patient's",
    ),
    "instruction-in-notes": (
        _SERIOUS,
        "holds text that speaks to a computer instead of about a patient; that paragraph was left out; read the note itself",
    ),
    "hidden-characters": (_WARNING, "holds sentences with characters that make text look different from what it is; left out"),
    "notes-by-keyword-only": (
        _WARNING,
        "wholly or partly not in English; such sentences are found by keywords only, so more may be missed",
    ),
    "notes-too-long": (_WARNING, "longer than is compared by meaning; the rest of it was searched by keywords only"),
}

_ABOUT_FILES = {
    "hidden-files": (_INFO, "hidden, not read"),
    "note-type-unknown": (_WARNING, "neither .txt, .md nor .pdf, not read"),
    "folder-unreadable": (_WARNING, "in folders that cannot be opened, or links to folders outside; not read"),
}

_SHOWN = 10


class Notices:
    """Collects troubles by code; `flags` says each code once, with the numbers of the notes it is about."""

    def __init__(self) -> None:
        self._notes: dict[str, set[int]] = {}
        self._files: dict[str, int] = {}

    def note(self, code: str, number: int) -> None:
        """A trouble with the note of that number (1 = first by file name)."""
        if code not in _ABOUT_NOTES:
            raise ValueError(f"no words for {code}")
        self._notes.setdefault(code, set()).add(number)

    def file(self, code: str, count: int = 1) -> None:
        """A trouble with what is not counted as a note."""
        if code not in _ABOUT_FILES:
            raise ValueError(f"no words for {code}")
        if count:
            self._files[code] = self._files.get(code, 0) + count

    def flags(self, total: int) -> tuple[Flag, ...]:
        """All troubles, the serious ones first; `total` is the number of notes that were found."""
        flags = [
            Flag(code, _ABOUT_NOTES[code][0], _sentence(found, total, _ABOUT_NOTES[code][1]))
            for code, found in self._notes.items()
        ]
        for code, count in self._files.items():
            severity, words = _ABOUT_FILES[code]
            flags.append(Flag(code, severity, f"{count} {'file' if count == 1 else 'files'} among the notes: {words}."))
        order = (_SERIOUS, _WARNING, _INFO)
        return tuple(sorted(flags, key=lambda flag: (order.index(flag.severity), flag.code)))


def _sentence(numbers: Iterable[int], total: int, words: str) -> str:
    # numbers and never names: file names hold names of patients
    listed = sorted(numbers)
    shown = ", ".join(str(n) for n in listed[:_SHOWN])
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"{'Note' if len(listed) == 1 else 'Notes'} {shown}{more} of {total} (in order of file names): {words}."
