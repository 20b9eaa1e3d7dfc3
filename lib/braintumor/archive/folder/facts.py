"""What the index keeps of one DICOM file: identity, attributes that are searched, and where its pixels lie."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from braintumor.archive.entries import is_uid
from braintumor.archive.folder.model import Element, JsonModel

STUDY_KEYWORDS = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
)  # fmt: skip
SERIES_KEYWORDS = (
    "Modality", "SeriesDate", "SeriesTime", "Manufacturer", "SeriesDescription", "BodyPartExamined", "ProtocolName",
    "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID", "PerformedProcedureStepStartDate",
)  # fmt: skip
INSTANCE_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "ContentDate", "ContentTime", "InstanceNumber", "NumberOfFrames", "SamplesPerPixel",
    "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation",
)  # fmt: skip

_PREAMBLE = 132
_PIXEL_DATA = "7FE00010"
_DAMAGE = (EOFError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError)


def tag_name(keyword: str) -> str:
    """A keyword as eight hexadecimal digits, e.g. ``0020000D``."""
    return f"{tag_for_keyword(keyword):08X}"


STUDY_TAGS, SERIES_TAGS, INSTANCE_TAGS = (
    tuple(map(tag_name, keywords)) for keywords in (STUDY_KEYWORDS, SERIES_KEYWORDS, INSTANCE_KEYWORDS)
)
_WANTED = {int(tag, 16) for tag in (*STUDY_TAGS, *SERIES_TAGS, *INSTANCE_TAGS)}
_READ = [Tag(tag) for tag in _WANTED]


@dataclass(frozen=True, slots=True, eq=False)
class FileFacts:
    """One instance in the folder.

    Attributes
    ----------
    stamp
        Time of last change (ns) and size: a file with another stamp is read again.
    syntax
        Transfer Syntax UID.
    pixels_at
        Offset of the Pixel Data element in the file, in bytes; 0 if it has none, or the data set is deflated.
    attributes
        Tag (eight hexadecimal digits) -> DICOM JSON of what `search` and the frames need.
    """

    path: Path
    stamp: tuple[int, int]
    study: str
    series: str
    uid: str
    syntax: str
    pixels_at: int
    attributes: dict[str, Element]

    def value(self, keyword: str, default: Any = None) -> Any:
        """First value of an attribute that the index keeps."""
        return next(iter(self.attributes.get(tag_name(keyword), {}).get("Value") or ()), default)

    @property
    def frames(self) -> int:
        """How many frames it has; 0 if it has no pixels."""
        return int(self.value("NumberOfFrames") or 1) if self.value("Rows") else 0


def read_facts(source: Path | bytes, path: Path, stamp: tuple[int, int], model: JsonModel) -> FileFacts | None:
    """Read the header of a file, or of bytes that will become the file `path`; None if it is no usable DICOM instance."""
    try:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
            if file.read(_PREAMBLE)[-4:] != b"DICM":
                return None
            file.seek(0)
            return _facts(file, path, stamp, model)
    except _DAMAGE:
        return None


def _facts(file: BinaryIO, path: Path, stamp: tuple[int, int], model: JsonModel) -> FileFacts | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes odd values, which may be patient data
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_READ)
        attributes = {f"{tag:08X}": model.element(dataset, tag) for tag in sorted(dataset.keys()) if int(tag) in _WANTED}
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    pixels = attributes.get(tag_name("Rows")) is not None and syntax != DeflatedExplicitVRLittleEndian
    study, series, uid, kind = (
        str(dataset.get(k, "")) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    )
    if not all(map(is_uid, (study, series, uid, kind))):
        return None
    return FileFacts(path, stamp, study, series, uid, str(syntax), file.tell() if pixels else 0, attributes)


def header_members(facts: FileFacts, model: JsonModel, where: str) -> list[str]:
    """Everything of a file but its pixels, as `JsonModel.members`; the pixels by reference.

    Raises
    ------
    OSError
        If the file is gone or unreadable.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset: Dataset = pydicom.dcmread(facts.path, stop_before_pixels=True)
        members = model.members(dataset, where)
    if facts.frames:
        members.append(f'"{_PIXEL_DATA}":{{"vr":"OW","BulkDataURI":"{where}{_PIXEL_DATA}"}}')
    return members
