"""`braintumor evaluate`: how good masks are, ours or anybody's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from braintumor.cli import console
from braintumor.domain import REGION_NAMES, CaseProgress, EmptyPolicy, MRSequence, Region
from braintumor.segment import ENGINES

if TYPE_CHECKING:
    from braintumor.evaluate.run import Evaluation

_NETWORK = "To evaluate a network instead of masks"


def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[PREDICTIONS] TRUTH",
            help="Folder of predicted masks and folder of expert masks; only the latter, with images, to evaluate the network.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report; must not exist yet, or be empty.")],
    empty: Annotated[
        str,
        typer.Option(
            help="Regions that the expert did not mark: brats scores them 1 if the prediction is empty too, else 0; "
            "exclude leaves them out."
        ),
    ] = "brats",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out masks without a partner instead of refusing.")
    ] = False,
    groups: Annotated[
        Path | None, typer.Option(help="CSV with a column 'case' and others, e.g. vendor: figures for each group too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json to standard output instead of a table.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="Model folder; without it, the one that comes with the package.", rich_help_panel=_NETWORK),
    ] = None,
    engine: Annotated[
        str, typer.Option(help=f"How to run the network: {', '.join(ENGINES)}.", rich_help_panel=_NETWORK)
    ] = "auto",
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over flipped and rotated views.", rich_help_panel=_NETWORK)
    ] = False,
    sequences: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Show the network only these, e.g. FLAIR,T1ce; the others are blanked.",
            rich_help_panel=_NETWORK,
        ),
    ] = "",
) -> None:
    """Compare masks with an expert's: metrics with confidence intervals, calibration, worst cases, one HTML report.

    Predictions may be nnU-Net's, BIDS derivatives as `braintumor run` writes them, or one folder per case; they are paired with
    the truth by name. Probabilities beside a mask (nnU-Net's CASE.npz) add Brier score, ECE and a reliability diagram.

    [dim]braintumor evaluate predictions/ BraTS/ -o report/[/]

    [dim]braintumor evaluate --model model/ BraTS/ -o report/ --sequences T1ce,T2[/]
    """
    _check(paths, empty, model, bool(sequences) or tta or engine != "auto")
    shown = _sequences(sequences)
    from braintumor.evaluate.run import EvaluateOptions, evaluate_masks, evaluate_model

    options = EvaluateOptions(EmptyPolicy(empty), allow_missing, groups, engine, tta, shown)
    with _cases() as progress:
        if len(paths) == 2:
            found = evaluate_masks(paths[0], paths[1], output, options, progress)
        else:
            found = evaluate_model(model, paths[0], output, options, progress)
    if as_json:
        typer.echo(json.dumps(found.summary, indent=2))
    else:
        show(found)


def show(found: Evaluation) -> None:
    """Print the main figures, notes and where the report is."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Region")
    headings = ("n", "Dice", "95 % interval", "Median", "HD95 mm", "SDice 1mm", "Lesion Dice", "F1")
    for heading in headings:
        table.add_column(heading, justify="right")
    for region in Region:
        row = found.summary["regions"][region.value]
        dice = row["dice"]
        interval = "-" if dice["low"] is None else f"{dice['low']:.3f} to {dice['high']:.3f}"
        means = [_number(row[key]["mean"], digits) for key, digits in _SHOWN]
        table.add_row(region.value, str(dice["n"]), _number(dice["mean"], 3), interval, _number(dice["median"], 3), *means)
    console.out.print(table)
    absent = [
        f"{REGION_NAMES[region].lower()} in {row['dice']['n_empty_truth']}"
        for region in Region
        if (row := found.summary["regions"][region.value])["dice"]["n_empty_truth"]
    ]
    if absent:
        console.out.print(f"[dim]Not marked by the expert: {', '.join(absent)} of {found.summary['cases']} cases "
                          f"(--empty {found.summary['empty_policy']['name']}).[/]", soft_wrap=True)  # fmt: skip
    for region, figures in found.summary.get("calibration", {}).get("regions", {}).items():
        console.out.print(
            f"[dim]Calibration {region}: ECE {figures['ece']:.4f}, Brier {figures['brier']:.4f}[/]", soft_wrap=True
        )
    for note in found.summary["notes"]:
        console.out.print(f"[yellow]{note}[/]", soft_wrap=True)
    console.out.print(f"\nReport in [bold]{found.folder / 'report.html'}[/]", soft_wrap=True)


_SHOWN = (("hd95", 1), ("surface_dice_1mm", 3), ("lesion_dice", 3), ("lesion_f1", 3))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _check(paths: list[Path], empty: str, model: Path | None, network_options: bool) -> None:
    if len(paths) > 2:
        raise typer.BadParameter("give PREDICTIONS and TRUTH, or only TRUTH", param_hint="PREDICTIONS")
    if len(paths) == 2 and (model is not None or network_options):
        raise typer.BadParameter("with --model, --engine, --tta or --sequences give only TRUTH",
                                 param_hint="PREDICTIONS")  # fmt: skip

    if empty not in list(EmptyPolicy):
        raise typer.BadParameter(f"choose one of {', '.join(EmptyPolicy)}", param_hint="--empty")


def _sequences(names: str) -> tuple[MRSequence, ...]:
    known = {sequence.title.lower(): sequence for sequence in MRSequence}
    wanted = [name.strip().lower() for name in names.split(",") if name.strip()]
    strange = [name for name in wanted if name not in known]
    if strange:
        choices = ", ".join(sequence.title for sequence in MRSequence)
        raise typer.BadParameter(f"'{strange[0]}' is none of {choices}", param_hint="--sequences")
    return tuple(known[name] for name in wanted)


@contextmanager
def _cases() -> Iterator[CaseProgress]:
    """A progress bar with the case's name on a terminal, one line per case elsewhere."""
    if not console.err.is_terminal:
        yield lambda name, done, total: console.err.print(f"{done + 1}/{total} {name}", soft_wrap=True)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description:<32}"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console.err) as bars:
        task = bars.add_task("")

        def report(name: str, done: int, total: int) -> None:
            bars.update(task, description=name, completed=done, total=total)

        yield report
        bars.update(task, description="Done", completed=bars.tasks[0].total)
