"""Operators: wiring by noun, timing, errors through a running graph, and the CUDA runtime that holoscan links."""

from __future__ import annotations

import ctypes
from importlib.metadata import files

import pytest

pytest.importorskip("monai.deploy", reason="needs the extra 'map' (monai-deploy-app-sdk)")

import operators
from braintumor.domain import CorruptFileError
from braintumor.pipeline import STAGES
from operators import StageOperator, connect
from operators._runtime import LIBRARY, PACKAGE, load_cuda_runtime

# isort: split
from holoscan.conditions import CountCondition
from monai.deploy.core import Application

BESIDE = ("StageOperator", "TrackingOperator")
"""Operators that are no stage of the line of one study."""


class Noun:
    """A stand-in for a domain object; holoscan must hand on this very object."""


class Source(StageOperator):
    stage, output = "study", "study"

    def run(self):
        self.fragment.sent = Noun()
        return self.fragment.sent


class Middle(StageOperator):
    stage, inputs, output = "case", ("study",), "case"

    def run(self, study):
        if self.fragment.fault:
            raise self.fragment.fault
        return (study, "prepared")


class Sink(StageOperator):
    stage, inputs = "results", ("study", "case")

    def run(self, study, case):
        self.fragment.arrived = (study, case)


class Graph(Application):
    def __init__(self, fault=None):
        self.fault, self.sent, self.arrived, self.timings = fault, None, None, {}
        super().__init__(["graph"])

    def compose(self):
        shared = {"timings": self.timings}
        source = Source(self, CountCondition(self, 1), name="source", **shared)
        connect(self, (source, Middle(self, name="middle", **shared), Sink(self, name="sink", **shared)))


def test_nouns_travel_whole_to_every_operator_that_names_them():
    graph = Graph()
    graph.run()
    study, (via_middle, word) = graph.arrived
    assert study is graph.sent
    assert via_middle is graph.sent
    assert word == "prepared"


def test_every_stage_is_timed():
    graph = Graph()
    graph.run()
    assert set(graph.timings) == {"study", "case", "results"}
    assert all(seconds >= 0 for seconds in graph.timings.values())


def test_an_error_of_a_stage_leaves_the_graph_as_itself_and_stops_it():
    fault = CorruptFileError("Slice 3 is truncated", remedy="Send the study again")
    graph = Graph(fault)
    with pytest.raises(CorruptFileError, match="Slice 3 is truncated") as raised:
        graph.run()
    assert raised.value is fault
    assert graph.arrived is None


def test_the_operators_cover_the_line_once_and_in_order():
    line = [getattr(operators, name) for name in operators.__all__ if name.endswith("Operator") and name not in BESIDE]
    made = {operator.output: operator for operator in line}
    by_stage = sorted(line, key=lambda operator: STAGES.index(operator.stage))
    known: set[str] = set()
    for operator in by_stage:
        assert set(operator.inputs) <= known, f"{operator.__name__} needs what no earlier stage makes"
        known.add(operator.output)
    assert [operator.stage for operator in by_stage] == [stage for stage in STAGES if stage != "engine"]
    assert len(made) == len(line)


def no_system_library(monkeypatch):
    """Make the dynamic linker's own search fail, as on a machine without CUDA; returns what gets loaded by path."""
    loaded = []

    def load(name, mode=0):
        if "/" not in name:
            raise OSError(f"{name}: cannot open shared object file")
        loaded.append((name, mode))

    monkeypatch.setattr(ctypes, "CDLL", load)
    return loaded


def test_cuda_runtime_comes_from_the_wheel_where_the_system_has_none(monkeypatch):
    loaded = no_system_library(monkeypatch)
    load_cuda_runtime()
    [(path, mode)] = loaded
    assert path.endswith(LIBRARY)
    assert path in {str(file.locate()) for file in files(PACKAGE)}
    assert mode == ctypes.RTLD_GLOBAL


def test_missing_cuda_runtime_says_what_to_install(monkeypatch):
    no_system_library(monkeypatch)
    monkeypatch.setattr("operators._runtime.PACKAGE", "no-such-distribution")
    with pytest.raises(ImportError, match="pip install 'no-such-distribution>=13'"):
        load_cuda_runtime()
