"""The chart: as text where helm is missing, and as helm renders it."""

from __future__ import annotations

import re

import pytest
import yaml

from braintumor.node import settings
from tests.data import RELEASE
from tests.deploy.stack import CHART, DEFAULTS, SERVICES, missing, needs, run


@pytest.fixture(scope="module")
def rendered():
    """Kind and name -> what helm makes of the chart, with the job."""
    if reason := missing("helm"):
        pytest.skip(reason)
    chosen = "job.enabled=true,job.input.claim=in,job.output.claim=out"
    made = run("helm", "template", "braintumor", CHART, "--set", chosen)
    assert made.returncode == 0, made.stderr
    documents = [document for document in yaml.safe_load_all(made.stdout) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


class TestChart:
    """Templates are not YAML before helm has filled them in: here only what holds as text; with helm, all of it."""

    def test_values_agree_with_the_settings(self, tmp_path):
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        (tmp_path / "node.toml").write_text(values["node"]["settings"])
        found = settings.load(tmp_path / "node.toml")
        assert (found.dicom.port, found.http.port) == (DEFAULTS.dicom.port, DEFAULTS.http.port)
        assert found.work.workers == 0
        assert values["worker"]["terminationGracePeriodSeconds"] > DEFAULTS.work.drain_s
        assert values["job"]["limitSeconds"] == DEFAULTS.work.limit_s

    def test_the_chart_is_of_this_version(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        assert chart["version"] == chart["appVersion"] == RELEASE
        assert SERVICES["node"]["image"] == SERVICES["server"]["image"] == f"braintumor:{RELEASE}"

    @needs("helm")
    def test_helm_finds_nothing_to_mend(self):
        checked = run("helm", "lint", "--strict", CHART)
        assert checked.returncode == 0, checked.stdout
        refused = run("helm", "template", "braintumor", CHART, "--set", "job.enabled=true")
        assert "job.input.claim names the volume with the study" in refused.stderr

    def test_every_pod_is_confined(self, rendered):
        pods = [d["spec"]["template"]["spec"] for (kind, _), d in rendered.items() if kind in ("Deployment", "Job")]
        assert len(pods) == 3
        for pod in pods:
            assert pod["automountServiceAccountToken"] is False
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in pod["containers"]:
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }
                assert re.search(r":\d+\.\d+", container["image"])
                assert container["resources"]["limits"]["memory"]
                assert all("value" not in variable for variable in container.get("env", []))  # by reference only

    def test_one_node_and_workers_that_scale(self, rendered):
        node = rendered["Deployment", "braintumor-node"]["spec"]
        assert (node["replicas"], node["strategy"]) == (1, {"type": "Recreate"})
        scaler = rendered["HorizontalPodAutoscaler", "braintumor-worker"]["spec"]
        assert ("Deployment", scaler["scaleTargetRef"]["name"]) in rendered
        assert "replicas" not in rendered["Deployment", "braintumor-worker"]["spec"]

    def test_policies_and_services_select_pods_there_are(self, rendered):
        labels = [
            d["spec"]["template"]["metadata"]["labels"].items()
            for (kind, _), d in rendered.items()
            if kind in ("Deployment", "Job")
        ]
        selectors = [d["spec"]["selector"] for (kind, _), d in rendered.items() if kind == "Service"]
        policies = [d["spec"] for (kind, _), d in rendered.items() if kind == "NetworkPolicy"]
        for selector in [*selectors, *(policy["podSelector"]["matchLabels"] for policy in policies)]:
            assert sum(selector.items() <= found for found in labels) == 1
        assert len(policies) == 3
        (job,) = [p for p in policies if p["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "job"]
        assert set(job) == {"podSelector", "policyTypes"}  # nothing in, nothing out

    def test_the_settings_arrive_as_they_were_written(self, rendered, tmp_path):
        (tmp_path / "node.toml").write_text(rendered["ConfigMap", "braintumor"]["data"]["node.toml"])
        assert settings.load(tmp_path / "node.toml").work.workers == 0
        containers = [
            d["spec"]["template"]["spec"]["containers"][0] for (kind, _), d in rendered.items() if kind == "Deployment"
        ]
        assert {c["args"][2]: c["args"][-1] for c in containers} == dict.fromkeys(
            ("start", "worker"), "/etc/braintumor/node.toml"
        )
