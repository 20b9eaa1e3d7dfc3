"""Folds: everyone tested once, the same patient never on both sides, wrong files refused in words."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import InputNotFoundError
from braintumor.train.splits import make_folds, read_folds

FOLDS = Path(__file__).parents[2] / "model" / "configs" / "folds.json"
NAMES = st.lists(st.integers(0, 99).map(lambda n: f"p{n:02}"), min_size=12, max_size=40, unique=True)
GROUPS = st.lists(st.lists(st.integers(0, 99).map(lambda n: f"p{n:02}"), min_size=1, max_size=3), max_size=3)


@settings(max_examples=50, deadline=None)
@given(NAMES, st.integers(2, 4), st.integers(0, 9), GROUPS)
def test_everyone_is_tested_once_and_groups_stay_together(patients, k, seed, groups):
    splits = make_folds(patients, k, seed, groups)
    assert sorted(name for fold in splits.folds for name in fold) == sorted(patients)
    assert len(splits.folds) == k
    sizes = [len(fold) for fold in splits.folds]
    largest = max([len(set(group) & set(patients)) for group in splits.groups] + [1])
    assert max(sizes) - min(sizes) <= largest
    for fold in range(k):
        trained = set(splits.trained(fold, patients))
        assert not trained & set(splits.folds[fold])
        for group in groups:  # as given, before any were joined
            assert not (trained & set(group) and set(splits.folds[fold]) & set(group))
    assert splits == make_folds(patients[::-1], k, seed, groups)


@settings(max_examples=20, deadline=None)
@given(NAMES, GROUPS)
def test_what_is_written_is_read(tmp_path_factory, patients, groups):
    path = tmp_path_factory.mktemp("folds") / "folds.json"
    splits = make_folds(patients, 3, 1, groups)
    splits.write(path)
    assert read_folds(path) == splits


def test_a_seed_deals_differently():
    patients = [f"p{n}" for n in range(20)]
    assert make_folds(patients, 5, 0).folds != make_folds(patients, 5, 1).folds


def test_who_may_be_a_tested_patient_is_not_trained_on():
    splits = make_folds(["a", "b", "c", "d"], 2, 0, [["a", "slices_7"], ["slices_7", "lgg_1"]])
    fold = next(n for n, names in enumerate(splits.folds) if "a" in names)
    assert splits.held_out(fold) == {*splits.folds[fold], "slices_7", "lgg_1"}
    assert splits.trained(fold, ["lgg_1", "lgg_2", "slices_7"]) == ("lgg_2",)
    assert splits.trained(1 - fold, ["lgg_1", "lgg_2"]) == ("lgg_1", "lgg_2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((["a", "a", "b"], 2), "named twice"), ((["a", "b"], 1), "at least 2"), ((["a", "b"], 2, 0, [["a", "b"]]), "cannot fill")],
)
def test_what_cannot_be_dealt_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        make_folds(*arguments)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folds": [["a", "b"], ["b", "c"]]}, "b is in fold 0 and again in fold 1"),
        ({"groups": [["a", "x"], ["x", "c"]]}, "a and c may be one patient"),
        ({"k": 3}, "2 folds with patients, not 3"),
        ({"folds": [["a"], []]}, "1 folds with patients, not 2"),
        ({"folds": ["abc", "def"]}, "cannot be read"),
        ({"folds": None}, "cannot be read"),
        ({"seed": "x"}, "cannot be read"),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path, change, words):
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"seed": 0, "k": 2, "groups": [], "folds": [["a", "b"], ["c"]], **change}))
    with pytest.raises(InputNotFoundError, match=words):
        read_folds(path)
    with pytest.raises(InputNotFoundError, match="cannot be read"):
        read_folds(tmp_path / "absent.json")


def test_the_published_folds():
    """The held-out cases of the first weights are fold 0, and patients of low-grade look are spread."""
    splits = read_folds(FOLDS)
    assert set(splits.folds[0]) == {"BraTS2021_01480", "BraTS2021_01658", "BraTS20_Training_001", "Brats18_2013_21_1"}
    low_grade = {f"BraTS2021_{n:05}" for n in range(1476, 1486)}
    assert sorted(len(low_grade & set(fold)) for fold in splits.folds) == [1, 2, 2, 2, 3]
    assert sorted(map(len, splits.folds)) == [3, 4, 4, 4, 4]


@pytest.mark.realdata
def test_the_published_folds_name_every_case(brats):
    splits = read_folds(FOLDS)
    assert sorted(name for fold in splits.folds for name in fold) == sorted(path.name for path in brats.iterdir())
