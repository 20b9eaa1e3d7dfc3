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
    publish: Annotated[Path | None, typer.Option(help="Model folder that gets the weights and the held-out figures.")] = None,
) -> None:
    """Train the network, measure it on the held-out cases, and publish it with those figures.

    [dim]braintumor train model/configs/train.json --data DATA -o training/ --publish model/[/]
    """
    from braintumor.train import run

    def progress(facts: dict[str, object]) -> None:
        console.err.print("  ".join(f"{key} {value}" for key, value in facts.items()), soft_wrap=True)

    for line in run.run(config, data, output, publish, progress):
        console.out.print(line, soft_wrap=True)
