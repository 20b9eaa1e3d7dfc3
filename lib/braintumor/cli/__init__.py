"""The `braintumor` command."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import typer

from braintumor.cli import evaluate, inspect, make, model, report, run, serve, track, train
from braintumor.cli.console import fail
from braintumor.errors import BrainTumorError

INTERRUPTED = 130
"""What Typer makes of a KeyboardInterrupt: 128 + SIGINT, as shells do."""

app = typer.Typer(
    name="braintumor",
    help="A brain MR study in; tumour segmentation, measurements and report out. Research use, not a medical device.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", epilog=run.EPILOG)(run.run)
app.command("inspect")(inspect.inspect)
app.command("phantom")(make.phantom)
app.command("to-dicom")(make.to_dicom)
app.command("serve")(serve.serve)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("track")(track.track)
app.add_typer(report.app, name="report")
app.add_typer(model.app, name="model")


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
