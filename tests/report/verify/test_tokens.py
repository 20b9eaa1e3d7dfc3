"""Tokens, numbers and the patterns of lexicons."""

from decimal import Decimal

import pytest

from braintumor.domain import UnknownLanguageError
from braintumor.report.language import Language, languages, render_statement
from braintumor.report.verify.figures import slots
from braintumor.report.verify.lexicon import expand, lexicon
from braintumor.report.verify.reading import Sort, read
from braintumor.report.verify.tokens import clean, number, tokenise
from tests.report.verify.statements import STATEMENTS
from tests.report.verify.suite import CODES


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3,939", "3939"),
        ("3939", "3939"),
        ("3 939", "3939"),
        ("1,23,456", "123456"),
        ("45.2", "45.2"),
        ("45,2", "45.2"),
        ("1,234.5", "1234.5"),
        ("1.234,5", "1234.5"),
        ("0.0", "0"),
        ("1.2.3", None),
        ("1,2,3", None),
    ],
)
def test_separators_are_understood(text, value):
    assert number(text) == (None if value is None else Decimal(value))


def test_clean_text_has_one_way_to_write_each_thing():
    assert clean("१२\u00a0मि\u200dली") == "12 मिली"
    assert clean("45\u00b72 mm²") == "45.2 mm2"
    assert clean("मिमी²") == "मिमी2"


def test_a_sign_belongs_to_its_number_and_a_dash_does_not():
    found = [(t.text, t.sign) for t in tokenise("(\u22124.5) 3-4 +2") if t.is_number]
    assert found == [("\u22124.5", -1), ("3", 0), ("4", 0), ("+2", 1)]


def test_patterns_expand():
    assert list(expand("a [b|(c|d) e] f")) == ["a b f", "a c e f", "a d e f", "a f"]
    with pytest.raises(ValueError, match="not closed"):
        list(expand("a (b"))


@pytest.mark.parametrize("code", CODES)
def test_the_lexicon_has_the_whole_glossary(code):
    words = lexicon(code)
    for term, said in Language(code).glossary.items():
        concepts = {c for item in read(said, STATEMENTS["disclaimer"], words).items for c in item.concepts}
        assert f"{term.kind}:{term.key}" in concepts, said


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", STATEMENTS)
def test_every_number_of_our_own_sentence_is_an_argument(name, code):
    statement, words = STATEMENTS[name], lexicon(code)
    sentence = render_statement(statement, code)
    ours = read(sentence, statement, words, frozenset(words.words(sentence)))
    assert all(slot.role for slot in slots(statement, ours))
    assert not [item for item in ours.items if item.sort is Sort.UNKNOWN]


def test_every_language_of_the_report_has_a_lexicon():
    assert set(CODES) == set(languages())
    for code in languages():
        assert lexicon(code).code == code


def test_a_language_that_the_report_lacks_is_refused():
    with pytest.raises(UnknownLanguageError):
        lexicon("xx")
