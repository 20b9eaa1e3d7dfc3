from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import EncapsulatedPDFStorage

from braintumor.domain import InputNotFoundError, Study
from braintumor.export.common import ResultContext, save
from braintumor.export.encapsulated import make_pdf
from tests.export.dicom_studies import CREATED, VARIANTS, Variant, a_mask, iod_errors, write_study

PDF = b"%PDF-1.7\nhello"


def context_of(study: Study) -> ResultContext:
    return ResultContext.of(study, a_mask(study.reference.image.grid), CREATED)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("study"), Variant())


@pytest.mark.parametrize("name", ["oblique-latin-1", "negated-japanese", "multiframe"])
def test_a_report_becomes_a_valid_object_of_the_study(name: str, tmp_path: Path) -> None:
    study = write_study(tmp_path / name, VARIANTS[name])
    path = save(make_pdf(study, PDF, "Brain tumour report", context_of(study)), tmp_path / "pdf.dcm")
    assert iod_errors(path) == []
    stored = pydicom.dcmread(path)
    assert stored.SOPClassUID == EncapsulatedPDFStorage
    assert stored.PatientName == VARIANTS[name].name
    assert (stored.PatientID, stored.StudyInstanceUID) == ("P-1", study.uid)
    assert (stored.DocumentTitle, stored.MIMETypeOfEncapsulatedDocument) == ("Brain tumour report", "application/pdf")
    sources = {item.ReferencedSOPInstanceUID for item in stored.SourceInstanceSequence}
    assert sources == {instance.uid for series in study.series.values() for instance in series.instances}


@settings(max_examples=5, deadline=None)
@given(tail=st.binary(max_size=9))
def test_the_pdf_comes_out_as_it_went_in(study: Study, tail: bytes) -> None:
    stored = make_pdf(study, PDF + tail, "x", context_of(study))
    assert len(stored.EncapsulatedDocument) % 2 == 0
    assert stored.EncapsulatedDocument[: stored.EncapsulatedDocumentLength] == PDF + tail


def test_the_same_context_gives_the_same_bytes(study: Study, tmp_path: Path) -> None:
    first, again = (save(make_pdf(study, PDF, "x", context_of(study)), tmp_path / name) for name in ("1.dcm", "2.dcm"))
    assert first.read_bytes() == again.read_bytes()


def test_what_is_no_pdf_and_a_nifti_study_are_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="not a PDF"):
        make_pdf(study, b"hello", "x", context_of(study))
    with pytest.raises(InputNotFoundError, match="NIfTI"):
        make_pdf(replace(study, kind="nifti"), PDF, "x", context_of(study))
