"""`braintumor model`: what a model folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from braintumor.cli import console

app = typer.Typer(help="Look into a model folder.", no_args_is_help=True)


@app.callback()
def _model() -> None:
    """Keeps `info` a sub-command while it is the only one."""


@app.command()
def info(
    folder: Annotated[Path | None, typer.Argument(help="Model folder; without it the one that comes with the package.")] = None,
    height: Annotated[int, typer.Option(help="Rows of the slice that shapes and FLOPs are for.")] = 192,
    width: Annotated[int, typer.Option(help="Columns of that slice.")] = 160,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print name, version and checksum of a model, and shapes, parameters and FLOPs of its network.

    [dim]braintumor model info[/]
    """
    from braintumor.segment.describe import describe
    from braintumor.segment.weights import load

    model = load(folder)
    stride = model.network.config.stride
    if height % stride or width % stride:
        raise typer.BadParameter(f"The slice's height and width must be multiples of {stride}.")
    parts = describe(model.network, height, width)
    parameters, gflop = sum(part.parameters for part in parts), sum(part.gflop for part in parts)
    if as_json:
        rows = [{"name": p.name, "shape": p.shape, "parameters": p.parameters, "gflop": round(p.gflop, 3)} for p in parts]
        identity = {"name": model.name, "version": model.version, "checksum_sha256": model.checksum}
        content = {**identity, "network": model.network.config.as_dict(), "slice": [height, width], "parts": rows}
        typer.echo(json.dumps({**content, "parameters": parameters, "gflop": round(gflop, 3)}, indent=2))
        return
    console.out.print(f"[bold]{model.name}[/] {model.version}", highlight=False)
    console.out.print(f"weights   sha256 {model.checksum}", highlight=False, soft_wrap=True)
    settings = "  ".join(f"{key} {value}" for key, value in model.network.config.as_dict().items())
    console.out.print(f"network   {settings}", highlight=False, soft_wrap=True)
    console.out.print(f"slice     {height} x {width} pixels", highlight=False)
    console.out.print()
    console.out.print(f"{'part':<12}{'channels x h x w':>18}{'parameters':>14}{'GFLOP':>9}", highlight=False)
    for part in parts:
        shape = " x ".join(str(n) for n in part.shape)
        console.out.print(f"{part.name:<12}{shape:>18}{part.parameters:>14,}{part.gflop:>9.2f}", highlight=False)
    console.out.print(f"{'all':<12}{'':>18}{parameters:>14,}{gflop:>9.2f}", highlight=False)
