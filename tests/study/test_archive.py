"""Archives that could do harm are refused before anything is written."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from braintumor.domain import CorruptFileError, InputNotFoundError, OutputError, UnsafeArchiveError
from braintumor.study import inspect, read_study
from braintumor.study.archive import ArchiveLimits, unpack


def zipped(path: Path, *names: str, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in names:
            out.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:\\evil", "..\\evil", "\\\\host\\share\\evil"])
def test_names_that_point_outside(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", "fine", name)
    for function in (read_study, inspect):
        with pytest.raises(UnsafeArchiveError, match="points outside"):
            function(archive)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_symbolic_link(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match="symbolic link"):
        read_study(tmp_path / "a.zip")


def test_password(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", "one")
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    archive.write_bytes(data)
    with pytest.raises(UnsafeArchiveError, match="password"):
        read_study(archive)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (ArchiveLimits(total_bytes=1000), "would unpack to"),
        (ArchiveLimits(members=1), "2 files"),
        (ArchiveLimits(ratio=10, ratio_from_bytes=1000), "would grow"),
    ],
)
def test_bombs(tmp_path: Path, limits: ArchiveLimits, says: str) -> None:
    archive = zipped(tmp_path / "a.zip", "one", "two", content=bytes(100_000))
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(UnsafeArchiveError, match=says):
        unpack(archive, folder, limits)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("damage", [slice(0, 40), slice(0, 2)])
def test_truncated_archive(tmp_path: Path, damage: slice) -> None:
    archive = zipped(tmp_path / "a.zip", "one", content=bytes(range(256)) * 40)
    archive.write_bytes(archive.read_bytes()[damage])
    with pytest.raises(CorruptFileError, match=r"a\.zip"):
        read_study(archive)


def test_damaged_member(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", "one", content=bytes(range(256)) * 40)
    data = bytearray(archive.read_bytes())
    data[45] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"a\.zip is damaged"):
        read_study(archive)


def test_empty_archive(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="empty"):
        read_study(zipped(tmp_path / "a.zip"))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(OutputError, match="could not be unpacked"):
        unpack(zipped(tmp_path / "a.zip", "one"), blocked)
