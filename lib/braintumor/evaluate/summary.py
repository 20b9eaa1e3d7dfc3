"""From scores per case to mean, median and bootstrap interval per region, over all cases and per group."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from braintumor.domain import CorruptFileError, InputNotFoundError, Region
from braintumor.evaluate.calibration import Reliability
from braintumor.evaluate.metrics import CALIBRATION, METRICS, Metric, Scores, as_row
from braintumor.evaluate.pairs import key_of

RESAMPLES = 9999
CONFIDENCE = 0.95
SEED = 0
NOT_GIVEN = "not given"
"""Group of a case that the table of groups leaves out."""


@dataclass(frozen=True, eq=False)
class CaseResult:
    """Everything measured on one case.

    Attributes
    ----------
    scores
        Per region, `METRICS` and, where there are probabilities, `CALIBRATION`.
    reliability
        Per region; empty without probabilities.
    inside_brain
        Whether `reliability` counts only voxels of the brain.
    groups
        Column of the table of groups -> this case's value.
    notes
        What the reader should know, e.g. that the mask's origin was lost.
    """

    name: str
    scores: Mapping[Region, Scores]
    reliability: Mapping[Region, Reliability] = field(default_factory=dict)
    inside_brain: bool = False
    groups: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def empty(self, region: Region) -> bool:
        """Whether the expert marked nothing."""
        return not self.scores[region]["truth_ml"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """A metric over cases.

    Attributes
    ----------
    n, n_empty_truth
        Cases with a value; cases among all of them where the expert marked nothing.
    sd
        Sample standard deviation (n - 1); None for fewer than two values.
    low, high
        95 % percentile bootstrap interval of the mean over cases; None for fewer than two values.
    """

    n: int
    n_empty_truth: int
    mean: float | None
    median: float | None
    sd: float | None
    low: float | None
    high: float | None
    minimum: float | None
    maximum: float | None


Table = dict[Region, dict[str, Statistics]]


def measured(results: Sequence[CaseResult]) -> tuple[Metric, ...]:
    """The metrics that at least one case has."""
    return (*METRICS, *(m for m in CALIBRATION if any(r.scores[Region.WT].get(m.key) is not None for r in results)))


def summarise(results: Sequence[CaseResult]) -> Table:
    """Statistics of every region and metric."""
    return {
        region: {
            metric.key: statistics(
                [value for r in results if (value := r.scores[region].get(metric.key)) is not None],
                sum(r.empty(region) for r in results),
            )
            for metric in measured(results)
        }
        for region in Region
    }


def statistics(values: Sequence[float], n_empty_truth: int = 0) -> Statistics:
    """Mean, median, spread and interval of some values; the same values always give the same interval."""
    if not values:
        return Statistics(0, n_empty_truth, None, None, None, None, None, None, None)
    data = np.sort(np.asarray(values, np.float64))  # sorted: the interval must not depend on the order of cases
    low, high = _interval(tuple(data.tolist()))
    return Statistics(
        n=len(data),
        n_empty_truth=n_empty_truth,
        mean=float(data.mean()),
        median=float(np.median(data)),
        sd=float(data.std(ddof=1)) if len(data) > 1 else None,
        low=low,
        high=high,
        minimum=float(data[0]),
        maximum=float(data[-1]),
    )


@lru_cache(maxsize=4096)  # tables, page and pictures all ask for the same ones
def _interval(values: tuple[float, ...]) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    if values[0] == values[-1]:
        return values[0], values[0]
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.array(values),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        batch=max(1, 1_000_000 // len(values)),
        rng=np.random.default_rng(SEED),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def pooled(results: Iterable[CaseResult]) -> dict[Region, Reliability]:
    """The voxels of all cases in one histogram per region; empty without probabilities."""
    together: dict[Region, Reliability] = {}
    for result in results:
        for region, histogram in result.reliability.items():
            together.setdefault(region, Reliability()).merge(histogram)
    return together


def grouped(results: Sequence[CaseResult]) -> dict[str, dict[str, list[CaseResult]]]:
    """Column -> value -> cases, values in alphabetical order."""
    columns = {column: None for result in results for column in result.groups}
    return {
        column: {
            value: [r for r in results if r.groups[column] == value] for value in sorted({r.groups[column] for r in results})
        }
        for column in columns
    }


def read_groups(path: Path) -> dict[str, dict[str, str]]:
    """A CSV with a column ``case`` and one or more others -> case key (`pairs.key_of`) -> column -> value.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If it cannot be read, lacks the columns, or names a case twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputNotFoundError(
            "The table of groups cannot be read as CSV", remedy="Give a text file with a header: case,vendor", path=path
        ) from error
    columns = [str(column).strip() for column in (rows[0] if rows else {})]
    if "case" not in columns or len(columns) < 2 or "" in columns or any(None in row for row in rows):
        raise CorruptFileError(
            "The table of groups needs a column 'case', at least one other, and the same number of fields in every row",
            remedy="Start it with a header such as case,vendor,thickness",
            path=path,
        )
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        plain = {str(name).strip(): (value or "").strip() or NOT_GIVEN for name, value in row.items()}
        key = key_of(plain.pop("case"))
        if key in table:
            raise CorruptFileError("The table of groups names a case twice", remedy="Keep one row per case", path=path)
        table[key] = plain
    return table


def groups_of(name: str, table: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """A case's groups; `NOT_GIVEN` in every column if the table leaves it out."""
    columns = next(iter(table.values()), {})
    return dict(table.get(key_of(name)) or dict.fromkeys(columns, NOT_GIVEN))


def write_cases(path: Path, results: Sequence[CaseResult]) -> None:
    """``cases.csv``: one row per case and region; an empty field is an undefined or excluded value."""
    keys = ("truth_ml", "predicted_ml", *(metric.key for metric in measured(results)))
    groups = list(results[0].groups) if results else []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["case", *groups, "region", *keys])
        writer.writeheader()
        for result in results:
            for region in Region:
                known = {"case": result.name, **result.groups, "region": region.value}
                writer.writerow(known | as_row(result.scores[region], keys))


def write_summary(path: Path, results: Sequence[CaseResult]) -> None:
    """``summary.csv``: one row per group, region and metric; the rows of all cases come first, without a group."""
    parts: list[tuple[str, str, Sequence[CaseResult]]] = [("", "", results)]
    parts += [(column, value, cases) for column, values in grouped(results).items() for value, cases in values.items()]
    names = ("n", "n_empty_truth", "mean", "median", "sd", "low", "high", "minimum", "maximum")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["group_by", "group", "region", "metric", "unit", *names])
        for column, value, cases in parts:
            for region, row in summarise(cases).items():
                for key, found in row.items():
                    unit = next(m.unit for m in (*METRICS, *CALIBRATION) if m.key == key)
                    numbers = [_text(getattr(found, name)) for name in names]
                    writer.writerow([column, value, region.value, key, unit, *numbers])


def as_dict(table: Table) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """JSON-ready; None where undefined."""
    return {region.value: {key: asdict(found) for key, found in row.items()} for region, row in table.items()}


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
