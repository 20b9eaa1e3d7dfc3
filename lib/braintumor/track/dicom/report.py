"""The timeline as a TID 1500 report: every lesion and region at every visit, each with its place in time."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Seq

import highdicom as hd
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TimePointContext,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode

from braintumor.domain import Appearance, Code, Estimate, LesionState, Region, Track
from braintumor.domain import regions as labels
from braintumor.export.common import PRODUCT, dicom_code, nameless, read_header, stamp
from braintumor.export.sr import MILLILITRE, MR_BRAIN, RANO, VOLUME, Group, algorithm_parameters, comments, observing_device
from braintumor.track.change import Change, change_between, days_between
from braintumor.track.dicom.codes import (
    CHANGE_CATEGORY,
    CHANGE_CODES,
    CHANGE_ML,
    CHANGE_PERCENT,
    COURSE,
    COURSES,
    OUR_SCHEME,
    PERCENT,
    WORDS,
)
from braintumor.track.dicom.common import Prior, TrackContext, evidence, reference_header
from braintumor.track.dicom.seg import current_lesions
from braintumor.track.rano import AID
from braintumor.track.timeline import Timeline

_COMPARED = (LesionState.GROWN, LesionState.SHRUNK, LesionState.STABLE)
"""States whose change is that of one lesion; one that split or merged is not the same thing at both visits."""


def make_report(
    timeline: Timeline,
    lesions: Dataset | None,
    change: Dataset,
    priors: Seq[Prior],
    registrations: Seq[Dataset],
    context: TrackContext,
) -> hd.sr.Comprehensive3DSR:
    """The report in the current study (PS3.16 TID 1500), unverified and preliminary: no person has looked at it yet.

    Each group says its visit by TID 1502. Groups of the current visit's lesions point at their segments (TID 1411); those
    of earlier visits and of regions name no image (TID 1501), since the earlier masks are not in the current study.

    Parameters
    ----------
    lesions, change
        From `braintumor.track.dicom.seg`; `lesions` None where the current visit shows none.
    priors
        Visits whose images may be referred to: they become Pertinent Other Evidence.
    registrations
        Their Spatial Registration objects.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If the current study is NIfTI or its files changed meanwhile.
    """
    study = timeline.visits[-1].study
    header = reference_header(study, context)
    report = MeasurementReport(
        observation_context=_observer(context),
        procedure_reported=MR_BRAIN,
        imaging_measurements=list(_Groups(timeline, lesions, change, priors, context).all()),
        title=codes.DCM.ImagingMeasurementReport,
    )
    remarks = comments(timeline.flags)
    remarks.ContentSequence.insert(0, hd.sr.TextContentItem(RANO, rano_words(timeline), relationship_type="CONTAINS"))
    report[0].ContentSequence.append(remarks)
    seen = [nameless(header), *evidence(study, study.reference, header), *([] if lesions is None else [lesions]), change]
    for prior in priors:
        earlier = prior.visit.study
        seen += evidence(earlier, earlier.reference, read_header(earlier, earlier.reference))
    dataset = hd.sr.Comprehensive3DSR(
        evidence=[*seen, *registrations],
        content=report,
        is_complete=True,
        coding_schemes=[OUR_SCHEME],
        **context.arguments("report", "Brain tumour over time"),
    )
    stamp(dataset, header, context)
    return dataset


def rano_words(timeline: Timeline) -> str:
    """The current visit's RANO category: that it is an aid, the rule that fired, and what was not known."""
    if not timeline.rano:
        return f"{AID} Not assessed, because {timeline.rano_missing}."
    found = timeline.rano[-1]
    parts = [
        found.notice,
        f"By the numbers of {found.date.isoformat()}: {found.category}.",
        f"Counts today: {found.standing} (confirmation: {found.confirmation}).",
        f"Rule: {found.rule}",
        f"Not known: {'; '.join(found.missing)}." if found.missing else "",
        *found.caveats,
    ]
    return " ".join(part for part in parts if part)


class _Groups:
    """The measurement groups of one report."""

    def __init__(
        self, timeline: Timeline, lesions: Dataset | None, change: Dataset, priors: Seq[Prior], context: TrackContext
    ) -> None:
        self.timeline, self.lesions, self.change, self.context = timeline, lesions, change, context
        self.last = len(timeline.visits) - 1
        self.nameable = {prior.number - 1 for prior in priors} | {self.last}
        self.numbers = {track.uid: n for n, track in enumerate(current_lesions(timeline), start=1)}

    def all(self) -> Iterator[Group]:
        for visit in range(len(self.timeline.visits)):
            for region in Region:
                yield self._region(visit, region)
            for lesion in self.timeline.tracks:
                appearance = lesion.at(visit)
                if appearance is not None:
                    yield self._lesion(lesion, appearance)
        for item in self.change.SegmentSequence:
            yield self._changed(item)

    def _region(self, visit: int, region: Region) -> Group:
        """A region's tracking identity is that of the oldest visit's own report, so that a later comparison keeps it."""
        change = self.timeline.changes[visit - 1][region] if visit else None
        numbers = [_volume(self.timeline.volumes[visit][region]), *_change(change)]
        tracking = self.context.tracking(self.timeline.visits[0].study.uid, region)
        return self._spanning(visit, tracking, region, numbers, None if change is None else WORDS[change.words])

    def _lesion(self, lesion: Track, appearance: Appearance) -> Group:
        visit, state = appearance.visit, appearance.state
        numbers = []
        if appearance.number is not None or state is LesionState.RESOLVED:
            numbers = [_volume(appearance.volume), *_change(self._since(lesion, appearance))]
        course = None if state is LesionState.PRESENT else state
        if visit == self.last and lesion.uid in self.numbers and self.lesions is not None:
            kinds = (labels.SEGMENT_CATEGORY, labels.REGION_CODES[Region.WT])
            item = self.lesions.SegmentSequence[self.numbers[lesion.uid] - 1]
            return self._segment(self.lesions, item, kinds, numbers, course)
        return self._spanning(visit, (lesion.name, lesion.uid), Region.WT, numbers, course)

    def _since(self, lesion: Track, appearance: Appearance) -> Change | None:
        before = lesion.at(appearance.visit - 1)
        if appearance.state not in _COMPARED or before is None:
            return None
        earlier, later = (self.timeline.visits[n].date for n in (appearance.visit - 1, appearance.visit))
        return change_between(before.volume, appearance.volume, days_between(earlier, later))

    def _changed(self, item: Dataset) -> Group:
        value = list(CHANGE_CODES)[item.SegmentNumber - 1]
        voxels = int((self.timeline.change_map == value).sum())
        ml = voxels * self.timeline.visits[-1].case.grid.voxel_ml
        numbers = [Measurement(VOLUME, round(ml, 3), MILLILITRE)]
        return self._segment(self.change, item, (CHANGE_CATEGORY, CHANGE_CODES[value]), numbers, None)

    def _segment(
        self,
        seg: Dataset,
        item: Dataset,
        kinds: tuple[Code, Code],
        numbers: list[Measurement],
        course: LesionState | None,
    ) -> Group:
        """A group of TID 1411 on a segment of the current study; `kinds` are category and type."""
        source = seg.ReferencedSeriesSequence[0].SeriesInstanceUID
        return VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(uid=item.TrackingUID, identifier=item.TrackingID),
            referenced_segment=ReferencedSegment(
                sop_class_uid=seg.SOPClassUID,
                sop_instance_uid=seg.SOPInstanceUID,
                segment_number=item.SegmentNumber,
                source_series=SourceSeriesForSegmentation(referenced_series_instance_uid=source),
            ),
            finding_category=dicom_code(kinds[0]),
            finding_type=dicom_code(kinds[1]),
            finding_sites=[FindingSite(dicom_code(labels.ANATOMIC_REGION))],
            measurements=numbers,
            qualitative_evaluations=_course(course),
            algorithm_id=self._algorithm(self.last),
            time_point_context=self._time_point(self.last),
        )

    def _spanning(
        self,
        visit: int,
        tracking: tuple[str, str],
        region: Region,
        numbers: list[Measurement],
        course: LesionState | None,
    ) -> Group:
        """A group of TID 1501."""
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(uid=tracking[1], identifier=tracking[0]),
            finding_category=dicom_code(labels.SEGMENT_CATEGORY),
            finding_type=dicom_code(labels.REGION_CODES[region]),
            finding_sites=[FindingSite(dicom_code(labels.ANATOMIC_REGION))],
            measurements=numbers or None,
            qualitative_evaluations=_course(course),
            algorithm_id=self._algorithm(visit),
            time_point_context=self._time_point(visit),
        )

    def _algorithm(self, visit: int) -> AlgorithmIdentification:
        parameters = algorithm_parameters(self.timeline.visits[visit].segmentation.author)
        return AlgorithmIdentification(name=PRODUCT, version=self.context.software_version, parameters=parameters)

    def _time_point(self, number: int) -> TimePointContext:
        """TID 1502: the visit's date and its place in the series; its study too, unless that may be another patient's."""
        visit = self.timeline.visits[number]
        return TimePointContext(
            time_point=visit.date.isoformat() if visit.date else f"visit {number + 1}, date not known",
            time_point_type=codes.SCT.PreOperative if visit.preoperative else None,
            time_point_order=number + 1,
            subject_time_point_identifier=visit.study.uid if number in self.nameable else None,
        )


def _observer(context: TrackContext) -> ObservationContext:
    """TID 1001: this software; whoever drew a visit's mask is in that visit's own report."""
    return ObservationContext(observer_device_context=observing_device(context))


def _course(state: LesionState | None) -> list[QualitativeEvaluation] | None:
    return None if state is None else [QualitativeEvaluation(COURSE, COURSES[state])]


def _volume(estimate: Estimate) -> Measurement:
    return _estimated(VOLUME, estimate, MILLILITRE)


def _change(change: Change | None) -> Iterator[Measurement]:
    if change is not None:
        yield _estimated(CHANGE_ML, change.ml, MILLILITRE)
        if change.percent is not None:
            yield _estimated(CHANGE_PERCENT, change.percent, PERCENT)


def _estimated(name: DicomCode, estimate: Estimate, unit: DicomCode) -> Measurement:
    """A number with its 95 % interval (TID 310: ranges of upper and lower measurement uncertainty)."""
    half = round(1.96 * estimate.sigma, 3)
    properties = MeasurementProperties(upper_measurement_uncertainty=half, lower_measurement_uncertainty=half)
    for item in properties:  # highdicom 0.28 gives them no unit; a range has that of its value
        item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [hd.sr.CodedConcept.from_code(unit)]
    return Measurement(name, round(estimate.value, 3), unit, properties=properties)
