"""How a prior visit's space maps into the current one's, as a DICOM Spatial Registration object."""

from __future__ import annotations

from collections.abc import Iterable

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import SpatialRegistrationStorage
from pydicom.valuerep import DSfloat

from braintumor.domain import Affine
from braintumor.export.common import identity, read_header, references, stamp
from braintumor.track.dicom.common import Prior, TrackContext, other_study, reference_header, series_reference
from braintumor.track.timeline import Timeline


def make_registration(timeline: Timeline, prior: Prior, context: TrackContext) -> Dataset:
    """A Spatial Registration Storage object (PS3.3 A.39.1, C.20.2) in the current study and its frame of reference.

    It has two items: the current visit's, with the identity, and the prior's. A matrix maps points of its item's frame of
    reference *into* the registered one, the current visit's (C.20.2.1.1). `VisitAlignment.transform` goes the other way.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If a study is NIfTI or its files changed meanwhile.
    """
    study, earlier = timeline.visits[-1].study, prior.visit.study
    header, was = reference_header(study, context), read_header(earlier, earlier.reference)
    dataset = hd.SOPClass(
        sop_class_uid=SpatialRegistrationStorage,
        modality="REG",
        **identity(header),
        **context.arguments("registration", "Earlier visits registered to this one", number=prior.number),
    )
    dataset.copy_patient_and_study_information(header)
    dataset.FrameOfReferenceUID = header.FrameOfReferenceUID
    dataset.PositionReferenceIndicator = header.get("PositionReferenceIndicator")
    dataset.BodyPartExamined = "BRAIN"  # nothing paired, so no laterality is asked for
    dataset.ContentLabel = "PRIOR_TO_CURRENT"
    dataset.ContentDescription = f"{prior.words} to this study"
    dataset.ContentCreatorName = None
    now = list(references(study.reference, header.SOPClassUID))
    then = list(references(earlier.reference, was.SOPClassUID))
    # Where an anonymiser gave both visits one frame of reference, only the images say which of them the matrix moves.
    frame = was.get("FrameOfReferenceUID")
    frame = None if frame == header.FrameOfReferenceUID else frame
    quality = f"quality {prior.alignment.quality:.2f}, expected error {prior.alignment.error_mm:.1f} mm"
    dataset.RegistrationSequence = [
        _item(header.FrameOfReferenceUID, now, np.eye(4), codes.DCM.FrameOfReferenceIdentity, "this study"),
        _item(frame, then, np.linalg.inv(prior.alignment.transform), codes.DCM.ImageContentBasedAlignment, quality),
    ]
    dataset.ReferencedSeriesSequence = [series_reference(study.reference, now)]
    dataset.StudiesContainingOtherReferencedInstancesSequence = [other_study(earlier, earlier.reference, then)]
    stamp(dataset, header, context)
    return dataset


def _item(frame: str | None, images: Iterable[Dataset], matrix: Affine, method: DicomCode, comment: str) -> Dataset:
    """An item of the Registration Sequence (PS3.3 table C.20.2-1)."""
    rigid = Dataset()
    rigid.FrameOfReferenceTransformationMatrixType = "RIGID"
    rigid.FrameOfReferenceTransformationMatrix = [DSfloat(float(v) + 0.0, auto_format=True) for v in matrix.ravel()]
    step = Dataset()
    step.MatrixSequence = [rigid]
    step.RegistrationTypeCodeSequence = [hd.sr.CodedConcept.from_code(method)]
    step.FrameOfReferenceTransformationComment = comment
    item = Dataset()
    if frame:
        item.FrameOfReferenceUID = frame
    item.ReferencedImageSequence = list(images)
    item.MatrixRegistrationSequence = [step]
    return item
