"""Statistics by hand, intervals that repeat, and groups from a table."""

import csv

import numpy as np
import pytest

from braintumor.domain import CorruptFileError, EmptyPolicy, Grid, InputNotFoundError, Region
from braintumor.evaluate.metrics import score
from braintumor.evaluate.summary import (
    NOT_GIVEN,
    CaseResult,
    grouped,
    groups_of,
    read_groups,
    statistics,
    summarise,
    write_cases,
    write_summary,
)

GRID = Grid((12, 12, 12), np.eye(4))


def result(name, overlap, groups=None, policy=EmptyPolicy.BRATS, label=2):
    truth, predicted = np.zeros((2, *GRID.shape), np.uint8)
    truth[1:11, 1:11, 1:11], predicted[1:11, 1:11, 1 : 1 + overlap] = label, label
    return CaseResult(name, score(predicted, truth, GRID, policy), groups=groups or {})


def test_statistics_by_hand():
    found = statistics([0.2, 0.4, 0.9], n_empty_truth=1)
    assert (found.n, found.n_empty_truth, found.median, found.minimum, found.maximum) == (3, 1, 0.4, 0.2, 0.9)
    assert found.mean == pytest.approx(0.5)
    assert found.sd == pytest.approx(np.sqrt((0.09 + 0.01 + 0.16) / 2))
    assert found.minimum <= found.low < found.mean < found.high <= found.maximum


def test_the_interval_repeats_and_does_not_depend_on_the_order():
    values = np.random.default_rng(3).normal(0.8, 0.1, 40).tolist()
    assert statistics(values) == statistics(values[::-1])
    found = statistics(values)
    normal = 1.96 * np.std(values, ddof=1) / np.sqrt(40)
    assert (found.high - found.low) / 2 == pytest.approx(normal, rel=0.15)


def test_few_values_have_no_interval():
    assert statistics([]).mean is None
    one = statistics([0.5])
    assert (one.mean, one.sd, one.low, one.high) == (0.5, None, None, None)
    same = statistics([0.7, 0.7, 0.7])
    assert (same.low, same.high, same.sd) == (0.7, 0.7, pytest.approx(0))


def test_empty_truths_are_counted_and_excluded_values_leave_the_mean():
    kept = summarise([result("a", 10), result("b", 10)])[Region.ET]["dice"]
    assert (kept.n, kept.n_empty_truth, kept.mean) == (2, 2, 1.0)
    out = summarise([result("a", 10, policy=EmptyPolicy.EXCLUDE)])[Region.ET]["dice"]
    assert (out.n, out.n_empty_truth, out.mean) == (0, 1, None)


def test_tables_hold_every_case_region_and_group(tmp_path):
    results = [result("a", 10, {"vendor": "GE"}), result("b", 5, {"vendor": "Siemens"}), result("c", 0, {"vendor": "GE"})]
    write_cases(tmp_path / "cases.csv", results)
    write_summary(tmp_path / "summary.csv", results)
    with (tmp_path / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["case"], r["vendor"], r["region"]) for r in rows[:4]] == [
        ("a", "GE", "WT"),
        ("a", "GE", "TC"),
        ("a", "GE", "ET"),
        ("b", "Siemens", "WT"),
    ]
    assert float(rows[3]["dice"]) == pytest.approx(2 * 500 / 1500, rel=1e-5)
    assert rows[2]["volume_error_percent"] == ""
    assert not any(word in value for row in rows for value in row.values() for word in ("nan", "inf", "None"))
    with (tmp_path / "summary.csv").open() as file:
        summary = {(r["group_by"], r["group"], r["region"], r["metric"]): r for r in csv.DictReader(file)}
    assert float(summary["", "", "WT", "dice"]["mean"]) == pytest.approx((1 + 2 / 3 + 0) / 3, rel=1e-4)
    assert float(summary["vendor", "GE", "WT", "dice"]["mean"]) == pytest.approx(0.5)
    assert summary["vendor", "Siemens", "WT", "hd95"]["unit"] == "mm"


def test_groups_are_read_by_name_and_gaps_are_said(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("case,vendor,thickness\nBraTS-01,GE,1 mm\nbrats_02, Siemens,\n")
    table = read_groups(path)
    assert groups_of("BraTS_01", table) == {"vendor": "GE", "thickness": "1 mm"}
    assert groups_of("BraTS_02", table) == {"vendor": "Siemens", "thickness": NOT_GIVEN}
    assert groups_of("other", table) == {"vendor": NOT_GIVEN, "thickness": NOT_GIVEN}
    results = [result(name, 10, groups_of(name, table)) for name in ("BraTS_02", "BraTS_01", "other")]
    assert {value: len(cases) for value, cases in grouped(results)["vendor"].items()} == {"GE": 1, "Siemens": 1, NOT_GIVEN: 1}


@pytest.mark.parametrize(
    "text", ["name,vendor\na,b\n", "case\na\n", "case,vendor\na,GE,extra\n", "", "case,vendor\na,GE\nA,GE\n"]
)
def test_unclear_tables_are_refused(tmp_path, text):
    path = tmp_path / "groups.csv"
    path.write_text(text)
    with pytest.raises(CorruptFileError, match="table of groups"):
        read_groups(path)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(InputNotFoundError, match="table of groups"):
        read_groups(tmp_path / "none.csv")
