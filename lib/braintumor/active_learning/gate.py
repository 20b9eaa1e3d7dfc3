"""Whether a candidate, measured on the held-out set, is good enough to replace what is served."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from braintumor.active_learning.examples import Example
from braintumor.domain import REGION_NAMES, EmptyPolicy, Region, region_dice
from braintumor.segment import AnyEngine, segment_case

Row = dict[Region, float | None]
"""Dice of one case; None where its label has none of the region."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What lets a candidate through.

    Attributes
    ----------
    tolerance
        How much lower than before the mean Dice of the whole tumour may be: noise of training, not a licence to drift.
    collapse
        How much lower the mean Dice of any region may be.
    """

    tolerance: float = 0.01
    collapse: float = 0.05

    def refusal(self, before: Row, after: Row) -> str | None:
        """Why a candidate is not published, as a sentence; None if it is."""
        whole, was = after[Region.WT], before[Region.WT]
        if whole is None or was is None:
            return "Nothing was published: no held-out case has a tumour, so nothing can be measured"
        if not whole >= was - self.tolerance:
            return (
                f"Nothing was published: mean Dice of the whole tumour on held-out patients fell from {was:.3f} to "
                f"{whole:.3f}, more than the tolerance of {self.tolerance:.3f}"
            )
        for region in Region:
            new, old = after[region], before[region]
            if old is not None and (new is None or not new >= old - self.collapse):
                return (
                    f"Nothing was published: mean Dice of the {REGION_NAMES[region].lower()} on held-out patients fell from "
                    f"{old:.3f} to {new or 0.0:.3f}, more than {self.collapse:.3f}"
                )
        return None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What came of a retraining.

    Attributes
    ----------
    before, after
        Mean Dice per region over the held-out cases, of the model served and of the candidate.
    published
        Whether the candidate is served from now on.
    reason
        Why, or why not, in plain words.
    version
        The candidate's, if published.
    compared_with
        The version that was served.
    heldout
        Number of held-out cases.
    """

    before: Row
    after: Row
    published: bool
    reason: str
    version: str | None = None
    compared_with: str = ""
    heldout: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back."""
        return {
            "before": _plain(self.before),
            "after": _plain(self.after),
            "published": self.published,
            "reason": self.reason,
            "version": self.version,
            "compared_with": self.compared_with,
            "heldout": self.heldout,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GateVerdict:
        """The inverse of `as_dict`."""
        rows = {key: {Region(name): value for name, value in values[key].items()} for key in ("before", "after")}
        return cls(**{**values, **rows})


def measure(example: Example, engine: AnyEngine) -> Row:
    """Dice of the engine's mask of one example."""
    found = segment_case(example.case, engine)
    return region_dice(found.mask, example.label.mask, EmptyPolicy.EXCLUDE)


def mean(rows: Sequence[Row]) -> Row:
    """Mean per region over the cases that have it; None where none has."""
    found: Row = {}
    for region in Region:
        values = [value for row in rows if (value := row[region]) is not None]
        found[region] = round(float(np.mean(values)), 6) if values and all(map(math.isfinite, values)) else None
    return found


def measure_all(examples: Sequence[Callable[[], Example]], engine: AnyEngine, watch: Callable[[int], None]) -> list[Row]:
    """`measure` for each, one in memory at a time; `watch` is told how many are done and may raise to stop."""
    rows = []
    for number, load in enumerate(examples):
        watch(number)
        rows.append(measure(load(), engine))
    return rows


def _plain(row: Row) -> dict[str, float | None]:
    return {region.value: value for region, value in row.items()}
