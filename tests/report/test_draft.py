"""A draft refers to the study it was made of: identity, series and hashes as they arrived."""

import pydicom
import pytest

from braintumor.domain import REGION_NAMES, Findings, Identifier, Region, Section, Status
from braintumor.report import accession_of, draft, gather_findings, provenance_of
from braintumor.report.language import language_of
from braintumor.report.statements import Term
from braintumor.study import read_study


@pytest.fixture
def study(dicom_study, tmp_path):
    for path in dicom_study.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.AccessionNumber, dataset.StudyDescription, dataset.StudyTime = "ACC-7", "MR brain", "101112.5"
        dataset.save_as(tmp_path / path.name)
    return read_study(tmp_path)


def made(study, stages, **options):
    findings: Findings = gather_findings(stages.study, stages.case, stages.segmentation, stages.measurements)
    return draft(study, findings, stages.facts, uid="2.25.7", **options)


def test_study_and_files_are_named_as_they_arrived(study, stages):
    report = made(study, stages, identifiers=[Identifier("urn:x", "1")])
    assert (report.version, report.status) == (1, Status.DRAFT)
    assert report.patient == study.patient
    assert report.identifiers == (Identifier("urn:x", "1"),)
    reference = report.study
    assert (reference.uid, reference.kind, reference.date) == (study.uid, "dicom", study.study_date)
    assert (reference.accession, reference.description, reference.time) == ("ACC-7", "MR brain", "10:11:12")
    assert accession_of(study) == "ACC-7"
    for stored in reference.series:
        series = study.series[stored.sequence]
        assert stored.uid == series.uid
        assert [(i.uid, i.sha256) for i in stored.instances] == [(i.uid, i.sha256) for i in series.instances]
        assert {i.class_uid for i in stored.instances} == {pydicom.dcmread(series.instances[0].path).SOPClassUID}


def test_a_draft_does_not_fail_for_a_description_whose_file_is_gone(study, stages):
    for series in study.series.values():
        series.instances[0].path.unlink()
    assert made(study, stages).study.accession == ""


def test_every_language_has_every_section(study, stages):
    report = made(study, stages, languages=("hi", "en"))
    assert list(report.texts) == ["hi", "en"]
    for text in report.texts.values():
        assert tuple(text.sections) == tuple(Section)


def test_another_mask_has_another_hash(stages, healthy_stages, by_hand):
    def hashed(one):
        return provenance_of(stages.study, one.segmentation, stages.facts.created)

    assert hashed(stages).mask_sha256 != hashed(healthy_stages).mask_sha256
    assert hashed(stages).mask_sha256 == hashed(by_hand).mask_sha256
    assert hashed(by_hand).weights_checksum == ""


def test_english_calls_the_regions_what_the_table_of_labels_does():
    for region in Region:
        assert language_of("en").term(Term("region", region.value)) == REGION_NAMES[region].lower()
