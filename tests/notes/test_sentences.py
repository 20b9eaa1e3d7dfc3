"""Cutting notes into sentences: nothing lost, nothing twice, and the marks of clinicians' writing respected."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from braintumor.notes.sentences import LONGEST, split

SHREDS = (
    *(
        "Dr. Rao",
        "2.5 mg",
        "b.d.",
        "12.03.2024",
        "No fits",
        "- item",
        "1. item",
        "## Head",
        "Plan:",
        "सिरदर्द है।",
        "॥",
        "é",
        "|",
        " | ",
    ),
    *(
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "\t",
        "\f",
        "\u2028",
        "\x85",
        "\u00a0",
        "\u200b",
        ". ",
        "? ",
        "!",
        "...",
        '."',
        ".)",
        "e.g.",
        "J. Smith",
    ),
    "a" * 700,
)
NOTE_LIKE = st.lists(st.sampled_from(SHREDS), max_size=40).map("".join)


def texts(note, **options):
    return [note[s.start : s.end] for s in split(note, **options)]


@given(st.one_of(st.text(max_size=300), NOTE_LIKE))
@example("a.\u2029b")
@example(" \x1c. .")
@example("." * 1000)
def test_sentences_are_in_order_do_not_overlap_and_leave_out_only_white_space(note):
    at = 0
    for sentence in split(note):
        assert note[at : sentence.start].strip() == ""
        assert sentence.start < sentence.end
        words = note[sentence.start : sentence.end]
        assert words == words.strip()
        assert len(words) <= LONGEST or sentence.is_heading
        at = sentence.end
    assert note[at:].strip() == ""


@given(NOTE_LIKE)
def test_paragraphs_never_go_back(note):
    numbers = [s.paragraph for s in split(note)]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "whole",
    [
        "Seen by Dr. Rao and Prof. Lind in clinic.",
        "Dexamethasone 2.5 mg b.d. from tomorrow.",
        "Operated on 12.03.2024 without problems.",
        "Reviewed by J. Smith today.",
        "Histology: glioma, WHO Gr. 4, ATRX retained.",
        "Symptoms, e.g. Headache and nausea, are better.",
        "Scan on 12. March was stable.",
        "1. Dexamethasone 4 mg",
        "MRI at approx. 3 p.m. showed no change.",
    ],
)
def test_a_full_stop_inside_a_sentence_does_not_end_it(whole):
    assert texts(whole) == [whole]


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("No fits. Walks alone.", ["No fits.", "Walks alone."]),
        ("Glioma grade I. The patient is well.", ["Glioma grade I.", "The patient is well."]),
        ("Dexamethasone 4 mg b.d. The wound is clean.", ["Dexamethasone 4 mg b.d.", "The wound is clean."]),
        ("सिरदर्द है। उल्टी नहीं है।", ["सिरदर्द है।", "उल्टी नहीं है।"]),
        ("सिरदर्द है | उल्टी नहीं है |", ["सिरदर्द है |", "उल्टी नहीं है |"]),
        ("Is he well? He is!", ["Is he well?", "He is!"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("- Asthma\n- Migraine\n* Gout", ["- Asthma", "- Migraine", "* Gout"]),
        ("dexamethasone 4 mg\nlevetiracetam 500 mg", ["dexamethasone 4 mg", "levetiracetam 500 mg"]),
        ("PMH: asthma\nPlan: rest", ["PMH: asthma", "Plan: rest"]),
        (
            "He underwent a left temporal craniotomy with\ngross total resection.",
            ["He underwent a left temporal craniotomy with\ngross total resection."],
        ),
        ("Seen with Dr.\nRao in clinic.", ["Seen with Dr.\nRao in clinic."]),
        ("No evidence of\nRecurrence", ["No evidence of\nRecurrence"]),
        ("one\r\n\r\ntwo", ["one", "two"]),
    ],
)
def test_boundaries(note, expected):
    assert texts(note) == expected


def test_headings_are_known_and_reach_their_items():
    note = "# History\n\n- Asthma\n\n- Gout\n\nMedications:\nDexamethasone 4 mg\n\nHe is well."
    by_text = {note[s.start : s.end]: s for s in split(note)}
    assert by_text["# History"].is_heading
    assert by_text["- Gout"].heading == "# History"
    assert by_text["Dexamethasone 4 mg"].heading == "Medications:"
    assert by_text["He is well."].heading == ""


def test_a_heading_goes_on_over_a_page():
    assert split("- Gout", heading="# History")[0].heading == "# History"


@pytest.mark.parametrize(
    "note", ["." * 2_000_000, " " * 2_000_000 + "x", "a. " * 300_000, "क |" * 300_000, "\n" * 2_000_000, "A" * 2_000_000 + ":"]
)
def test_no_note_makes_it_slow(note):
    started = time.process_time()
    split(note)
    assert time.process_time() - started < 5
