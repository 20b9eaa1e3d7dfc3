"""Which files of a run are sent, each checked against `result.json` before and while it is sent."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydicom.uid import UID

from braintumor.archive.instances import decoded
from braintumor.domain import MANIFEST, CorruptFileError
from braintumor.node.deliver.faults import Fault, OutletError

Kind = Literal["dicom", "dicomweb", "fhir", "folder"]

_OBJECTS = {
    "segmentation": r"dicom/segmentation\.dcm",
    "measurements": r"dicom/measurements\.dcm",
    "pictures": r"dicom/picture-[\w-]+\.dcm",
    "report": r"dicom/report\.dcm",
}
"""What `Destination.send` names -> files of a run (`braintumor.export.writing`), as patterns: they never lead elsewhere."""

_PAPER = r"report\.pdf"
_DRAFT = (r"report/v0001\.json", r"report/v0001\.fhir\.json")
"""The first version of a report; a node makes no other."""


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """One DICOM instance, as others refer to it."""

    study_uid: str
    series_uid: str
    sop_uid: str
    class_uid: UID
    syntax: UID
    """Transfer syntax of its file."""


@dataclass(frozen=True, slots=True)
class DeliveryItem:
    """One file to be sent; `sha256` is that of `result.json`."""

    path: Path
    sha256: str

    def read(self) -> bytes:
        """Its content, which is what the run wrote.

        Raises
        ------
        OutletError
            If it is gone or was altered.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError as error:
            raise _missing("A file of the results is gone") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise _missing("A file of the results was altered")
        return content

    def reference(self) -> InstanceReference:
        """The DICOM instance in it.

        Raises
        ------
        OutletError
            If it is gone or no DICOM file.
        """
        try:
            found = decoded(self.path, pixels=False)
        except (CorruptFileError, FileNotFoundError) as error:
            raise _missing("A file of the results is gone or altered") from error
        return InstanceReference(
            study_uid=str(found.StudyInstanceUID),
            series_uid=str(found.SeriesInstanceUID),
            sop_uid=str(found.SOPInstanceUID),
            class_uid=UID(found.SOPClassUID),
            syntax=UID(found.file_meta.TransferSyntaxUID),
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes to one destination at once: results of one generation of a study, which logs call `pseudonym`."""

    pseudonym: str
    generation: int
    items: tuple[DeliveryItem, ...]


def files_of(results: Path, send: Sequence[str], kind: Kind = "dicom") -> tuple[DeliveryItem, ...]:
    """The files of a run's folder that a destination gets; every one has been read and is as the run wrote it.

    Parameters
    ----------
    send
        As `braintumor.node.settings.DestinationSettings.send`.
    kind
        A folder gets ``report.pdf`` with the report; a FHIR server gets the report's bundle whatever `send` says, and with it
        the report it was made of, to ask for it again.

    Raises
    ------
    OutletError
        With `Fault.DATA_MISSING`, if a file is gone or altered, or the run wrote none of a sort that is asked for.
    """
    patterns = [*_DRAFT] if kind == "fhir" else [_OBJECTS[name] for name in send]
    if kind == "folder" and "report" in send:
        patterns.append(_PAPER)
    written = dict(_written(results))
    found: list[DeliveryItem] = []
    for pattern in patterns:
        named = [DeliveryItem(results / path, sha256) for path, sha256 in written.items() if re.fullmatch(pattern, path)]
        if not named:
            raise _missing("The results lack a file that is to be sent")
        found += named
    for item in found:
        item.read()
    return tuple(found)


def _written(results: Path) -> Iterator[tuple[str, str]]:
    """Path and SHA-256 of everything that a run wrote."""
    try:
        content: Any = json.loads((results / MANIFEST).read_text("utf-8"))
        for files in content["outputs"].values():
            for file in files:
                yield str(file["path"]), str(file["sha256"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing("The results are gone") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _missing("The list of the results is damaged") from error


def _missing(problem: str) -> OutletError:
    return OutletError(Fault.DATA_MISSING, problem, remedy="Nothing was sent; run the study again")
