"""A list of files -> the MR images among them: header and SHA-256 of each, grouped by series; everything else with a reason."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from braintumor.domain import (
    BrainTumorError,
    CorruptFileError,
    Instance,
    ModalityError,
    PatientMismatchError,
    ShareProgress,
    silent,
)

Refuse = Callable[[BrainTumorError], None]
"""What to do with bad input: `read` raises it, `inspect` writes it down and goes on."""

MR_IMAGES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
"""SOP classes of the images that are worked on (PS3.4 B.5)."""

DECODING_ERRORS = (
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on damaged input; they have no common base."""

_PREAMBLE = 132
_SAID_TO_BE_DICOM = (".dcm", ".ima", ".dicom")
_UNDEFINED = 0xFFFFFFFF
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"
_AGAIN = "transfer the file again from the scanner or PACS"


@dataclass(frozen=True, eq=False, slots=True)
class Header:
    """One DICOM image without its pixels.

    Attributes
    ----------
    dataset
        All attributes before the pixel data.
    pixel_offset, pixel_length
        Where the value of the pixel data lies in the file, in bytes; length -1 if it is compressed, offset 0 if the whole
        data set is deflated.
    """

    instance: Instance
    dataset: Dataset
    pixel_offset: int
    pixel_length: int

    @property
    def name(self) -> str:
        """File name, for messages."""
        return self.instance.path.name


@dataclass(eq=False)
class SeriesIndex:
    """What a list of files holds.

    Attributes
    ----------
    series
        Series Instance UID -> its MR images, in file order.
    ignored
        Series Instance UID or file name -> why it is not used.
    copies
        Number of files that were byte-identical copies of others and left out.
    not_dicom
        Files without the DICOM prefix.
    patients, studies
        How many different ones were met.
    """

    series: dict[str, list[Header]] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    copies: int = 0
    not_dicom: list[Path] = field(default_factory=list)
    patients: int = 0
    studies: int = 0

    @property
    def first(self) -> Dataset:
        """The header that study and patient are taken from."""
        return next(iter(self.series.values()))[0].dataset


def index_files(files: Iterable[Path], refuse: Refuse, progress: ShareProgress = silent) -> SeriesIndex:
    """Read every file once: hash it, parse its header, sort it into its series.

    Parameters
    ----------
    files
        In the order in which series and slices are to be listed.
    refuse
        Called with a `CorruptFileError` (truncated file), `PatientMismatchError` (two patients or studies) or `ModalityError`
        (no MR image, but images of another modality). If it returns, indexing goes on without the file.
    progress
        Called with 0..1.
    """
    index, people, hashes = SeriesIndex(), _People(), set[str]()
    others: dict[str, Path] = {}
    files = list(files)
    for number, path in enumerate(files):
        header = _header(path, index, refuse)
        progress((number + 1) / len(files))
        if header is None:
            continue
        if header.instance.sha256 in hashes:
            index.copies += 1
            continue
        hashes.add(header.instance.sha256)
        people.meet(header)
        _sort_in(header, index, others)
    index.patients, index.studies = len(people.patients), len(people.studies)
    if people.mixed:
        refuse(people.error())
    if others and not index.series:
        modality, path = next(iter(others.items()))
        refuse(
            ModalityError(
                f"the images are {modality}, not MR", remedy="give an MR study with T1, T1ce, T2 and FLAIR series", path=path
            )
        )
    return index


def raise_it(error: BrainTumorError) -> NoReturn:
    """`Refuse` for `read`."""
    raise error


def text(dataset: Dataset, keyword: str) -> str:
    """An attribute as one line of text; empty if absent. Several values are joined by a backslash, as stored."""
    try:
        value = dataset.get(keyword)
    except DECODING_ERRORS:  # a value that contradicts its type, e.g. letters in a number
        return ""
    if value is None:
        return ""
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        return "\\".join(str(v) for v in value)
    return str(value).strip()


def _header(path: Path, index: SeriesIndex, refuse: Refuse) -> Header | None:
    try:
        with path.open("rb") as file:
            start = file.read(_PREAMBLE)
            data = start + file.read() if start[-4:] == b"DICM" else None
    except OSError as error:
        refuse(CorruptFileError(f"{path.name} cannot be read: {error.strerror}", remedy="check its permissions", path=path))
        return None
    if data is None:
        index.not_dicom.append(path)
        if path.suffix.lower() in _SAID_TO_BE_DICOM:
            refuse(CorruptFileError(f"{path.name} is named as DICOM but does not begin as DICOM", remedy=_AGAIN, path=path))
        return None
    try:
        return parse(data, path)
    except CorruptFileError as error:
        refuse(error)
        return None


def parse(data: bytes, path: Path) -> Header:
    """The header of one DICOM file from its bytes.

    Raises
    ------
    CorruptFileError
        If it ends early, or lacks the identifiers that every DICOM object has (PS3.3 C.12.1).
    """
    buffer = io.BytesIO(data)
    try:
        dataset = pydicom.dcmread(buffer, stop_before_pixels=True)
        if dataset.file_meta.get("MediaStorageSOPClassUID") != MediaStorageDirectoryStorage:
            identifiers = (dataset.SOPInstanceUID, dataset.SOPClassUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID)
            if not all(identifiers):
                raise ValueError("an identifier is empty")
        offset, length = _pixel_data(data, buffer.tell(), dataset)
    except DECODING_ERRORS as error:
        raise CorruptFileError(f"{path.name} is truncated or damaged", remedy=_AGAIN, path=path) from error
    instance = Instance(text(dataset, "SOPInstanceUID"), hashlib.sha256(data).hexdigest(), path)
    return Header(instance, dataset, offset, length)


def _pixel_data(data: bytes, start: int, dataset: Dataset) -> tuple[int, int]:
    """Offset and length of the pixel data value (PS3.5 7.1 and A.4), checked to lie inside the file."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if syntax == DeflatedExplicitVRLittleEndian:
        return 0, -1
    if start >= len(data):
        if dataset.get("SOPClassUID") in MR_IMAGES:
            raise EOFError("an image ends before its pixel data")
        return 0, -1
    order = "<" if syntax.is_little_endian else ">"
    length_at = start + (4 if syntax.is_implicit_VR else 8)
    length = struct.unpack_from(f"{order}I", data, length_at)[0]
    if length == _UNDEFINED:
        if data.rfind(_SEQUENCE_END) < start:
            raise EOFError("compressed pixel data has no end")
        return length_at + 4, -1
    if length_at + 4 + length > len(data):
        raise EOFError("pixel data ends early")
    return length_at + 4, length


def _sort_in(header: Header, index: SeriesIndex, others: dict[str, Path]) -> None:
    dataset = header.dataset
    kind, modality = dataset.get("SOPClassUID"), text(dataset, "Modality")
    series = text(dataset, "SeriesInstanceUID") or header.name
    if kind in MR_IMAGES and modality == "MR":
        index.series.setdefault(series, []).append(header)
    elif "Rows" in dataset and modality not in ("MR", "SEG", "OT", "SC", "PR", "DOC"):
        others.setdefault(modality or "of no stated modality", header.instance.path)
        index.ignored[series] = f"images of modality {modality or 'unknown'}, not MR"
    else:
        name = UID(str(kind or dataset.file_meta.get("MediaStorageSOPClassUID", ""))).name
        index.ignored[series] = f"not an acquired MR image: {name}"


class _People:
    """Keeps apart whose images were met, without ever saying it."""

    def __init__(self) -> None:
        self.patients: dict[tuple[str, ...], str] = {}
        self.studies: dict[str, str] = {}

    def meet(self, header: Header) -> None:
        dataset = header.dataset
        if "StudyInstanceUID" not in dataset:  # a DICOMDIR belongs to nobody
            return
        identity = text(dataset, "PatientID")
        # Without an ID the name and birth date tell patients apart; with one, they are often spelled in several ways.
        person = (identity,) if identity else ("", text(dataset, "PatientName"), text(dataset, "PatientBirthDate"))
        self.patients.setdefault(person, header.name)
        self.studies.setdefault(text(dataset, "StudyInstanceUID"), header.name)

    @property
    def mixed(self) -> bool:
        return len(self.patients) > 1 or len(self.studies) > 1

    def error(self) -> PatientMismatchError:
        names, what = list(self.patients.values()), "patients"
        if len(names) == 1:
            names, what = list(self.studies.values()), "studies"
        return PatientMismatchError(
            f"the input holds images of {len(names)} {what}, for instance {names[0]} and {names[1]}",
            remedy="give one study of one patient at a time",
        )
