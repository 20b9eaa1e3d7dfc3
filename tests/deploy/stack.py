"""Files of the compose stack and the chart, as tests read them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from braintumor.node import settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE, CHART = ROOT / "deploy" / "compose", ROOT / "deploy" / "helm" / "braintumor"
STACK = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES = STACK["services"]
ALERTS = yaml.safe_load((COMPOSE / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((COMPOSE / "grafana" / "dashboards" / "node.json").read_text())
DEFAULTS = settings.NodeSettings()

_PACKAGES = {"promtool": "prometheus", "nginx": "nginx-light", "curl": "curl", "openssl": "openssl"}
_PACKAGES |= {"docker-compose": "docker-compose"}


def missing(*tools):
    """Why a test cannot run; empty if it can."""
    absent = [tool for tool in tools if shutil.which(tool) is None]
    hints = [
        f"{tool} (Debian package {_PACKAGES[tool]})" if tool in _PACKAGES else f"{tool} (not in Debian)" for tool in absent
    ]
    return f"needs {', '.join(hints)}" if hints else ""


def needs(*tools):
    """Skip a test where a tool is missing."""
    return pytest.mark.skipif(bool(missing(*tools)), reason=missing(*tools))


def run(*command, **options):
    """A finished process with its output as text."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False, **options)
