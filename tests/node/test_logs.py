"""The node's log: every record is one line of JSON, and no library's words get in."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.domain import CorruptFileError, SettingsError
from braintumor.node.logs import JsonFormatter, configure
from braintumor.node.settings import load
from braintumor.node.states import StudyState

UID = "1.2.826.0.1.3680043.8.498.45787841905980735"


@pytest.fixture
def lines():
    """Returns the lines logged so far, as parsed JSON; the process's logging is restored afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("braintumor")
    level, ours_level = root.level, ours.level
    others = [handler for handler in root.handlers if not type(handler).__module__.startswith("_pytest")]
    stream = io.StringIO()
    configure("INFO", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers = [h for h in root.handlers if not isinstance(h.formatter, JsonFormatter)] + others  # pytest comes and goes
    root.setLevel(level)
    ours.setLevel(ours_level)
    logging.captureWarnings(capture=False)


def log(name="braintumor.node.receive"):
    return logging.getLogger(name)


def formatted(message="event", *args, name="braintumor.node.x", exc_info=None, **facts):
    record = logging.LogRecord(name, logging.INFO, __file__, 1, message, args, exc_info)
    record.facts = facts
    return JsonFormatter().format(record)


def test_a_record_is_one_object_with_its_facts(lines):
    log().info("study-complete", extra={"facts": {"study": "S-abc", "instances": 620, "state": StudyState.COMPLETE}})
    (line,) = lines()
    assert datetime.fromisoformat(line.pop("time")).utcoffset().total_seconds() == 0
    expected = {"level": "INFO", "event": "study-complete", "part": "receive"}
    assert line == {**expected, "study": "S-abc", "instances": 620, "state": "complete"}


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), _anything, max_size=4), st.text())
def test_whatever_the_facts_are_it_stays_one_line_of_ascii_json(facts, message):
    line = formatted(message.replace("%", "%%"), **{f"f{name}": value for name, value in facts.items()})
    assert line.isascii()
    assert len(line.splitlines()) == 1
    parsed = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert list(parsed)[:4] == ["time", "level", "event", "part"]


def test_facts_cannot_take_the_place_of_what_is_fixed():
    line = json.loads(formatted("event", time="never", level="NONE", event="forged", part="x", study="S-a"))
    assert (line["level"], line["event"], line["part"], line["study"]) == ("INFO", "event", "x", "S-a")
    assert line["time"] != "never"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, None),
        (math.inf, None),
        (10**300, "too-large"),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (Path("/spool/MEYER"), "PosixPath"),
        ("x" * 5000, "x" * 300),
        ([[[["deep"]]]], [["too-deep"]]),
        (f"in {UID}/1", "in [uid]/1"),
        ("127.0.0.1 with 1.2.3", "127.0.0.1 with 1.2.3"),
    ],
)
def test_values_become_what_json_has(value, written):
    assert json.loads(formatted(value=value))["value"] == written


class TestExceptions:
    def test_the_class_and_our_own_lines_but_not_the_message(self, lines):
        try:
            load(Path("/nowhere/MEYER^ANNA.toml"))
        except SettingsError:
            log().exception("settings-refused")
        (line,) = lines()
        assert (line["error"], line["code"]) == ("SettingsError", "settings")
        assert [re.fullmatch(r"braintumor\.node\.settings:\d+", frame) is not None for frame in line["frames"]] == [True]
        assert "MEYER" not in json.dumps(line)

    def test_of_others_only_the_class(self, lines):
        try:
            int("MEYER^ANNA")
        except ValueError:
            log().exception("unforeseen")
        (line,) = lines()
        assert (line["error"], line["frames"]) == ("ValueError", [])
        assert "code" not in line
        assert "MEYER" not in json.dumps(line)

    def test_no_exception_at_hand_is_no_error(self, lines):
        log().error("odd", exc_info=True)
        assert "error" not in lines()[0]

    def test_stack_traces_of_ours_do_not_add_lines(self, lines):
        log().error("odd", stack_info=True, exc_info=CorruptFileError("x", remedy="y"))
        assert len(lines()) == 1


class TestOtherLibraries:
    def test_their_words_are_left_out(self, lines):
        log("alibrary.values").warning("Invalid value for VR PN: %s", "MEYER^ANNA")
        log("alibrary").info("reading MEYER^ANNA")
        (line,) = lines()
        assert {k: line[k] for k in ("level", "event", "library", "count")} == {
            "level": "WARNING",
            "event": "library-warning",
            "library": "alibrary",
            "count": 1,
        }
        assert "MEYER" not in json.dumps(line)

    def test_a_thousand_warnings_are_ten_lines(self, lines):
        for number in range(1000):
            log(f"alibrary.part{number % 7}").warning("again")
        assert [line["count"] for line in lines()] == [2**n for n in range(10)]

    def test_python_warnings_too(self, lines):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("the name MEYER^ANNA is too long", stacklevel=1)
        assert [(line["library"], "MEYER" in json.dumps(line)) for line in lines()] == [("python", False)]

    def test_a_library_that_only_begins_as_ours_is_another_one(self, lines):
        log("braintumors").warning("MEYER^ANNA")
        assert lines()[0]["event"] == "library-warning"

    def test_one_that_set_its_own_level_is_not_heard_below_warnings(self, lines):
        noisy = log("noisy_library")
        noisy.setLevel(logging.DEBUG)
        noisy.info("MEYER^ANNA")
        assert lines() == []


class TestMessages:
    def test_words_of_ours_are_kept_as_text(self, lines):
        log("braintumor.server.jobs").error("a %s job failed with %s", "segment", "ValueError")
        (line,) = lines()
        assert (line["event"], line["part"], line["text"]) == ("message", "server.jobs", "a segment job failed with ValueError")

    def test_a_record_that_cannot_be_formatted_prints_nothing_of_itself(self, lines, capsys):
        configure("INFO", stream := io.StringIO())  # again: pytest's own handler would not survive the record
        log().error("%d images", "MEYER^ANNA")
        line = json.loads(stream.getvalue())
        assert (line["event"], line["part"]) == ("log-failed", "logs")
        assert capsys.readouterr() == ("", "")

    def test_a_stream_that_is_closed_ends_nothing(self, lines, capsys):
        configure("INFO", stream := io.StringIO())
        stream.close()
        log().info("study-complete")
        assert capsys.readouterr() == ("", "")


def test_levels(lines):
    stream = io.StringIO()
    configure("ERROR", stream)
    log().info("quiet")
    log().error("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]
    assert lines() == []  # the handler of before is gone
    with pytest.raises(SettingsError, match="level"):
        configure("LOUD")
