"""The one table of quality flags: words in every language, arguments checked at once, one rule that gathers, old files open."""

import ast
import hashlib
import json
import re
from datetime import date
from pathlib import Path

import pytest
from fluent.syntax import ast as fluent
from fluent.syntax import parse
from fluent.syntax.visitor import Visitor
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import (
    Flag,
    FlagCode,
    MRSequence,
    Severity,
    _make_flag_docs,
    flag_table,
    gather_flags,
    message_in,
    of_visit,
)
from braintumor.domain.flag_table import Number, Numbers, OneOf, Words
from braintumor.report import dump_report, findings_sha256, load_report
from braintumor.report.language import languages
from tests.data import ROOT

PARTS = {"of-visit": {"visit", "message"}, "about-notes": {"numbers", "more", "total"}, "about-files": {"count"}}
"""Messages that are part of others, and what they need."""

STORED = ROOT / "tests/report/stored/without-arguments.json"
"""A report that version 0.1.0 wrote, before flags had arguments."""

VALUES = {
    Numbers(): st.lists(st.integers(1, 10**6), min_size=1, max_size=12).map(tuple),
    Words(): st.sampled_from(["series 3 'T1 post'", "BraTS_001_t1ce.nii.gz", "1.00 x 1.00 x 5.00"]),
}


def value_of(kind):
    if isinstance(kind, OneOf):
        return st.sampled_from(kind.keys)
    if isinstance(kind, Number):
        return st.floats(0, 10**6) if kind.digits else st.integers(0, 10**6)
    return VALUES[kind]


@st.composite
def raised(draw, *codes):
    code = draw(st.sampled_from(codes or FlagCode))
    arguments = {name: draw(value_of(kind)) for name, kind in code.kinds.items()}
    return code.flag(draw(st.sampled_from(code.severities)), **arguments)


class Messages(Visitor):
    """Message -> arguments it uses, those of the messages it is made of included; message -> keys it chooses among."""

    def __init__(self, language):
        self.used, self.keys, self._own = {}, {}, set()
        path = Path(flag_table.__file__).with_name(f"flags-{language}.ftl")
        self.visit(parse(path.read_text("utf-8")))

    def visit_Message(self, node):
        self._own, self._keys = set(), {}
        self.generic_visit(node)
        assert node.id.name not in self.used, f"{node.id.name} is there twice"
        self.used[node.id.name], self.keys[node.id.name] = self._own, self._keys

    def visit_Junk(self, node):
        raise AssertionError(node.annotations[0].message, node.content)

    def visit_VariableReference(self, node):
        self._own.add(node.id.name.removesuffix("-count"))

    def visit_MessageReference(self, node):
        self._own |= PARTS[node.id.name]

    def visit_SelectExpression(self, node):
        found = (variant.key for variant in node.variants)
        self._keys[node.selector.id.name] = {key.name if isinstance(key, fluent.Identifier) else key.value for key in found}
        self.generic_visit(node)


@pytest.mark.parametrize("language", languages())
def test_every_code_has_a_message_with_exactly_its_arguments_in_every_language(language):
    found = Messages(language)
    assert found.used == {code.value: set(code.kinds) for code in FlagCode} | PARTS
    for code in FlagCode:
        for name, kind in code.kinds.items():
            keys = found.keys[code.value].get(name)
            if isinstance(kind, OneOf) and (keys or not kind.titles):
                assert keys == set(kind.titles or kind.keys)


@settings(deadline=None)  # the first flag reads the words
@given(raised())
def test_a_flag_is_said_in_english_and_in_hindi(flag):
    assert message_in(flag, "en") == flag.message
    hindi = message_in(flag, "hi")
    assert re.search("[\u0904-\u0939]", hindi)
    for said in (flag.message, hindi):
        assert "None" not in said
        assert said.endswith((".", "।"))
        assert not re.search(r"[{}$]|  ", said)
    assert not re.search("[\u0900-\u097f]", flag.message)


@settings(deadline=None)
@given(raised())
def test_a_flag_survives_a_file(flag):
    assert Flag.from_dict(json.loads(json.dumps(flag.as_dict()))) == flag


@settings(deadline=None)
@given(raised(), st.integers(1, 9), st.none() | st.dates())
def test_a_flag_of_one_of_several_visits_says_so_in_every_language(flag, number, day):
    named = of_visit(flag, number, day)
    which = f"{number} ({day.isoformat()})" if day else str(number)
    assert named.message == f"Visit {which}: {flag.message}"
    assert message_in(named, "hi") == f"विज़िट {which}: {message_in(flag, 'hi')}"
    assert message_in(Flag.from_dict(json.loads(json.dumps(named.as_dict()))), "hi") == message_in(named, "hi")


def test_numbers_are_rounded_once_and_counted_in_words():
    one = FlagCode.SMALL_COMPONENTS.flag(count=1, limit_ml=0.05, volume_ml=0.03126)
    assert one.message == "1 separate speck of less than 0.05 mL (0.031 mL in all) counted in the volumes, not as lesions."
    assert one.arguments == {"count": 1, "limit_ml": 0.05, "volume_ml": 0.031}
    thick = FlagCode.THICK_SLICES.flag(Severity.INFO, spacing_mm=2.45, limit_mm=3.0)
    assert thick.message == "Slices are 2.5 mm apart; volumes and diameters are less precise than with 3 mm or less."
    many = FlagCode.NOTE_EMPTY.flag(numbers=(1, 4), more=3, total=9)
    assert many.message == "Notes 1, 4 and 3 more of 9 (in order of file names): empty."


@pytest.mark.parametrize(
    ("code", "severity", "arguments", "error"),
    [
        (FlagCode.POOR_REGISTRATION, None, {"sequence": MRSequence.T1}, TypeError),
        (FlagCode.NO_TUMOUR, None, {"volume": 1.0}, TypeError),
        (FlagCode.DUPLICATE_FILES, None, {"count": "2"}, TypeError),
        (FlagCode.DUPLICATE_FILES, None, {"count": 2.5}, TypeError),
        (FlagCode.DUPLICATE_FILES, None, {"count": True}, TypeError),
        (FlagCode.NOTE_EMPTY, None, {"numbers": [1], "more": 0, "total": 1}, TypeError),
        (FlagCode.UNCERTAIN_MASK, None, {"probability": float("nan")}, TypeError),
        (FlagCode.MISSING_SEQUENCE, Severity.SERIOUS, {"sequence": "dwi"}, ValueError),
        (FlagCode.LABEL_LOST, None, {"label": "WT", "volume_ml": 1.0, "spacing_mm": "1"}, ValueError),
        (FlagCode.MISSING_SEQUENCE, None, {"sequence": MRSequence.T1}, ValueError),
        (FlagCode.NO_TUMOUR, Severity.SERIOUS, {}, ValueError),
    ],
)
def test_what_the_table_does_not_allow_is_refused_at_once(code, severity, arguments, error):
    with pytest.raises(error, match=code.value):
        code.flag(severity, **arguments)


def test_a_code_that_is_not_in_the_table_is_refused():
    with pytest.raises(ValueError, match="no-such-flag"):
        FlagCode("no-such-flag")


def test_flags_are_raised_by_the_table_only():
    """`Flag` is never called elsewhere in what we ship: a message that is a string there exists in one language only."""
    table = Path(flag_table.__file__)
    for folder in ("lib", "apps", "operators", "deploy"):
        for path in sorted(ROOT.glob(f"{folder}/**/*.py")):
            calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
            by_hand = [node.lineno for node in calls if getattr(node.func, "id", getattr(node.func, "attr", "")) == "Flag"]
            assert path == table or not by_hand, f"{path}: {by_hand}"


def test_every_flag_of_the_table_is_raised_somewhere():
    sources = [path.read_text("utf-8") for path in sorted((ROOT / "lib/braintumor").rglob("*.py"))]
    named = set(re.findall(r"FlagCode\.([A-Z0-9_]+)", "".join(sources)))
    by_problem = {"PDF_DAMAGED", "PDF_ENCRYPTED", "PDF_TOO_COSTLY"}  # named by what the extraction of a PDF answers
    assert named | by_problem == set(FlagCode.__members__)


def test_the_document_is_current():
    assert (ROOT / "docs/flags.md").read_text("utf-8") == _make_flag_docs.document(), _make_flag_docs.__doc__


# Gathering

few = raised(FlagCode.NO_TUMOUR, FlagCode.MISSING_SEQUENCE, FlagCode.DIFFERENT_PATIENTS, FlagCode.PRIOR_NOT_DICOM)
stages = st.lists(st.lists(few, max_size=5), max_size=4)


@settings(deadline=None)
@given(stages)
def test_no_flag_is_lost_or_said_twice_and_the_most_serious_comes_first(found):
    everything = [flag for stage in found for flag in stage]
    gathered = gather_flags(*found)
    names = [(flag.code, flag.message) for flag in gathered]
    assert len(names) == len(set(names))
    assert set(names) == {(flag.code, flag.message) for flag in everything}
    order = [Severity.SERIOUS, Severity.WARNING, Severity.INFO]
    ranks = [order.index(flag.severity) for flag in gathered]
    assert ranks == sorted(ranks)
    for flag in gathered:
        same = [f for f in everything if (f.code, f.message) == (flag.code, flag.message)]
        assert order.index(flag.severity) == min(order.index(f.severity) for f in same)


@settings(deadline=None)
@given(stages)
def test_gathering_again_changes_nothing_and_stages_may_be_gathered_in_parts(found):
    gathered = gather_flags(*found)
    assert gather_flags(gathered) == gathered
    assert gather_flags(gather_flags(*found[:2]), *found[2:]) == gathered


@settings(deadline=None)
@given(stages)
def test_equal_severity_keeps_the_order_of_raising(found):
    flags = [flag for stage in found for flag in stage]
    gathered = gather_flags(*found)
    for severity in Severity:
        ours = [flag for flag in gathered if flag.severity is severity]
        assert ours == sorted(ours, key=flags.index)


# Files of version 0.1.0


def test_a_report_stored_without_arguments_opens_with_its_messages_and_hashes():
    data = STORED.read_bytes()
    report = load_report(data)
    old = json.loads(data)["findings"]
    for found, stored in (
        (report.findings.flags, old["flags"]),
        (report.findings.measurements.flags, old["measurements"]["flags"]),
        (report.findings.context.flags, old["context"]["flags"]),
    ):
        assert [flag.as_dict() for flag in found] == stored
        assert [message_in(flag, "hi") for flag in found] == [one["message"] for one in stored]
    assert dump_report(report) == data
    assert findings_sha256(report.findings) == "b5e16dfd4ffe38fd7153242dce60452a05997439d7aa6dbc37ab0ba28659ed21"
    assert hashlib.sha256(data).hexdigest() == "617d0de9e1d9b449e8afd295d160e036a1bb2ab626136ccc02cbce8f889246c1"


def test_flags_of_a_stored_result_open_and_name_their_visit():
    stored = {"code": "gone-since", "severity": "warning", "message": "Words of an old version."}
    flag = Flag.from_dict(stored)
    assert flag.as_dict() == stored
    named = stored | {"message": "Visit 2 (2026-03-01): Words of an old version."}
    assert of_visit(flag, 2, date(2026, 3, 1)).as_dict() == named


@pytest.mark.parametrize(
    "content",
    [
        {"code": "of-a-later-version", "arguments": {}},
        {"code": "poor-registration", "arguments": {"sequence": "t1"}},
        {"code": "poor-registration", "arguments": {"sequence": "t1", "agreement": "low"}},
        {"code": "poor-registration", "arguments": {"sequence": "dwi", "agreement": 0.5}},
    ],
)
def test_what_another_version_raised_is_said_in_its_own_words(content):
    flag = Flag.from_dict(content | {"severity": "serious", "message": "Its own words."})
    assert message_in(flag, "hi") == "Its own words."
    assert message_in(of_visit(flag, 1, None), "hi") == "Visit 1: Its own words."


def test_a_language_without_words_for_flags_shows_the_english_ones():
    flag = FlagCode.NO_TUMOUR.flag()
    assert message_in(flag, "ar") == flag.message
