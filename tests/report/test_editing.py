"""From draft to final: versions are kept, changes tracked, final ones never touched."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.domain import (
    Action,
    CorruptFileError,
    FinalReportError,
    InputNotFoundError,
    NewerVersionError,
    Origin,
    Section,
    Status,
    UnknownLanguageError,
)
from braintumor.report import Picture, dump_report, load_report
from braintumor.report.editing import amended, approved, edited, edited_alone
from braintumor.report.versions import ReportFolder, packed
from tests.reports import all_reports, first_visit, grown

WHEN = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def english(report, section=Section.IMPRESSION):
    return [line.text for line in report.texts["en"].sections[section]]


def change(report, texts, section=Section.IMPRESSION, who="Dr A. Rao"):
    return edited(report, "en", section, texts, who=who, when=WHEN)


@pytest.fixture
def folder(tmp_path):
    picture = Picture("sequences", "What is seen.", np.full((8, 12, 3), 77, np.uint8))
    images = packed([picture])
    return ReportFolder.create(tmp_path / "report", replace(first_visit(), pictures=tuple(i for i, _ in images)), images)


@pytest.mark.parametrize("report", all_reports(), ids=lambda report: report.study.uid[-6:])
def test_a_report_is_read_back_as_it_was_written(report):
    assert load_report(dump_report(report)) == report
    assert dump_report(load_report(dump_report(report))) == dump_report(report)


def test_what_is_no_report_is_refused_without_its_content():
    report = first_visit()
    broken = dump_report(report).replace(b'"version": 1', b'"version": "Doe^Jane"')
    assert broken != dump_report(report)
    with pytest.raises(CorruptFileError) as error:
        load_report(broken)
    assert "version" in str(error.value)
    assert "Doe" not in str(error.value)


def test_a_persons_words_are_kept_with_the_words_before():
    report = first_visit()
    before = english(report)[0]
    after = change(report, ["Seen and agreed."])
    assert english(after) == ["Seen and agreed."]
    assert (after.version, after.status) == (report.version + 1, Status.DRAFT)
    line = after.texts["en"].sections[Section.IMPRESSION][0]
    assert line.origin is Origin.PERSON
    entry = after.audit[len(report.audit)]
    assert (entry.action, entry.who, entry.when) == (Action.EDITED, "Dr A. Rao", WHEN)
    assert before in entry.detail
    assert "Seen and agreed." in entry.detail


def test_lines_that_stay_keep_their_source_and_origin():
    report = first_visit()
    lines = report.texts["en"].sections[Section.IMPRESSION]
    after = change(report, [*(line.text for line in lines), "One more thing."]).texts["en"].sections[Section.IMPRESSION]
    assert after[: len(lines)] == lines
    assert (after[-1].origin, after[-1].source) == (Origin.PERSON, "")


def test_an_edit_that_changes_nothing_makes_no_version():
    report = first_visit()
    assert change(report, english(report)) is report


def test_control_characters_and_empty_lines_are_no_text():
    assert english(change(first_visit(), ["A\x00B\x1b[31m", "  ", ""])) == ["A B [31m"]


@given(st.lists(st.text(max_size=40), max_size=5))
def test_every_line_of_an_edit_can_be_stored(texts):
    after = change(first_visit(), texts)
    assert load_report(dump_report(after)) == after


def test_a_section_changed_in_one_language_only_is_known():
    report = replace(grown(), status=Status.DRAFT)
    after = change(report, ["Progression."])
    assert edited_alone(after) == {Section.IMPRESSION: ("en",)}
    both = edited(after, "hi", Section.IMPRESSION, ["रोग बढ़ा है।"], who="Dr A. Rao", when=WHEN)
    assert edited_alone(both) == {}


def test_a_language_that_is_not_there_is_refused():
    with pytest.raises(UnknownLanguageError):
        edited(first_visit(), "xx", Section.IMPRESSION, ["a"], who="x", when=WHEN)


def test_a_final_report_is_amended_never_edited():
    final = approved(first_visit(), who="Dr A. Rao", when=WHEN)
    assert final.status is Status.FINAL
    assert final.approved.who == "Dr A. Rao"
    with pytest.raises(FinalReportError):
        change(final, ["Other words."])
    with pytest.raises(FinalReportError):
        approved(final, who="x", when=WHEN)
    again = amended(final, who="Dr B. Sen", when=WHEN, reason="second reading")
    assert (again.version, again.status, again.approved) == (final.version + 1, Status.DRAFT, None)
    assert again.audit[:-1] == final.audit
    assert "second reading" in again.audit[-1].detail
    with pytest.raises(FinalReportError):
        amended(again, who="x", when=WHEN, reason="")


def test_every_version_stays_in_the_folder(folder):
    first = folder.latest()
    second = change(first, ["Seen."])
    folder.add(second)
    assert folder.versions() == (1, 2)
    assert folder.version(1) == first
    assert folder.latest() == second


def test_of_two_people_who_save_at_once_one_is_told(folder):
    first = folder.latest()

    def save(who):
        try:
            folder.add(change(first, [f"By {who}."], who=who))
        except NewerVersionError:
            return "told"
        return "saved"

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(save, "abcdefgh"))
    assert sorted(done) == ["saved", *["told"] * 7]
    assert folder.versions() == (1, 2)


def test_a_changed_picture_is_not_shown_as_the_reports(folder):
    report = folder.latest()
    assert folder.pictures(report)[0].rgb.shape == (8, 12, 3)
    (folder.folder / report.pictures[0].file).write_bytes(b"other")
    with pytest.raises(CorruptFileError, match="changed"):
        folder.pictures(report)


def test_a_picture_named_outside_the_folder_is_not_read(folder, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    image = replace(folder.latest().pictures[0], file="../../secret.png")
    with pytest.raises(CorruptFileError, match="gone"):
        folder.picture_data(image)


def test_a_folder_without_report_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="no report"):
        ReportFolder(tmp_path).latest()
