"""Results appear whole or not at all."""

import errno

import pytest

from braintumor.domain import MANIFEST, OutputError, appearing, check_output


def write(folder):
    (folder / "dicom").mkdir()
    (folder / "dicom/seg.dcm").write_bytes(b"seg")
    (folder / MANIFEST).write_text("{}")


@pytest.mark.parametrize("exists", [False, True])
def test_results_appear_in_a_new_or_an_empty_folder(tmp_path, exists):
    out = tmp_path / "deep" / "results"
    if exists:
        out.mkdir(parents=True)
    with appearing(out) as folder:
        write(folder)
        assert not (out / MANIFEST).exists()
    assert (out / MANIFEST).read_text() == "{}"
    assert (out / "dicom/seg.dcm").read_bytes() == b"seg"
    assert sorted(path.name for path in out.iterdir()) == ["dicom", MANIFEST]


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(tmp_path, exists, error):
    out = tmp_path / "results"
    if exists:
        out.mkdir()
    with pytest.raises(error), appearing(out) as folder:
        write(folder)
        raise error
    assert out.exists() == exists
    assert not list(tmp_path.rglob("*.dcm"))
    assert [path.name for path in tmp_path.iterdir()] == (["results"] if exists else [])


def test_what_a_killed_run_left_is_swept_away(tmp_path):
    out = tmp_path / "results"
    (out / ".partial-results-1").mkdir(parents=True)
    with appearing(out) as folder:
        write(folder)
    assert sorted(path.name for path in out.iterdir()) == ["dicom", MANIFEST]


def test_full_disk_is_said_in_words(tmp_path):
    with pytest.raises(OutputError, match="disk is full"), appearing(tmp_path / "results"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match="Writing failed: Input/output error"), appearing(tmp_path / "results"):
        raise OSError(errno.EIO, "Input/output error")


def test_a_file_and_a_full_folder_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a file, not a folder"):
        check_output(tmp_path / "file")
    with pytest.raises(OutputError, match="not empty"):
        check_output(tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(tmp_path / "file" / "below")


def test_a_place_without_permission_is_refused(tmp_path, monkeypatch):
    # Root may write anywhere, so the system's answer stands in for a folder of somebody else.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(tmp_path / "results")


def test_a_failed_move_takes_back_what_was_moved(tmp_path, monkeypatch):
    out = tmp_path / "results"
    out.mkdir()
    from pathlib import Path

    replace = Path.replace

    def failing(self, target):
        if self.name == MANIFEST:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OutputError, match="disk is full"), appearing(out) as folder:
        write(folder)
        (folder / "preview.png").write_bytes(b"")
    assert list(out.iterdir()) == []
