"""Alerts and dashboard ask for what the node serves, and fire when they should."""

from __future__ import annotations

import re
import shutil

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from braintumor.node import metrics
from braintumor.node.states import DeliveryState, StudyState
from tests.deploy.stack import ALERTS, COMPOSE, DASHBOARD, DEFAULTS, needs, run


@pytest.fixture(scope="module")
def served_names():
    """Series name -> labels, of a scrape in which everything has happened once."""

    class Ledger:
        def counts(self):
            return {}

        def oldest_seconds(self):
            return {}

        def waiting(self):
            return {"pacs": 1}

        def workers(self):
            return {}

    standing = metrics.Standing(Ledger(), lambda: 1)
    metrics.REGISTRY.register(standing)
    metrics.count_received("new")
    metrics.count_refused("x")
    metrics.count_failed("x")
    metrics.name_destinations(["pacs"])
    metrics.observe_stages({"case": 1})
    metrics.set_build("0", "m", "1")
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    metrics.REGISTRY.unregister(standing)
    found = {}
    for sample in (s for family in families for s in family.samples):
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in ALERTS] + [
    (panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]
]


def every(node, name):
    """All values under a name, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name:
                yield value
            yield from every(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from every(value, name)


class TestMonitoring:
    @pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
    def test_alerts_and_panels_ask_for_what_the_node_serves(self, where, expression, served_names):
        asked = re.findall(r"\bbraintumor_\w+", expression)
        assert asked or expression.startswith("up{"), where
        for name in asked:
            assert name in served_names, where
        labels = set(re.findall(r"(\w+)\s*=~?\s*\"", expression))
        for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            labels |= {label.strip() for label in grouped.split(",")}
        known = set().union(*(served_names[name] for name in asked), {"le", "instance", "job"})
        assert labels <= known, where

    @pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
    def test_states_and_outcomes_are_those_there_are(self, where, expression):
        known = {"state": {*StudyState, "idle", "busy"}, "outcome": {*DeliveryState}}
        for label, values in re.findall(r"(state|outcome)=~?\"([^\"]*)\"", expression):
            assert set(values.split("|")) <= known[label], where

    def test_every_alert_says_what_to_do(self):
        assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS) >= 5
        assert all({"summary", "action"} <= set(rule["annotations"]) for rule in ALERTS)

    def test_the_disk_alert_comes_before_the_node_refuses(self):
        (low,) = [rule["expr"] for rule in ALERTS if rule["alert"] == "DiskLow"]
        assert float(low.split("<")[1]) > 1e6 * DEFAULTS.disk.free_mb

    def test_prometheus_asks_the_node_s_port(self):
        found = yaml.safe_load((COMPOSE / "prometheus" / "prometheus.yml").read_text())
        assert list(every(found, "targets")) == [[f"node:{DEFAULTS.http.port}"]]

    def test_the_dashboard_uses_the_data_source_that_is_provisioned(self):
        (source,) = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
        assert {found["uid"] for found in every(DASHBOARD, "datasource")} == {source["uid"]}
        assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])

    def test_panels_do_not_lie_on_each_other(self):
        taken = set()
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
            cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells

    @needs("promtool")
    def test_promtool_takes_configuration_and_expressions(self, tmp_path):
        assert run("promtool", "check", "config", COMPOSE / "prometheus" / "prometheus.yml").returncode == 0
        rules = [
            {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
            for number, (_, expression) in enumerate(EXPRESSIONS)
        ]
        (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
        checked = run("promtool", "check", "rules", tmp_path / "panels.yml")
        assert checked.returncode == 0, checked.stderr

    @needs("promtool")
    def test_alerts_fire_when_they_should_and_not_before(self, tmp_path):
        def case(alert, series, fires_at, quiet_at):
            given = [{"series": name, "values": values} for name, values in series.items()]
            checks = [(quiet_at, []), (fires_at, [alert])]
            return {
                "interval": "1m",
                "input_series": given,
                "promql_expr_test": [
                    {
                        "expr": f'count by (alertname) (ALERTS{{alertname="{alert}", alertstate="firing"}})',
                        "eval_time": at,
                        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names],
                    }
                    for at, names in checks
                ],
            }

        node = "braintumor_node_"
        waiting = f'{node}deliveries_waiting{{instance="n", destination="pacs"}}'
        taken = f'{node}deliveries_total{{instance="n", destination="pacs", outcome="acknowledged"}}'
        cases = [
            case("NodeDown", {'up{job="node"}': "1x5 0x10"}, "10m", "5m"),
            case("DatabaseDown", {f"{node}database_up": "1x5 0x10"}, "10m", "5m"),
            case("StudyFailed", {f'{node}studies{{state="failed"}}': "0x5 1x10"}, "8m", "5m"),
            case("StudyWaitsTooLong", {f'{node}oldest_seconds{{state="complete"}}': "0+60x30"}, "18m", "15m"),
            case("DiskLow", {f"{node}disk_free_bytes": "8e9x5 6e9x20"}, "12m", "8m"),
            # taking one now and then until minute 30, then none
            case("DestinationFailing", {waiting: "5x90", taken: "0+1x30 30x60"}, "60m", "35m"),
            # never took one
            case("DestinationFailing", {waiting: "0x5 1x90", taken: "0x95"}, "20m", "10m"),
        ]
        shutil.copy(COMPOSE / "prometheus" / "alerts.yml", tmp_path)
        tests = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": cases}
        (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
        checked = run("promtool", "test", "rules", tmp_path / "tests.yml")
        assert checked.returncode == 0, checked.stdout + checked.stderr
