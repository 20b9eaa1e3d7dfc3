"""The report as a PDF inside DICOM, so that it lies in the archive beside the images."""

from __future__ import annotations

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from braintumor.nouns import Study
from braintumor.results.common import ResultContext, identity, read_header, references, stamp


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
    if not pdf.startswith(b"%PDF-"):
        raise ValueError("the report to encapsulate is not a PDF file")
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
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)  # values have even length (PS3.5 7.1)
    dataset.EncapsulatedDocumentLength = len(pdf)
    stamp(dataset, header, context)
    return dataset
