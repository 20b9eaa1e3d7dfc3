"""A disk that is really full: the run says so, has its own exit status, and leaves nothing half-written."""

import os
import resource
import subprocess
from contextlib import contextmanager

import pytest

from braintumor.cli import main
from braintumor.domain import OutputError

pytestmark = pytest.mark.campaign

NEEDED_KB = 500
"""Below what a small phantom's results take, see `test_the_disk_is_large_enough_otherwise`."""


def call(*arguments):
    """Exit status of the command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code or 0


@contextmanager
def disk(folder, kilobytes):
    """A file system of this size mounted on a new folder, or skip the test where mounting is not permitted."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: the error in hand still holds the file that could not be finished.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(("kilobytes", "place"), [(16, "."), (100, "deep/results"), (NEEDED_KB, "."), (10_000, ".")])
def test_a_full_disk_is_said_and_nothing_is_left(dicom_study, tmp_path, capsys, kilobytes, place):
    with disk(tmp_path / "disk", kilobytes) as small:
        assert call("run", dicom_study, "-o", small / place, "--preview") == OutputError.exit_code
        assert not [path for path in small.rglob("*") if path.is_file()]
    shown = capsys.readouterr()
    assert "The disk is full" in shown.err
    assert "what to do: Free about 100 MB" in shown.err
    assert "Traceback" not in shown.err
    assert "Whole tumour" not in shown.out


def test_the_disk_is_large_enough_otherwise(dicom_study, tmp_path):
    with disk(tmp_path / "disk", 400 * NEEDED_KB) as large:
        assert call("run", dicom_study, "-o", large, "--preview") == 0
        assert (large / "result.json").exists()
        written = sum(path.stat().st_size for path in large.rglob("*") if path.is_file())
        assert written > NEEDED_KB * 1024


def test_a_quota_for_files_is_an_output_error_too(dicom_study, tmp_path, capsys):
    """Where a file may not grow further, no root is needed to see what happens."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        status = call("run", dicom_study, "-o", tmp_path / "results")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == OutputError.exit_code
    assert "File too large" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
