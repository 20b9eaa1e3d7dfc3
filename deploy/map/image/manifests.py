"""The MAP's two manifests and the image's labels, all from app.yaml, the Containerfile, the model and the package's version."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

import braintumor

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CONFIG = HERE.parent / "app.yaml"
CONTAINERFILE = HERE / "Containerfile"

SCHEMA = "1.0.0"
"""The version of the MAP specification (github.com/Project-MONAI/monai-deploy, guidelines) that the manifests follow."""


def environment() -> dict[str, str]:
    """The HOLOSCAN_* variables that the image sets."""
    return dict(re.findall(r"\b(HOLOSCAN_\w+)=(\S+)", CONTAINERFILE.read_text()))


def app_manifest(sdk_version: str) -> dict[str, Any]:
    """``/etc/holoscan/app.json`` (MAP 1.0.0, "Application Manifest").

    Where the specification and the SDK's packager differ, this is the specification: `command` is a shell command and `type`
    is said. `output` has both `formats`, the packager's word, and `format`, the specification's.
    """
    variables = environment()
    application = _config()["application"]
    formats = application["output-formats"]
    return {
        "apiVersion": SCHEMA,
        "type": "application",
        "command": f"python3 {variables['HOLOSCAN_APPLICATION']}",
        "environment": variables,
        "input": {"path": variables["HOLOSCAN_INPUT_PATH"], "formats": application["input-formats"]},
        "output": {"path": variables["HOLOSCAN_OUTPUT_PATH"], "formats": formats, "format": formats[0]},
        "readiness": None,
        "liveness": None,
        "sdk": "monai-deploy",
        "sdkVersion": sdk_version,
        "timeout": 0,
        "version": semantic(braintumor.__version__),
        "workingDirectory": variables["HOLOSCAN_WORKDIR"],
    }


def package_manifest(variant: str) -> dict[str, Any]:
    """``/etc/holoscan/pkg.json`` (MAP 1.0.0, "Package Manifest"); `platformConfig` is the word of the SDK's runner."""
    variables = environment()
    config = _config()
    return {
        "apiVersion": SCHEMA,
        "applicationRoot": variables["HOLOSCAN_APPLICATION"],
        "modelRoot": variables["HOLOSCAN_MODEL_PATH"],
        "models": [{"name": model_name(), "path": model_name()}],
        "resources": config["resources"] | (config["cuda"] if variant == "cuda" else {}),
        "version": semantic(braintumor.__version__),
        "platformConfig": "dgpu" if variant == "cuda" else "cpu",
    }


def semantic(version: str) -> str:
    """A version of Python's form as semantic versioning writes it, which MAP asks for: 1.2.3.post1.dev4 -> 1.2.3+post1.dev4."""
    release = Version(version).base_version
    rest = version.removeprefix(release).lstrip(".+").replace("+", ".")
    return f"{release}+{rest}" if rest else release


def model_name() -> str:
    """What the model is called in its metadata; the image keeps it in a folder of this name."""
    return str(json.loads((ROOT / "model" / "configs" / "metadata.json").read_text())["name"])


def labels(versions: dict[str, str], base: str) -> dict[str, str]:
    """The image's annotations: those of the OCI image specification, and the two that the SDK's packager writes.

    Parameters
    ----------
    versions
        Package -> version, as in the image.
    base
        The image that this one is built on.
    """
    about = metadata("braintumor")
    moment = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC) if "SOURCE_DATE_EPOCH" in os.environ else None
    found = {
        "title": _config()["application"]["title"],
        "description": about["Summary"],
        "version": braintumor.__version__,
        "licenses": about["License-Expression"],
        "created": (moment or datetime.now(UTC)).isoformat(timespec="seconds"),
        "revision": _revision(),
        "base.name": base,
    }
    written = {f"org.opencontainers.image.{key}": value for key, value in found.items() if value}
    return written | {
        "org.monai.deploy.app-sdk": versions["monai-deploy-app-sdk"],
        "org.nvidia.holoscan": versions["holoscan-cu13"],
    }


def _config() -> dict[str, Any]:
    return yaml.safe_load(CONFIG.read_text())


def _revision() -> str:
    """The commit that is checked out; empty where there is no git."""
    try:
        command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  # fixed words
    except (OSError, subprocess.CalledProcessError):
        return ""
