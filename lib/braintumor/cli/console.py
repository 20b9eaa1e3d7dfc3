"""What the terminal shows: progress on stderr, plain errors, aligned tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from braintumor.domain import BrainTumorError

if TYPE_CHECKING:
    from braintumor.domain import Progress as Report

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

STAGE_WORDS = {
    "study": "Reading the study",
    "case": "Aligning, brain, intensities",
    "engine": "Loading the model",
    "segment": "Segmenting",
    "measure": "Measuring",
    "findings": "Collecting findings",
    "results": "Writing results",
}
_COUNT = len(STAGE_WORDS)
_NUMBER = {stage: number for number, stage in enumerate(STAGE_WORDS, 1)}


def fail(error: BrainTumorError) -> int:
    """Print an error in plain words (as JSON for scripts that asked for it) and return its exit status."""
    if "--json" in sys.argv:
        body = {"error": error.code, "message": error.problem, "remedy": error.remedy, "path": error.path}
        typer.echo(json.dumps({**body, "exit_code": error.exit_code}))
    err.print(f"[bold red]Error[/] {_plain(error.problem)}.", soft_wrap=True)
    if error.path and error.path not in error.problem:
        err.print(f"  where: {_plain(error.path)}", soft_wrap=True)
    err.print(f"  what to do: {_plain(error.remedy)}.", soft_wrap=True)
    return error.exit_code


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


@contextmanager
def stages() -> Iterator[Report]:
    """A progress bar per stage on a terminal, one line per finished stage elsewhere."""
    if not err.is_terminal:
        yield _lines(set())
        return
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(bar_width=28),
        TextColumn("{task.percentage:>4.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(f"{_NUMBER[stage]}/{_COUNT} {STAGE_WORDS[stage]}", total=1.0)
            bars.update(tasks[stage], completed=share)

        yield report


def _lines(said: set[str]) -> Report:
    def report(stage: str, share: float) -> None:
        if share >= 1.0 and stage not in said:
            said.add(stage)
            err.print(f"{_NUMBER[stage]}/{_COUNT} {STAGE_WORDS[stage]}: done", soft_wrap=True)

    return report
