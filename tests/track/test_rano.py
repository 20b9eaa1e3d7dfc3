# ruff: noqa: E501  one case, one line
"""RANO 2.0 categories against a table made by hand: every rule, on and beside its border."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from braintumor.track.rano import (
    Category,
    Clinical,
    Compartment,
    Confirmation,
    Criteria,
    LesionSize,
    Measure,
    TimePoint,
    assess,
    combine,
    measurable,
)

DAY0 = date(2024, 3, 1)
CR, PR, MR, SD, PD, NA = Category
DONE, WAIT, FREE, OPEN = Confirmation


def lesion(name, longest, across=None, ml=None):
    across = longest if across is None else across
    return LesionSize(name, longest, across, longest * across * across / 2000 if ml is None else ml)


def visit(days, *lesions, mg=0.0, clinical=Clinical.STABLE, **more):
    return TimePoint(DAY0 + timedelta(days=days), lesions, mg, clinical, **more)


BASE = Criteria(baseline=DAY0, radiotherapy_end=DAY0 - timedelta(weeks=4))
VOLUME = replace(BASE, measure=Measure.VOLUME)
FLAIR = replace(BASE, compartment=Compartment.NON_ENHANCING)
START = visit(0, lesion("A", 40, 30))  # 1200 mm2

# name, criteria, visits, category and standing and confirmation of the last one
TABLE = [
    ("nothing changed", BASE, [START, visit(90, lesion("A", 40, 30))], SD, SD, FREE),
    ("all gone, first time", BASE, [START, visit(90)], CR, SD, WAIT),
    ("all gone, again after 4 weeks", BASE, [START, visit(90), visit(118)], CR, CR, DONE),
    ("all gone, again after 27 days", BASE, [START, visit(90), visit(117)], CR, SD, WAIT),
    ("all gone, on steroids", BASE, [replace(START, steroid_mg=4), visit(90, mg=2)], PR, SD, WAIT),
    ("all targets gone, a tiny one left", BASE, [visit(0, lesion("A", 20), lesion("b", 6)), visit(90, lesion("b", 6))], PR, SD, WAIT),
    ("-50 % exactly", BASE, [START, visit(90, lesion("A", 30, 20))], PR, SD, WAIT),
    ("-49.9 %", BASE, [START, visit(90, lesion("A", 30, 20.05))], SD, SD, FREE),
    ("-50 %, held 4 weeks", BASE, [START, visit(90, lesion("A", 30, 20)), visit(118, lesion("A", 30, 19))], PR, PR, DONE),
    ("PR, then CR: PR stands meanwhile", BASE,
     [START, visit(60, lesion("A", 30, 20)), visit(90, lesion("A", 30, 19)), visit(120)], CR, PR, WAIT),
    ("PR lost between", BASE,
     [START, visit(60, lesion("A", 30, 20)), visit(80, lesion("A", 30, 24)), visit(100, lesion("A", 30, 20))], PR, SD, WAIT),
    ("PR on a lower dose", BASE, [replace(START, steroid_mg=8), visit(90, lesion("A", 20, 20), mg=4)], PR, SD, WAIT),
    ("PR on a higher dose", BASE, [START, visit(90, lesion("A", 20, 20), mg=4)], NA, NA, FREE),
    ("stable on a higher dose", BASE, [START, visit(90, lesion("A", 40, 30), mg=4)], NA, NA, FREE),
    ("+25 % exactly, long after radiotherapy", BASE, [START, visit(90, lesion("A", 50, 30))], PD, PD, FREE),
    ("+24.9 %", BASE, [START, visit(90, lesion("A", 49.9, 30))], SD, SD, FREE),
    ("+25 % within 12 weeks of radiotherapy", BASE, [START, visit(56, lesion("A", 50, 30))], PD, NA, WAIT),
    ("12 weeks and a day", BASE, [START, visit(57, lesion("A", 50, 30))], PD, PD, FREE),
    ("early PD, confirmed 4 weeks later", BASE, [START, visit(28, lesion("A", 50, 30)), visit(56, lesion("A", 50, 31))], PD, PD, DONE),
    ("early PD, gone 4 weeks later", BASE, [START, visit(28, lesion("A", 50, 30)), visit(56, lesion("A", 40, 30))], SD, SD, FREE),
    ("+25 % above nadir, below baseline", BASE,
     [START, visit(90, lesion("A", 20, 20)), visit(180, lesion("A", 25, 20))], PD, PD, FREE),
    ("+24 % above nadir", BASE, [START, visit(90, lesion("A", 30, 25)), visit(180, lesion("A", 31, 30))], SD, SD, FREE),
    ("new lesion of 10 x 10 mm", BASE, [START, visit(90, lesion("A", 40, 30), lesion("N", 10))], PD, PD, FREE),
    ("new lesion of 10 x 9.9 mm", BASE, [START, visit(90, lesion("A", 40, 30), lesion("N", 10, 9.9))], SD, SD, FREE),
    ("new lesion while the target shrinks", BASE, [START, visit(90, lesion("A", 20, 20), lesion("N", 12))], PD, PD, FREE),
    ("small one grows 8 -> 13 mm", BASE,
     [visit(0, lesion("A", 40), lesion("b", 8)), visit(90, lesion("A", 40), lesion("b", 13))], PD, PD, FREE),
    ("small one grows 8 -> 12 mm", BASE,
     [visit(0, lesion("A", 40), lesion("b", 8)), visit(90, lesion("A", 40), lesion("b", 12))], SD, SD, FREE),
    ("the same beside a PR", BASE,
     [visit(0, lesion("A", 40), lesion("b", 8)), visit(90, lesion("A", 20), lesion("b", 12))], SD, SD, FREE),
    ("nothing measurable, nothing new", BASE, [visit(0, lesion("b", 8)), visit(90)], SD, SD, FREE),
    ("nothing left after surgery, then a new lesion", BASE, [visit(0), visit(90, lesion("N", 15))], PD, PD, FREE),
    ("back after CR", BASE, [START, visit(60), visit(90), visit(120, lesion("A", 12))], PD, PD, FREE),
    ("back after CR, too small to measure", BASE, [START, visit(60), visit(90), visit(120, lesion("A", 8))], PR, PR, DONE),
    ("two targets are added up", BASE,
     [visit(0, lesion("A", 40), lesion("B", 20)), visit(90, lesion("A", 44), lesion("B", 24))], PD, PD, FREE),
    ("clinical decline alone", BASE, [START, visit(30, lesion("A", 40, 30), clinical=Clinical.WORSE)], PD, PD, FREE),
    ("leptomeningeal disease", BASE, [START, visit(90, lesion("A", 40, 30), leptomeningeal=True)], PD, PD, FREE),
    ("thick slices: 11 mm is not measurable", replace(BASE, slice_mm=6), [START, visit(90, lesion("A", 40, 30), lesion("N", 11))],
     SD, SD, FREE),
    ("recurrent: no confirmation", replace(BASE, recurrent=True), [START, visit(14, lesion("A", 50, 30))], PD, PD, FREE),
    ("confirmation asked for", replace(BASE, confirm_progression=True), [START, visit(90, lesion("A", 50, 30))], PD, NA, WAIT),
    ("volume -65 % exactly", VOLUME, [visit(0, lesion("A", 30, ml=20)), visit(90, lesion("A", 20, ml=7))], PR, SD, WAIT),
    ("volume -64 %", VOLUME, [visit(0, lesion("A", 30, ml=20)), visit(90, lesion("A", 20, ml=7.2))], SD, SD, FREE),
    ("volume +40 % exactly", VOLUME, [visit(0, lesion("A", 30, ml=20)), visit(90, lesion("A", 30, ml=28))], PD, PD, FREE),
    ("volume +39 %", VOLUME, [visit(0, lesion("A", 30, ml=20)), visit(90, lesion("A", 30, ml=27.8))], SD, SD, FREE),
    ("FLAIR -25 % exactly", FLAIR, [START, visit(90, lesion("A", 30, 30))], MR, SD, WAIT),
    ("FLAIR -24 %", FLAIR, [START, visit(90, lesion("A", 30.4, 30))], SD, SD, FREE),
    ("FLAIR -25 %, held", FLAIR, [START, visit(90, lesion("A", 30, 30)), visit(120, lesion("A", 30, 29))], MR, MR, DONE),
    ("FLAIR volume -40 %", replace(FLAIR, measure=Measure.VOLUME),
     [visit(0, lesion("A", 30, ml=20)), visit(90, lesion("A", 30, ml=12))], MR, SD, WAIT),
    ("enhancing has no MR", BASE, [START, visit(90, lesion("A", 30, 30))], SD, SD, FREE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("criteria", "visits", "category", "standing", "confirmation"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_the_table_made_by_hand(criteria, visits, category, standing, confirmation):
    found = assess(visits, criteria)[-1]
    assert (found.category, found.standing, found.confirmation) == (category, standing, confirmation), found.rule
    assert found.rule.startswith(("Not assessable", category.value))
    assert found.missing == ()
    assert "not a diagnosis" in found.notice


def test_order_of_arrival_does_not_matter():
    visits = [START, visit(90, lesion("A", 20, 20)), visit(180, lesion("A", 25, 20))]
    assert assess(visits[::-1], BASE) == assess(visits, BASE)


def test_what_is_not_known_is_said_and_not_assumed():
    found = assess([TimePoint(DAY0, START.lesions), TimePoint(DAY0 + timedelta(90), (lesion("A", 20, 20),))])[-1]
    assert found.category is PR
    assert set(found.missing) == {
        "baseline scan (the earliest visit was taken)",
        "clinical status",
        "corticosteroid dose",
        "corticosteroid dose at baseline",
    }


def test_progression_with_unknown_end_of_radiotherapy_is_left_open():
    found = assess([START, visit(90, lesion("A", 50, 30))], Criteria(baseline=DAY0))[-1]
    assert (found.category, found.standing, found.confirmation) == (PD, NA, OPEN)
    assert found.missing == ("end of radiotherapy",)


def test_progression_needs_neither_steroids_nor_clinical_status():
    found = assess([START, TimePoint(DAY0 + timedelta(90), (lesion("A", 50, 30),))], BASE)[-1]
    assert (found.category, found.missing) == (PD, ())


def test_a_lowered_dose_is_mentioned_beside_progression():
    found = assess([replace(START, steroid_mg=8), visit(90, lesion("A", 50, 30), mg=2)], BASE)[-1]
    assert any("lowered" in words for words in found.caveats)


def test_changes_are_measured_from_baseline_and_from_the_smallest():
    found = assess([START, visit(90, lesion("A", 20, 20)), visit(180, lesion("A", 22, 20))], BASE)[-1]
    assert found.change_from_baseline == pytest.approx(440 / 1200 - 1)
    assert found.change_from_nadir == pytest.approx(0.1)


def test_visits_before_the_baseline_get_no_category():
    criteria = replace(BASE, baseline=DAY0)
    found = assess([visit(-60, lesion("A", 10)), START, visit(90, lesion("A", 40, 30))], criteria)
    assert [a.date for a in found] == [DAY0, DAY0 + timedelta(90)]
    assert found[0].category is NA
    assert found[1].category is SD


def test_targets_can_be_limited_to_the_largest():
    visits = [visit(0, lesion("A", 40), lesion("B", 12)), visit(90, lesion("A", 40), lesion("B", 20))]
    assert assess(visits, replace(BASE, targets=1))[-1].used["target lesions"] == "1"


def test_measurable_is_a_matter_of_both_diameters():
    assert measurable(lesion("A", 10, 10))
    assert not measurable(lesion("A", 60, 9.99))


@pytest.mark.parametrize("one", list(Category))
def test_mixed_tumours(one):
    assert combine(one, PD) is combine(PD, one) is PD
    if one is not PD:
        assert combine(one, NA) is NA
    if one not in (PD, NA, CR):
        assert combine(one, SD) is one
    assert combine(one, one) is one


def test_a_date_twice_or_a_baseline_nobody_has_is_refused():
    with pytest.raises(ValueError, match="date"):
        assess([START, START])
    with pytest.raises(ValueError, match="baseline"):
        assess([START], Criteria(baseline=date(2020, 1, 1)))
