"""Facts and what is said of them: every sentence leads to a field, in every language."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.domain import (
    Assessment,
    Category,
    Comparison,
    Confirmation,
    Direction,
    Estimate,
    Flag,
    LesionChange,
    LesionState,
    MRSequence,
    Region,
    RegionChange,
    Section,
    Severity,
    TrendPoint,
)
from braintumor.report import gather_findings, state, write_text
from braintumor.report.findings import gather_flags
from braintumor.report.language import Language, languages
from braintumor.report.statements import Term
from braintumor.track.rano import LesionSize, TimePoint, assess


def texts(findings, section, code="en"):
    return [line.text for line in write_text(findings, code).sections[section]]


def field_at(findings, source):
    """Follow the dotted path that a statement names."""
    thing = findings
    for step in source.split("."):
        if isinstance(thing, tuple):
            thing = thing[int(step)]
        elif hasattr(thing, "keys"):
            thing = thing[step]
        else:
            assert is_dataclass(thing)
            assert step in {f.name for f in fields(thing)}
            thing = getattr(thing, step)
    return thing


def comparison(direction=Direction.GROWN, response=None, lesions=()):
    before, now = Estimate(20.0, 0.5), Estimate(30.0 if direction is Direction.GROWN else 12.0, 0.5)
    ml = Estimate(now.value - before.value, 0.7)
    change = RegionChange(before, now, ml, Estimate(100 * ml.value / before.value, 3.0), direction)
    same = replace(change, now=before, ml=Estimate(0.0, 0.7), percent=Estimate(0.0, 3.0), direction=Direction.UNCHANGED)
    regions = {Region.WT: change, Region.TC: same, Region.ET: change}
    points = tuple(TrendPoint(uid, day, dict.fromkeys(Region, v)) for uid, day, v in (("1", date(2024, 1, 3), before),))
    return Comparison("1", date(2024, 1, 3), 102, regions, lesions, response, "", points, 0.9, 0.3)


@pytest.fixture
def followed(stages):
    lesions = (
        LesionChange("Lesion 1", "1.2", LesionState.GROWN, 1, Estimate(20.0, 0.5), Estimate(29.0, 0.5)),
        LesionChange("Lesion 2", "1.3", LesionState.NEW, 2, None, Estimate(1.0, 0.1)),
    )
    response = Assessment(
        date(2024, 4, 14),
        Category.PD,
        Category.NOT_ASSESSABLE,
        Confirmation.UNKNOWN,
        "PD: a new measurable lesion.",
        missing=("baseline scan (the earliest visit was taken)", "end of radiotherapy"),
    )
    return gather_findings(*stages, comparison=comparison(response=response, lesions=lesions))


def test_every_statement_leads_to_a_field_of_the_findings(stages, followed):
    for findings in (gather_findings(*stages), followed):
        sources = [s.source for s in state(findings) if s.source]
        assert len(sources) > 20
        for source in sources:
            field_at(findings, source)


@pytest.mark.parametrize("code", languages())
def test_volumes_are_said_as_measured(stages, code):
    findings, language = gather_findings(*stages), Language(code)
    for line in write_text(findings, code).sections[Section.FINDINGS]:
        if line.message == "volume-of":
            said = [float(number) for number in re.findall(r"\d+\.\d", line.text)]
            region = field_at(findings, line.source.removesuffix(".volume_ml"))
            assert said == [pytest.approx(region.volume_ml, abs=0.051), pytest.approx(region.simpson_ml, abs=0.051)]
            assert language.with_unit("", "mL").strip() in line.text


def test_the_first_words_name_region_side_and_size(stages):
    findings = gather_findings(*stages)
    assert texts(findings, Section.FINDINGS)[0].startswith("The whole tumour has ")
    assert any("on the left" in text for text in texts(findings, Section.FINDINGS))
    assert texts(findings, Section.IMPRESSION)[0].startswith("Segmented tumour of ")
    assert any("बाईं ओर" in text for text in texts(findings, Section.FINDINGS, "hi"))


def test_all_languages_state_the_same_things(followed):
    stated = [
        [(line.source, line.message) for lines in write_text(followed, code).sections.values() for line in lines]
        for code in languages()
    ]
    assert len(stated) >= 2
    assert all(one == stated[0] for one in stated)


def test_every_language_has_every_message_and_term_of_english():
    english = Language("en")
    for code in languages():
        assert Language(code).glossary.keys() == english.glossary.keys()


def test_the_same_input_gives_the_same_findings(stages):
    assert gather_findings(*stages) == gather_findings(*stages)


def test_no_tumour_is_said_and_nothing_else(healthy_stages):
    findings = gather_findings(*healthy_stages)
    assert "No whole tumour was segmented." in texts(findings, Section.FINDINGS)
    assert all(re.fullmatch("No .* was segmented.", text) for text in texts(findings, Section.FINDINGS))
    assert texts(findings, Section.IMPRESSION) == ["No tumour was segmented."]
    assert texts(findings, Section.IMPRESSION, "hi") == ["कोई ट्यूमर नहीं मिला।"]


def test_missing_sequence_and_registration_are_told_with_their_figures(moved_stages):
    findings = gather_findings(*moved_stages)
    technique = texts(findings, Section.TECHNIQUE)
    assert technique[:2] == [
        "3 MR sequences were used: T1, T1ce and FLAIR.",
        "T2 was not available; the mask is less reliable without it.",
    ]
    assert "FLAIR was moved rigidly onto T1ce, by 3.4\u00a0mm and 1.7 degrees." in technique
    assert "Add T2 to the protocol of the next study." in texts(findings, Section.RECOMMENDATIONS)
    assert "Rigid registration cannot undo deformation." in texts(findings, Section.LIMITATIONS)
    assert texts(findings, Section.CLINICAL) == ["Woman, 62 years old."]


def test_one_sequence_alone(make):
    findings = gather_findings(*make(drop=(MRSequence.T1CE, MRSequence.T1, MRSequence.T2)))
    assert texts(findings, Section.TECHNIQUE)[:2] == [
        "One MR sequence was used: FLAIR.",
        "T1, T1ce and T2 were not available; the mask is less reliable without them.",
    ]
    assert texts(findings, Section.TECHNIQUE, "hi")[0] == "एक MR सीक्वेंस का उपयोग किया गया: FLAIR।"


def test_disclaimer_and_limits_always(stages, by_hand):
    for findings in (gather_findings(*stages), gather_findings(*by_hand)):
        assert "Research use only; not a medical device." in texts(findings, Section.LIMITATIONS)
    assert "The contours were made by an algorithm." in texts(gather_findings(*stages), Section.LIMITATIONS)
    assert not any("algorithm" in text for text in texts(gather_findings(*by_hand), Section.LIMITATIONS))
    assert "The mask was drawn or corrected by a person." in texts(gather_findings(*by_hand), Section.TECHNIQUE)


def test_change_is_said_with_its_direction_and_both_volumes(followed):
    impression = texts(followed, Section.IMPRESSION)
    grown = "has grown by 10.0\u00a0mL (50%), from 20.0\u00a0mL to 30.0\u00a0mL."
    assert f"The whole tumour {grown}" in impression
    assert "There is one new lesion." in impression
    assert "The measurements meet progressive disease (PD) of RANO 2.0, not confirmed." in impression
    found = texts(followed, Section.FINDINGS)
    assert "The tumour core shows no measurable change, from 20.0\u00a0mL to 20.0\u00a0mL." in found
    assert "Lesion 2 is new, with 1.0\u00a0mL." in found
    assert texts(followed, Section.COMPARISON)[0] == "Compared with the study of 3 January 2024, 102\u00a0days earlier."


def test_hindi_verbs_agree_with_what_they_are_said_of(followed):
    found = texts(followed, Section.FINDINGS, "hi")
    assert any(text.startswith("सम्पूर्ण ट्यूमर 20.0") and text.endswith("बढ़ा है।") for text in found)


def test_what_the_response_depends_on_is_asked_for(followed):
    inputs = "date of the baseline scan and end of radiotherapy"
    wanted = f"Give what the images do not show and the response category depends on: {inputs}."
    assert wanted in texts(followed, Section.RECOMMENDATIONS)


def test_whatever_rano_may_lack_has_a_word_in_every_language():
    points = [TimePoint(date(2024, month, 1), (LesionSize("a", 30.0, 20.0, 9.0 * month),)) for month in (1, 2, 3)]
    missing = {words for assessment in assess(points) for words in assessment.missing}
    missing |= {words for assessment in assess([replace(p, lesions=()) for p in points]) for words in assessment.missing}
    assert len(missing) > 2
    for code in languages():
        for words in missing:
            assert Term("input", words.split("(")[0].strip().replace(" ", "-")) in Language(code).glossary


@pytest.mark.parametrize("kind", ["grown", "shrunk", "unchanged"])
def test_a_change_from_or_to_nothing_has_no_percentage(stages, kind):
    none, some = Estimate(0.0, 0.0), Estimate(4.0, 0.2)
    before, now = (some, none) if kind == "shrunk" else (none, some)
    change = RegionChange(before, now, Estimate(now.value - before.value, 0.2), None, Direction(kind))
    findings = gather_findings(*stages, comparison=replace(comparison(), regions=dict.fromkeys(Region, change)))
    assert not any("%" in text for text in texts(findings, Section.IMPRESSION))


def test_flags_of_all_stages_once_and_most_serious_first(stages):
    flags = gather_findings(*stages).flags
    codes = [flag.code for flag in flags]
    assert codes.count("uncertain-outline") == 1  # case and segmentation both raised it
    assert flags[0].code == "poor-registration"


flags = st.builds(Flag, st.sampled_from("abc"), st.sampled_from(Severity), st.sampled_from("xy"))


@given(st.lists(st.lists(flags, max_size=5), max_size=4))
def test_no_flag_is_lost_or_said_twice(raised):
    gathered = gather_flags(*raised)
    names = [(flag.code, flag.message) for flag in gathered]
    assert len(names) == len(set(names))
    assert set(names) == {(flag.code, flag.message) for stage in raised for flag in stage}
    order = [Severity.SERIOUS, Severity.WARNING, Severity.INFO]
    ranks = [order.index(flag.severity) for flag in gathered]
    assert ranks == sorted(ranks)
    for flag in gathered:
        same = [f for stage in raised for f in stage if (f.code, f.message) == (flag.code, flag.message)]
        assert order.index(flag.severity) == min(order.index(f.severity) for f in same)
