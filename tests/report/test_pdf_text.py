"""What is copied out of the PDF is what was written, in both languages; text is data and never markup."""

import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace
from itertools import product, zip_longest

import pytest
from fluent.syntax import ast, parse

from braintumor.domain import Action, Entry, Line, Patient, ReportText, Section, Status
from braintumor.report import render
from braintumor.report.language import language_of
from braintumor.report.language.speaker import FOLDER
from tests.reports import FACTORIES, grown

pytestmark = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")

MARKUP = '#panic("x") *b* _i_ $x^2$ \\u{41} \\n [a] <b> @c // d /* e */ `f` --- ... ~ = g + h / i: "j" \'k\' {l} #m; \\'


def plain(text):
    """Composed letters (NFC) and single spaces; a line may end behind a hyphen."""
    return re.sub(r"-\s", "-", re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))).strip()


def words(pdf, tmp_path, *options):
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf)
    return subprocess.run(["pdftotext", *options, str(path), "-"], capture_output=True, text=True, check=True).stdout


def saying(lines):
    """A report whose findings say these lines, by language."""
    rows = list(zip_longest(*lines.values(), fillvalue=""))
    texts = {
        code: ReportText(code, {Section.FINDINGS: tuple(Line(row[n], f"fact.{k}") for k, row in enumerate(rows))})
        for n, code in enumerate(lines)
    }
    return replace(grown(), texts=texts, pictures=())


def every_message(code):
    """All messages of a language in all their forms, filled with its own words."""
    resource = parse((FOLDER / f"{code}.ftl").read_text("utf-8"))
    region, unit = language_of(code).words("region-ED"), language_of(code).with_unit("12.3", "mL")
    for entry in resource.body:
        if isinstance(entry, ast.Message):
            yield from forms(entry.value, region, unit)


def forms(pattern, region, unit):
    """The texts a pattern can make: every branch of every choice, and its variables with words and with numbers."""
    parts = []
    for element in pattern.elements:
        match element:
            case ast.TextElement():
                parts.append([re.sub("⟦[+=~]?|⟧", "", element.value)])  # what a language model may not touch
            case ast.Placeable(expression=ast.SelectExpression(variants=variants)):
                parts.append([text for variant in variants for text in forms(variant.value, region, unit)])
            case _:
                parts.append([region if element.expression.id.name in ("region", "sequences", "side", "reason") else unit])
    yield from ("".join(part) for part in product(*parts))


@pytest.mark.parametrize("codes", [("en",), ("hi",), ("en", "hi")])
def test_every_message_of_every_language_is_copied_as_it_was_written(codes, tmp_path):
    lines = {code: list(every_message(code)) for code in codes}
    assert min(map(len, lines.values())) > 150
    found = plain(words(render(saying(lines), ()), tmp_path))
    assert [text for texts in lines.values() for text in texts if plain(text) not in found] == []


def hindi_syllables():
    """Letters and joined letters of Hindi with every vowel sign and every sign above."""
    letters = [chr(code) for code in range(0x915, 0x93A) if code not in (0x929, 0x931, 0x934)]  # three are not Hindi
    letters += [letter + "\u093c" for letter in "कखगजडढफ"]
    starts = [before + letter + after for before in ("", "र्", "प्", "क्ष्", "स्त्") for letter in letters for after in ("", "्र")]
    for start, vowel, sign in product(starts, ["", *"ािीुूृॅेैॉोौ"], ["", *"ंँः"]):
        if start[-1] + vowel != "रृ":  # an r before the vowel r: no word has it
            yield plain(f"क{start}{vowel}{sign}त")


@pytest.mark.parametrize("bold", [False, True])
def test_any_hindi_syllable_is_copied_whole(bold, tmp_path):
    said = list(hindi_syllables())
    if bold:  # in a title, which has little room
        said = said[::150]
        report = replace(saying({"hi": [""]}), audit=(Entry(grown().provenance.created, Action.APPROVED, " ".join(said)),))
    else:
        report = saying({"hi": [" ".join(said[n : n + 40]) for n in range(0, len(said), 40)]})
    found = plain(words(render(report, ()), tmp_path)).split()
    assert sorted(set(said) - set(found)) == []
    assert len(found) < len(said) + 700  # nothing twice, no word in two: the rest of the report has so many


def test_markup_is_printed_as_it_is(tmp_path):
    report = saying({"en": [MARKUP, f"A note said: {MARKUP}"], "hi": [MARKUP, MARKUP]})
    entry = Entry(report.provenance.created, Action.MADE, MARKUP, MARKUP)
    patient = Patient("#id*", "*Doe*^$x$ #panic()", "", "")
    report = replace(report, patient=patient, status=Status.DRAFT, audit=(entry, entry))
    text = plain(words(render(report, ()), tmp_path))
    assert text.count(plain(MARKUP)) >= 6
    assert "*Doe*, $x$ #panic()" in text
    assert "#id*" in text


def test_controls_and_letters_that_turn_the_line_become_question_marks(tmp_path):
    name = "A\x00B\x07C\u202eD\ue000E\ufeffF\tG\U0010ffffH\ud800I"
    report = replace(saying({"en": ["One\ntwo", name]}), patient=Patient("1", name, "", ""))
    text = plain(words(render(report, ()), tmp_path))
    assert text.count("A?B?C?D?E?F?G?H?I") == 2
    assert "One two" in text
    assert "Letters shown as ? cannot be drawn" in text


@pytest.mark.parametrize("letter", ["W", "क", "क्षि", "山", "-", "_"])
def test_a_very_long_word_stays_on_the_page(letter, tmp_path):
    word = letter * 400
    entry = Entry(grown().provenance.created, Action.MADE, word, word)
    report = replace(saying({"en": [word], "hi": [word]}), patient=Patient(word, word, "", ""), audit=(entry, entry))
    pdf = render(report, ())
    edges = [float(edge) for edge in re.findall(r'<word .*xMax="([\d.]+)"', words(pdf, tmp_path, "-bbox"))]
    assert max(edges) < (210 - 13.5) / 25.4 * 72
    assert re.sub(r"\s", "", words(pdf, tmp_path)).count(letter) > 5 * 400


def test_a_long_history_runs_over_pages_with_its_head_on_each(tmp_path):
    made = grown().provenance.created
    entries = tuple(
        Entry(made, Action.EDITED, "Dr A. Rao", f"line {n} of {'many words ' * (n % 30)}end{n}") for n in range(150)
    )
    text = words(render(replace(saying({"en": ["x"]}), audit=entries), ()), tmp_path)
    pages = [plain(page) for page in text.split("\f") if "of many words" in page]
    assert len(pages) > 5
    assert all("When Action By Detail" in page for page in pages)
    assert [n for n in range(150) if f"end{n} " not in plain(text) + " "] == []


def test_a_very_long_edited_text_runs_over_pages(tmp_path):
    lines = {code: [" ".join(f"{code}{n}" for n in range(2500))] for code in ("en", "hi")}
    text = plain(words(render(saying(lines), ()), tmp_path))
    assert [word for texts in lines.values() for word in texts[0].split() if f"{word} " not in text] == []


@pytest.mark.parametrize("make", [make for name, make in FACTORIES.items() if name != "many_scripts"])
def test_every_page_of_a_draft_says_so_and_is_numbered(make, tmp_path):
    report = replace(make(), status=Status.DRAFT, version=1, audit=())
    pages = words(render(report, ()), tmp_path).split("\f")[:-1]
    draft = " · ".join(language_of(next(iter(report.texts))).words(f"page-{name}", version=1) for name in ("draft", "research"))
    for number, page in enumerate(map(plain, pages), start=1):
        assert plain(draft) in page
        assert f"Page {number} of {len(pages)}" in page
