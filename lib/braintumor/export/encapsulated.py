"""The report as a PDF inside DICOM, so that it lies in the archive beside the images."""

from __future__ import annotations

from datetime import datetime

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.uid import UID, EncapsulatedPDFStorage
from pydicom.valuerep import DA, TM

from braintumor.domain import Report, Status, Study
from braintumor.export.common import ResultContext, identity, read_header, references, stamp, uid_of


def make_pdf(study: Study, pdf: bytes, title: str, context: ResultContext) -> Dataset:
    """An Encapsulated PDF Storage object (PS3.3 A.45.1) in the study of its images.

    Parameters
    ----------
    study
        Read from DICOM.
    pdf
        A whole PDF file. It may name the patient, and is declared to.
    title
        Document Title, at most 64 characters are useful.

    Raises
    ------
    ValueError
        If `pdf` is no PDF.
    InputNotFoundError, CorruptFileError
        If the study is NIfTI or its files changed meanwhile.
    """
    _check(pdf)
    header = read_header(study, study.reference)
    dataset = hd.SOPClass(
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        **identity(header),
        **context.arguments("pdf", title[:64]),
    )
    dataset.copy_patient_and_study_information(header)
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = None  # type 2: a report was acquired at no time
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = title
    dataset.ConceptNameCodeSequence = []
    dataset.SourceInstanceSequence = [
        reference
        for series in study.series.values()
        for reference in references(series, read_header(study, series).SOPClassUID)
    ]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    _embed(dataset, pdf)
    stamp(dataset, header, context)
    return dataset


def next_pdf(first: Dataset, pdf: bytes, report: Report, when: datetime) -> Dataset:
    """A later version of an encapsulated report: the first version's header with the new PDF, in the same series.

    Parameters
    ----------
    first
        The object of version 1, of `make_pdf`; changed in place and returned.
    report
        The version that `pdf` shows; its number is the Instance Number, its UIDs follow from its own UID and number.
    when
        Content time, local wall-clock.
    """
    _check(pdf)
    uid = UID(uid_of("report", report.uid, str(report.version)))
    first.SOPInstanceUID = first.file_meta.MediaStorageSOPInstanceUID = uid
    first.InstanceNumber = report.version
    first.ContentDate = first.InstanceCreationDate = DA(when.date())
    first.ContentTime = first.InstanceCreationTime = TM(when.time())
    title = f"{first.DocumentTitle}, final, version {report.version}"
    first.DocumentTitle = title if report.status is Status.FINAL else f"{first.DocumentTitle}, draft"
    _embed(first, pdf)
    return first


def _check(pdf: bytes) -> None:
    if not pdf.startswith(b"%PDF-"):
        raise ValueError("the report to encapsulate is not a PDF file")


def _embed(dataset: Dataset, pdf: bytes) -> None:
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)  # values have even length (PS3.5 7.1)
    dataset.EncapsulatedDocumentLength = len(pdf)
