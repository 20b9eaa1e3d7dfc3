"""The one table of labels: value, name, code, colour and region membership, read by network, SEG, SR, report and server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, overload

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (DICOM PS3.3 section 8.8).

    >>> str(Code("12738006", "SCT", "Brain"))
    '(12738006, SCT, "Brain")'
    """

    value: str
    scheme: str
    meaning: str

    def __str__(self) -> str:
        return f'({self.value}, {self.scheme}, "{self.meaning}")'


class Region(StrEnum):
    """The nested tumour regions that BraTS evaluates and clinicians quote."""

    WT = "WT"
    TC = "TC"
    ET = "ET"


REGION_NAMES: dict[Region, str] = {
    Region.WT: "Whole tumour",
    Region.TC: "Tumour core",
    Region.ET: "Enhancing tumour",
}
"""Plain words for people. WT = all labels, TC = without oedema, ET = enhancing only."""

REGION_CODES: dict[Region, Code] = {
    Region.WT: Code("108369006", "SCT", "Neoplasm"),
    Region.TC: Code("372087000", "SCT", "Neoplasm, Primary"),
    Region.ET: Code("C113842", "NCIt", "Enhancing Lesion"),
}


@dataclass(frozen=True, slots=True)
class Label:
    """One row of the table.

    Attributes
    ----------
    value
        Voxel value in masks (BraTS convention: 1, 2, 4).
    channel
        Output channel of the network (0 is background).
    segment
        Segment Number in DICOM SEG, 1..N without gaps (PS3.3 C.8.20.4).
    short, name
        Abbreviation and plain name.
    code
        Segmented Property Type, from CID 7159 'Lesion Segmentation Types' (PS3.16).
    rgb
        Display colour, sRGB 0..255; chosen to differ in lightness too, for colour-blind readers and grey prints.
    regions
        The regions this label is part of.
    """

    value: int
    channel: int
    segment: int
    short: str
    name: str
    code: Code
    rgb: tuple[int, int, int]
    regions: frozenset[Region]


NECROTIC_CORE = Label(
    value=1,
    channel=1,
    segment=1,
    short="NCR",
    name="Necrotic or non-enhancing core",
    code=Code("C81175", "NCIt", "Non-Enhancing Lesion"),
    rgb=(215, 60, 70),
    regions=frozenset({Region.WT, Region.TC}),
)
OEDEMA = Label(
    value=2,
    channel=2,
    segment=2,
    short="ED",
    name="Peritumoral oedema",
    code=Code("79654002", "SCT", "Edema"),
    rgb=(70, 190, 120),
    regions=frozenset({Region.WT}),
)
ENHANCING = Label(
    value=4,
    channel=3,
    segment=3,
    short="ET",
    name="Enhancing tumour",
    code=Code("C113842", "NCIt", "Enhancing Lesion"),
    rgb=(250, 205, 60),
    regions=frozenset({Region.WT, Region.TC, Region.ET}),
)

LABELS: tuple[Label, ...] = (NECROTIC_CORE, OEDEMA, ENHANCING)
"""All labels, in the order of their network channel and of their segment number."""

SEGMENT_CATEGORY = Code("49755003", "SCT", "Morphologically Abnormal Structure")
ANATOMIC_REGION = Code("12738006", "SCT", "Brain")

_VALUES = {label.value for label in LABELS} | {0}


def by_value(value: int) -> Label:
    """The label with this voxel value.

    Raises
    ------
    KeyError
        If no label has the value.
    """
    for label in LABELS:
        if label.value == value:
            return label
    raise KeyError(f"no label has the voxel value {value}; known are {sorted(_VALUES)}")


def values_of(region: Region) -> tuple[int, ...]:
    """Voxel values that make up a region.

    >>> values_of(Region.TC)
    (1, 4)
    """
    return tuple(label.value for label in LABELS if region in label.regions)


def channels_of(region: Region) -> tuple[int, ...]:
    """Network channels whose probabilities add up to the region's probability.

    >>> channels_of(Region.WT)
    (1, 2, 3)
    """
    return tuple(label.channel for label in LABELS if region in label.regions)


def region_colour(region: Region) -> tuple[int, int, int]:
    """Of the label that only this region adds to the next smaller one: WT oedema, TC core, ET enhancing."""
    return min((label for label in LABELS if region in label.regions), key=lambda label: len(label.regions)).rgb


def region_mask(mask: npt.NDArray[np.uint8], region: Region) -> npt.NDArray[np.bool_]:
    """Voxels of a region, same shape and axis order as `mask` (values of `Label.value`)."""
    return _LOOKUP[region][mask]


class EmptyPolicy(StrEnum):
    """What a region that the truth does not have contributes to a figure.

    BRATS: an empty prediction earns the best value, any predicted voxel the worst, as in the challenges. EXCLUDE: the region is
    left out, whatever was predicted. A region of the truth with an empty prediction earns the worst value under both: a missed
    tumour must not vanish from a mean.
    """

    BRATS = "brats"
    EXCLUDE = "exclude"


@overload
def dice(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float: ...
@overload
def dice(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], empty: EmptyPolicy) -> float | None: ...
def dice(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], empty: EmptyPolicy = EmptyPolicy.BRATS) -> float | None:
    """Dice coefficient 2|A and B| / (|A| + |B|) of two masks of one shape (paper, equation 5), 0 apart .. 1 the same.

    Both empty: 1 under BRATS. Only `truth` empty: 0 under BRATS. Either of them: None under EXCLUDE. Only `found` empty: 0.

    >>> dice(np.array([True, True, False]), np.array([False, True, False]))
    0.6666666666666666
    """
    sizes = int(np.count_nonzero(found)), int(np.count_nonzero(truth))
    if not sizes[1] and empty is EmptyPolicy.EXCLUDE:
        return None
    return 2 * int(np.count_nonzero(found & truth)) / sum(sizes) if any(sizes) else 1.0


@overload
def region_dice(found: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> dict[Region, float]: ...
@overload
def region_dice(
    found: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], empty: EmptyPolicy
) -> dict[Region, float | None]: ...
def region_dice(
    found: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], empty: EmptyPolicy = EmptyPolicy.BRATS
) -> Mapping[Region, float | None]:
    """`dice` of each region of two masks of one shape, values of `Label.value`."""
    return {region: dice(region_mask(found, region), region_mask(truth, region), empty) for region in Region}


def to_channels(mask: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """Mask with voxel values 0/1/2/4 -> network channels 0..3; same shape."""
    return _TO_CHANNEL[mask]


def from_channels(channels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """Network channels 0..3 -> voxel values 0/1/2/4; same shape."""
    return _TO_VALUE[channels]


def _tables() -> tuple[dict[Region, npt.NDArray[np.bool_]], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    size = 256  # every uint8 value may be looked up; unknown ones belong to no region
    lookup: dict[Region, npt.NDArray[np.bool_]] = {region: np.zeros(size, bool) for region in Region}
    to_channel: npt.NDArray[np.uint8] = np.zeros(size, np.uint8)
    to_value: npt.NDArray[np.uint8] = np.zeros(len(LABELS) + 1, np.uint8)
    for label in LABELS:
        to_channel[label.value] = label.channel
        to_value[label.channel] = label.value
        for region in label.regions:
            lookup[region][label.value] = True
    return lookup, to_channel, to_value


_LOOKUP, _TO_CHANNEL, _TO_VALUE = _tables()
