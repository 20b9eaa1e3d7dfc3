"""A report's folder: every version as a file that is written once, and the pictures they share."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from braintumor.domain import (
    CorruptFileError,
    InputNotFoundError,
    KeyImage,
    NewerVersionError,
    Report,
    sync_folder,
    write_bytes,
)
from braintumor.report.document import dump_report, read_report
from braintumor.report.editing import remade
from braintumor.report.figures import Picture

FOLDER = "report"
"""Below the results of a run."""

_PICTURES = "pictures"


def packed(pictures: Sequence[Picture]) -> tuple[tuple[KeyImage, bytes], ...]:
    """The pictures as PNG, with the names and hashes that the report knows them by."""
    return tuple(_packed(picture) for picture in pictures)


def _packed(picture: Picture) -> tuple[KeyImage, bytes]:
    stream = io.BytesIO()
    Image.fromarray(picture.rgb).save(stream, "PNG", compress_level=1)  # level 6 takes five times as long for 15 % less
    data = stream.getvalue()
    file = f"{_PICTURES}/{picture.name}.png"
    return KeyImage(picture.name, picture.caption, file, hashlib.sha256(data).hexdigest()), data


class ReportFolder:
    """All versions of one report, numbered from 1 without gaps; the newest is the report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, report: Report, pictures: Sequence[tuple[KeyImage, bytes]]) -> ReportFolder:
        """A new folder with a first version and its pictures, see `packed`."""
        (folder / _PICTURES).mkdir(parents=True)
        for image, data in pictures:
            (folder / image.file).write_bytes(data)
        made = cls(folder)
        made.add(report)
        return made

    def versions(self) -> tuple[int, ...]:
        """Numbers of the versions there are."""
        return tuple(sorted(int(path.stem[1:]) for path in self.folder.glob("v[0-9][0-9][0-9][0-9].json")))

    def latest(self) -> Report:
        """The newest version.

        Raises
        ------
        InputNotFoundError, CorruptFileError
        """
        numbers = self.versions()
        if not numbers:
            remedy = "Name a folder that `braintumor run` wrote"
            raise InputNotFoundError("There is no report in the folder", remedy=remedy, path=self.folder)
        return self.version(numbers[-1])

    def version(self, number: int) -> Report:
        """One version.

        Raises
        ------
        InputNotFoundError, CorruptFileError
        """
        report = read_report(self.path(number, "json"))
        if report.version != number:
            raise CorruptFileError("The report's file and version disagree", remedy="Restore the file", path=self.folder)
        return report

    def path(self, number: int, kind: str) -> Path:
        """Where a version's file stands; `kind` is ``json``, ``pdf``, ``dcm``, ``fhir.json`` or ``chain.json``."""
        return self.folder / f"v{number:04d}.{kind}"

    def add(self, report: Report) -> None:
        """Store a version; when this returns, a power cut loses nothing.

        Raises
        ------
        NewerVersionError
            If this version, or a later one, is there already: somebody else was faster. Nothing is changed then.
        """
        target = self.path(report.version, "json")
        aside = target.with_name(f".{os.getpid()}-{threading.get_ident()}-{target.name}")
        write_bytes(aside, dump_report(report))
        try:
            if any(number >= report.version for number in self.versions()):
                raise FileExistsError
            os.link(aside, target)  # fails where the name is taken: of two people who save at once, one is told
        except FileExistsError:
            raise NewerVersionError(
                "Somebody else changed the report meanwhile", remedy="Open it again and repeat your change", path=self.folder
            ) from None
        finally:
            aside.unlink()
        sync_folder(self.folder)

    def take(self, fresh: Report, other: ReportFolder) -> Report:
        """Store the report made of new facts, in `other`, as the next version here; versions before keep their pictures.

        Raises
        ------
        NewerVersionError
            See `add`.
        """
        number = self.latest().version + 1
        images = tuple(replace(image, file=f"{_PICTURES}/v{number:04d}-{image.name}.png") for image in fresh.pictures)
        for image, old in zip(images, fresh.pictures, strict=True):
            write_bytes(self.folder / image.file, other.picture_data(old))
        made = remade(self.latest(), replace(fresh, pictures=images))
        self.add(made)
        return made

    def pictures(self, report: Report) -> tuple[Picture, ...]:
        """The report's pictures, as they were made.

        Raises
        ------
        CorruptFileError
            If one is gone or was changed since.
        """
        return tuple(self._picture(image) for image in report.pictures)

    def picture_data(self, image: KeyImage) -> bytes:
        """A picture as PNG, checked against its hash.

        Raises
        ------
        CorruptFileError
        """
        path = self.folder / _PICTURES / Path(image.file).name  # a name from a file never leads elsewhere
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CorruptFileError("A picture of the report is gone", remedy="Run the study again", path=path) from error
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise CorruptFileError("A picture of the report was changed", remedy="Run the study again", path=path)
        return data

    def _picture(self, image: KeyImage) -> Picture:
        with Image.open(io.BytesIO(self.picture_data(image))) as opened:
            return Picture(image.name, image.caption, np.asarray(opened.convert("RGB")))
