"""``braintumor package``: the MAP image, built from a checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from braintumor.domain import NotInstalledError

BUILDER = Path(__file__).resolve().parents[3] / "deploy" / "map" / "image" / "build.py"

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Every option, --help too, is the builder's."""


def package(context: typer.Context) -> None:
    """Build the MAP image with docker, podman or buildah; --help shows the options.

    [dim]braintumor package --tag braintumor-map:0.1.0[/]
    """
    if not BUILDER.is_file():
        problem = "The image is built from the repository, and this is an installed package"
        raise NotInstalledError(problem, remedy="Clone the repository, install it with `pip install -e .` and start it there")
    raise typer.Exit(subprocess.run([sys.executable, str(BUILDER), *context.args], check=False).returncode)  # noqa: S603
