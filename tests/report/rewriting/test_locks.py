"""Locked facts: what a model is shown, and what of its answers may stand in a report."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.report.language import languages, render_statement
from braintumor.report.rewriting import kept_because
from braintumor.report.rewriting.locks import cleaned, linking_words, problems, template
from braintumor.report.statements import Quantity, Term
from tests.report.rewriting.statements import STATEMENTS, of_reports
from tests.report.rewriting.suite import CODES, corrupted, exchanged, good, template_of, templates, written

ALL = (*STATEMENTS.values(), *of_reports())
OPEN = [statement for statement in ALL if not kept_because(statement) and template(statement, "en")]


def refused(text, name, code="en"):
    ours = template_of(name, code)
    said = cleaned(text, ours)
    return {problem.split(":")[0] for problem in problems(said, ours)} if said else {"form"}


@pytest.mark.parametrize("code", CODES)
def test_a_filled_template_is_our_own_sentence_and_passes(code):
    for statement in OPEN:
        ours = template(statement, code)
        assert ours, statement.message
        assert ours.filled(ours.text) == render_statement(statement, code)
        assert problems(cleaned(ours.text, ours), ours) == ()


@pytest.mark.parametrize("code", CODES)
def test_no_number_and_no_word_of_the_glossary_is_outside_the_locks(code):
    for statement in OPEN:
        ours = template(statement, code)
        free = re.sub(r"⟦\d+⟧", "", ours.text)
        assert not re.search(r"\d|नहीं|\b(not?|grown|shrunk|new|left|right|tumour)\b", free), free
        for value in statement.arguments.values():
            if isinstance(value, Term | Quantity):
                said = speak_of(value, code)
                assert said in " ".join(ours.facts)
                assert said not in free


def speak_of(value, code):
    from braintumor.report.language import language_of

    language = language_of(code)
    return language.term(value) if isinstance(value, Term) else language.quantity(value)


def test_every_language_locks_the_same_messages_and_nothing_that_stays():
    locked = [{s.message for s in ALL if not kept_because(s) and template(s, code)} for code in CODES]
    assert locked[0] == locked[1]
    assert len(locked[0]) == 29
    assert not locked[0] & {"disclaimer", "diagnosis-open", "no-prior", "prior", "axial-slices", "note-sentence", "lesion-new"}


def test_marks_of_a_language_file_are_never_in_a_report():
    for statement in ALL:
        for code in languages():
            assert not re.search("[⟦⟧]", render_statement(statement, code))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["good", "fresh"])
def test_good_rewordings_are_accepted(name, code):
    sentences = good(code, name)
    assert len(sentences) >= 40
    assert [(s.text, s.refused) for s in sentences if s.refused] == []


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["adversarial", "fresh-attacks"])
def test_attacks_written_by_hand_are_refused(name, code):
    sentences, never = written(code, name)
    assert len(sentences) >= 40
    assert bool(never) == (name == "adversarial")  # about disclaimers, the diagnosis, notes, dates: no model is asked
    assert [s.text for s in sentences if not s.refused] == []


@pytest.mark.parametrize("code", CODES)
def test_attacks_by_rule_are_refused(code):
    accepted = [bad.text for s in good(code, "fresh")[::4] for bad in corrupted(s) if not bad.refused]
    assert [text for text in accepted if "over the interval" not in text] == []


def test_exchanged_facts_are_refused_unless_each_says_its_own_role():
    accepted = {s.ours.filled(s.text) for code in CODES for ours in templates(code) for s in exchanged(ours) if not s.refused}
    assert any("mL by Simpson's rule and" in text for text in accepted)  # the voxel count after it
    for said in ("The 45.2", "The from", "The grown", "The on the", "segmented tumour of in the"):
        assert not [text for text in accepted if said.casefold() in text.casefold()]


@pytest.mark.parametrize(
    ("name", "code", "text", "sort"),
    [
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧.", "placeholder"),
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧, ⟦3⟧ and ⟦3⟧.", "placeholder"),
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧, ⟦3⟧ and ⟦0⟧.", "placeholder"),
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧, ⟦3⟧ and ⟦9⟧.", "placeholder"),
        ("volume-of", "en", "The ⟦2⟧ has ⟦1⟧ and ⟦3⟧.", "order"),
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧ of ⟦3⟧.", "order"),
        ("volume-of", "en", "The ⟦1⟧ has 12 and ⟦2⟧ and ⟦3⟧.", "word"),
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧ and ⟦3⟧, probably.", "word"),
        ("volume-of", "en", "The non-⟦1⟧ has ⟦2⟧ and ⟦3⟧.", "word"),
        ("volume-of", "en", "Is it that the ⟦1⟧ has ⟦2⟧ and ⟦3⟧?", "word"),
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧. It has ⟦3⟧.", "form"),
        ("volume-of", "en", "The ⟦1⟧ has (⟦2⟧ and ⟦3⟧.", "form"),
        ("volume-of", "en", "The ⟦1⟧ has\u202e ⟦2⟧ and ⟦3⟧.", "form"),
        ("volume-of", "en", "The ⟦1⟧ has ⟦2⟧ and ⟦3⟧" + " and" * 30 + ".", "form"),
        ("place-of-lobe", "en", "⟦2⟧ of the ⟦1⟧ lies the ⟦3⟧.", "order"),
        ("place-of", "hi", "⟦1⟧ के ⟦2⟧ है।", "order"),  # to the left of it
        ("change-grown", "hi", "⟦1⟧ ⟦2⟧, अर्थात ⟦3⟧ नहीं।", "word"),
    ],
)
def test_what_is_wrong_is_named_by_its_sort(name, code, text, sort):
    assert refused(text, name, code) >= {sort}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '  "The ⟦1⟧ measures\n⟦2⟧ and ⟦3⟧"  ',
            "The whole tumour measures 45.2\u00a0mL by voxel count and 44.1\u00a0mL by Simpson's rule.",
        ),
        ("⟦1⟧ : ⟦2⟧ , ⟦३⟧", "Whole tumour: 45.2\u00a0mL by voxel count, 44.1\u00a0mL by Simpson's rule."),
        (
            "the ⟦1⟧'s volume is ⟦2⟧, ⟦3⟧",
            "The whole tumour's volume is 45.2\u00a0mL by voxel count, 44.1\u00a0mL by Simpson's rule.",
        ),
    ],
)
def test_harmless_slips_are_mended(text, said):
    ours = template_of("volume-of", "en")
    clean = cleaned(text, ours)
    assert problems(clean, ours) == ()
    assert ours.filled(clean) == said


def test_joiners_inside_of_hindi_words_do_no_harm_and_others_do():
    assert refused("⟦1⟧ ⟦2⟧ स्थि\u200dत है", "place-of", "hi") == set()
    assert refused("⟦1⟧\u200d ⟦2⟧ स्थित है", "place-of", "hi") == {"form"}


@given(st.text(max_size=120), st.sampled_from(sorted(STATEMENTS)), st.sampled_from(CODES))
@settings(deadline=None, derandomize=True)
def test_any_text_gets_an_answer(text, name, code):
    if ours := template_of(name, code):
        assert problems(cleaned(text, ours), ours)


@given(st.lists(st.sampled_from(["⟦1⟧", "⟦2⟧", "⟦3⟧", *linking_words("en").split()]), max_size=12))
@settings(deadline=None, derandomize=True)
def test_whatever_is_accepted_holds_every_fact_once(pieces):
    ours = template_of("volume-of", "en")
    text = cleaned(" ".join(pieces), ours)
    if not problems(text, ours):
        assert all(ours.filled(text).casefold().count(fact.casefold()) == 1 for fact in ours.facts)
