"""The simulation: every strategy starts alike, asks for each case once, is measured each round, and goes on where it was."""

import json
from dataclasses import replace

import pytest

from braintumor.active_learning.simulate import Point, SimulationPlan, labels_needed, simulate
from braintumor.domain import Region
from tests.active_learning.small import TINY, TRAIN, example, written

PLAN = SimulationPlan(
    strategies=("random", "entropy", "diverse"),
    start=2,
    batch=1,
    rounds=2,
    first_steps=3,
    steps=2,
    network=TINY,
    train={key: TRAIN[key] for key in ("batch", "size", "full_batch", "full_size")},
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulation")
    written(folder / "pool", *(example(f"p{n}", seed=n) for n in range(5)))
    written(folder / "heldout", example("h", seed=9))
    return folder


def points(place, plan, folder):
    pool, heldout = (sorted((place / name).glob("*.npz")) for name in ("pool", "heldout"))
    return list(simulate(pool, heldout, folder, plan))


def test_each_strategy_asks_for_new_cases_and_a_second_run_repeats_nothing(place, tmp_path, monkeypatch):
    first = points(place, PLAN, tmp_path)
    assert [(p.strategy, p.round, p.labels) for p in first] == [
        (strategy, number, 2 + number) for strategy in PLAN.strategies for number in range(3)
    ]
    for strategy in PLAN.strategies:
        own = [p for p in first if p.strategy == strategy]
        asked = [name for p in own for name in p.added]
        assert len(set(asked)) == len(asked) == 4
        assert own[0].added == first[0].added
        assert own[0].dice == first[0].dice

    monkeypatch.setattr("braintumor.active_learning.simulate.train", None)
    assert points(place, PLAN, tmp_path) == first
    assert points(place, replace(PLAN, strategies=("entropy",)), tmp_path) == first[3:6]


def test_another_plan_needs_another_folder_and_sides_stay_apart(place, tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps({"start": 7}))
    with pytest.raises(ValueError, match="other settings"):
        points(place, PLAN, tmp_path)
    pool = sorted((place / "pool").glob("*.npz"))
    with pytest.raises(ValueError, match="held out"):
        list(simulate(pool, pool[:1], tmp_path / "x", PLAN))
    with pytest.raises(ValueError, match="too few"):
        list(simulate(pool[:2], [], tmp_path / "x", PLAN))
    with pytest.raises(ValueError, match="horoscope"):
        replace(PLAN, strategies=("horoscope",))


def test_labels_needed_is_the_first_count_that_reaches_the_target():
    def point(strategy, labels, dice):
        return Point(strategy, 0, 0, labels, (), {Region.WT: dice})

    known = [point("a", 2, 0.1), point("a", 4, 0.8), point("a", 6, 0.7), point("b", 2, 0.2), point("b", 4, None)]
    assert labels_needed(known, Region.WT, 0.75) == {"a": 4, "b": None}
