from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pydicom
import pytest
from pydicom.sr.codedict import codes

from braintumor.domain import (
    LABELS,
    REGION_CODES,
    Author,
    Flag,
    InputNotFoundError,
    Measurements,
    Region,
    Segmentation,
    Severity,
    Study,
)
from braintumor.export.common import ResultContext, save
from braintumor.export.seg import make_seg
from braintumor.export.sr import DIAMETER_PRODUCT, MR_BRAIN, QUALITATIVE_EVALUATIONS, make_sr
from tests.export.dicom_studies import (
    CREATED,
    MODEL,
    STRAIGHT,
    VARIANTS,
    Variant,
    a_mask,
    iod_errors,
    some_measurements,
    write_study,
)

FLAGS = (
    Flag("missing-sequence", Severity.WARNING, "T2 is missing; the network was trained for that"),
    Flag("uncertain-mask", Severity.SERIOUS, "Œdème: the border is uncertain — 浮腫"),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("study"), Variant())


def objects(
    study: Study,
    segmentation: Segmentation,
    measurements: Measurements | None = None,
    flags: tuple[Flag, ...] = FLAGS,
) -> tuple[hd.seg.Segmentation, hd.sr.Comprehensive3DSR]:
    context = ResultContext.of(study, segmentation, CREATED)
    measurements = measurements or some_measurements()
    seg = make_seg(study, segmentation, measurements, context)
    return seg, make_sr(study, segmentation, seg, measurements, flags, context)


def reread(report: hd.sr.Comprehensive3DSR, path: Path) -> hd.sr.Comprehensive3DSR:
    return hd.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(save(report, path)))


def values(group: hd.sr.MeasurementsAndQualitativeEvaluations) -> dict[str, tuple[float, str]]:
    return {str(m.name.meaning): (m.value, m.unit.value) for m in group.get_measurements()}


def sites(group: hd.sr.MeasurementsAndQualitativeEvaluations) -> list[tuple[str, str | None, str | None]]:
    found = []
    for site in group.finding_sites:
        side, modifier = site.laterality, site.topographical_modifier
        found.append((site.value.meaning, side and side.meaning, modifier and modifier.meaning))
    return found


@pytest.mark.parametrize("name", ["straight", "oblique-latin-1", "negated-japanese", "multiframe", "jpeg-2000"])
def test_every_source_gives_a_valid_report(name: str, tmp_path: Path) -> None:
    study = write_study(tmp_path / name, VARIANTS[name])
    segmentation = a_mask(study.reference.image.grid)
    _, report = objects(study, segmentation)
    path = save(report, tmp_path / "sr.dcm")
    assert iod_errors(path) == []
    stored = pydicom.dcmread(path)
    assert stored.PatientName == VARIANTS[name].name
    assert (stored.CompletionFlag, stored.VerificationFlag, stored.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert stored.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert stored.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_each_label_is_a_volumetric_group_with_its_segment(study: Study, tmp_path: Path) -> None:
    seg, report = objects(study, a_mask(STRAIGHT))
    content = reread(report, tmp_path / "sr.dcm").content
    for label, item in zip(LABELS, seg.SegmentSequence, strict=True):
        (group,) = content.get_volumetric_roi_measurement_groups(tracking_uid=item.TrackingUID)
        assert group.tracking_identifier == item.TrackingID
        assert group.reference_type == codes.DCM.ReferencedSegment
        reference = group.referenced_segment.referenced_sop_instance_uid
        assert reference == seg.SOPInstanceUID
        assert group[0].ContentTemplateSequence[0].TemplateIdentifier == "1411"
        assert group.finding_type.value == label.code.value
        segment = group.referenced_segment[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
        assert segment == label.segment
        source = hd.sr.utils.find_content_items(group[0], name=codes.DCM.SourceSeriesForSegmentation)
        assert [item.value for item in source] == [study.reference.uid]


@pytest.mark.parametrize(("region", "segments"), [(Region.WT, [1, 2, 3]), (Region.TC, [1, 3])])
def test_a_region_of_several_segments_names_all_of_them_as_its_source(
    study: Study, tmp_path: Path, region: Region, segments: list[int]
) -> None:
    seg, report = objects(study, a_mask(STRAIGHT))
    content = reread(report, tmp_path / "sr.dcm").content
    tracking = ResultContext.of(study, a_mask(STRAIGHT), CREATED).tracking(study.uid, region)[1]
    (group,) = content.get_image_measurement_groups(tracking_uid=tracking)
    assert group.finding_type.value == REGION_CODES[region].value
    (source,) = group.source_images
    assert source.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert list(source.ReferencedSOPSequence[0].ReferencedSegmentNumber) == segments


def test_numbers_carry_their_units_and_what_they_mean(study: Study, tmp_path: Path) -> None:
    _, report = objects(study, a_mask(STRAIGHT))
    content = reread(report, tmp_path / "sr.dcm").content
    edema = content.get_volumetric_roi_measurement_groups(finding_type=codes.SCT.Edema)[0]
    assert values(edema) == {
        "Volume": (12.346, "mL"),
        "Volume estimated from three or more non-coplanar 2D regions": (12.5, "mL"),
        "Diameter": (25.25, "mm"),
        "Long axis": (20.123, "mm"),
        "Short axis": (10.5, "mm"),
        DIAMETER_PRODUCT.meaning: (211.296, "mm2"),
    }
    (long_axis,) = edema.get_measurements(codes.SCT.LongAxis)
    assert long_axis.method == codes.NCIt.RANO
    (diameter,) = edema.get_measurements(codes.SCT.Diameter)
    assert diameter.derivation == codes.SCT.Maximum
    (lesion,) = content.get_image_measurement_groups(tracking_uid="2.25.12345")
    assert lesion.tracking_identifier == "lesion-1"
    assert values(lesion)["Volume"] == (11.5, "mL")
    brain = [g for g in content.get_image_measurement_groups() if g.finding_type is None]
    assert [values(g) for g in brain] == [{"Volume": (1400.5, "mL")}]


def test_an_absent_label_measures_zero_and_has_no_diameter(study: Study, tmp_path: Path) -> None:
    seg, report = objects(study, a_mask(STRAIGHT, values=(2, 4)))
    uid = seg.SegmentSequence[0].TrackingUID
    (group,) = reread(report, tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups(tracking_uid=uid)
    assert {value for value, _ in values(group).values()} == {0.0}
    assert set(values(group)) == {"Volume", "Volume estimated from three or more non-coplanar 2D regions"}


def test_side_and_lobe_are_coded(study: Study, tmp_path: Path) -> None:
    _, report = objects(study, a_mask(STRAIGHT))
    content = reread(report, tmp_path / "sr.dcm").content
    groups = {g.tracking_identifier: sites(g) for g in content.get_image_measurement_groups()}
    groups |= {g.tracking_identifier: sites(g) for g in content.get_volumetric_roi_measurement_groups()}
    assert groups == {
        "braintumor-WT": [("Brain", "Left", None), ("Frontal lobe", "Left", None)],
        "braintumor-TC": [("Brain", "Bilateral", None)],  # 'deep' is no lobe and has no code
        "braintumor-NCR": [("Brain", None, None)],
        "braintumor-ED": [("Brain", "Right", None), ("Insula", "Right", None)],
        "braintumor-ET": [("Brain", None, "Midline")],
        "lesion-1": [("Brain", "Left", None)],
        "braintumor-brain": [("Brain", None, None)],
    }


def comments(report: hd.sr.Comprehensive3DSR) -> list[str]:
    containers = hd.sr.utils.find_content_items(report, name=QUALITATIVE_EVALUATIONS)
    return [item.TextValue for container in containers for item in container.ContentSequence]


def test_every_flag_is_a_comment_and_none_leaves_nothing(study: Study, tmp_path: Path) -> None:
    _, report = objects(study, a_mask(STRAIGHT))
    assert comments(reread(report, tmp_path / "with.dcm")) == [
        f"WARNING missing-sequence: {FLAGS[0].message}",
        f"SERIOUS uncertain-mask: {FLAGS[1].message}",
    ]
    _, report = objects(study, a_mask(STRAIGHT), flags=())
    assert comments(reread(report, tmp_path / "without.dcm")) == []


def test_the_observers_are_the_software_and_the_person_who_drew(study: Study, tmp_path: Path) -> None:
    _, by_model = objects(study, a_mask(STRAIGHT))
    content = reread(by_model, tmp_path / "model.dcm").content
    (device,) = content.get_observer_contexts()
    assert device.observer_type == codes.DCM.Device
    (procedure,) = hd.sr.utils.find_content_items(content[0], name=codes.DCM.ProcedureReported)
    assert procedure.value == MR_BRAIN
    _, by_person = objects(study, a_mask(STRAIGHT, Author("human", "山田^花子")))
    path = tmp_path / "person.dcm"
    (person,) = reread(by_person, path).content.get_observer_contexts(codes.DCM.Person)
    assert person.observer_identifying_attributes.name == "山田^花子"
    assert iod_errors(path) == []


def test_the_evidence_is_the_segmentation_and_the_whole_series_it_was_drawn_on(study: Study) -> None:
    seg, report = objects(study, a_mask(STRAIGHT))
    evidence = {instance for _, _, instance, _ in report.get_evidence(current_procedure_only=True)}
    assert evidence == {seg.SOPInstanceUID, *(i.uid for i in study.reference.instances)}


def test_measurements_of_some_regions_only_make_only_their_groups(study: Study, tmp_path: Path) -> None:
    full = some_measurements()
    only = replace(full, regions={"ED": full.regions["ED"]}, lesions=())
    _, report = objects(replace(study, study_date=None), a_mask(STRAIGHT), only)
    content = reread(report, tmp_path / "sr.dcm").content
    assert [g.tracking_identifier for g in content.get_volumetric_roi_measurement_groups()] == ["braintumor-ED"]
    assert [g.tracking_identifier for g in content.get_image_measurement_groups()] == ["braintumor-brain"]


def test_the_same_context_gives_the_same_bytes(study: Study, tmp_path: Path) -> None:
    first, again = (save(objects(study, a_mask(STRAIGHT))[1], tmp_path / name) for name in ("1.dcm", "2.dcm"))
    assert first.read_bytes() == again.read_bytes()


def test_a_segmentation_of_another_study_or_a_nifti_study_is_refused(study: Study) -> None:
    segmentation = a_mask(STRAIGHT, MODEL)
    seg, _ = objects(study, segmentation)
    context = ResultContext.of(study, segmentation, CREATED)
    with pytest.raises(InputNotFoundError, match="NIfTI"):
        make_sr(replace(study, kind="nifti"), segmentation, seg, some_measurements(), (), context)
    seg.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    with pytest.raises(ValueError, match="not one of the study's"):
        make_sr(study, segmentation, seg, some_measurements(), (), context)
