"""The `braintumor` command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from braintumor.cli.console import fail
from braintumor.domain import BrainTumorError

INTERRUPTED = 130
"""What Typer makes of a KeyboardInterrupt: 128 + SIGINT, as shells do."""

COMMANDS = {
    "run": ("run", "Segment and measure one study, and write every result."),
    "inspect": (
        "inspect",
        "Show which series are there, which would be used as T1, T1ce, T2 and FLAIR, and why. Writes nothing.",
    ),
    "phantom": (
        "make",
        "Make a synthetic study with a known tumour: real anatomy (MNI152), four sequences, true volumes printed.",
    ),
    "to-dicom": (
        "make",
        "Turn a NIfTI case into a DICOM MR study, one series per sequence, voxel values kept where they are integers.",
    ),
    "serve": ("serve", "Serve the viewer and MONAI Label's API for a folder or archive."),
    "viewer": ("viewer", "Get the OHIF viewer that the server shows."),
    "train": ("train", "Train the network on everybody, or measure the recipe by cross-validation."),
    "evaluate": (
        "evaluate",
        "Compare masks with an expert's: metrics with confidence intervals, calibration, worst cases, one HTML report.",
    ),
    "track": (
        "track",
        "Compare a study with earlier ones: change in mL, lesions followed, RANO 2.0 category as a measurement aid.",
    ),
    "report": (
        "report",
        "Read, edit, approve, sign, check and send the report of a run. `braintumor run` writes its first version.",
    ),
    "model": ("model", "Look into a model folder, calibrate it."),
    "node": ("node", "Receive studies from a PACS, segment them, send the results back; nothing acknowledged is lost."),
    "deidentify": (
        "deidentify",
        "De-identify DICOM studies for research: PS3.15 Basic Profile, shifted dates, no face, no burnt-in text.",
    ),
    "package": ("package", "Build the MAP image with docker, podman or buildah; --help shows the options."),
}
"""Command -> the module below `braintumor.cli` that has it, as a function or a Typer of its own, and the first sentences of its
help, which the list of commands shows without loading the module."""


class _Commands(TyperGroup):
    """Loads a command's module when it is run: who wants to see a node's status, or help, need not wait for PyTorch."""

    _listing = False

    def list_commands(self, _context: Any) -> list[str]:
        return list(COMMANDS)

    def format_help(self, context: Any, formatter: Any) -> None:
        with self._unloaded():
            super().format_help(context, formatter)

    def shell_complete(self, context: Any, incomplete: str) -> Any:
        with self._unloaded():
            return super().shell_complete(context, incomplete)

    @contextmanager
    def _unloaded(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False

    def get_command(self, _context: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        place, summary = COMMANDS[name]
        if self._listing:
            return TyperCommand(name, help=summary, rich_markup_mode="rich")
        module = import_module(f"braintumor.cli.{place}")
        if isinstance(getattr(module, "app", None), typer.Typer):
            group = get_command(module.app)
            group.name = name
            return group
        one = typer.Typer(rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False)
        settings, epilog = getattr(module, "CONTEXT", None), getattr(module, "EPILOG", None)
        one.command(name, epilog=epilog, context_settings=settings)(getattr(module, name.replace("-", "_")))
        return get_command(one)


app = typer.Typer(
    name="braintumor",
    cls=_Commands,
    help="A brain MR study in; tumour segmentation, measurements and report out. Research use, not a medical device.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from braintumor import __version__

        typer.echo(f"braintumor {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    # A stopped container must clean up like a user's Ctrl-C: partial output is removed on the way out.
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> Any:
    """Entry point; turns every expected error into one plain message and its own exit status."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return app(args=arguments, prog_name="braintumor", standalone_mode=True)
    except BrainTumorError as error:
        sys.exit(fail(error))
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            typer.echo("Interrupted; nothing was written.", err=True)
        raise
