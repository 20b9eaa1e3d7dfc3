"""Lesions as 3D instances, and which of one visit are which of the next."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import generate_uid
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from braintumor.domain import Affine, Appearance, Estimate, Grid, LesionState, Track, bounding_box
from braintumor.measure import MIN_LESION_ML
from braintumor.track.change import measurable_change, volume_of

OVERLAP = 0.2
"""Share of the smaller lesion that must lie inside the other for the two to be one. Less happens where a registration error
of a millimetre or two makes neighbours touch."""

REACH_MM = 5.0
"""How far apart, beside half the sum of their radii, the centroids of two lesions without overlap may lie and still be one:
small lesions leave their own outline when the registration is a few millimetres off, or the brain shifts."""

PIECE_MM = 4.0
"""A lesion that appears this close to a known one, between voxel centres, is a piece of it and no new lesion: outlines are not
drawn to the voxel, and one voxel left out detaches the edge of a growing tumour (seen in real masks)."""

_ALL_26_NEIGHBOURS = np.ones((3, 3, 3), int)


@dataclass(frozen=True, slots=True)
class LesionInstance:
    """One lesion of one visit.

    Attributes
    ----------
    number
        1 = largest.
    centroid_lps
        LPS+ mm of the visit's own space, or of the common space after `carried`.
    """

    number: int
    volume: Estimate
    centroid_lps: tuple[float, float, float]

    @property
    def radius_mm(self) -> float:
        """Of a ball of the same volume."""
        return float((750.0 * self.volume.value / np.pi) ** (1 / 3))


@dataclass(frozen=True, eq=False)
class Instances:
    """All lesions of a visit.

    Attributes
    ----------
    labels
        int32 (i, j, k) on `grid`: an instance's number, 0 elsewhere.
    digest
        SHA-256 of the mask and its place, which lesions' identities are derived from.
    """

    labels: npt.NDArray[np.int32]
    grid: Grid
    lesions: tuple[LesionInstance, ...]
    digest: str


def find_instances(
    mask: npt.NDArray[np.bool_],
    grid: Grid,
    uncertainty: npt.NDArray[Any] | None = None,
    min_lesion_ml: float = MIN_LESION_ML,
) -> Instances:
    """The 26-connected components of a mask of at least `min_lesion_ml`, largest first (equal ones in index order).

    Parameters
    ----------
    mask
        bool (i, j, k) on `grid`.
    uncertainty
        As `braintumor.domain.Segmentation.uncertainty`; it widens the error of the volumes.
    """
    labels, count = ndimage.label(mask, structure=_ALL_26_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:] * grid.voxel_ml
    kept = [int(n) + 1 for n in np.argsort(-sizes, kind="stable") if sizes[n] >= min_lesion_ml]
    lookup = np.zeros(count + 1, np.int32)
    lookup[kept] = np.arange(1, len(kept) + 1)
    boxes = ndimage.find_objects(labels)
    lesions = []
    for number, label in enumerate(kept, start=1):
        box = tuple(slice(max(0, s.start - 2), min(n, s.stop + 2)) for s, n in zip(boxes[label - 1], mask.shape, strict=True))
        part = labels[box] == label
        unsure = None if uncertainty is None else uncertainty[box]
        middle = grid.cropped((box[0], box[1], box[2])).to_world(np.argwhere(part).mean(axis=0))
        lesions.append(
            LesionInstance(number, volume_of(part, grid, unsure), (float(middle[0]), float(middle[1]), float(middle[2])))
        )
    place = np.round(grid.affine, 4) + 0.0
    digest = hashlib.sha256(repr(grid.shape).encode() + place.tobytes() + np.packbits(mask).tobytes()).hexdigest()
    return Instances(lookup[labels], grid, tuple(lesions), digest)


def carried(instances: Instances, grid: Grid, transform: Affine) -> Instances:
    """The same instances on another visit's grid, nearest neighbour; volumes stay those measured in their own space.

    Parameters
    ----------
    transform
        4x4, LPS+ mm of `grid` -> LPS+ mm of the instances' space.
    """
    index = np.linalg.inv(instances.grid.affine) @ transform @ grid.affine
    moved = ndimage.affine_transform(
        instances.labels, index[:3, :3], index[:3, 3], output_shape=grid.shape, order=0, mode="constant"
    )
    back = np.linalg.inv(transform)
    lesions = []
    for lesion in instances.lesions:
        x, y, z = back[:3, :3] @ np.array(lesion.centroid_lps) + back[:3, 3]
        lesions.append(replace(lesion, centroid_lps=(float(x), float(y), float(z))))
    return replace(instances, labels=moved.astype(np.int32), grid=grid, lesions=tuple(lesions))


def match(before: Instances, after: Instances) -> tuple[tuple[int, int], ...]:
    """Which lesions of two visits, on one grid, are one: pairs (number before, number after), many to many.

    First every pair of which the smaller one lies in the larger by `OVERLAP` or more: so a lesion that split has several
    partners, as have lesions that merged. Then those left over on both sides are paired one to one at the least total distance
    of centroids (Hungarian method), no farther apart than `REACH_MM` plus half their radii's sum.
    """
    pairs = _overlapping(before, after)
    left = [m for m in before.lesions if m.number not in {a for a, _ in pairs}]
    right = [m for m in after.lesions if m.number not in {b for _, b in pairs}]
    if left and right:
        apart = cdist([m.centroid_lps for m in left], [m.centroid_lps for m in right])
        reach = REACH_MM + 0.5 * np.add.outer([m.radius_mm for m in left], [m.radius_mm for m in right])
        cost = np.where(apart <= reach, apart, 1e6)
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            if cost[row, column] < 1e6:
                pairs.append((left[row].number, right[column].number))
    return tuple(sorted(pairs))


def _overlapping(before: Instances, after: Instances) -> list[tuple[int, int]]:
    if not before.lesions or not after.lesions:
        return []
    box = bounding_box((before.labels > 0) & (after.labels > 0))
    a, b = before.labels[box], after.labels[box]
    columns = len(after.lesions) + 1
    counts = np.bincount((a.astype(np.int64) * columns + b).ravel(), minlength=(len(before.lesions) + 1) * columns)
    table = counts.reshape(len(before.lesions) + 1, columns)
    size_a = np.bincount(before.labels.ravel(), minlength=len(before.lesions) + 1)
    size_b = np.bincount(after.labels.ravel(), minlength=columns)
    smaller = np.maximum(np.minimum.outer(size_a, size_b), 1)
    shared = table / smaller
    return [(int(r), int(c)) for r, c in np.argwhere(shared[1:, 1:] >= OVERLAP) + 1]


@dataclass(slots=True)
class _Running:
    """A track while it is being followed."""

    uid: str
    named: bool
    """Whether `uid` was given before."""
    appearances: list[Appearance]
    last: int
    """Visit whose mask shows it last."""
    number: int
    elder: _Running | None = None
    """An older relative by splitting or merging."""
    ended: bool = False
    gone: bool = False

    @property
    def root(self) -> _Running:
        """The oldest relative."""
        return self if self.elder is None else self.elder.root


def track(
    visits: Sequence[Instances], names: Sequence[str], known: Mapping[tuple[str, int], str] | None = None
) -> tuple[Track, ...]:
    """Follow lesions over visits that lie on one grid.

    A lesion that is gone is remembered where it was last, so it keeps its identity if it comes back. Where a lesion splits the
    largest piece keeps the identity; where lesions merge the one that was largest before does; relatives share a `family`. What
    appears within `PIECE_MM` of a known lesion is a piece of it (SPLIT), farther away it is NEW.

    Parameters
    ----------
    visits
        Oldest first, all on one grid (`carried`).
    names
        Each visit's Study UID (or case name): a new identity is derived from it, the mask and the lesion's number.
    known
        (Study UID, number) -> UID given before, for instance in an earlier ``timeline.json``: these are kept, so that a visit
        that arrives late does not rename what was named already.
    """
    running: list[_Running] = []
    for visit, instances in enumerate(visits):
        _step(running, visits, visit, names[visit], known or {})
        assert {a.number for r in running for a in r.appearances if a.visit == visit and a.number} == {  # noqa: S101
            m.number for m in instances.lesions
        }
    return tuple(Track(r.uid, f"Lesion {n}", r.root.uid, tuple(r.appearances)) for n, r in enumerate(running, start=1))


def _join(running: list[_Running], relatives: Sequence[_Running]) -> None:
    """Make one family of lesions that split from each other or merged; the one that appeared first is its root."""
    roots = sorted(
        {id(r.root): r.root for r in relatives}.values(), key=lambda r: next(n for n, o in enumerate(running) if o is r)
    )
    for younger in roots[1:]:
        younger.elder = roots[0]


def _step(
    running: list[_Running], visits: Sequence[Instances], visit: int, name: str, known: Mapping[tuple[str, int], str]
) -> None:
    now = visits[visit]
    owners, memory = _memory(running, visits, visit)
    pairs = match(memory, now) if memory is not None else ()
    found = [(owners[a - 1], b) for a, b in pairs]
    parents: dict[int, list[_Running]] = {m.number: [] for m in now.lesions}
    for owner, number in found:
        parents[number].append(owner)
    sizes = {m.number: m.volume for m in now.lesions}
    heirs = _heirs(owners, parents, sizes)
    parents |= _pieces(now, parents)
    born: list[_Running] = []
    for lesion in now.lesions:
        heir = heirs.get(lesion.number)
        if heir is None:
            heir = _born(visit, lesion, name, now.digest, known, parents[lesion.number])
            born.append(heir)
            continue
        _go_on(heir, visit, lesion, parents[lesion.number], found, known.get((name, lesion.number)))
    running.extend(born)
    by_number = heirs | {r.number: r for r in born}
    for number, relatives in parents.items():
        _join(running, [by_number[number], *relatives])
    for owner in owners:
        if owner.appearances[-1].visit == visit:
            continue
        merged = any(owner is o for o, _ in found)
        if merged:
            owner.ended = True
        if merged or not owner.gone:
            state = LesionState.MERGED if merged else LesionState.RESOLVED
            owner.appearances.append(Appearance(visit, state, None, Estimate(0.0, 0.0)))
        owner.gone = True


def _memory(running: list[_Running], visits: Sequence[Instances], visit: int) -> tuple[list[_Running], Instances | None]:
    """The lesions still followed, each where it was seen last, numbered 1.. as in the list."""
    owners = [r for r in running if not r.ended]
    if not owners:
        return owners, None
    # the gone ones first: where one that is there now overlaps them, it is drawn on top
    labels = np.zeros_like(visits[visit].labels)
    lesions = []
    for n in sorted(range(len(owners)), key=lambda n: owners[n].last):
        owner = owners[n]
        labels[visits[owner.last].labels == owner.number] = n + 1
    for n, owner in enumerate(owners, start=1):
        seen = next(m for m in visits[owner.last].lesions if m.number == owner.number)
        lesions.append(replace(seen, number=n))
    return owners, Instances(labels, visits[visit].grid, tuple(lesions), "")


def _heirs(owners: list[_Running], parents: Mapping[int, list[_Running]], sizes: Mapping[int, Estimate]) -> dict[int, _Running]:
    """Which track each lesion of the visit carries on: large tracks choose first, each the largest lesion left."""
    heirs: dict[int, _Running] = {}
    for owner in sorted(owners, key=lambda o: (o.gone, -_size(o))):
        mine = [n for n, found in parents.items() if any(owner is p for p in found) and n not in heirs]
        if mine:
            heirs[max(mine, key=lambda n: (sizes[n].value, -n))] = owner
    return heirs


def _pieces(now: Instances, parents: Mapping[int, list[_Running]]) -> dict[int, list[_Running]]:
    """The parents of known lesions, for those without that lie within `PIECE_MM` of them."""
    known = [number for number, found in parents.items() if found]
    pieces = {}
    for number in parents.keys() - known if known else ():
        here = now.labels == number
        if not here.any():
            continue
        box = bounding_box(here, margin=int(np.ceil(PIECE_MM / min(now.grid.spacing))))
        apart = ndimage.distance_transform_edt(~here[box], sampling=now.grid.spacing)
        touched = np.unique(now.labels[box][apart <= PIECE_MM])
        pieces[number] = [owner for other in touched.tolist() if other in known for owner in parents[other]]
    return pieces


def _size(running: _Running) -> float:
    return next(a.volume.value for a in reversed(running.appearances) if a.number is not None)


def _born(
    visit: int,
    lesion: LesionInstance,
    name: str,
    digest: str,
    known: Mapping[tuple[str, int], str],
    parents: list[_Running],
) -> _Running:
    given = known.get((name, lesion.number))
    uid = given or str(generate_uid(entropy_srcs=[name, digest, str(lesion.number), "track"]))
    state = LesionState.SPLIT if parents else LesionState.NEW if visit else LesionState.PRESENT
    return _Running(uid, given is not None, [Appearance(visit, state, lesion.number, lesion.volume)], visit, lesion.number)


def _go_on(
    heir: _Running,
    visit: int,
    lesion: LesionInstance,
    parents: list[_Running],
    pairs: Sequence[tuple[_Running, int]],
    known: str | None,
) -> None:
    before = next(a.volume for a in reversed(heir.appearances) if a.number is not None)
    if heir.gone:
        state = LesionState.RETURNED
    elif sum(not p.gone for p in parents) > 1:
        state = LesionState.MERGED
    elif sum(owner is heir for owner, _ in pairs) > 1:
        state = LesionState.SPLIT
    elif measurable_change(before, lesion.volume):
        state = LesionState.GROWN if lesion.volume.value > before.value else LesionState.SHRUNK
    else:
        state = LesionState.STABLE
    if known and not heir.named:
        heir.uid, heir.named = known, True
    heir.appearances.append(Appearance(visit, state, lesion.number, lesion.volume))
    heir.last, heir.number, heir.gone = visit, lesion.number, False
