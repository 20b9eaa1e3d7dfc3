"""What all DICOM objects of one run share: identity, equipment, time, and the header of the study they belong to."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DA, DT, TM

from braintumor import __version__
from braintumor.domain import (
    Code,
    CorruptFileError,
    InputNotFoundError,
    Instance,
    MRSequence,
    Segmentation,
    Series,
    Study,
    StudyKind,
    explained,
)

MANUFACTURER = "Brain Tumor project"
PRODUCT = "braintumor"
UTF_8 = "ISO_IR 192"
"""Every object is written in UTF-8 (PS3.3 C.12.1.1.2): the one character set that holds every source's names and ours."""

_NAMESPACE = uuid.UUID("6f0b3c56-0a3e-5f0c-9d55-3f0e9f3d6a11")
_FIRST_SERIES_NUMBER = {"seg": 1001, "sr": 1011, "sc": 1021, "pdf": 1031}
_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")
_NAMES = ("PatientName", "ReferringPhysicianName")
_SEXES = ("M", "F", "O", "")


@dataclass(frozen=True, slots=True)
class ResultContext:
    """Identity, equipment and time of everything one run writes; the same context gives the same bytes.

    A DICOM UID must change when the content does (PS3.5 section 9). So UIDs follow from `digest` (all that goes in) and
    from `created` (the objects carry it): writing again with both unchanged repeats the same instances, any change makes
    new ones. Tracking UIDs are the exception: they name the patient's tumour, not one outline of it, and stay as long as
    the study does.

    Attributes
    ----------
    digest
        Hex digest of the source instances, the mask, its author and this package's version.
    created
        Local wall-clock time of the content.
    software_version, serial_number
        Of the writing device; DICOM wants a serial number, software has none, so it is the version again.
    """

    digest: str
    created: datetime
    manufacturer: str = MANUFACTURER
    model_name: str = PRODUCT
    software_version: str = __version__
    serial_number: str = __version__

    @classmethod
    def of(cls, study: Study, segmentation: Segmentation, created: datetime) -> ResultContext:
        """The context of one run over `study` that gave `segmentation` (on whichever grid) at `created`."""
        author = segmentation.author
        digest = hashlib.sha256(repr((study.uid, __version__, author, segmentation.grid.affine.tolist())).encode())
        for sequence in MRSequence:
            if sequence in study.series:
                digest.update("".join((sequence, *(i.sha256 for i in study.series[sequence].instances))).encode())
        digest.update(segmentation.mask.tobytes())
        return cls(digest.hexdigest(), created)

    def uid(self, *what: str) -> str:
        """A UID of this run; the same for the same words. Form ``2.25.<UUID>`` (PS3.5 B.2, ISO/IEC 9834-8)."""
        return uid_of(self.digest, self.created.isoformat(), *what)

    def tracking(self, study_uid: str, short: str) -> tuple[str, str]:
        """Tracking ID and Tracking UID of a label or region (by its short name) in one study; not bound to this run."""
        return f"{PRODUCT}-{short}", uid_of("tracking", study_uid, short)

    def series_number(self, kind: str, sequence: MRSequence | None = None) -> int:
        """Series Number for `kind` (``seg``, ``sr``, ``sc``, ``pdf``); each sequence's SEG has its own."""
        return _FIRST_SERIES_NUMBER[kind] + (0 if sequence is None else list(MRSequence).index(sequence))

    @property
    def device_uid(self) -> str:
        """Names this version of the software as an observing device."""
        return uid_of("device", self.model_name, self.software_version)

    def arguments(self, kind: str, description: str, *, sequence: MRSequence | None = None, number: int = 1) -> dict[str, Any]:
        """Keyword arguments that every highdicom constructor takes: identity, equipment, time and character set.

        Parameters
        ----------
        kind
            As in `series_number`.
        description
            Series Description, at most 64 characters.
        sequence
            Which sequence's series the object refers to, where there is one object per series.
        number
            Instance Number within the series.
        """
        part = (kind,) if sequence is None else (kind, sequence.value)
        return {
            "series_instance_uid": self.uid("series", *part),
            "series_number": self.series_number(kind, sequence),
            "series_description": description,
            "sop_instance_uid": self.uid("instance", *part, str(number)),
            "instance_number": number,
            "manufacturer": self.manufacturer,
            "manufacturer_model_name": self.model_name,
            "software_versions": self.software_version,
            "device_serial_number": self.serial_number,
            "content_date": self.created.date(),
            "content_time": self.created.time(),
            "specific_character_set": UTF_8,
            "transfer_syntax_uid": ExplicitVRLittleEndian,
        }


def uid_of(*words: str) -> str:
    """A UID that follows from words, form ``2.25.<UUID>`` (PS3.5 B.2, ISO/IEC 9834-8)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(words)).int}"


def read_instance(instance: Instance) -> Dataset:
    """Everything before the pixels of one source file.

    Raises
    ------
    InputNotFoundError
        If the file is gone.
    CorruptFileError
        If it is no longer the instance that the study was read from.
    """
    try:
        dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
    except OSError as error:
        problem = f"a source file can no longer be read: {error.strerror or error}"
        raise InputNotFoundError(problem, remedy="keep the input in place until the run is done", path=instance.path) from error
    except InvalidDicomError as error:
        raise _changed(instance) from error
    if dataset.get("SOPInstanceUID") != instance.uid:
        raise _changed(instance)
    return dataset


def read_header(study: Study, series: Series) -> Dataset:
    """The header all results inherit patient and study from: the series' first instance, without its frames, in Unicode.

    Absent or unusable attributes that DICOM wants at least empty (type 2) are made empty; nothing is invented.

    Raises
    ------
    InputNotFoundError
        If the study has no DICOM instances (it came as NIfTI): there is nothing a DICOM object could refer to.
    CorruptFileError
        See `read_instance`.
    """
    if study.kind is not StudyKind.DICOM:
        raise InputNotFoundError(
            "a study read from NIfTI has no DICOM instances that a DICOM result could refer to",
            remedy="convert it with `braintumor to-dicom` first, or use the NIfTI results",
        )
    header = read_instance(series.instances[0])
    if "PerFrameFunctionalGroupsSequence" in header:
        del header.PerFrameFunctionalGroupsSequence
    return tidy(header)


def tidy(header: Dataset) -> Dataset:
    """`header`, changed in place: text decoded to Unicode, type 2 attributes present, unusable values empty."""
    header.decode()  # also inside sequences, which would otherwise keep bytes of the old character set
    header.SpecificCharacterSet = UTF_8
    for keyword in (*_TYPE_2, *_NAMES):
        if header.get(keyword) is None:
            setattr(header, keyword, "")
    for keyword, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        try:
            kind(header.get(keyword))
        except ValueError:
            setattr(header, keyword, "")
    if header.PatientSex not in _SEXES:
        header.PatientSex = ""
    return header


def nameless(header: Dataset) -> Dataset:
    """A copy without persons' names: highdicom puts a name it finds odd into warnings and logs."""
    copy = deepcopy(header)
    for keyword in _NAMES:
        setattr(copy, keyword, "")
    return copy


def identity(header: Dataset) -> dict[str, Any]:
    """Patient and study as the constructors of highdicom take them that know no source image; names come with `stamp`."""
    keywords = {"patient_birth_date": "PatientBirthDate", "patient_sex": "PatientSex", "study_instance_uid": "StudyInstanceUID"}
    keywords |= {"patient_id": "PatientID", "accession_number": "AccessionNumber", "study_id": "StudyID"}
    keywords |= {"study_date": "StudyDate", "study_time": "StudyTime"}
    return {argument: header.get(keyword) for argument, keyword in keywords.items()}


def stamp(dataset: Dataset, header: Dataset, context: ResultContext) -> None:
    """Give a new object its persons' names back, and the run's time wherever highdicom wrote its own."""
    for keyword in _NAMES:
        setattr(dataset, keyword, str(header[keyword].value))
    dataset.InstanceCreationDate = dataset.SeriesDate = DA(context.created.date())
    dataset.InstanceCreationTime = dataset.SeriesTime = TM(context.created.time())
    for equipment in dataset.get("ContributingEquipmentSequence", ()):
        if equipment.get("ManufacturerModelName") == "highdicom":
            equipment.ContributionDateTime = DT(context.created)


def dicom_code(code: Code) -> DicomCode:
    """A code of the label table as pydicom and highdicom take it."""
    return DicomCode(code.value, code.scheme, code.meaning)


def person_name(name: str) -> str:
    """A person's name in DICOM notation: free text becomes a family name alone (PS3.5 6.2.1.2)."""
    return name if "^" in name else f"{name}^"


def references(series: Series, sop_class_uid: str) -> Iterator[Dataset]:
    """One SOP Instance Reference (PS3.3 table 10-11) per source instance of the series."""
    for instance in series.instances:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = instance.uid
        yield item


def save(dataset: Dataset, path: Path) -> Path:
    """Write a DICOM file (PS3.10, explicit VR little endian) that must not exist yet; returns `path`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        dataset.save_as(path, enforce_file_format=True, overwrite=False)
    except OSError as error:
        # pydicom hides the system's error behind one of the same type whose message is a traceback.
        raise explained(error.__cause__ if isinstance(error.__cause__, OSError) else error, path) from error
    return path


def _changed(instance: Instance) -> CorruptFileError:
    return CorruptFileError(
        "a source file is not the DICOM instance any more that the study was read from",
        remedy="run again on an input that nobody changes meanwhile",
        path=instance.path,
    )
