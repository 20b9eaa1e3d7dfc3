"""The node's metrics, as Prometheus' own parser reads them."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from braintumor.domain import DatabaseError
from braintumor.node import metrics
from braintumor.node.states import DeliveryState, Reason, StudyState


class Ledger:
    """How things stand; `down` as a database."""

    down = False

    def _answer(self, value):
        if self.down:
            raise DatabaseError("The database does not answer", remedy="Start it")
        return value

    def counts(self):
        return self._answer({StudyState.COMPLETE: 3, StudyState.FAILED: 1})

    def oldest_seconds(self):
        return self._answer({StudyState.COMPLETE: 42.5, StudyState.ACKNOWLEDGED: 1e6})

    def waiting(self):
        return self._answer({"pacs": 2, "archive": 0})

    def workers(self):
        return self._answer({"busy": 1})


@contextmanager
def standing(ledger, free_bytes):
    """Serves how things stand for as long as a node would."""
    served = metrics.Standing(ledger, free_bytes)
    metrics.REGISTRY.register(served)
    try:
        yield
    finally:
        metrics.REGISTRY.unregister(served)


@pytest.fixture
def ledger():
    found = Ledger()
    with standing(found, lambda: 5_000_000_000):
        yield found


def scraped():
    """Series name and labels -> value."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def value(name, **labels):
    return scraped().get((f"braintumor_node_{name}", *sorted(labels.items())))


def increase(do, name, **labels):
    before = value(name, **labels) or 0
    do()
    return value(name, **labels) - before


class TestCounts:
    @pytest.mark.parametrize(
        ("do", "name", "labels"),
        [
            (lambda: metrics.count_received("new"), "instances_received_total", {"outcome": "new"}),
            (lambda: metrics.count_refused("refused-instance"), "instances_refused_total", {"reason": "refused-instance"}),
            (lambda: metrics.count_failed(Reason.TOO_LONG), "studies_failed_total", {"reason": "too-long"}),
            (
                lambda: metrics.count_delivery("pacs", DeliveryState.FAILED),
                "deliveries_total",
                {"destination": "pacs", "outcome": "failed"},
            ),
        ],
    )
    def test_what_happened_is_counted(self, do, name, labels):
        assert increase(do, name, **labels) == 1

    def test_durations_fall_into_buckets(self):
        def observe():
            metrics.observe_stages({"segment": 0.3, "case": 700})

        assert increase(observe, "stage_seconds_bucket", stage="segment", le="0.5") == 1
        assert increase(observe, "stage_seconds_bucket", stage="case", le="600.0") == 0
        assert increase(observe, "stage_seconds_bucket", stage="case", le="1800.0") == 1
        assert increase(lambda: metrics.observe_study_seconds(75), "study_seconds_bucket", le="90.0") == 1
        assert increase(lambda: metrics.observe_delivery_seconds("pacs", 2), "delivery_seconds_sum", destination="pacs") == 2

    def test_destinations_begin_at_zero(self):
        metrics.name_destinations(["quite-new"])
        for state in ("delivered", "acknowledged", "failed"):
            assert value("deliveries_total", destination="quite-new", outcome=state) == 0

    def test_what_is_no_code_makes_no_series_of_its_own(self):
        before = len(scraped())
        metrics.count_refused("other")
        known = len(scraped())
        for number in range(20):
            metrics.count_refused(f"1.2.840.{number}")
            metrics.count_refused(f"MEYER^ANNA {number}")
        assert len(scraped()) == known <= before + 1

    def test_the_versions(self):
        metrics.set_build("0.1.0", "brain tumour", "1.2")
        assert value("build_info", version="0.1.0", model="brain tumour", model_version="1.2") == 1


class TestStanding:
    def test_every_state_has_a_number(self, ledger):
        found = {state: value("studies", state=state.value) for state in StudyState}
        assert found == {state: {"complete": 3, "failed": 1}.get(state, 0) for state in StudyState}
        assert value("workers", state="idle") == 0
        assert value("workers", state="busy") == 1
        assert value("deliveries_waiting", destination="pacs") == 2
        assert value("disk_free_bytes") == 5_000_000_000
        assert value("database_up") == 1

    def test_ages_are_of_states_that_wait(self, ledger):
        assert value("oldest_seconds", state="complete") == 42.5
        assert value("oldest_seconds", state="running") == 0  # nothing in it: nothing waits
        assert value("oldest_seconds", state="acknowledged") is None

    def test_a_database_that_is_down_leaves_the_rest(self, ledger):
        ledger.down = True
        assert value("database_up") == 0
        assert value("disk_free_bytes") == 5_000_000_000
        assert not [name for name, *_ in scraped() if name in ("braintumor_node_studies", "braintumor_node_workers")]
        assert increase(lambda: metrics.count_received("same"), "instances_received_total", outcome="same") == 1

    def test_a_disk_that_does_not_answer_leaves_the_rest(self):
        def gone():
            raise OSError("stale file handle")

        with standing(Ledger(), gone):
            assert value("disk_free_bytes") is None
            assert value("database_up") == 1

    def test_registering_asks_nothing_of_a_database_that_is_down(self):
        ledger = Ledger()
        ledger.down = True
        with standing(ledger, lambda: 7):
            ledger.down = False
            assert value("database_up") == 1
        assert value("database_up") is None


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian package prometheus)")
def test_promtool_finds_nothing_to_mend(ledger):
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False)
    assert (checked.returncode, checked.stderr.decode()) == (0, "")
