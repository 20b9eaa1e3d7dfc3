import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.nouns import Flag, Sequence, Severity
from braintumor.report import DISCLAIMER, find
from braintumor.report.findings import gather_flags


def texts(findings, section):
    return [statement.text for statement in findings.section(section)]


def number_at(stages, source):
    """Follow the dotted path that a finding names."""
    thing = {"measurements": stages.measurements, "case": stages.case, "segmentation": stages.segmentation}
    for step in source.split("."):
        if isinstance(thing, (tuple, list)):
            thing = thing[int(step)]
        elif isinstance(thing, dict) or hasattr(thing, "keys"):
            thing = thing[step]
        else:
            thing = getattr(thing, step)
    return thing


def test_every_source_leads_to_a_value_of_the_stages(stages):
    sources = [s.source for s in find(*stages).statements if s.source]
    assert len(sources) > 20
    for source in sources:
        assert number_at(stages, source) is not None


def test_volumes_are_said_as_measured(stages):
    for statement in find(*stages).statements:
        if statement.source.endswith(".volume_ml"):
            said = float(re.search(r"([\d.]+) mL by voxel count", statement.text)[1])
            assert said == pytest.approx(number_at(stages, statement.source), abs=0.05)


def test_the_first_words_name_region_side_and_size(stages):
    found = texts(find(*stages), "findings")
    assert found[0].startswith("Whole tumour: ")
    assert "Whole tumour: on the patient's left" in " ".join(found)
    whole = stages.measurements.regions["WT"].diameters
    assert any(f"{whole.longest_mm:.1f} x {whole.perpendicular_mm:.1f} mm" in text for text in found)
    assert "One connected lesion was segmented." in found


def test_the_same_input_gives_the_same_findings(stages):
    assert find(*stages) == find(*stages)


def test_no_tumour_is_said_and_nothing_else(healthy_stages):
    found = texts(find(*healthy_stages), "findings")
    assert "Whole tumour: none was segmented." in found
    assert all("none was segmented" in text for text in found)


def test_missing_sequence_and_registration_are_told_with_their_figures(moved_stages):
    findings = find(*moved_stages)
    assert "Three sequences were used: T1, T1ce and FLAIR." in texts(findings, "technique")
    assert "FLAIR was moved rigidly onto T1ce, by 3.4 mm and 1.7 degrees." in texts(findings, "technique")
    quality = " ".join(texts(findings, "quality"))
    assert "T2 was not available" in quality
    assert "mutual information 1.123" in quality
    assert any("Rigid registration" in text for text in texts(findings, "limitations"))


def test_steps_of_preparation_become_sentences(stages):
    assert "N4 skipped: no skull." in texts(find(*stages), "technique")


def test_one_sequence_alone(make):
    only = make(drop=(Sequence.T1CE, Sequence.T1, Sequence.T2))
    findings = find(*only)
    assert texts(findings, "technique")[0] == "One sequence was used: FLAIR."
    assert "T1, T1ce and T2 were not available; the mask is less reliable without." in texts(findings, "quality")


def test_disclaimer_and_limits_always(stages, by_hand):
    assert DISCLAIMER in texts(find(*stages), "limitations")
    assert any("not been reviewed by a physician" in text for text in texts(find(*stages), "limitations"))
    human = find(*by_hand)
    assert DISCLAIMER in texts(human, "limitations")
    assert not any("algorithm" in text for text in texts(human, "limitations"))
    assert "The mask was drawn or corrected by a person." in texts(human, "technique")


def test_flags_of_all_stages_once_and_most_serious_first(stages):
    flags = find(*stages).flags
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
