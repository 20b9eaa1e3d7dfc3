"""Metrics of the node for Prometheus: what happened is counted here, how things stand is asked of the ledger at each scrape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from braintumor.domain import DatabaseError
from braintumor.node.states import DeliveryState, StudyState

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each one, which nothing reads

REGISTRY = CollectorRegistry()
"""Of this process; nothing else registers in it, so no metric of another library appears."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""

WORKER_STATES = ("idle", "busy")
"""What a worker may be."""

_DONE = frozenset({StudyState.ACKNOWLEDGED, StudyState.IGNORED})
_PREFIX = "braintumor_node_"
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_STAGE_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_STUDY_BUCKETS = (30, 60, 90, 120, 180, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
_DELIVERY_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


def _counter(name: str, words: str, label: str, *more: str) -> Counter:
    return Counter(_PREFIX + name, words, (label, *more), registry=REGISTRY)


_received = _counter("instances_received", "Instances that arrived and are kept, by outcome (new or same).", "outcome")
_refused = _counter("instances_refused", "Instances and associations that were not taken, by reason code.", "reason")
_failed = _counter("studies_failed", "Times that a study failed, by reason code.", "reason")
_deliveries = _counter("deliveries", "Attempts and confirmations of deliveries.", "destination", "outcome")
_stage = Histogram(
    f"{_PREFIX}stage_seconds", "Duration of a pipeline stage.", ("stage",), buckets=_STAGE_BUCKETS, registry=REGISTRY
)
_study = Histogram(
    f"{_PREFIX}study_seconds",
    "From a study's first instance until every destination confirmed its results.",
    buckets=_STUDY_BUCKETS,
    registry=REGISTRY,
)
_delivery = Histogram(
    f"{_PREFIX}delivery_seconds",
    "Duration of one attempt to send.",
    ("destination",),
    buckets=_DELIVERY_BUCKETS,
    registry=REGISTRY,
)
_build = Info(f"{_PREFIX}build", "Version of the software and of the model.", registry=REGISTRY)


def count_received(outcome: str) -> None:
    """Count an instance that is kept: ``new``, or ``same`` if it was there already."""
    _received.labels(_label(outcome)).inc()


def count_refused(reason: str) -> None:
    """Count an instance that was not kept, by the error's code."""
    _refused.labels(_label(reason)).inc()


def count_failed(reason: str) -> None:
    """Count a study that became FAILED, by its reason code."""
    _failed.labels(_label(reason)).inc()


def count_delivery(destination: str, outcome: str) -> None:
    """Count what became of a delivery: ``delivered``, ``acknowledged``, or ``failed`` for each attempt that did."""
    _deliveries.labels(_label(destination), _label(outcome)).inc()


def observe_delivery_seconds(destination: str, seconds: float) -> None:
    """Note how long one attempt to send took."""
    _delivery.labels(_label(destination)).observe(seconds)


def observe_stages(timings: Mapping[str, float]) -> None:
    """Note the seconds of each stage, as in ``timings_s`` of result.json; once per run, in the process that serves metrics."""
    for stage, seconds in timings.items():
        _stage.labels(_label(stage)).observe(seconds)


def observe_study_seconds(seconds: float) -> None:
    """Note how long a study took from its first instance to the last confirmation."""
    _study.observe(seconds)


def set_build(version: str, model: str, model_version: str) -> None:
    """Say which software and model run."""
    _build.info({"version": version, "model": model, "model_version": model_version})


def name_destinations(names: Iterable[str]) -> None:
    """Let the counters of each destination start at 0, so that the first failure is seen as an increase."""
    for name in names:
        _delivery.labels(_label(name))
        for state in (DeliveryState.DELIVERED, DeliveryState.ACKNOWLEDGED, DeliveryState.FAILED):
            _deliveries.labels(_label(name), state.value)


class LedgerFacts(Protocol):
    """How things stand; the ledger implements it. Each method raises `DatabaseError` while the database is down."""

    def counts(self) -> Mapping[StudyState, int]:
        """Number of studies by state; states without one may be left out."""

    def oldest_seconds(self) -> Mapping[StudyState, float]:
        """For each state that waits for something, how long its oldest study has been in it."""

    def waiting(self) -> Mapping[str, int]:
        """Number of deliveries of each destination that are not acknowledged."""

    def workers(self) -> Mapping[str, int]:
        """Number of live workers by `WORKER_STATES`."""


@dataclass(frozen=True, eq=False)
class Standing(Collector):
    """Gauges that are made at each scrape; to be registered in `REGISTRY` while the node runs.

    Parameters
    ----------
    facts
        Asked at each scrape; while its database is down, only the disk and ``database_up`` are told.
    free_bytes
        Free space of the spool's disk; left out where it raises OSError.
    """

    facts: LedgerFacts
    free_bytes: Callable[[], int]

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registration must not ask the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The gauges."""
        try:
            found = self._of_database()
        except DatabaseError:
            found = []
        yield _single("database_up", "Whether the database answered this scrape.", float(bool(found)))
        yield from found
        try:
            free = self.free_bytes()
        except OSError:
            return
        yield _single("disk_free_bytes", "Free space on the disk of the spool.", free)

    def _of_database(self) -> list[Metric]:
        counts, workers = self.facts.counts(), self.facts.workers()
        states = {state.value: counts.get(state, 0) for state in StudyState}
        oldest = self.facts.oldest_seconds()
        ages = {state.value: oldest.get(state, 0.0) for state in StudyState if state not in _DONE}
        waiting = {_label(name): number for name, number in self.facts.waiting().items()}
        alive = {state: workers.get(state, 0) for state in WORKER_STATES}
        return [
            _gauge("studies", "Studies by state.", states, "state"),
            _gauge("oldest_seconds", "How long the oldest study has been in a state that waits.", ages, "state"),
            _gauge("deliveries_waiting", "Deliveries that their destination has not confirmed.", waiting, "destination"),
            _gauge("workers", "Live workers by state.", alive, "state"),
        ]


def exposition() -> bytes:
    """All metrics as `CONTENT_TYPE`. Asks the database: not for an event loop."""
    return generate_latest(REGISTRY)


def _single(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, words, value=value)


def _gauge(name: str, words: str, values: Mapping[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, words, labels=[label])
    for what, value in values.items():
        family.add_metric([what], value)
    return family


def _label(value: str) -> str:
    """A label's value, if it is a code; anything else could be a UID, or make a series for each instance."""
    return value if _CODE.fullmatch(value) else "other"
