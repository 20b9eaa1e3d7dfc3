"""The watched folder: whole files are taken, growing ones are waited for, what is refused is put aside."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from braintumor.node.receive.folder import WatchedFolder
from braintumor.node.settings import Watch
from braintumor.node.spool import Arrival, Spool
from tests.node.receive_peers import changed

CT = "1.2.840.10008.5.1.4.1.1.2"
EVERY_S = 0.05


class Watched:
    def __init__(self, root: Path, free_mb: int = 0) -> None:
        self.folder, self.spool = root / "drop", Spool(root / "node", free_mb)
        self.folder.mkdir(exist_ok=True)
        self.arrivals: list[Arrival] = []
        self.counts: Counter[str] = Counter()
        self.door = WatchedFolder(
            Watch(folder=self.folder, every_s=EVERY_S), self.spool, self.arrivals.append, lambda c: self.counts.update([str(c)])
        )

    def left(self) -> set[str]:
        return {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if not p.is_dir() or p.is_symlink()}

    def until(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 15
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        return condition()

    def looks(self) -> None:
        """Waits until whatever lay there before has been looked at twice."""
        probe = self.folder / "probe"
        probe.write_bytes(b"no DICOM")
        assert self.until(lambda: not probe.exists())
        for path in (self.folder / "refused").glob("probe*"):
            path.unlink()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    found = Watched(tmp_path)
    with found.door:
        yield found


def test_files_of_any_name_in_any_subfolder_are_taken(watched: Watched, files: list[Path]) -> None:
    names = ["IM1", "späte Aufnahme/ä #2.dcm", ".hidden", "a/b/c/IM4.txt"]
    for name, path in zip(names, files, strict=False):
        (watched.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (watched.folder / name).write_bytes(path.read_bytes())
    assert watched.until(lambda: not watched.left())
    assert len(list(watched.spool.kept())) == len(watched.arrivals) == watched.counts["new"] == 4
    assert watched.arrivals[0].calling == "folder"


def test_a_file_that_grows_is_waited_for(tmp_path: Path, files: list[Path]) -> None:
    watched, content = Watched(tmp_path), files[0].read_bytes()
    path = watched.folder / "slow.dcm"
    for end in range(500, len(content) + 500, 500):
        path.write_bytes(content[:end])
        watched.door.look()
        assert watched.left() == {"slow.dcm"}
    watched.door.look()
    assert not watched.left()
    assert watched.counts == {"new": 1}


def test_what_is_refused_is_put_aside_with_its_reason(watched: Watched, files: list[Path]) -> None:
    (watched.folder / "IM1").write_bytes(files[0].read_bytes())
    assert watched.until(lambda: not watched.left())
    (watched.folder / "sub").mkdir()
    contents = {
        "sub/ct": changed(files[1], SOPClassUID=CT),
        "cut": files[2].read_bytes()[:-10],
        "notes.txt": b"words",
        "empty": b"",
        "other": changed(files[0], ImageComments="altered"),
    }
    for name, content in contents.items():
        (watched.folder / name).write_bytes(content)
    assert watched.until(lambda: len(watched.left()) == 10 and all(name.startswith("refused/") for name in watched.left()))
    aside = watched.folder / "refused"
    assert {name: (aside / f"{name}.reason.txt").read_text().strip() for name in contents} == {
        "sub/ct": "not-mr",
        "cut": "incomplete",
        "notes.txt": "unreadable",
        "empty": "unreadable",
        "other": "conflict",
    }
    assert all((aside / name).read_bytes() == content for name, content in contents.items())


def test_nothing_that_was_put_aside_is_overwritten(watched: Watched) -> None:
    for words in (b"first", b"second"):
        (watched.folder / "IM1").write_bytes(words)
        assert watched.until(lambda: not (watched.folder / "IM1").exists())
    aside = watched.folder / "refused"
    assert watched.until(lambda: (aside / "IM1~2").exists())
    assert ((aside / "IM1").read_bytes(), (aside / "IM1~2").read_bytes()) == (b"first", b"second")


def test_links_and_pipes_are_left_alone(watched: Watched, files: list[Path], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "IM1").write_bytes(files[0].read_bytes())
    (watched.folder / "file").symlink_to(outside / "IM1")
    (watched.folder / "folder").symlink_to(outside)
    os.mkfifo(watched.folder / "pipe")
    watched.looks()
    assert watched.left() == {"file", "folder", "pipe"}
    assert (outside / "IM1").exists()
    assert not list(watched.spool.kept())


def test_without_space_files_stay_until_there_is_some(tmp_path: Path, files: list[Path]) -> None:
    full = Watched(tmp_path, free_mb=10**9)
    (full.folder / "IM1").write_bytes(files[0].read_bytes())
    with full.door:
        assert full.until(lambda: full.counts["out-of-space"] > 0)
        assert full.left() == {"IM1"}
    free = Watched(tmp_path)
    with free.door:
        assert free.until(lambda: not free.left())
    assert free.counts == {"new": 1}


def test_a_folder_that_comes_later(tmp_path: Path, files: list[Path]) -> None:
    watched = Watched(tmp_path)
    watched.folder.rmdir()
    with watched.door:
        assert watched.door.running
        time.sleep(3 * EVERY_S)
        watched.folder.mkdir()
        (watched.folder / "IM1").write_bytes(files[0].read_bytes())
        assert watched.until(lambda: not watched.left())
    assert not watched.door.running
    assert watched.counts == {"new": 1}


def test_no_folder_is_nothing_to_do(tmp_path: Path) -> None:
    with WatchedFolder(Watch(), Spool(tmp_path), lambda arrival: None) as door:
        assert not door.running
