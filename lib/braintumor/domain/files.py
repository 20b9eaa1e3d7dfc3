"""Files written so that a reader sees the old one or the whole new one: JSON that survives a power cut, and plain NIfTI."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain.geometry import LPS_FROM_RAS, Grid


def write_json(path: Path, content: Any) -> None:
    """Write JSON in the place of `path`; when this returns, a power cut loses nothing."""
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in the place of `path`; when this returns, a power cut loses nothing."""
    partial = _aside(path)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def write_nifti(path: Path, voxels: npt.NDArray[Any], grid: Grid) -> None:
    """Write voxels (i, j, k) on a grid (LPS+ mm) as NIfTI, which is RAS+ mm; `path` ends in ``.nii`` or ``.nii.gz``."""
    import nibabel as nib  # it brings pydicom and an HTTP client along, which most users of the domain do not need

    image: Any = nib.Nifti1Image(np.asarray(voxels), LPS_FROM_RAS @ grid.affine)
    image.header.set_xyzt_units("mm")
    partial = _aside(path)
    nib.save(image, partial)
    partial.replace(path)


def files_below(folder: Path) -> list[Path]:
    """Regular files of a folder and its folders, sorted; hidden ones (a leading dot) are left out.

    Links to folders are followed, as people collect cases by links; each folder is entered once, so a link to a parent ends.
    """
    found: list[Path] = []
    entered: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place).stat()
        if (here.st_dev, here.st_ino) in entered:
            folders.clear()
            continue
        entered.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [path for name in names if not name.startswith(".") and (path := Path(place, name)).is_file()]
    return sorted(found)


def sync_folder(folder: Path) -> None:
    """Make sure that new names in a folder are on the disk (fsync(2): a file's own fsync does not say so)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _aside(path: Path) -> Path:
    # the suffix stays last: nibabel chooses the format by it
    return path.with_name(f".{os.getpid()}.{threading.get_ident()}.{path.name}")
