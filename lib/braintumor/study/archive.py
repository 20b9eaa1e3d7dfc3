"""Unpacks a zip into a folder, and refuses archives that could write elsewhere or fill the disk."""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from braintumor.domain import CorruptFileError, OutputError, UnsafeArchiveError

_BY_HAND = "unpack it yourself after checking where it comes from, and give the folder"


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may unpack to.

    Attributes
    ----------
    total_bytes
        Of all members together.
    ratio
        Unpacked size / packed size; only asked of archives that unpack to more than `ratio_from_bytes`, since empty background
        compresses very well. Deflate cannot exceed about 1032.
    members
        Number of entries.
    """

    total_bytes: int = 16 * 1024**3
    ratio: float = 200.0
    ratio_from_bytes: int = 1024**3
    members: int = 100_000


def unpack(archive: Path, folder: Path, limits: ArchiveLimits | None = None) -> None:
    """Unpack a zip into an existing folder; nothing is written unless every member is safe.

    Raises
    ------
    UnsafeArchiveError
        On absolute names, names with ``..``, links, encryption, or more data than `limits` allow.
    CorruptFileError
        If the archive is truncated or damaged.
    OutputError
        If the folder cannot be written, e.g. because the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _refuse_unsafe(members, archive, limits or ArchiveLimits())
            for member in members:
                opened.extract(member, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise CorruptFileError(
            f"the archive {archive.name} is damaged: {error}", remedy="transfer it again", path=archive
        ) from error
    except OSError as error:
        raise OutputError(
            f"the archive could not be unpacked: {error.strerror or error}",
            remedy="free space for temporary files, or set TMPDIR to a larger disk",
            path=archive,
        ) from error


def _refuse_unsafe(members: list[zipfile.ZipInfo], archive: Path, limits: ArchiveLimits) -> None:
    def refuse(problem: str) -> UnsafeArchiveError:
        return UnsafeArchiveError(f"the archive {archive.name} {problem}", remedy=_BY_HAND, path=archive)

    for member in members:
        # Windows names are checked as well: the same archive may be opened by an engine on another system.
        for name in (PurePosixPath(member.filename), PureWindowsPath(member.filename)):
            if name.is_absolute() or name.anchor or ".." in name.parts:
                raise refuse("holds a name that points outside its folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise refuse("holds a symbolic link")
        if member.flag_bits & 0x1:
            raise refuse("is protected by a password")
    size, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if size > limits.total_bytes or len(members) > limits.members:
        raise refuse(f"would unpack to {size / 1e9:.1f} GB in {len(members)} files")
    if size > limits.ratio_from_bytes and size > limits.ratio * max(packed, 1):
        raise refuse(f"would grow {size / max(packed, 1):.0f}-fold, to {size / 1e9:.1f} GB")
