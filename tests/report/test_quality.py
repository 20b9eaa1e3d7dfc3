"""The benchmark of wordings: scores are the named tools', references belong to the lines, refusals are counted by sort."""

import json

import pytest

from benchmarks import report_quality
from benchmarks.report_quality import lines, references, scores
from tests.report.rewriting.cases import CASES, report_of
from tests.report.rewriting.helpers import as_json, well
from tests.report.rewriting.server import serving


@pytest.mark.parametrize("code", ["en", "hi"])
def test_references_are_marked_and_still_those_of_the_lines(code):
    rows, said = references(code), lines({case: report_of(make()) for case, make in CASES.items()}, code)
    assert len(rows) == 32
    assert {row["written_by"] for row in rows.values()} == {"developers"}
    assert [key for key, row in rows.items() if said[key].replace("\u00a0", " ") != row["text"]] == []


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


def test_the_benchmark_runs_over_http_and_counts_what_was_refused(monkeypatch, capsys, tmp_path):
    def says(messages):
        return as_json({n: text.replace("has ⟦2⟧ and", "might have ⟦2⟧ and") for n, text in well(messages).items()})

    with serving(says) as server:
        output = tmp_path / "quality.json"
        words = ["--endpoint", server.url, "--model", "scripted", "--variant", "plain/2", "--language", "en", "-o", str(output)]
        monkeypatch.setattr("sys.argv", ["report_quality", *words])
        report_quality.main()
    assert "BLEU" in capsys.readouterr().out
    (row,) = json.loads(output.read_text())["variants"]
    assert row["refusals"] == {"word": 3 * (row["sentences"] - row["accepted"])}
    assert row["accepted"] > 30
    assert row["report"] != row["templates"]
