"""What the values of an expert mask stand for: by the names that a data set gives them, or by BraTS's published tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from braintumor.domain import ENHANCING, NECROTIC_CORE, OEDEMA, Label, Region, UnusableImageError

BACKGROUND = 0

_ALL = frozenset(Region)
_NAMES: dict[str, Label | Region | None] = {
    **dict.fromkeys(("background", "resection cavity", "cavity", "rc", "brain", "healthy"), None),
    **dict.fromkeys(("edema", "oedema", "ed", "peritumoral edema", "peritumoral oedema", "snfh"), OEDEMA),
    **dict.fromkeys(("surrounding non enhancing flair hyperintensity", "edema invaded tissue", "invaded tissue"), OEDEMA),
    **dict.fromkeys(("non enhancing tumor", "non enhancing", "non enhancing tumor core", "netc", "net"), NECROTIC_CORE),
    **dict.fromkeys(("necrosis", "necrotic", "necrotic core", "necrotic tumor core", "ncr", "ncr net"), NECROTIC_CORE),
    **dict.fromkeys(("necrotic and non enhancing tumor core", "necrotic or non enhancing core"), NECROTIC_CORE),
    **dict.fromkeys(("enhancing tumor", "enhancing", "enhancing tissue", "et", "gd enhancing tumor"), ENHANCING),
    **dict.fromkeys(("whole tumor", "wt", "tumor", "lesion", "glioma"), Region.WT),
    **dict.fromkeys(("tumor core", "tc", "core"), Region.TC),
}
"""Names in plain form -> the label, or the region where a data set marks no finer; None is not tumour."""

_STAND_IN = {Region.WT: OEDEMA, Region.TC: NECROTIC_CORE, Region.ET: ENHANCING}
"""The label that is a member of this region and of no smaller one."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A stored value whose meaning differs between editions.

    Attributes
    ----------
    value
        The stored value.
    settled_by
        Another value whose presence in the same mask tells which edition it is; None if nothing does.
    why
        What it could be, as the end of 'the mask holds the value 4, which ...'.
    """

    value: int
    settled_by: int | None
    why: str


@dataclass(frozen=True)
class Meaning:
    """What stored values stand for.

    Attributes
    ----------
    values
        Stored value -> value of `braintumor.domain.LABELS`, or 0. Where only a region is marked, its outermost label stands
        for it (oedema for an undivided whole tumour), which is right for every region in `regions`.
    regions
        Regions that can be read off these values; the others were not drawn.
    doubts
        Values that are refused where the mask does not tell what they are.
    rivals
        Two values that mean the same in different editions, so that a mask with both is of neither; () if there are none.
    """

    values: Mapping[int, int]
    regions: frozenset[Region] = _ALL
    doubts: tuple[Doubt, ...] = ()
    rivals: tuple[int, ...] = ()

    def apply(self, voxels: npt.NDArray[Any], path: Path) -> npt.NDArray[np.uint8]:
        """Stored values -> values of `LABELS`, same shape.

        Raises
        ------
        UnusableImageError
            On a value that is not known, not a whole number, or in doubt.
        """
        found = np.unique(voxels)
        strange = [float(v) for v in found if float(v) not in self.values]
        if strange:
            shown = ", ".join(f"{v:g}" for v in strange[:5])
            known = ", ".join(str(v) for v in sorted(self.values))
            raise UnusableImageError(f"The mask holds {shown}; known values are {known}", remedy=SAY_WHAT, path=path)
        present = {int(v) for v in found}
        for doubt in self.doubts:
            if doubt.value in present and doubt.settled_by not in present:
                problem = f"The mask holds the value {doubt.value}, which {doubt.why}"
                raise UnusableImageError(problem, remedy=SAY_WHAT, path=path)
        if self.rivals and present.issuperset(self.rivals):
            both = " and ".join(map(str, self.rivals))
            problem = f"The mask holds both {both}, which editions of BraTS use for different tissues"
            raise UnusableImageError(problem, remedy="Convert its labels to 0, 1, 2 and 4 first", path=path)
        table = np.zeros(max(self.values) + 1, np.uint8)
        for stored, value in self.values.items():
            table[stored] = value
        return table[voxels.astype(np.intp)]


SAY_WHAT = (
    "Say what the values are in a dataset.json beside the cases, for instance "
    '{"labels": {"background": 0, "necrotic core": 1, "edema": 2, "enhancing tumor": 3, "resection cavity": 4}}'
)

BRATS_CLASSIC = Meaning(
    {0: 0, 1: NECROTIC_CORE.value, 2: OEDEMA.value, 3: ENHANCING.value, 4: ENHANCING.value},
    doubts=(Doubt(3, None, "is non-enhancing core in BraTS 2015 and enhancing tumour since 2023"),),
)
"""BraTS 2016-2021 (Bakas et al. 2018; Baid et al. 2021): 1, 2 and 4; a 3 has no meaning there and is refused."""

BRATS_2023 = Meaning(
    {0: 0, 1: NECROTIC_CORE.value, 2: OEDEMA.value, 3: ENHANCING.value, 4: BACKGROUND},
    doubts=(Doubt(4, 3, "is the resection cavity in BraTS 2024 but enhancing tumour in masks converted to the older values"),),
)
"""BraTS since 2023: 3 is enhancing tumour, and 4 (2024, after treatment; de Verdier et al. 2024) is the resection cavity,
which is no tumour. A 4 in a mask without any 3 could also be enhancing tumour of a converted mask, and is refused."""


ANY_EDITION = Meaning(
    {0: 0, 1: NECROTIC_CORE.value, 2: OEDEMA.value, 3: ENHANCING.value, 4: ENHANCING.value}, rivals=(3, ENHANCING.value)
)
"""Masks of which only the values are known, a peer's predictions for instance: 3 (since 2023) or 4 is enhancing tumour."""


def plain(name: str) -> str:
    """A name in the form of the table: lower case, words apart, American spelling.

    >>> plain("Non-Enhancing_Tumour core")
    'non enhancing tumor core'
    """
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    return re.sub(r"\btumour(s?)\b", r"tumor\1", words)


def from_names(labels: Mapping[str, Any], path: Path) -> Meaning:
    """The meaning of the ``labels`` of a dataset.json.

    Parameters
    ----------
    labels
        ``{"1": "edema"}`` as MSD and nnU-Net v1 write it, or ``{"edema": 1}`` and ``{"whole tumor": [1, 2, 3]}`` as nnU-Net v2.
    path
        Of the file, for messages.

    Raises
    ------
    UnusableImageError
        If a name is not known, a value is not a whole number from 0 to 255, names contradict each other, or no region is whole.
    """
    named: dict[int, set[Label | Region | None]] = {}
    for name, value in _pairs(labels, path):
        word = plain(name)
        if word not in _NAMES:
            raise UnusableImageError(
                f"The label name '{name}' is not known", remedy=f"Name the labels like: {', '.join(_examples())}", path=path
            )
        named.setdefault(value, set()).add(_NAMES[word])
    values = {value: _one(value, meanings, path) for value, meanings in named.items()}
    regions = _regions({m for meanings in named.values() for m in meanings})
    if not regions:
        raise UnusableImageError(
            "The labels mark neither the whole tumour nor its core nor its enhancing part", remedy=SAY_WHAT, path=path
        )
    return Meaning({BACKGROUND: BACKGROUND, **values}, regions)


def _pairs(labels: Mapping[str, Any], path: Path) -> Iterable[tuple[str, int]]:
    for key, content in labels.items():
        name, values = (content, key) if str(key).isdigit() and isinstance(content, str) else (key, content)
        for value in values if isinstance(values, list | tuple) else [values]:
            if not str(value).isdigit() or int(value) > 255:
                raise UnusableImageError(
                    f"The label '{name}' has the value {value}", remedy="Use whole numbers from 0 to 255", path=path
                )
            yield str(name), int(value)


def _one(value: int, meanings: set[Label | Region | None], path: Path) -> int:
    """The label value of one stored value that may belong to several regions."""
    exact = {m for m in meanings if isinstance(m, Label)}
    regions = {m for m in meanings if isinstance(m, Region)}
    implied = {region for label in exact for region in label.regions}
    if len(exact) > 1 or (None in meanings and len(meanings) > 1) or (exact and not regions <= implied):
        raise UnusableImageError(f"The value {value} has names that contradict each other", remedy=SAY_WHAT, path=path)
    if exact:
        return next(iter(exact)).value
    smallest = next((region for region in (Region.ET, Region.TC, Region.WT) if region in regions), None)
    return BACKGROUND if smallest is None else _STAND_IN[smallest].value


def _regions(meanings: set[Label | Region | None]) -> frozenset[Region]:
    """Which regions are whole: a region is drawn if it is named, or if all its parts are."""
    found = set()
    if ENHANCING in meanings:
        found.add(Region.ET)
    if Region.TC in meanings or {NECROTIC_CORE, ENHANCING} <= meanings:
        found.add(Region.TC)
    if Region.WT in meanings or (OEDEMA in meanings and Region.TC in found):
        found.add(Region.WT)
    return frozenset(found)


def _examples() -> list[str]:
    return ["background", "edema", "non-enhancing tumor", "enhancing tumor", "tumor core", "whole tumor", "resection cavity"]
