"""The image's bill of materials (CycloneDX JSON): Python packages, the model, and the Debian packages of the base."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import quote

SCHEMA = "1.6"


def python_packages(python: Path) -> dict[str, Any]:
    """The document that cyclonedx-bom writes of an environment, which it checks against the CycloneDX schema."""
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--spec-version",
        SCHEMA,
        "--output-reproducible",
        str(python),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # fixed words and a path
    return json.loads(run.stdout)


def model_component(folder: Path) -> dict[str, Any]:
    """The model as a component, by its metadata."""
    about = json.loads((folder / "configs" / "metadata.json").read_text())
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{about['name']}",
        "name": about["name"],
        "version": about["version"],
        "description": about["description"],
        "hashes": [{"alg": "SHA-256", "content": about["checksum_sha256"]}],
        "licenses": [{"license": {"name": about["license"]}}],
    }


def debian_packages() -> list[dict[str, Any]]:
    """What dpkg knows of the system that this runs in; nothing where there is no dpkg."""
    if which("dpkg-query") is None:
        return []
    command = ["dpkg-query", "--show", "--showformat", "${Package}\t${Version}\t${Architecture}\n"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  # fixed words
    return [_debian(*line.split("\t")) for line in listed.splitlines()]


def _debian(name: str, version: str, architecture: str) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main() -> int:
    """Write the bill of materials; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="interpreter of the environment to describe")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    document = python_packages(chosen.python)
    document["components"] += [model_component(chosen.model), *debian_packages()]
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(document, indent=1) + "\n")
    print(f"Bill of materials: {len(document['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main())
