"""Selection: never twice, never more than asked, repeatable, and in the order that the strategy promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.active_learning import STRATEGIES, CaseCandidate, CaseScores, order

share = st.none() | st.floats(0, 1)
scores = st.builds(
    CaseScores,
    entropy=share,
    tta=share,
    dropout=share,
    disagreement=share,
    feature=st.just(()) | st.tuples(*[st.floats(-1, 1)] * 3),
)
candidates = st.lists(st.builds(CaseCandidate, st.text("abcdef", min_size=1, max_size=2), st.none() | scores), max_size=12)


@given(
    candidates, st.sampled_from(STRATEGIES), st.none() | st.integers(0, 15), st.integers(0, 99), st.lists(scores, max_size=3)
)
def test_every_choice_is_a_candidate_once_and_as_many_as_asked(given_cases, strategy, count, seed, labelled):
    chosen = order(given_cases, strategy, count, seed, labelled)
    keys = [choice.key for choice in chosen]
    everybody = {c.key for c in given_cases}
    assert len(set(keys)) == len(keys)
    assert set(keys) <= everybody
    assert len(keys) == (len(everybody) if count is None else min(count, len(everybody)))
    assert all(choice.reason for choice in chosen)


@given(candidates, st.sampled_from(STRATEGIES), st.integers(0, 99), st.randoms())
def test_the_order_follows_from_the_seed_and_not_from_the_list(given_cases, strategy, seed, random):
    unique = list({c.key: c for c in given_cases}.values())
    shuffled = random.sample(unique, len(unique))
    assert order(unique, strategy, seed=seed) == order(shuffled, strategy, seed=seed)


@given(candidates, st.sampled_from(STRATEGIES), st.integers(1, 12), st.integers(0, 99))
def test_fewer_are_the_first_of_more(given_cases, strategy, count, seed):
    assert order(given_cases, strategy, count, seed) == order(given_cases, strategy, None, seed)[:count]


@given(candidates, st.sampled_from(["entropy", "tta", "dropout", "disagreement"]))
def test_the_most_wanted_come_first_and_the_unscored_last(given_cases, strategy):
    values = [choice.score for choice in order(given_cases, strategy)]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values == known + [None] * (len(values) - len(known))


def test_random_depends_on_the_seed_only():
    cases = [CaseCandidate(f"{n}", CaseScores(entropy=n / 20)) for n in range(20)]
    blind = [CaseCandidate(c.key) for c in cases]
    assert order(cases, "random", seed=1) == order(blind, "random", seed=1)
    assert order(cases, "random", seed=1) != order(cases, "random", seed=2)


def test_a_diverse_batch_takes_one_of_each_kind_before_a_second_of_any():
    rng = np.random.default_rng(0)
    kinds = {"a": (1.0, 0.0, 0.0), "b": (0.0, 1.0, 0.0), "c": (0.0, 0.0, 1.0)}
    cases = [
        CaseCandidate(f"{kind}{n}", CaseScores(entropy=0.9 if kind == "a" else 0.3, feature=tuple(rng.normal(centre, 0.01))))
        for kind, centre in kinds.items()
        for n in range(5)
    ]
    assert {choice.key[0] for choice in order(cases, "entropy", 3)} == {"a"}
    assert {choice.key[0] for choice in order(cases, "diverse", 3)} == {"a", "b", "c"}
    labelled = [CaseScores(feature=kinds["a"]), CaseScores(feature=kinds["b"])]
    assert order(cases, "diverse", 1, labelled=labelled)[0].key[0] == "c"


def test_of_cases_equally_far_the_most_uncertain_is_taken():
    cases = [
        CaseCandidate("sure", CaseScores(entropy=0.1, feature=(0.0, 1.0))),
        CaseCandidate("unsure", CaseScores(entropy=0.2, feature=(0.0, -1.0))),
    ]
    assert order(cases, "diverse", 1, labelled=[CaseScores(feature=(1.0, 0.0))])[0].key == "unsure"


def test_wrong_questions_are_refused():
    with pytest.raises(ValueError, match="horoscope"):
        order([], "horoscope")
    with pytest.raises(ValueError, match="-1"):
        order([], "random", -1)
