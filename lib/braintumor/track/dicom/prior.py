"""A prior visit's image on the current study's grid, as a derived MR series that says whose date its pixels are of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import MRImageStorage
from pydicom.valuerep import DA, DSfloat

from braintumor.domain import Affine, Grid, MRSequence, Series
from braintumor.export.common import identity, read_header, stamp
from braintumor.preprocess.grid import resample
from braintumor.study.classify import REGISTERED_PRIOR
from braintumor.study.facts import facts_of
from braintumor.track.dicom.common import Prior, TrackContext, other_study, reference_header
from braintumor.track.timeline import Timeline

_STEPS = 255, 65535
"""Least and greatest range of values that is stored as it is, rounded: the MR Image IOD (PS3.3 A.4.3) knows no rescale, and
readers that ignore one see other numbers."""

_KEPT = (
    "AcquisitionDate",
    "AcquisitionTime",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "ContrastBolusAgent",
    "FlipAngle",
    "ImagedNucleus",
    "ImagingFrequency",
    "LossyImageCompression",
    "LossyImageCompressionMethod",
    "LossyImageCompressionRatio",
    "MagneticFieldStrength",
    "ProtocolName",
    "SequenceName",
)
"""What the prior's header says of the acquisition and stays true of resampled pixels."""


def make_prior_series(timeline: Timeline, prior: Prior, context: TrackContext) -> list[Dataset]:
    """The prior's image, resampled once from its own series onto the grid of the current reference series.

    MR Image Storage (PS3.3 A.4), in the current study and its frame of reference, one instance per slice in k order. Image
    Type ends with `braintumor.study.classify.REGISTERED_PRIOR`, so that the study reader never takes it for this visit's.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If a study is NIfTI or its files changed meanwhile.
    """
    study, earlier = timeline.visits[-1].study, prior.visit.study
    sequence = MRSequence(prior.alignment.sequence)
    source, grid = earlier.series[sequence], study.reference.image.grid
    transform = prior.visit.case.alignment[sequence].transform @ prior.alignment.transform
    header, was = reference_header(study, context), read_header(earlier, source)
    shared = _acquired(was, prior)
    shared.update(_derived(prior, sequence, study.reference_sequence))
    pixels = _stored(resample(source.image, grid, transform), shared)
    shared.update(_in_space(grid, header))
    made: list[Dataset] = []
    for k in range(grid.shape[2]):
        dataset = hd.SOPClass(
            sop_class_uid=MRImageStorage,
            modality="MR",
            **identity(header),
            **context.arguments(f"prior-{prior.number}", f"{sequence.title} of {prior.words}, registered", number=k + 1),
        )
        dataset.copy_patient_and_study_information(header)
        dataset.update(shared)
        dataset.ImagePositionPatient = [_decimal(v) for v in grid.to_world((0, 0, k))]
        used = list(_source_images(source, was.SOPClassUID, grid, k, transform))
        if used:  # a slice beyond the prior's field of view comes from no image
            dataset.SourceImageSequence = used
            plain = [_reference(item) for item in used]
            dataset.StudiesContainingOtherReferencedInstancesSequence = [other_study(earlier, source, plain)]
        dataset.PixelData = np.ascontiguousarray(pixels[:, :, k].T).tobytes()
        stamp(dataset, header, context)
        made.append(dataset)
    return made


def _acquired(was: Dataset, prior: Prior) -> Dataset:
    """How the pixels were acquired (PS3.3 C.8.3.1), from a classic or an enhanced header alike."""
    facts, shared = facts_of(was), Dataset()
    for keyword in _KEPT:
        if was.get(keyword):
            shared[keyword] = was[keyword]
    if "AcquisitionDate" not in shared and prior.visit.date:
        shared.AcquisitionDate = DA(prior.visit.date)
    shared.ScanningSequence = sorted(facts.scanning) or ["RM"]
    shared.SequenceVariant = sorted(facts.variant) or ["NONE"]
    shared.ScanOptions, shared.MRAcquisitionType = was.get("ScanOptions"), was.get("MRAcquisitionType")
    shared.RepetitionTime, shared.EchoTime = facts.repetition_ms, facts.echo_ms
    shared.EchoTrainLength = was.get("EchoTrainLength")
    if facts.inversion_ms is not None or "IR" in facts.scanning:
        shared.InversionTime = facts.inversion_ms
    return shared


def _derived(prior: Prior, sequence: MRSequence, onto: MRSequence) -> Dataset:
    """That the pixels are not of this date, and what was done to them."""
    shared = Dataset()
    shared.ImageType = ["DERIVED", "SECONDARY", "OTHER", REGISTERED_PRIOR]
    shared.DerivationDescription = (
        f"{sequence.title} of {prior.words}, NOT of this study's date: moved onto {onto.title} of this study by a rigid "
        f"registration of the brain and resampled linearly. Quality {prior.alignment.quality:.2f} of 1, expected error "
        f"{prior.alignment.error_mm:.1f} mm. For comparison by eye; 0 where the earlier image shows nothing."
    )
    shared.DerivationCodeSequence = [hd.sr.CodedConcept.from_code(codes.DCM.SpatialResampling)]
    return shared


def _in_space(grid: Grid, header: Dataset) -> Dataset:
    """Frame of reference and plane geometry that all slices share (PS3.3 C.7.4.1, C.7.6.2)."""
    shared = Dataset()
    shared.FrameOfReferenceUID = header.FrameOfReferenceUID
    shared.PositionReferenceIndicator = header.get("PositionReferenceIndicator")
    shared.PatientPosition = header.get("PatientPosition")
    shared.Columns, shared.Rows, _ = grid.shape
    row, column, _ = grid.directions.T
    shared.ImageOrientationPatient = [_decimal(v) for v in (*row, *column)]
    shared.PixelSpacing = [_decimal(grid.spacing[1]), _decimal(grid.spacing[0])]
    shared.SliceThickness = shared.SpacingBetweenSlices = _decimal(grid.spacing[2])
    return shared


def _stored(voxels: npt.NDArray[Any], shared: Dataset) -> npt.NDArray[np.uint16]:
    """Voxels (i, j, k) as 16-bit numbers; how they are stored, and a window to see them in, goes into `shared`."""
    low, high = min(0.0, float(voxels.min())), float(voxels.max())
    least, most = _STEPS
    slope = 1.0 if least <= high - low <= most else _decimal((high - low) / most or 1.0)
    intercept = _decimal(low)
    if (slope, intercept) != (1.0, 0.0):
        shared.RescaleSlope, shared.RescaleIntercept, shared.RescaleType = slope, intercept, "US"
    shown = voxels[voxels != 0]
    dark, bright = np.percentile(shown, (1.0, 99.5)) if shown.size else (0.0, 1.0)
    shared.WindowCenter = _decimal((dark + bright) / 2)
    shared.WindowWidth = _decimal(max(bright - dark, float(slope)))
    shared.SamplesPerPixel, shared.PhotometricInterpretation, shared.PixelRepresentation = 1, "MONOCHROME2", 0
    shared.BitsAllocated, shared.BitsStored, shared.HighBit = 16, 16, 15
    return np.clip(np.rint((voxels - float(intercept)) / float(slope)), 0, most).astype(np.uint16)


def _source_images(source: Series, sop_class_uid: str, grid: Grid, k: int, transform: Affine) -> Iterator[Dataset]:
    """The prior's slices that slice `k` of `grid` runs through, as items of Source Image Sequence (PS3.3 C.12.4)."""
    i, j, _ = grid.shape
    corners = grid.to_world([(0, 0, k), (i - 1, 0, k), (0, j - 1, k), (i - 1, j - 1, k)])
    depth = source.image.grid.to_index(corners @ transform[:3, :3].T + transform[:3, 3])[:, 2]
    first, last = max(0, int(np.floor(depth.min()))), min(len(source.frames) - 1, int(np.ceil(depth.max())))
    if first > last:
        return
    if len(source.instances) == 1:
        yield _source_image(sop_class_uid, source.instances[0].uid, list(source.frames[first : last + 1]))
        return
    for instance in source.instances[first : last + 1]:
        yield _source_image(sop_class_uid, instance.uid, [])


def _source_image(sop_class_uid: str, uid: str, frames: list[int]) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, uid
    if frames:
        item.ReferencedFrameNumber = frames
    item.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)]
    item.SpatialLocationsPreserved = "NO"
    return item


def _reference(item: Dataset) -> Dataset:
    """The same reference without its purpose, as Common Instance Reference wants it."""
    plain = Dataset()
    plain.ReferencedSOPClassUID, plain.ReferencedSOPInstanceUID = item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID
    return plain


def _decimal(value: float) -> DSfloat:
    """A DICOM decimal string of at most 16 characters; never a negative nothing."""
    return DSfloat(float(value) + 0.0, auto_format=True)
