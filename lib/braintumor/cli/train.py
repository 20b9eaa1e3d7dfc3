"""`braintumor train`: weights from expert-labelled cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from braintumor.cli import console


def train(
    config: Annotated[Path, typer.Argument(help="Training configuration, e.g. model/configs/train.json.")],
    data: Annotated[Path, typer.Option(help="Folder the configuration's paths start from.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Working folder; a killed run goes on from what is there.")],
    fold: Annotated[
        str, typer.Option(help="Cross-validate: a fold's number, several with commas, or 'all'. Without: train on everybody.")
    ] = "",
    publish: Annotated[Path | None, typer.Option(help="Model folder that gets the weights trained on everybody.")] = None,
) -> None:
    """Train the network on everybody, or measure the recipe by cross-validation.

    [dim]braintumor train model/configs/train.json --data DATA -o cv/ --fold all[/]
    [dim]braintumor evaluate cv/predictions DATA/brats -o evaluation/[/]
    [dim]braintumor train model/configs/train.json --data DATA -o training/ --publish model/[/]

    On several GPUs: [dim]torchrun --nproc-per-node 2 -m braintumor train ...[/]
    """
    from braintumor.train import run

    def progress(facts: dict[str, object]) -> None:
        console.err.print("  ".join(f"{key} {value}" for key, value in facts.items()), soft_wrap=True)

    if not fold:
        console.out.print(str(run.run_all(config, data, output, publish, progress)), soft_wrap=True)
        return
    if publish is not None:
        raise typer.BadParameter("--publish and --fold exclude each other: published weights are trained on everybody.")
    try:
        splits = run.read_config(config).splits
        folds = range(splits.k if splits else run.FOLDS) if fold == "all" else [int(part) for part in fold.split(",")]
    except ValueError as error:
        raise typer.BadParameter("--fold takes a number, several with commas, or 'all'.") from error
    for line in run.run_folds(config, data, output, folds, progress):
        console.out.print(line, soft_wrap=True)
