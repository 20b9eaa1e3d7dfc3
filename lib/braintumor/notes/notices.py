"""What went wrong with which note, gathered while reading and said as flags that hold neither file names nor text."""

from __future__ import annotations

from braintumor.domain import Flag, FlagCode, gather_flags

_SHOWN = 10


class Notices:
    """Collects troubles by code; `flags` says each code once, with the numbers of the notes it is about.

    Numbers and never names: file names hold names of patients.
    """

    def __init__(self) -> None:
        self._notes: dict[FlagCode, set[int]] = {}
        self._files: dict[FlagCode, int] = {}

    def note(self, code: FlagCode, number: int) -> None:
        """A trouble with the note of that number (1 = first by file name)."""
        self._notes.setdefault(code, set()).add(number)

    def file(self, code: FlagCode, count: int = 1) -> None:
        """A trouble with what is not counted as a note."""
        if count:
            self._files[code] = self._files.get(code, 0) + count

    def flags(self, total: int) -> tuple[Flag, ...]:
        """All troubles, the serious ones first; `total` is the number of notes that were found."""
        flags = [
            code.flag(numbers=tuple(sorted(found)[:_SHOWN]), more=max(len(found) - _SHOWN, 0), total=total)
            for code, found in self._notes.items()
        ]
        flags += [code.flag(count=count) for code, count in self._files.items()]
        return gather_flags(sorted(flags, key=lambda flag: flag.code))
