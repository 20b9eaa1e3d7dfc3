"""Followed lesions, and growth and shrinkage, as DICOM Segmentations on the current study's reference series."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from pydicom.sr.codedict import codes

from braintumor.domain import ANATOMIC_REGION, REGION_CODES, SEGMENT_CATEGORY, AuthorKind, Code, Grid, Image, Region, Track
from braintumor.export.common import PRODUCT, dicom_code, stamp
from braintumor.export.seg import ABSENT, name_dimensions, sources_of
from braintumor.preprocess.grid import resample
from braintumor.track.dicom.codes import CHANGE_CATEGORY, CHANGE_CODES, OUR_SCHEME
from braintumor.track.dicom.common import TrackContext, reference_header
from braintumor.track.lesions import find_instances
from braintumor.track.overlay import COLOURS, NAMES
from braintumor.track.timeline import Timeline

_Labels = npt.NDArray[np.uint16]
_GOLDEN = 0.618034
"""Steps of the golden ratio round the circle of hues keep any number of neighbours apart."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """What is said of one segment; its number is its place in the list, from 1."""

    label: str
    kind: Code
    category: Code
    tracking: tuple[str, str]
    rgb: tuple[int, int, int]
    words: str


def current_lesions(timeline: Timeline) -> tuple[Track, ...]:
    """The tracks that the current visit's mask shows, in the order of their segments."""
    last = len(timeline.visits) - 1
    return tuple(t for t in timeline.tracks if (here := t.at(last)) is not None and here.number is not None)


def make_lesion_seg(timeline: Timeline, context: TrackContext) -> hd.seg.Segmentation | None:
    """One segment per lesion of the current visit, with the Tracking ID and UID of its track.

    Returns
    -------
    highdicom.seg.Segmentation or None
        None where the current visit shows no lesion: an object without segments is none (PS3.3 C.8.20.2).

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If the current study is NIfTI or its files changed meanwhile.
    """
    current, last = timeline.visits[-1], len(timeline.visits) - 1
    lesions = current_lesions(timeline)
    if not lesions:
        return None
    own = find_instances(current.segmentation.region(Region.WT), current.case.grid).labels
    labels, segments = np.zeros(own.shape, np.uint16), []
    for number, lesion in enumerate(lesions, start=1):
        here = lesion.at(last)
        assert here is not None  # noqa: S101  by `current_lesions`
        labels[own == here.number] = number
        words = f"{here.volume.value:.2f} mL, standard error {here.volume.sigma:.2f}; {here.state.value}"
        tracking = (lesion.name, lesion.uid)
        colour = _colour(timeline.tracks.index(lesion))
        segments.append(_Segment(lesion.name, REGION_CODES[Region.WT], SEGMENT_CATEGORY, tracking, colour, words))
    return _made(timeline, labels, segments, "lesions", "Tumour lesions followed over time", context)


def make_change_seg(timeline: Timeline, context: TrackContext) -> hd.seg.Segmentation:
    """Growth, shrinkage and what stayed since the visit before, as three segments, also where one is empty.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If the current study is NIfTI or its files changed meanwhile.
    """
    before, current = timeline.visits[-2:]
    labels, segments = np.zeros(timeline.change_map.shape, np.uint16), []
    for number, (value, code) in enumerate(CHANGE_CODES.items(), start=1):
        found = timeline.change_map == value
        labels[found] = number
        words = f"{np.count_nonzero(found) * current.case.grid.voxel_ml:.2f} mL" if found.any() else ABSENT
        name = code.value.rpartition("-")[2].lower()
        # the place of a change belongs to both visits: another prior is another change
        tracking = (f"{PRODUCT}-{name}", context.tracking(current.study.uid, f"{name} since {before.study.uid}")[1])
        segments.append(_Segment(NAMES[value], code, CHANGE_CATEGORY, tracking, COLOURS[value], words))
    since = f"since {before.date.isoformat()}" if before.date else "since the visit before"
    return _made(timeline, labels, segments, "change", f"Tumour change {since}", context)


def _made(
    timeline: Timeline, labels: _Labels, segments: Seq[_Segment], kind: str, description: str, context: TrackContext
) -> hd.seg.Segmentation:
    """Labels (i, j, k) on the current case's grid, values = segment numbers, as an object on its reference series."""
    current = timeline.visits[-1]
    series = current.study.reference
    header = reference_header(current.study, context)
    sources, positions = sources_of(series, header)
    carried = carried_labels(labels, current.case.grid, series.image.grid)
    dataset = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=np.ascontiguousarray(carried.transpose(2, 1, 0)),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(n, s, timeline, context) for n, s in enumerate(segments, start=1)],
        plane_positions=positions,
        omit_empty_frames=False,  # as `braintumor.export.seg.make_seg`, for the same viewers
        content_label=f"TUMOUR_{kind.upper()}",
        content_description=description,
        coding_schemes=[OUR_SCHEME],
        **context.arguments(kind, description),
    )
    name_dimensions(dataset, context.uid("dimensions", kind))
    stamp(dataset, header, context)
    return dataset


def carried_labels(labels: npt.NDArray[Any], grid: Grid, target: Grid) -> _Labels:
    """Labels on another grid of the same space: the same voxels where both are one grid in another axis order.

    Otherwise each label's share is interpolated linearly, and a voxel gets the label, or nothing, with the largest share.

    Parameters
    ----------
    labels
        Whole numbers (i, j, k) on `grid`, 0 for nothing.
    """
    result = np.zeros(target.shape, np.uint16)
    most, together = np.zeros(target.shape, np.float32), np.zeros(target.shape, np.float32)
    for value in np.unique(labels[labels > 0]):
        share = resample(Image((labels == value).astype(np.float32), grid), target)
        together += share
        wins = share > most
        result[wins], most[wins] = value, share[wins]
    result[1.0 - together > most] = 0
    return result


def _description(number: int, segment: _Segment, timeline: Timeline, context: TrackContext) -> SegmentDescription:
    """One item of the Segment Sequence (PS3.3 C.8.20.4).

    Its algorithm is this package's, also where a person drew the masks: what is a lesion of its own, and what changed, was
    computed from them. Archives' label lists tell a person's label by this (`braintumor.archive`).
    """
    authors = [visit.segmentation.author for visit in timeline.visits[-2:]]
    by = {name: "person" if a.kind is AuthorKind.HUMAN else a.name for name, a in zip(("before", "now"), authors, strict=True)}
    description = SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=dicom_code(segment.category),
        segmented_property_type=dicom_code(segment.kind),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=PRODUCT,
            family=codes.DCM.ArtificialIntelligence,
            version=context.software_version,
            parameters={f"mask-{when}": who for when, who in by.items()},
        ),
        tracking_id=segment.tracking[0],
        tracking_uid=segment.tracking[1],
        anatomic_regions=[dicom_code(ANATOMIC_REGION)],
        display_color=hd.color.CIELabColor.from_rgb(*segment.rgb),
    )
    description.SegmentDescription = segment.words
    return description


def _colour(index: int) -> tuple[int, int, int]:
    """Display colour (sRGB, 0..255) of a lesion, the same at every visit."""
    r, g, b = colorsys.hsv_to_rgb((0.13 + _GOLDEN * index) % 1.0, 0.65, 0.95)
    return round(255 * r), round(255 * g), round(255 * b)
