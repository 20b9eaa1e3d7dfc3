"""DICOM Segmentation: a mask on a source series' grid, coded, coloured and traceable, written and read with highdicom."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes
from pydicom.valuerep import DSfloat

from braintumor.domain import (
    ANATOMIC_REGION,
    LABELS,
    SEGMENT_CATEGORY,
    Author,
    AuthorKind,
    CorruptFileError,
    Flag,
    GeometryError,
    Grid,
    InputNotFoundError,
    Label,
    Measurements,
    Segmentation,
    Series,
    Severity,
    Study,
)
from braintumor.export.common import (
    PRODUCT,
    ResultContext,
    dicom_code,
    nameless,
    person_name,
    read_header,
    read_instance,
    stamp,
)

ABSENT = "looked for, none found"
ON_GRID_TOLERANCE = 0.05
"""Largest distance, in voxels, between a stored voxel centre and the grid's that still counts as the same voxel."""


class SegKind(StrEnum):
    """How voxels are stored (PS3.3 C.8.20.2): one bit per segment, or one image of labels (Supplement 243, 2024)."""

    BINARY = "binary"
    LABELMAP = "labelmap"


def make_seg(
    study: Study,
    segmentation: Segmentation,
    measurements: Measurements | None,
    context: ResultContext,
    *,
    series: Series | None = None,
    kind: SegKind = SegKind.BINARY,
    omit_empty_frames: bool = False,
) -> hd.seg.Segmentation:
    """A segmentation as a DICOM object that refers to every instance of one source series.

    Parameters
    ----------
    study
        Read from DICOM.
    segmentation
        On the grid of `series`.
    measurements
        Gives each segment's description its volume; may be None.
    series
        One of the study's; the reference series if None.
    kind
        BINARY is read everywhere; LABELMAP has a third of the frames, but is younger than many archives and checkers.
    omit_empty_frames
        By default every slice has a frame for every segment. That costs 0.6 s and 3 MB for 155 slices of 240x240, but
        viewers have shown sparse objects shifted (monai-deploy-app-sdk 397) and hung on segments without frames (OHIF 3991).

    Returns
    -------
    highdicom.seg.Segmentation
        Segments 1..N of the label table, all described, also those that are absent (PS3.3 C.8.20.4).

    Raises
    ------
    ValueError
        If the mask is not on the series' grid, or the series is not one of the study's.
    InputNotFoundError, CorruptFileError
        If the study is NIfTI or its files changed meanwhile.
    """
    series = series or study.reference
    sequence = next((s for s, candidate in study.series.items() if candidate is series), None)
    if sequence is None:
        raise ValueError("the series does not belong to the study")
    if not segmentation.grid.same_as(series.image.grid):
        raise ValueError("the mask is not on the grid of the series the object would refer to")
    header = read_header(study, series)
    if not header.get("FrameOfReferenceUID"):  # lost by some anonymisers; segmentations may not be without one
        header.FrameOfReferenceUID = context.tracking(series.uid, "frame-of-reference")[1]
    sources, positions = sources_of(series, header)
    human = segmentation.author.kind is AuthorKind.HUMAN
    dataset = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=_SEGMENT_OF_VALUE[np.ascontiguousarray(segmentation.mask.transpose(2, 1, 0))],
        segmentation_type=SegmentationTypeValues[kind.name],
        segment_descriptions=[_description(label, study, segmentation, measurements, context) for label in LABELS],
        plane_positions=positions,
        omit_empty_frames=omit_empty_frames,
        content_label="BRAIN_TUMOUR",
        content_description="Brain tumour compartments",
        content_creator_name=person_name(segmentation.author.name) if human else None,
        **context.arguments("seg", f"Brain tumour segmentation on {sequence.title}", sequence=sequence),
    )
    name_dimensions(dataset, context.uid("dimensions", sequence.value))
    stamp(dataset, header, context)
    return dataset


def read_seg(source: Path | Dataset, grid: Grid | None = None) -> Segmentation:
    """Read a DICOM Segmentation, BINARY or LABELMAP, ours or another program's.

    Segments are recognised by their property type code, then by their label; never by their position. What is not one of
    our labels is left out and flagged (``unknown-segment``); where segments overlap, the one later in the label table wins
    (``overlapping-segments``).

    Parameters
    ----------
    source
        A file, or a data set with its pixels.
    grid
        Where to put the mask, e.g. the grid of the series the object refers to. Needed to get whole slices back that the
        object leaves out. If None, the smallest grid that holds all its frames.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If it cannot be read, is no segmentation, or has none of our labels.
    GeometryError
        If its frames are not evenly spaced, or its voxels are not voxels of `grid`.
    """
    dataset = _open(source)
    where = source if isinstance(source, Path) else None
    described = [dataset.get_segment_description(number) for number in dataset.segment_numbers]
    matched = {d.segment_number: label for d in described if (label := _label_of(d)) is not None}
    if not matched:
        raise CorruptFileError(
            "a segmentation object has no segment that is one of the tumour labels",
            remedy=f"name its segments {', '.join(label.name for label in LABELS)}",
            path=where,
        )
    stored_mask, stored_grid, overlap = _stored_mask(dataset, matched, where)
    flags = [_unknown(d) for d in described if d.segment_number not in matched]
    if overlap:
        message = f"{overlap} voxels belong to more than one segment; the later label of the table was taken"
        flags.append(Flag("overlapping-segments", Severity.WARNING, message))
    mask = stored_mask if grid is None else _on_grid(stored_mask, stored_grid, grid, where)
    first = next(d for d in described if d.segment_number in matched)
    return Segmentation(mask, grid or stored_grid, _author(dataset, first), flags=tuple(flags))


def _lookup() -> npt.NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for label in LABELS:
        table[label.value] = label.segment
    return table


_SEGMENT_OF_VALUE = _lookup()


def sources_of(series: Series, header: Dataset) -> tuple[list[Dataset], list[hd.PlanePositionSequence] | None]:
    """What highdicom takes geometry and references from, and the planes' positions, k order, where it must be told them."""
    first = nameless(header)
    if "SharedFunctionalGroupsSequence" in first:
        return _multiframe_source(series, first)
    if len(series.instances) > 1:  # vendors store the gap here, or nothing; the positions are what was measured
        first.SpacingBetweenSlices = DSfloat(series.image.grid.spacing[2], auto_format=True)
    if not first.get("SliceThickness"):
        first.SliceThickness = DSfloat(series.image.grid.spacing[2], auto_format=True)
    others = [read_instance(instance) for instance in series.instances[1:]]
    for other in others:  # equal for highdicom means to the last digit; the study reader has checked what matters
        other.ImageOrientationPatient = first.ImageOrientationPatient
        other.FrameOfReferenceUID = first.FrameOfReferenceUID
    return [first, *others], None


def _multiframe_source(series: Series, first: Dataset) -> tuple[list[Dataset], list[hd.PlanePositionSequence]]:
    """The same for an enhanced instance: some scanners keep per frame what all frames share, and store more than one stack."""
    frames = read_instance(series.instances[0]).PerFrameFunctionalGroupsSequence
    used = [frames[number - 1] for number in series.frames]
    shared = Dataset()
    shared.update(first.SharedFunctionalGroupsSequence[0])
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword not in shared:
            setattr(shared, keyword, getattr(used[0], keyword))
    first.SharedFunctionalGroupsSequence = [shared]
    first.PerFrameFunctionalGroupsSequence = frames
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in used]
    return [first], [hd.PlanePositionSequence("PATIENT", [float(v) for v in position]) for position in positions]


def _description(
    label: Label, study: Study, segmentation: Segmentation, measurements: Measurements | None, context: ResultContext
) -> SegmentDescription:
    """One item of the Segment Sequence (PS3.3 C.8.20.4)."""
    author = segmentation.author
    tracking_id, tracking_uid = context.tracking(study.uid, label.short)
    description = SegmentDescription(
        segment_number=label.segment,
        segment_label=label.name,
        segmented_property_category=dicom_code(SEGMENT_CATEGORY),
        segmented_property_type=dicom_code(label.code),
        algorithm_type=_algorithm_type(author),
        algorithm_identification=_algorithm(author),
        tracking_id=tracking_id,
        tracking_uid=tracking_uid,
        anatomic_regions=[dicom_code(ANATOMIC_REGION)],
        display_color=hd.color.CIELabColor.from_rgb(*label.rgb),
    )
    description.SegmentDescription = _in_words(label, segmentation, measurements)
    return description


def _in_words(label: Label, segmentation: Segmentation, measurements: Measurements | None) -> str:
    """Free text of a segment: that it was looked for and not found must be readable, for an empty segment looks forgotten."""
    stored = bool((segmentation.mask == label.value).any())
    measured = None if measurements is None else measurements.regions.get(label.short)
    if measured is None:
        return label.name if stored else ABSENT
    if measured.volume_ml == 0:
        return ABSENT
    return f"{measured.volume_ml:.2f} mL" + ("" if stored else ", too small for the voxels of this series")


def _algorithm_type(author: Author) -> SegmentAlgorithmTypeValues:
    if author.kind is not AuthorKind.HUMAN:
        return SegmentAlgorithmTypeValues.AUTOMATIC
    return SegmentAlgorithmTypeValues.SEMIAUTOMATIC if author.version else SegmentAlgorithmTypeValues.MANUAL


def _algorithm(author: Author) -> hd.AlgorithmIdentificationSequence | None:
    """The model, also where a person has corrected its mask (`Author.version` is then the model's); None for a person alone."""
    if _algorithm_type(author) is SegmentAlgorithmTypeValues.MANUAL:
        return None
    parameters = {"weights-sha256": author.checksum, "engine": author.engine}
    return hd.AlgorithmIdentificationSequence(
        name=PRODUCT if author.kind is AuthorKind.HUMAN else author.name,
        family=codes.DCM.ArtificialIntelligence,
        version=author.version or "unknown",
        parameters={name: value for name, value in parameters.items() if value} or None,
    )


def name_dimensions(dataset: Dataset, uid: str) -> None:
    """Replace the random Dimension Organization UID, which is all that would differ between two equal runs."""
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _open(source: Path | Dataset) -> hd.seg.Segmentation:
    where = source if isinstance(source, Path) else None
    try:
        dataset = source if isinstance(source, Dataset) else pydicom.dcmread(source)
        return hd.seg.Segmentation.from_dataset(dataset, copy=False)
    except OSError as error:
        problem = f"a segmentation object cannot be read: {error.strerror or error}"
        raise InputNotFoundError(problem, remedy="name an existing, readable DICOM file", path=where) from error
    except (InvalidDicomError, ValueError, AttributeError, TypeError) as error:
        raise CorruptFileError(
            "a file is not a readable DICOM Segmentation",
            remedy="export the segmentation again as DICOM SEG",
            path=where,
        ) from error


def _label_of(description: SegmentDescription) -> Label | None:
    """Our label with the segment's code, else the one with its name; None if neither is known."""
    stored = description.segmented_property_type
    for label in LABELS:
        if stored == dicom_code(label.code):  # pydicom also equates a SNOMED code with its retired SRT form
            return label
    text = description.segment_label.strip().casefold()
    return next((label for label in LABELS if text in (label.name.casefold(), label.short.casefold())), None)


def _stored_mask(
    dataset: hd.seg.Segmentation, matched: dict[int, Label], where: Path | None
) -> tuple[npt.NDArray[np.uint8], Grid, int]:
    """The stored frames as a mask (i, j, k), their grid, and in how many voxels segments overlap."""
    numbers = sorted(matched, key=lambda number: LABELS.index(matched[number]))
    try:
        volume = dataset.get_volume(segment_numbers=numbers, dtype=np.uint8, rescale_fractional=True)
    except (ValueError, RuntimeError) as error:
        raise GeometryError(
            "the frames of a segmentation object are no evenly spaced stack",
            remedy="export the segmentation again on the grid of one image series",
            path=where,
        ) from error
    stacked = volume.array  # slice, row, column, segment
    mask, twice = np.zeros(stacked.shape[:3], np.uint8), np.zeros(stacked.shape[:3], bool)
    for position, number in enumerate(numbers):
        inside = stacked[..., position] > 0
        twice |= inside & (mask > 0)
        mask[inside] = matched[number].value
    mask = mask.transpose(2, 1, 0)
    k, j, i = stacked.shape[:3]
    affine = volume.affine[:, [2, 1, 0, 3]]
    if np.linalg.det(affine) < 0:  # highdicom stacks against the normal of the slices, this package along it
        affine = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, k - 1], [0, 0, 0, 1]])
        mask = mask[:, :, ::-1]
    return mask, Grid((i, j, k), affine), int(twice.sum())


def _on_grid(mask: npt.NDArray[np.uint8], source: Grid, target: Grid, where: Path | None) -> npt.NDArray[np.uint8]:
    """The same voxels on another grid that has them, whatever its axis order, directions and size; no interpolation."""
    index = np.argwhere(mask)
    placed = target.to_index(source.to_world(index))
    nearest = np.rint(placed).astype(int)
    change = (np.linalg.inv(target.affine) @ source.affine)[:3, :3]  # of voxels of one size: whole numbers, determinant 1 or -1
    same_voxels = np.allclose(change, np.rint(change), atol=1e-3) and abs(abs(np.linalg.det(change)) - 1) < 1e-3
    inside = bool(((nearest >= 0) & (nearest < target.shape)).all())
    if not same_voxels or not inside or (len(index) and np.abs(placed - nearest).max() > ON_GRID_TOLERANCE):
        raise GeometryError(
            "the voxels of a segmentation object are not voxels of the image grid it should be on",
            remedy="export it on the grid of the series it was drawn on, or resample it there first",
            path=where,
        )
    result = np.zeros(target.shape, np.uint8)
    result[tuple(nearest.T)] = mask[tuple(index.T)]
    return result


def _author(dataset: Dataset, description: SegmentDescription) -> Author:
    """Who made it, as far as the object says."""
    item = next(iter(description.algorithm_identification or ()), Dataset())
    text = str(item.get("AlgorithmParameters") or "")
    parameters = dict(part.split("=", 1) for part in text.split(",") if "=" in part)  # other programs write free text here
    found = {
        "version": str(item.get("AlgorithmVersion") or ""),
        "checksum": parameters.get("weights-sha256", ""),
        "engine": parameters.get("engine", ""),
    }
    if description.algorithm_type is SegmentAlgorithmTypeValues.AUTOMATIC:
        return Author(AuthorKind.MODEL, str(description.get("SegmentAlgorithmName", "")), **found)
    return Author(AuthorKind.HUMAN, str(dataset.get("ContentCreatorName") or "").rstrip("^"), **found)


def _unknown(description: SegmentDescription) -> Flag:
    message = f"segment {description.segment_number} is none of the tumour labels and was left out"
    return Flag("unknown-segment", Severity.WARNING, message)
