"""Answers are read as they are meant where that is clear, and not at all where it is not."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.report.rewriting import address, answers
from braintumor.report.rewriting.answers import parse, single

TWO = {1: "One.", 2: "Two."}


@pytest.mark.parametrize(
    "answer",
    [
        '{"1": "One.", "2": "Two."}',
        '```json\n{"1": "One.", "2": "Two."}\n```',
        'Sure, here it is [as asked]:\n{"2": "Two.", "1": "One."}\nAnything else?',
        '["One.", "Two."]',
        '{"sentences": ["One.", "Two."]}',
        '{"sentences": [{"number": 1, "sentence": "One."}, {"number": 2, "sentence": "Two."}]}',
        '[{"id": "1", "text": "One."}, {"id": "2", "text": "Two."}]',
        "1. One.\n2. Two.",
        "Here are the sentences:\n\n1) One.\n2) Two.\n\nI kept all numbers.",
        "**1.** One.\n- 2: Two.",
        "१. One.\n२. Two.",
        '<think>{"1": "Hm.", "2": "Hm."}</think>{"1": "One.", "2": "Two."}',
        '{"1": "One.", "2": "Two.", "3": "Three.", "0": "Nought."}',
        '{"1": " One. ", "2": "Two.", "note": "done"}',
    ],
)
def test_what_can_be_read(answer):
    assert parse(answer, 2) == TWO


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("", {}),
        ("One. Two.", {}),
        ('["One."]', {}),
        ('{"1": "One.", "1": "Other.", "2": "Two."}', {2: "Two."}),
        ('{"1": "One.", "2": 2}', {1: "One."}),
        ('{"1": "One.", "2": "Tw', {}),
        ('{"1": "", "2": "Two."}', {2: "Two."}),
        ("1. One.\n1. Other.\n2. Two.", {2: "Two."}),
        ("<think>1. One.\n2. Two.", {}),
        ("60.3 mL\n2.5 mL", {}),
        ("{" * 100_000, {}),
        ('{"1": ' + "9" * 6000 + ', "2": "Two."}', {}),
        ('{"' + "1" * 5000 + '": "One."}', {}),
    ],
)
def test_what_cannot_be_read_is_missing(answer, found):
    assert parse(answer, 2) == found


@given(st.text(max_size=300), st.integers(1, 5))
def test_any_text_gives_wanted_numbers_only(answer, count):
    assert set(parse(answer, count)) <= set(range(1, count + 1))
    assert set(single(answer)) <= {1}


def test_a_single_answer_is_one_line():
    assert single("One.\n") == {1: "One."}
    assert single("One.\nTwo.") == {}
    assert single("  \n") == {}


@pytest.mark.parametrize("module", [address, answers])
def test_the_examples_in_the_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0
