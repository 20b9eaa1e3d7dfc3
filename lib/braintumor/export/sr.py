"""The measurements as a TID 1500 report (Comprehensive 3D SR) whose numbers point at the segments they were taken from."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Seq

import highdicom as hd
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TimePointContext,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode

from braintumor.domain import (
    LABELS,
    REGION_CODES,
    Author,
    AuthorKind,
    Diameters,
    Flag,
    Label,
    Lesion,
    Measurements,
    Region,
    RegionMeasurement,
    Segmentation,
    Series,
    Side,
    Study,
)
from braintumor.domain import regions as labels
from braintumor.export.common import (
    PRODUCT,
    ResultContext,
    dicom_code,
    nameless,
    person_name,
    read_header,
    references,
    stamp,
)

Group = VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations

SCHEME = "99BRAINTUMOR"
"""Designator of our own few codes (PS3.16 section 8: private schemes start with 99)."""

MR_BRAIN = DicomCode("24590-2", "LN", "MR Brain")
MILLILITRE = DicomCode("mL", "UCUM", "milliliter")
MILLIMETRE = DicomCode("mm", "UCUM", "millimeter")
SQUARE_MILLIMETRE = DicomCode("mm2", "UCUM", "square millimeter")

# CID 7470 and 7472, except the product of two diameters, which has no code in DICOM's context groups
VOLUME = codes.SCT.Volume
SIMPSON_VOLUME = codes.DCM.VolumeEstimatedFromThreeOrMoreNonCoplanar2DRegions
DIAMETER = codes.SCT.Diameter
LONG_AXIS, SHORT_AXIS = codes.SCT.LongAxis, codes.SCT.ShortAxis
DIAMETER_PRODUCT = DicomCode("DIAMETER-PRODUCT", SCHEME, "Product of longest and perpendicular diameter")
RANO = codes.NCIt.RANO
QUALITATIVE_EVALUATIONS = DicomCode("C0034375", "UMLS", "Qualitative Evaluations")

_LATERALITY = {Side.LEFT: codes.SCT.Left, Side.RIGHT: codes.SCT.Right, Side.BOTH: codes.SCT.Bilateral}
_LOBES = {
    "frontal": codes.SCT.FrontalLobe,
    "parietal": codes.SCT.ParietalLobe,
    "temporal": codes.SCT.TemporalLobe,
    "occipital": codes.SCT.OccipitalLobe,
    "insula": codes.SCT.Insula,
    "cerebellum": codes.SCT.Cerebellum,
    "brainstem": codes.SCT.BrainStem,
}


def make_sr(
    study: Study,
    segmentation: Segmentation,
    seg_dataset: Dataset,
    measurements: Measurements,
    findings_flags: Seq[Flag],
    context: ResultContext,
) -> hd.sr.Comprehensive3DSR:
    """The measurement report (PS3.16 TID 1500), unverified and preliminary: no person has looked at it yet.

    Labels are groups of TID 1411 with their Referenced Segment. That template allows one segment only, so what spans
    several (whole tumour, tumour core, each lesion) is a group of TID 1501 whose source of measurement names the segments.

    Parameters
    ----------
    study
        Read from DICOM.
    segmentation
        What was measured; its author becomes the algorithm, or the observing person.
    seg_dataset
        From `braintumor.export.seg.make_seg`, of the same segmentation and study.
    findings_flags
        Each becomes a comment under Qualitative Evaluations.

    Raises
    ------
    ValueError
        If `seg_dataset` refers to a series that the study does not have.
    InputNotFoundError, CorruptFileError
        If the study is NIfTI or its files changed meanwhile.
    """
    series = _segmented_series(study, seg_dataset)
    header = read_header(study, series)
    groups = _Groups(study, segmentation, seg_dataset, measurements, context)
    report = MeasurementReport(
        observation_context=_observers(segmentation.author, context),
        procedure_reported=MR_BRAIN,
        imaging_measurements=list(groups.all()),
        title=codes.DCM.ImagingMeasurementReport,
    )
    if findings_flags:
        report[0].ContentSequence.append(comments(findings_flags))
    dataset = hd.sr.Comprehensive3DSR(
        evidence=[nameless(header), *_evidence(study, series, header), seg_dataset],
        content=report,
        is_complete=True,
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name=f"{PRODUCT} private codes")],
        **context.arguments("sr", "Brain tumour measurements"),
    )
    stamp(dataset, header, context)
    return dataset


class _Groups:
    """The measurement groups of one report; holds what every one of them repeats."""

    def __init__(
        self, study: Study, segmentation: Segmentation, seg: Dataset, measurements: Measurements, context: ResultContext
    ) -> None:
        self.study, self.seg, self.measurements, self.context = study, seg, measurements, context
        described = {int(item.SegmentNumber): item for item in seg.SegmentSequence}  # a label map also describes background
        items = [described[label.segment] for label in LABELS]
        self.tracking = {int(item.SegmentNumber): (item.TrackingID, item.TrackingUID) for item in items}
        self.algorithm = AlgorithmIdentification(
            name=PRODUCT, version=context.software_version, parameters=algorithm_parameters(segmentation.author)
        )
        self.time_point = TimePointContext(study.study_date.isoformat()) if study.study_date else None

    def all(self) -> Iterator[Group]:
        regions = self.measurements.regions
        for region in (Region.WT, Region.TC):
            if region in regions:
                yield self._region(region, regions[region])
        for label in LABELS:
            if label.short in regions:
                yield self._label(label, regions[label.short])
        for lesion in self.measurements.lesions:
            yield self._lesion(lesion)
        yield self._brain()

    def _label(self, label: Label, measured: RegionMeasurement) -> Group:
        source = self.seg.ReferencedSeriesSequence[0].SeriesInstanceUID
        return VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(*self.tracking[label.segment]),
            referenced_segment=ReferencedSegment(
                sop_class_uid=self.seg.SOPClassUID,
                sop_instance_uid=self.seg.SOPInstanceUID,
                segment_number=label.segment,
                source_series=SourceSeriesForSegmentation(referenced_series_instance_uid=source),
            ),
            finding_type=dicom_code(label.code),
            finding_category=dicom_code(labels.SEGMENT_CATEGORY),
            finding_sites=_sites(measured.side, measured.lobe),
            measurements=list(_numbers(measured)),
            algorithm_id=self.algorithm,
            time_point_context=self.time_point,
        )

    def _region(self, region: Region, measured: RegionMeasurement) -> Group:
        segments = [label.segment for label in LABELS if region in label.regions]
        return self._spanning(
            tracking=self.context.tracking(self.study.uid, region),
            finding=dicom_code(REGION_CODES[region]),
            sites=_sites(measured.side, measured.lobe),
            numbers=list(_numbers(measured)),
            segments=segments,
        )

    def _lesion(self, lesion: Lesion) -> Group:
        volume = Measurement(VOLUME, _rounded(lesion.volume_ml[Region.WT]), MILLILITRE)
        return self._spanning(
            tracking=(lesion.tracking_id, lesion.tracking_uid),
            finding=dicom_code(REGION_CODES[Region.WT]),
            sites=_sites(lesion.side, None),
            numbers=[volume, *_diameters(lesion.diameters)],
            segments=[label.segment for label in LABELS],
        )

    def _brain(self) -> Group:
        return self._spanning(
            tracking=self.context.tracking(self.study.uid, "brain"),
            finding=None,
            sites=_sites(None, None),
            numbers=[Measurement(VOLUME, _rounded(self.measurements.brain_ml), MILLILITRE)],
            segments=[],
        )

    def _spanning(
        self,
        *,
        tracking: tuple[str, str],
        finding: DicomCode | None,
        sites: list[FindingSite],
        numbers: list[Measurement],
        segments: list[int],
    ) -> Group:
        """A group of TID 1501; `segments` of the segmentation object are its source, or nothing is if there are none."""
        source = SourceImageForMeasurementGroup(self.seg.SOPClassUID, self.seg.SOPInstanceUID)
        source.ReferencedSOPSequence[0].ReferencedSegmentNumber = segments
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(*tracking),
            finding_type=finding,
            finding_category=dicom_code(labels.SEGMENT_CATEGORY) if finding else None,
            finding_sites=sites,
            measurements=numbers,
            algorithm_id=self.algorithm,
            time_point_context=self.time_point,
            source_images=[source] if segments else None,
        )


def _segmented_series(study: Study, seg: Dataset) -> Series:
    uid = seg.ReferencedSeriesSequence[0].SeriesInstanceUID
    for series in study.series.values():
        if series.uid == uid:
            return series
    raise ValueError("the segmentation object refers to a series that is not one of the study's")


def _observers(author: Author, context: ResultContext) -> ObservationContext:
    """TID 1001: this software, and the person who drew or corrected the mask if one did."""
    person = None
    if author.kind is AuthorKind.HUMAN:
        name = hd.sr.PersonObserverIdentifyingAttributes(name=person_name(author.name))
        person = ObserverContext(codes.DCM.Person, name)
    return ObservationContext(person, observing_device(context))


def observing_device(context: ResultContext) -> ObserverContext:
    """TID 1004: this software."""
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=context.device_uid,
        name=PRODUCT,
        manufacturer_name=context.manufacturer,
        model_name=context.model_name,
        serial_number=context.serial_number,
    )
    return ObserverContext(codes.DCM.Device, device)


def algorithm_parameters(author: Author) -> list[str]:
    """Who segmented, with what, for TID 4019 (row 4, algorithm parameters)."""
    parts = {"segmented by": author.kind, "model": author.name, "version": author.version}
    parts |= {"weights-sha256": author.checksum, "engine": author.engine}
    if author.kind is AuthorKind.HUMAN:
        del parts["model"]  # a person's name belongs to the observer alone
    return [f"{name}: {value}" for name, value in parts.items() if value]


def _evidence(study: Study, series: Series, header: Dataset) -> Iterator[Dataset]:
    """Every instance of the segmented series; the constructor wants data sets, but uses only their identity."""
    for reference in references(series, header.SOPClassUID):
        instance = Dataset()
        instance.StudyInstanceUID, instance.SeriesInstanceUID = header.StudyInstanceUID, header.SeriesInstanceUID
        instance.SOPClassUID, instance.SOPInstanceUID = reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID
        yield instance


def comments(flags: Seq[Flag]) -> hd.sr.ContainerContentItem:
    """TID 1500 rows 12 and 14: what was uncertain, in words."""
    container = hd.sr.ContainerContentItem(QUALITATIVE_EVALUATIONS, relationship_type="CONTAINS")
    texts = [f"{flag.severity.upper()} {flag.code}: {flag.message}" for flag in flags]
    items = [hd.sr.TextContentItem(codes.DCM.Comment, text, relationship_type="CONTAINS") for text in texts]
    container.ContentSequence = hd.sr.ContentSequence(items)
    return container


def _tracking(identifier: str, uid: str) -> TrackingIdentifier:
    return TrackingIdentifier(uid=uid, identifier=identifier)


def _sites(side: Side | None, lobe: tuple[str, float] | None) -> list[FindingSite]:
    """Brain with its side, and the lobe that holds most of the finding where it has a code."""
    places = [dicom_code(labels.ANATOMIC_REGION)]
    if lobe is not None and lobe[0] in _LOBES:
        places.append(_LOBES[lobe[0]])
    midline = codes.SCT.Midline if side is Side.MIDLINE else None
    return [
        FindingSite(place, laterality=_LATERALITY.get(side or Side.UNKNOWN), topographical_modifier=midline) for place in places
    ]


def _numbers(measured: RegionMeasurement) -> Iterator[Measurement]:
    yield Measurement(VOLUME, _rounded(measured.volume_ml), MILLILITRE)
    yield Measurement(SIMPSON_VOLUME, _rounded(measured.simpson_ml), MILLILITRE)
    if measured.max_diameter_3d_mm is not None:
        yield Measurement(DIAMETER, _rounded(measured.max_diameter_3d_mm), MILLIMETRE, derivation=codes.SCT.Maximum)
    if measured.diameters is not None:
        yield from _diameters(measured.diameters)


def _diameters(diameters: Diameters) -> Iterator[Measurement]:
    """The names that viewers know as a bidirectional measurement."""
    yield Measurement(LONG_AXIS, _rounded(diameters.longest_mm), MILLIMETRE, method=RANO)
    yield Measurement(SHORT_AXIS, _rounded(diameters.perpendicular_mm), MILLIMETRE, method=RANO)
    yield Measurement(DIAMETER_PRODUCT, _rounded(diameters.product_mm2), SQUARE_MILLIMETRE, method=RANO)


def _rounded(value: float) -> float:
    """A thousandth of a mm or mL, so that Decimal String's 16 characters suffice (PS3.5 6.2)."""
    return round(float(value), 3)
