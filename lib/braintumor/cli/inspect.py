"""`braintumor inspect`: what is in an input, and what would be used."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from braintumor import study
from braintumor.cli import console
from braintumor.cli.run import Input, Named, overrides


def inspect(
    source: Input,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    t1: Named = None,
    t1ce: Named = None,
    t2: Named = None,
    flair: Named = None,
) -> None:
    """Show which series are there, which would be used as T1, T1ce, T2 and FLAIR, and why. Writes nothing.

    [dim]braintumor inspect study.zip[/]
    """
    found = study.inspect(source, overrides=overrides(t1, t1ce, t2, flair)).as_dict()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Used as", "Series", "Images", "Sure", "Why"):
        table.add_column(heading, justify="right" if heading in ("Images", "Sure") else "left", overflow="fold")
    for row in found["series"]:
        why = "; ".join(row["reasons"])
        used = row["used_as"] or "-"
        table.add_row(used, row["description"] or row["uid"], str(row["images"]), f"{row['confidence']:.0%}", why)
    console.out.print(table)
    for problem in found["problems"]:
        console.out.print(f"[yellow]{problem}[/]", soft_wrap=True)
