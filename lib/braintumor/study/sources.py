"""Whatever was given (folder, file, zip, DICOMweb study) as a list of local files."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from braintumor.domain import CorruptFileError, InputNotFoundError, files_below
from braintumor.study import archive, dicomweb


@dataclass(frozen=True, eq=False)
class Material:
    """Local files of one input.

    Attributes
    ----------
    files
        Sorted by path; hidden files left out.
    root
        The folder they are in.
    name
        Of the input as it was given: folder or file name without its suffix.
    temporary
        Where they were unpacked or fetched to, to be cleaned up by whoever holds this; None if they are the user's own.
    """

    files: tuple[Path, ...]
    root: Path
    name: str
    temporary: tempfile.TemporaryDirectory[str] | None = None

    def clean(self) -> None:
        """Remove temporary files, if any."""
        if self.temporary is not None:
            self.temporary.cleanup()


def gather(source: str | Path) -> Material:
    """The files of an input.

    Parameters
    ----------
    source
        Folder, single file, zip, DICOMweb study URL, or ``folder/CASE`` for one NIfTI case of a folder that holds many.

    Raises
    ------
    InputNotFoundError
        If there is nothing there.
    CorruptFileError, UnsafeArchiveError, OutputError
        From unpacking.
    """
    if dicomweb.is_url(source):
        return _temporary("study", lambda folder: dicomweb.download(str(source), folder))
    path = Path(source).expanduser()
    if path.is_dir():
        files = tuple(files_below(path))
        if not files:
            raise InputNotFoundError("the folder is empty", remedy="give a folder with a DICOM or NIfTI study", path=path)
        return Material(files, path, path.resolve().name)
    if path.is_file():
        return _single(path)
    siblings = tuple(sorted(f for f in path.parent.glob(f"{path.name}[_-]*.nii*") if f.is_file())) if path.name else ()
    if siblings:
        return Material(siblings, path.parent, path.name)
    raise InputNotFoundError("the input does not exist", remedy="check the path", path=path)


def _single(path: Path) -> Material:
    if path.suffix.lower() == ".zip" or (not path.name.endswith(".gz") and zipfile.is_zipfile(path)):
        if not zipfile.is_zipfile(path):
            raise CorruptFileError(
                f"{path.name} is not a complete zip archive",
                remedy="transfer it again, or unpack it and give the folder",
                path=path,
            )
        return _temporary(path.stem, lambda folder: archive.unpack(path, folder))
    return Material((path,), path.parent, path.name.split(".")[0])


def _temporary(name: str, fill: Callable[[Path], None]) -> Material:
    temporary = tempfile.TemporaryDirectory(prefix="braintumor-")
    try:
        folder = Path(temporary.name)
        fill(folder)
        files = tuple(files_below(folder))
        if not files:
            raise InputNotFoundError("the archive or study is empty", remedy="give one with a DICOM or NIfTI study")
    except BaseException:
        temporary.cleanup()
        raise
    return Material(files, folder, name, temporary)
