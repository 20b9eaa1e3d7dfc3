"""The quality harness: scores are those of the named tools, errors are counted by class, structure is judged."""

import json
from dataclasses import replace
from datetime import datetime

import pytest

from benchmarks import report_quality
from braintumor.domain import Line, Section
from braintumor.report.quality import Mistake, class_of, measure, read_references, scores, stale, structure
from braintumor.report.verify import Kind
from tests.report.rewriting.cases import CASES, report_of
from tests.report.rewriting.helpers import CHECKS, as_json, asked, wanted, well
from tests.report.rewriting.server import serving

NOW = datetime(2026, 1, 2)


@pytest.fixture(scope="module")
def reports():
    return {case: report_of(make()) for case, make in CASES.items()}


@pytest.fixture(scope="module")
def references():
    return {code: report_quality.references(code) for code in ("en", "hi")}


class Scripted:
    """A model in this process."""

    name = "scripted"

    def __init__(self, change=lambda text: text):
        self.change = change

    def complete(self, messages, *, max_tokens):
        rows = [{"role": message.role, "content": message.content} for message in messages]
        return as_json({n: self.change(text) for n, text in well(asked(rows), wanted(rows)).items()})


@pytest.mark.parametrize("code", ["en", "hi"])
def test_references_are_marked_and_still_those_of_the_lines(references, reports, code):
    rows = references[code]
    assert len(rows) == 32
    assert {row.written_by for row in rows} == {"developers"}
    assert len({(row.case, row.key) for row in rows}) == len(rows)
    assert stale(rows, reports, code) == ()
    assert not any(row.reference == row.text for row in rows)
    # what the verifier refuses of good wording is the price of its strictness; the benchmark prints it
    assert report_quality.accepted_references(reports, rows, code) >= 25


def test_a_reworded_template_makes_references_stale(references, reports):
    old = replace(references["en"][0], text="Worded otherwise.")
    assert len(stale([old, *references["en"][1:]], reports, "en")) == 1


def test_scores_of_the_same_and_of_nothing():
    text = ["The whole tumour has 60.3 mL by voxel count.", "No tumour was segmented."]
    same = scores(text, text, "en")
    assert (same.bleu, same.chrf) == pytest.approx((100, 100))
    assert same.ter == 0
    assert same.meteor > 99
    nothing = scores(["", ""], text, "en")
    assert (nothing.bleu, nothing.chrf, nothing.ter, nothing.meteor) == (0, 0, 100, 0)


def test_meteor_knows_stems_in_english_and_no_synonyms():
    assert scores(["tumours"], ["tumour"], "en").meteor > 0
    assert scores(["tumour"], ["neoplasm"], "en").meteor == 0
    assert scores(["जाँचें"], ["जाँच"], "hi").meteor == 0


def test_the_danda_is_no_part_of_a_word():
    assert scores(["ट्यूमर नहीं मिला"], ["ट्यूमर नहीं मिला।"], "hi").ter < 35
    assert scores(["ट्यूमर मिला।"], ["मिला। ट्यूमर"], "hi").meteor > 50


def test_every_kind_of_the_verifier_has_a_class():
    assert {class_of(kind) for kind in Kind} == set(Mistake)
    assert class_of(Kind.OMITTED) is Mistake.OMISSION
    assert class_of(Kind.ADDED) is Mistake.HALLUCINATION
    assert class_of(Kind.SIDE) is Mistake.MISINTERPRETATION


def test_a_good_model_is_accepted_throughout(reports, references):
    for row in measure(reports, Scripted(), references, variant="plain/1", when=NOW, **CHECKS):
        assert row.sentences == row.answered == row.accepted_first == row.accepted == 55
        assert row.mistakes == {}
        assert row.compliant == row.cases == 3
        assert row.referenced == 29  # of 32: sentences that say the same in every report are not given
        assert row.report == row.model


def test_errors_are_counted_and_do_not_get_into_the_report(reports, references):
    def change(text):
        return text.replace("60.3", "63.0").replace("temporal", "temporal glioblastoma")

    (row,) = measure(reports, Scripted(change), {"en": references["en"]}, variant="plain/1", when=NOW, attempts=2, **CHECKS)
    wrong = row.sentences - row.accepted
    assert row.mistakes == {"hallucination": row.kinds["added"], "misinterpretation": row.kinds["number"]}
    assert wrong == sum(row.kinds.values())
    assert row.compliant == 3
    assert row.model != row.report


def test_structure_that_is_broken_is_told(reports):
    report = reports["first-visit"]
    text = report.texts["en"]

    def changed(section, lines):
        sections = {**text.sections, section: tuple(lines)}
        return replace(report, texts={"en": replace(text, sections=sections)})

    findings, limits = text.sections[Section.FINDINGS], text.sections[Section.LIMITATIONS]
    assert structure(report, report, "en") == ()
    assert structure(report, changed(Section.FINDINGS, reversed(findings)), "en")
    assert structure(report, changed(Section.FINDINGS, findings[1:]), "en")
    assert structure(report, changed(Section.FINDINGS, [replace(findings[0], text=" "), *findings[1:]]), "en")
    assert structure(
        report, changed(Section.LIMITATIONS, [Line("Safe.", limits[0].source, limits[0].message), *limits[1:]]), "en"
    )
    assert structure(report, replace(report, texts={"en": replace(text, sections={Section.FINDINGS: findings})}), "en")


def test_the_benchmark_runs_over_http_and_prints_a_table(monkeypatch, capsys, tmp_path):
    with serving(lambda messages: as_json(well(asked(messages), wanted(messages)))) as server:
        output = tmp_path / "quality.json"
        words = ["--endpoint", server.url, "--model", "scripted", "--variant", "plain/1", "--language", "en", "-o", str(output)]
        monkeypatch.setattr("sys.argv", ["report_quality", *words])
        report_quality.main()
    printed = capsys.readouterr().out
    assert "32 references by developers, 0 stale" in printed
    assert "templates" in printed
    (row,) = json.loads(output.read_text())["variants"]
    assert row["variant"] == "plain/1"
    assert row["compliant"] == 3
    assert row["accepted"] + row["mistakes"].get("hallucination", 0) == 55


def test_references_are_read_as_written(tmp_path):
    file = tmp_path / "r.jsonl"
    row = {"case": "c", "section": "findings", "message": "m", "source": "s", "text": "t", "reference": "r", "written_by": "w"}
    file.write_text(json.dumps(row) + "\n\n")
    assert read_references(file)[0].key == (Section.FINDINGS, "m", "s")
