"""From segmented visits to the timeline: alignment, lesions, changes and RANO categories, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from braintumor.domain import (
    Estimate,
    Flag,
    Grid,
    Image,
    MRSequence,
    Region,
    Severity,
    Track,
    VisitAlignment,
    bounding_box,
    region_mask,
)
from braintumor.measure import axial_diameters, slice_spacing_mm
from braintumor.report.findings import gather_flags
from braintumor.track.change import Change, change_between, days_between, extent_of_resection, volume_of
from braintumor.track.lesions import Instances, carried, find_instances, track
from braintumor.track.rano import Assessment, Criteria, LesionSize, TimePoint, assess
from braintumor.track.register import Scan, align_visits
from braintumor.track.visits import Visit, check_different, check_patients, common_sequence, in_order, visit_flags

GROWTH, SHRINKAGE, UNCHANGED = 1, 2, 3
"""Values of the change map: tumour now only, before only, at both."""


_PLAIN = Criteria()


@dataclass(frozen=True, slots=True)
class Event:
    """A treatment on the time axis."""

    date: date
    words: str


@dataclass(frozen=True, eq=False)
class Timeline:
    """Everything known of a tumour over its visits; lists run with the visits, oldest first.

    Attributes
    ----------
    alignments
        Of each visit to the current one (the last); None for the current one.
    volumes
        Per region at each visit.
    changes
        Per region from each visit to the next.
    tracks
        Lesions: components of the whole tumour.
    cores
        Components of the tumour core, whose enhancing part RANO measures.
    rano
        Empty where it cannot be assessed; `rano_missing` says why.
    resection
        Per region, per cent of the pre-operative volume that is gone; empty without a pre-operative visit.
    change_map
        uint8 (i, j, k) on the current case's grid: `GROWTH`, `SHRINKAGE`, `UNCHANGED` since the visit before.
    """

    visits: tuple[Visit, ...]
    alignments: tuple[VisitAlignment | None, ...]
    volumes: tuple[Mapping[Region, Estimate], ...]
    changes: tuple[Mapping[Region, Change], ...]
    tracks: tuple[Track, ...]
    cores: tuple[Track, ...]
    rano: tuple[Assessment, ...]
    rano_missing: str
    resection: Mapping[Region, Estimate]
    change_map: npt.NDArray[np.uint8]
    events: tuple[Event, ...] = ()
    flags: tuple[Flag, ...] = field(default=())


def compare(
    visits: Sequence[Visit],
    criteria: Criteria = _PLAIN,
    *,
    events: Sequence[Event] = (),
    known: Mapping[tuple[str, int], str] | None = None,
    force: bool = False,
) -> Timeline:
    """The timeline of visits as a user named them: checked, put in order, with what every stage said of them.

    Parameters
    ----------
    visits
        The current one first, then priors in any order.
    known
        Lesions' identities of an earlier timeline, see `braintumor.track.table.known_uids`.
    force
        Compare although the patient IDs differ.

    Raises
    ------
    PatientMismatchError, VisitsError, RegistrationError, MissingSequenceError
    """
    studies = [visit.study for visit in visits]
    flags = check_patients(studies, force=force)
    check_different(studies)
    ordered, more = in_order(visits, [visit.date for visit in visits])
    made = build(ordered, criteria, events=events, known=known, flags=(*flags, *more))
    return replace(made, flags=gather_flags(made.flags, *(_named(n, visit) for n, visit in enumerate(ordered, start=1))))


def _named(number: int, visit: Visit) -> tuple[Flag, ...]:
    """A visit's own flags, saying whose they are; what is for the record only stays in the visit's own results."""
    flags = (*visit.case.flags, *visit.segmentation.flags)
    return tuple(replace(f, message=f"Visit {number}: {f.message}") for f in flags if f.severity is not Severity.INFO)


def build(
    visits: Sequence[Visit],
    criteria: Criteria = _PLAIN,
    *,
    events: Sequence[Event] = (),
    known: Mapping[tuple[str, int], str] | None = None,
    flags: Sequence[Flag] = (),
) -> Timeline:
    """The timeline of visits that are in order, oldest first.

    Raises
    ------
    RegistrationError
        If a visit cannot be aligned with the current one.
    MissingSequenceError
        If it has no sequence in common with it.
    """
    current = visits[-1]
    alignments = tuple(None if visit is current else _aligned(current, visit) for visit in visits)
    volumes = tuple(_volumes(visit) for visit in visits)
    names = [visit.study.uid for visit in visits]
    tracks = track(_instances(visits, alignments, Region.WT), names, known)
    core_instances = _instances(visits, alignments, Region.TC)
    cores = track(core_instances, [f"{name} core" for name in names])
    rano, why = _rano(visits, cores, criteria)
    return Timeline(
        visits=tuple(visits),
        alignments=alignments,
        volumes=volumes,
        changes=tuple(
            {r: change_between(before[r], after[r], days_between(earlier.date, later.date)) for r in Region}
            for (earlier, before), (later, after) in zip(
                zip(visits, volumes, strict=True), list(zip(visits, volumes, strict=True))[1:], strict=False
            )
        ),
        tracks=tracks,
        cores=cores,
        rano=rano,
        rano_missing=why,
        resection=_resection(visits, volumes),
        change_map=change_map(current, visits[-2], alignments[-2]),
        events=tuple(events),
        flags=(*flags, *visit_flags(visits)),
    )


def _aligned(current: Visit, prior: Visit) -> VisitAlignment:
    sequence = common_sequence(current, prior)
    return align_visits(_scan(current, sequence), _scan(prior, sequence), sequence)


def _scan(visit: Visit, sequence: MRSequence) -> Scan:
    avoid = visit.segmentation.region(Region.WT)
    return Scan(Image(visit.case.display[sequence], visit.case.grid), visit.case.brain, avoid)


def _volumes(visit: Visit) -> dict[Region, Estimate]:
    found = visit.segmentation
    return {region: volume_of(found.region(region), found.grid, found.uncertainty) for region in Region}


def _instances(visits: Sequence[Visit], alignments: Sequence[VisitAlignment | None], region: Region) -> list[Instances]:
    """Each visit's lesions, carried onto the current grid."""
    grid = visits[-1].case.grid
    found = []
    for visit, alignment in zip(visits, alignments, strict=True):
        own = find_instances(visit.segmentation.region(region), visit.case.grid, visit.segmentation.uncertainty)
        found.append(own if alignment is None else carried(own, grid, alignment.transform))
    return found


def _rano(visits: Sequence[Visit], cores: Sequence[Track], criteria: Criteria) -> tuple[tuple[Assessment, ...], str]:
    """RANO of the enhancing compartment, measured in each visit's own slices; or why not."""
    dates = [visit.date for visit in visits]
    if None in dates:
        return (), "a date is missing"
    if len(set(dates)) < len(dates):
        return (), "two visits have the same date"
    if not all(visit.has_contrast for visit in visits):
        return (), "a visit has no T1ce"
    points = [
        TimePoint(visit.date or date.min, _sizes(n, visit, cores), visit.steroid_mg, visit.clinical)
        for n, visit in enumerate(visits)
    ]
    thickest = max(slice_spacing_mm(visit.case.grid) for visit in visits)
    return assess(points, replace(criteria, slice_mm=thickest)), ""


def _sizes(number: int, visit: Visit, cores: Sequence[Track]) -> tuple[LesionSize, ...]:
    """The enhancing part of every core lesion of a visit, named by its family: pieces of a split lesion stay one target."""
    found = find_instances(visit.segmentation.region(Region.TC), visit.case.grid)
    enhancing = visit.segmentation.region(Region.ET)
    sizes = []
    for core in cores:
        here = core.at(number)
        if here is None or here.number is None:
            continue
        part = enhancing & (found.labels == here.number)
        if part.any():
            box = bounding_box(part)
            diameters = axial_diameters(part[box], visit.case.grid.cropped(box), box[2].start)
            assert diameters is not None  # noqa: S101  the part is not empty
            ml = int(np.count_nonzero(part)) * visit.case.grid.voxel_ml
            sizes.append(LesionSize(core.family, diameters.longest_mm, diameters.perpendicular_mm, ml))
    return tuple(sizes)


def _resection(visits: Sequence[Visit], volumes: Sequence[Mapping[Region, Estimate]]) -> dict[Region, Estimate]:
    """From the last visit marked as before surgery to the next one."""
    before = [n for n, visit in enumerate(visits[:-1]) if visit.preoperative]
    if not before or visits[before[-1] + 1].preoperative:
        return {}
    found = {r: extent_of_resection(volumes[before[-1]][r], volumes[before[-1] + 1][r]) for r in Region}
    return {region: extent for region, extent in found.items() if extent is not None}


def change_map(
    current: Visit, prior: Visit, alignment: VisitAlignment | None, region: Region = Region.WT
) -> npt.NDArray[np.uint8]:
    """Where a region grew and shrank since the visit before, uint8 (i, j, k) on the current case's grid."""
    grid: Grid = current.case.grid
    now = current.segmentation.region(region)
    transform = np.eye(4) if alignment is None else alignment.transform
    index = np.linalg.inv(prior.case.grid.affine) @ transform @ grid.affine
    share = ndimage.affine_transform(
        region_mask(prior.segmentation.mask, region).astype(np.float32),
        index[:3, :3],
        index[:3, 3],
        output_shape=grid.shape,
        order=1,
    )
    then = share > 0.5
    return np.where(now & then, UNCHANGED, np.where(now, GROWTH, np.where(then, SHRINKAGE, 0))).astype(np.uint8)
