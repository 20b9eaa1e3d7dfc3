"""The compose stack: what can be checked without a container engine."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from braintumor.node import settings
from tests.deploy.stack import CHART, COMPOSE, DEFAULTS, ROOT, SERVICES, STACK, needs, run


class TestCompose:
    @pytest.mark.parametrize("name", SERVICES)
    def test_every_container_is_confined(self, name):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert re.fullmatch(r"\d+:\d+", service["user"])
        assert not set(service) & {"privileged", "pid", "ipc", "devices"}
        once = name == "orthanc-storage"  # runs as root, with one capability and no network, and ends
        assert (service["user"] == "0:0") == once
        assert service.get("cap_add", []) == (["CHOWN"] if once else [])
        assert once == (service.get("network_mode") == "none")

    @pytest.mark.parametrize("name", SERVICES)
    def test_images_have_a_version(self, name):
        image, _, tag = SERVICES[name]["image"].rpartition(":")
        assert image
        assert re.match(r"v?\d+\.\d+", tag)

    @pytest.mark.parametrize("name", SERVICES)
    def test_health_is_asked_for(self, name):
        health = SERVICES[name]["healthcheck"]
        assert ("test" in health) != health.get("disable", False)
        if name in ("node", "server", "proxy"):
            assert "/healthz" in " ".join(health["test"])

    def test_two_ports_are_published_and_only_their_networks_lead_outside(self):
        published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
        assert published == {
            "proxy": ["${HTTPS_ADDRESS:-127.0.0.1}:443:8443"],
            "node": [f"${{DICOM_ADDRESS:-127.0.0.1}}:{DEFAULTS.dicom.port}:{DEFAULTS.dicom.port}"],
        }
        outside = {name for name, network in STACK["networks"].items() if not network.get("internal")}
        on_it = {name: outside & set(service.get("networks", [])) for name, service in SERVICES.items()}
        assert {name: nets for name, nets in on_it.items() if nets} == {"proxy": {"edge"}, "node": {"dicom"}}

    def test_two_workers_share_the_node_s_spool_and_outlive_a_running_study(self):
        node, worker = SERVICES["node"], SERVICES["worker"]
        assert worker["deploy"]["replicas"] == 2
        assert worker["volumes"] == node["volumes"]
        assert int(worker["stop_grace_period"].rstrip("s")) > DEFAULTS.work.drain_s
        assert "pacs" not in worker["networks"]

    def test_secrets_are_files_that_the_script_makes(self):
        for service in SERVICES.values():
            for name, value in service.get("environment", {}).items():
                if re.search("PASS|TOKEN|KEY|SECRET|BROKER_URL", name):
                    assert name.endswith("_FILE"), name
                    assert value.rpartition("/")[2] in service["secrets"], name
        named = {Path(secret["file"]).name for secret in STACK["secrets"].values()}
        made = (COMPOSE / "make-secrets.sh").read_text()
        assert not [name for name in named if name not in made]
        assert "secrets/" in (COMPOSE / ".gitignore").read_text().splitlines()

    def test_what_is_mounted_exists(self):
        mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
        for source in mounts:
            assert source in STACK["volumes"] or (COMPOSE / source).exists(), source

    def test_the_node_s_settings_fit_the_stack(self):
        found = settings.load(COMPOSE / "node" / "node.toml")
        assert (found.http.port, found.dicom.port) == (DEFAULTS.http.port, DEFAULTS.dicom.port)
        assert found.work.workers == 0
        assert "@postgres/" in found.database_url
        assert [d.url for d in found.destinations] == ["http://orthanc:8042/dicom-web"]
        assert f"BRAINTUMOR_{found.destinations[0].name.upper()}_PASSWORD_FILE" in SERVICES["node"]["environment"]
        health = " ".join(SERVICES["node"]["healthcheck"]["test"])
        assert f":{found.http.port}/healthz" in health

    def test_orthanc_knows_the_node(self):
        orthanc = json.loads((COMPOSE / "orthanc" / "orthanc.json").read_text())
        assert orthanc["DicomModalities"]["node"] == [DEFAULTS.dicom.ae_title, "node", DEFAULTS.dicom.port]
        assert orthanc["AuthenticationEnabled"]
        assert "RegisteredUsers" not in orthanc

    def test_the_image_is_built_of_what_is_locked_and_does_not_run_as_root(self):
        text = (COMPOSE / "Containerfile").read_text()
        assert re.search(r"^USER 1000:1000$", text, re.MULTILINE)
        assert "--constraint requirements.lock" in text
        assert re.search(r"^ARG BASE=\S+:\d+\.\d+\.\d+-\S+$", text, re.MULTILINE)
        ignored = (COMPOSE / "Containerfile.dockerignore").read_text().splitlines()
        assert ignored[1] == "*"
        for line in ignored:
            if line.startswith("!") and line != "!deploy/__init__.py":
                assert (ROOT / line[1:]).exists(), line

    @needs("docker-compose")
    def test_compose_takes_the_file(self, tmp_path):
        shutil.copytree(COMPOSE, tmp_path / "stack", ignore=shutil.ignore_patterns("secrets"))
        checked = run("docker-compose", "--file", "compose.yaml", "config", "--quiet", cwd=tmp_path / "stack")
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted(p for folder in (COMPOSE, CHART) for p in folder.rglob("*") if p.is_file()), ids=str)
def test_no_file_holds_a_secret(path):
    if "secrets" in path.parts or path.name == ".env":
        pytest.skip("made on this machine, ignored by git")
    text = path.read_text()
    assert "PRIVATE KEY" not in text
    # a password within an address, or given a value of its own
    assert not re.search(r"://[^/\s:@$]+:(?!\$|\.\.\.)[^/\s@]+@", text)
    assert not re.search(r"(?i)(password|token|secret)\w*['\"]?\s*[:=]\s*['\"]?[0-9a-z]{16,}", text)


class TestEntrypoint:
    def start(self, *command, **environment):
        return run("sh", COMPOSE / "entrypoint.sh", *command, env={"PATH": "/usr/bin:/bin", **environment})

    def test_a_secret_s_file_becomes_a_variable(self, tmp_path):
        secret = tmp_path / "token"
        secret.write_text("a b$c\n")
        show = ("sh", "-c", 'printf "%s|%s" "$BRAINTUMOR_NODE_TOKEN" "${BRAINTUMOR_NODE_TOKEN_FILE-unset}"')
        assert self.start(*show, BRAINTUMOR_NODE_TOKEN_FILE=str(secret)).stdout == "a b$c|unset"

    def test_other_variables_stay(self):
        assert self.start("sh", "-c", "echo $SSL_CERT_FILE", SSL_CERT_FILE="/etc/ssl/x").stdout == "/etc/ssl/x\n"

    def test_a_missing_secret_stops_the_start(self):
        failed = self.start("echo", "started", PGPASSWORD_FILE="/nowhere/x")
        assert (failed.returncode, failed.stdout) == (78, "")
        assert "PGPASSWORD" in failed.stderr


class TestSecretsScript:
    @needs("openssl")
    def test_it_makes_each_secret_once(self, tmp_path):
        shutil.copy(COMPOSE / "make-secrets.sh", tmp_path)
        assert run("sh", tmp_path / "make-secrets.sh", "host.example").returncode == 0
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert set(made) == {Path(secret["file"]).name for secret in STACK["secrets"].values()} | {"proxy_password"}
        assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
        assert made["broker_url"].split(":")[2].split("@")[0] in made["rabbitmq.conf"]
        assert json.loads(made["orthanc_users.json"])["RegisteredUsers"] == {"braintumor": made["orthanc_password"]}
        again = run("sh", tmp_path / "make-secrets.sh", "host.example")
        assert again.returncode == 1
        assert made == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
