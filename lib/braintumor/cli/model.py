"""`braintumor model`: what a model folder holds, and whether its probabilities mean what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from braintumor.cli import console
from braintumor.segment import ENGINES

if TYPE_CHECKING:
    from braintumor.evaluate.temperature import Calibrated
    from braintumor.segment.describe import NetworkPart
    from braintumor.segment.weights import Model

app = typer.Typer(
    help="Look into a model folder, calibrate it.", no_args_is_help=True, add_completion=False, rich_markup_mode="rich"
)


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
    if as_json:
        rows = [{"name": p.name, "shape": p.shape, "parameters": p.parameters, "gflop": round(p.gflop, 3)} for p in parts]
        identity = {
            "name": model.name, "version": model.version, "checksum_sha256": model.checksum, "temperature": model.temperature
        }  # fmt: skip
        content = {**identity, "network": model.network.config.as_dict(), "slice": [height, width], "parts": rows}
        total = {"parameters": sum(p.parameters for p in parts), "gflop": round(sum(p.gflop for p in parts), 3)}
        typer.echo(json.dumps({**content, **total}, indent=2))
        return
    _show(model, (height, width), parts)


@app.command()
def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder; its metadata gets the temperature.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Folder of labelled case folders that the model never saw.")],
    engine: Annotated[str, typer.Option(help=f"How to run the network: {', '.join(ENGINES)}.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit one temperature so that the model's probabilities mean what they say, and store it in the model's metadata.

    Masks stay as they are; uncertainty and confidence change. Prints the calibration error before and after.

    [dim]braintumor model calibrate model/ validation/[/]
    """
    from braintumor.evaluate.temperature import calibrate as fitted
    from braintumor.segment.weights import save_temperature

    found = fitted(folder, truth, engine, lambda name, done, total: console.err.print(f"{done + 1}/{total} {name}"))
    save_temperature(folder, found.model, found.temperature, found.facts())
    if as_json:
        typer.echo(json.dumps({"temperature": found.temperature, **found.facts()}, indent=2))
        return
    _show_calibration(found)


def _show_calibration(found: Calibrated) -> None:
    """Print the temperature and one line per region."""
    _say(f"[bold]temperature {found.temperature:.4f}[/] (was {found.model.temperature:.4f}), "
         f"fitted to {found.voxels:,} voxels of {len(found.cases)} cases\n")  # fmt: skip
    _say(f"{'region':<8}{'ECE before':>12}{'after':>9}{'Brier before':>15}{'after':>9}")
    for region, old in found.before.items():
        new = found.after[region]
        _say(f"{region.value:<8}{old['ece']:>12.4f}{new['ece']:>9.4f}{old['brier']:>15.4f}{new['brier']:>9.4f}")
    for note in found.notes:
        console.out.print(f"[yellow]{note}[/]", soft_wrap=True)


def _show(model: Model, size: tuple[int, int], parts: tuple[NetworkPart, ...]) -> None:
    """Print identity, settings and one line per part."""
    settings = "  ".join(f"{key} {value}" for key, value in model.network.config.as_dict().items())
    _say(f"[bold]{model.name}[/] {model.version}")
    _say(f"weights   sha256 {model.checksum}")
    _say(f"temperature {model.temperature:g}" + ("" if model.temperature != 1.0 else ", not calibrated"))
    _say(f"network   {settings}")
    _say(f"slice     {size[0]} x {size[1]} pixels\n")
    _say(f"{'part':<12}{'channels x h x w':>18}{'parameters':>14}{'GFLOP':>9}")
    for part in parts:
        shape = " x ".join(str(n) for n in part.shape)
        _say(f"{part.name:<12}{shape:>18}{part.parameters:>14,}{part.gflop:>9.2f}")
    _say(f"{'all':<12}{'':>18}{sum(p.parameters for p in parts):>14,}{sum(p.gflop for p in parts):>9.2f}")


def _say(line: str) -> None:
    """Print a line as it is: figures neither coloured nor broken."""
    console.out.print(line, highlight=False, soft_wrap=True)
