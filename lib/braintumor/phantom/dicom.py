"""Writes a volume as a proper DICOM MR series, classic or enhanced, with the header habits of a real vendor."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    generate_uid,
)

from braintumor.domain import Image, MRSequence, OutputError, Patient, UnusableImageError
from braintumor.phantom.enhanced import enhanced_dataset
from braintumor.phantom.planes import Awkward, Quantisation, StoredPlane, decimal, planes_of
from braintumor.phantom.protocol import PROTOCOLS, SCANNERS, Protocol, Vendor

__all__ = ["SERIES_NUMBERS", "Awkward", "StudyHeader", "Vendor", "series_uid", "study_header", "uid_from", "write_series"]

SERIES_NUMBERS = {MRSequence.T1: 1, MRSequence.T2: 2, MRSequence.FLAIR: 3, MRSequence.T1CE: 4}
"""In the order of a protocol: contrast comes last."""
JPEG2000_MINIMUM = 32  # OpenJPEG always makes six resolutions, each half the size of the last
NOT_MEASURED = "Synthetic header: acquisition parameters are typical values, not measured."


@dataclass(frozen=True, slots=True)
class StudyHeader:
    r"""What all series of one written study share.

    Attributes
    ----------
    patient
        Name in DICOM notation (``Family^Given``, Japanese with three groups separated by ``=``); birth date YYYYMMDD.
    character_set
        Specific Character Set in DICOM notation, e.g. ``ISO_IR 100``, ``ISO_IR 192``, ``\ISO 2022 IR 87`` (empty first value).
    study_date
        None leaves all dates empty; an enhanced series needs one.
    vendor
        Whose header habits to follow.
    """

    patient: Patient
    study_uid: str
    frame_of_reference_uid: str
    study_date: date | None
    study_description: str = "MR brain with and without contrast"
    character_set: str = "ISO_IR 100"
    vendor: Vendor = Vendor.SIEMENS


def uid_from(*parts: object) -> str:
    """A DICOM UID that is the same for the same parts, and different for others (PS3.5 section 9)."""
    return str(generate_uid(entropy_srcs=["/".join(str(part) for part in parts)]))


def study_header(seed: object, patient: Patient, study_date: date | None, *, vendor: Vendor = Vendor.SIEMENS) -> StudyHeader:
    """A header whose UIDs follow from `seed` and the date alone, so that a study can be written again identically."""
    when = study_date.isoformat() if study_date else ""
    return StudyHeader(patient, uid_from("study", seed, when), uid_from("frame", seed, when), study_date, vendor=vendor)


def series_uid(header: StudyHeader, series_number: int) -> str:
    """Series Instance UID of the series `write_series` writes under this number."""
    return uid_from(header.study_uid, "series", series_number)


def write_series(
    image: Image,
    folder: Path,
    header: StudyHeader,
    sequence: MRSequence,
    *,
    series_number: int,
    awkward: Awkward | None = None,
    description: str | None = None,
) -> list[Path]:
    """Write one volume as a DICOM series.

    Parameters
    ----------
    image
        Finite voxels; i = column, j = row, k = slice. Oblique, anisotropic and left-handed grids are allowed, sheared ones not.
        Integer values whose range fits 16 bits are stored exactly; others are rounded to 16-bit steps, declared by Rescale
        Slope/Intercept, by Image Type DERIVED and in the Derivation Description.
    folder
        Created if absent. Must not already hold files of the same series.
    series_number
        Makes the series' UIDs together with the study's.
    awkward
        Deviations from an ordinary series.
    description
        Replaces the vendor's usual Series Description.

    Returns
    -------
    list of Path
        The files, in k order (one for a multi-frame instance).

    Raises
    ------
    GeometryError, UnusableImageError
        See `braintumor.phantom.planes.planes_of`.
    OutputError
        If a file cannot be written or exists already.
    ValueError
        If an enhanced series is to be written without a study date.
    """
    awkward = awkward or Awkward()
    if awkward.multiframe and header.study_date is None:
        raise ValueError("an Enhanced MR image needs an Acquisition DateTime: give the header a study date")
    planes, quantisation = planes_of(image, awkward)
    protocol = PROTOCOLS[header.vendor, sequence]
    if description is not None:
        protocol = replace(protocol, description=description)
    common = _common(image, header, protocol, series_number, quantisation, planes)
    if awkward.multiframe:
        datasets = [_identified(enhanced_dataset(common, planes, protocol), header, series_number, 0)]
    else:
        datasets = [_classic(common, plane, protocol, awkward.modality, n) for n, plane in enumerate(planes)]
    return _save(datasets, folder, series_number, awkward)


def _common(
    image: Image,
    header: StudyHeader,
    protocol: Protocol,
    series_number: int,
    quantisation: Quantisation,
    planes: Sequence[StoredPlane],
) -> Dataset:
    """Attributes that every instance of the series shares (PS3.3 A.4 and A.36)."""
    dataset = Dataset()
    _patient_and_study(dataset, header)
    _series(dataset, header, protocol, series_number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", *protocol.image_type.split("\\")]
    dataset.ImageComments = NOT_MEASURED
    if not quantisation.exact:
        dataset.ImageType = ["DERIVED", *dataset.ImageType[1:]]
        dataset.DerivationDescription = f"Values rounded to 16-bit steps, largest error {quantisation.max_error:.4g}."
        dataset.ImageComments = f"{NOT_MEASURED} {dataset.DerivationDescription}"
    dataset.Columns, dataset.Rows, _ = image.grid.shape
    dataset.PixelSpacing = [decimal(image.grid.spacing[1]), decimal(image.grid.spacing[0])]
    dataset.SpacingBetweenSlices = decimal(image.grid.spacing[2])
    # Two-dimensional acquisitions of thick slices leave a gap: a reader must not take the thickness for the spacing.
    gap = 1.2 if protocol.dimension == "2D" and image.grid.spacing[2] >= 3 else 1.0
    dataset.SliceThickness = decimal(round(image.grid.spacing[2] / gap, 4))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12 if max(int(plane.pixels.max()) for plane in planes) < 4096 else 16
    dataset.HighBit = dataset.BitsStored - 1
    low, high = np.percentile(image.voxels, (1.0, 99.5))
    dataset.WindowCenter, dataset.WindowWidth = decimal(round((low + high) / 2)), decimal(max(1, round(high - low)))
    return dataset


def _patient_and_study(dataset: Dataset, header: StudyHeader) -> None:
    character_sets = header.character_set.split("\\")
    dataset.SpecificCharacterSet = character_sets[0] if len(character_sets) == 1 else character_sets
    dataset.PatientName, dataset.PatientID = header.patient.name, header.patient.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = header.patient.birth_date, header.patient.sex
    dataset.StudyInstanceUID, dataset.StudyDescription = header.study_uid, header.study_description
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
    day = header.study_date.strftime("%Y%m%d") if header.study_date else ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = header.frame_of_reference_uid, ""


def _series(dataset: Dataset, header: StudyHeader, protocol: Protocol, series_number: int) -> None:
    scanner = SCANNERS[header.vendor]
    dataset.Modality, dataset.SeriesNumber = "MR", series_number
    dataset.SeriesInstanceUID = series_uid(header, series_number)
    dataset.SeriesDescription = dataset.ProtocolName = protocol.description
    dataset.BodyPartExamined, dataset.PatientPosition = "BRAIN", "HFS"
    minutes = 4 * series_number  # the scan order of a protocol: contrast comes late because its number is higher
    dataset.StudyTime = "090000"
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = f"{9 + minutes // 60 % 12:02d}{minutes % 60:02d}00"
    dataset.Manufacturer, dataset.ManufacturerModelName = scanner.manufacturer, scanner.model
    dataset.SoftwareVersions, dataset.StationName = scanner.software.split("\\"), scanner.station
    dataset.DeviceSerialNumber, dataset.InstitutionName = "00000", "Phantom hospital"
    dataset.MagneticFieldStrength, dataset.ImagingFrequency = scanner.field_tesla, scanner.frequency_mhz
    dataset.ReceiveCoilName = scanner.coil
    if protocol.agent:
        dataset.ContrastBolusAgent, dataset.ContrastBolusRoute = protocol.agent, "IV"


def _classic(common: Dataset, plane: StoredPlane, protocol: Protocol, modality: str, number: int) -> Dataset:
    """One slice as MR Image Storage (PS3.3 A.4) or CT Image Storage (A.3)."""
    dataset = Dataset()
    dataset.update(common)
    if modality == "CT":
        _as_ct(dataset)
    else:
        _as_mr(dataset, protocol)
    dataset.SOPInstanceUID = uid_from(common.SeriesInstanceUID, plane.k, plane.copy)
    dataset.InstanceNumber, dataset.AcquisitionNumber = number + 1, 1
    dataset.ImagePositionPatient = [decimal(v) for v in plane.position]
    dataset.ImageOrientationPatient = [decimal(v) for v in (*plane.row, *plane.column)]
    dataset.SliceLocation = decimal(round(float(np.dot(plane.position, np.cross(plane.row, plane.column))), 4))
    if modality == "CT" or not plane.rescale.identity:
        dataset.RescaleSlope, dataset.RescaleIntercept = decimal(plane.rescale.slope), decimal(plane.rescale.intercept)
        dataset.RescaleType = "HU" if modality == "CT" else "US"
    dataset.PixelData = plane.pixels.tobytes()
    return dataset


def _as_mr(dataset: Dataset, protocol: Protocol) -> None:
    dataset.SOPClassUID = MRImageStorage
    dataset.ScanningSequence, dataset.SequenceVariant = protocol.scanning.split("\\"), protocol.variant.split("\\")
    dataset.ScanOptions, dataset.MRAcquisitionType = protocol.options.split("\\"), protocol.dimension
    dataset.RepetitionTime, dataset.EchoTime = protocol.repetition_ms, protocol.echo_ms
    dataset.InversionTime = protocol.inversion_ms
    if protocol.inversion_ms is None:
        del dataset.InversionTime
    dataset.FlipAngle, dataset.EchoTrainLength = protocol.flip_deg, protocol.train
    dataset.EchoNumbers, dataset.NumberOfAverages, dataset.ImagedNucleus = 1, 1, "1H"
    if protocol.sequence_name:
        dataset.SequenceName = protocol.sequence_name


def _as_ct(dataset: Dataset) -> None:
    dataset.SOPClassUID, dataset.Modality = CTImageStorage, "CT"
    dataset.ImageType = [*dataset.ImageType[:2], "AXIAL"]
    dataset.KVP, dataset.ConvolutionKernel = 120, "H31s"
    for keyword in ("MagneticFieldStrength", "ImagingFrequency", "ReceiveCoilName", "SpacingBetweenSlices"):
        delattr(dataset, keyword)


def _identified(dataset: Dataset, header: StudyHeader, series_number: int, number: int) -> Dataset:
    dataset.SOPInstanceUID = uid_from(series_uid(header, series_number), "multiframe", number)
    dataset.InstanceNumber = number + 1
    return dataset


def _save(datasets: list[Dataset], folder: Path, series_number: int, awkward: Awkward) -> list[Path]:
    names = [f"{series_number:03d}_{n + 1:04d}.dcm" for n in range(len(datasets))]
    if awkward.shuffle:
        chance = random.Random(datasets[0].SeriesInstanceUID)  # noqa: S311 - reproducible disorder, no secret
        numbers = list(range(1, len(datasets) + 1))
        chance.shuffle(numbers)
        names = [f"{chance.getrandbits(64):016X}" for _ in datasets]
        for dataset, number in zip(datasets, numbers, strict=True):
            dataset.InstanceNumber = number
    paths = [folder / name for name in names]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for dataset, path in zip(datasets, paths, strict=True):
            _encode(dataset, awkward)
            dataset.save_as(path, enforce_file_format=True, overwrite=False)
    except OSError as error:
        raise OutputError(
            f"a DICOM file could not be written: {error.strerror or error}",
            remedy="choose an empty, writable folder",
            path=folder,
        ) from error
    return paths


def _encode(dataset: Dataset, awkward: Awkward) -> None:
    """Set the file meta information and compress the pixels if asked; the instance keeps its UID, for nothing is lost."""
    if awkward.transfer_syntax == JPEG2000Lossless and min(dataset.Rows, dataset.Columns) < JPEG2000_MINIMUM:
        problem = f"slices of {dataset.Columns}x{dataset.Rows} pixels are too small for JPEG 2000"
        raise UnusableImageError(problem, remedy=f"use {JPEG2000_MINIMUM} pixels or more each way, or JPEG-LS")
    dataset.file_meta = FileMetaDataset()
    native = awkward.transfer_syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    dataset.file_meta.TransferSyntaxUID = awkward.transfer_syntax if native else ExplicitVRLittleEndian
    if not native:
        dataset.compress(awkward.transfer_syntax, generate_instance_uid=False)
