"""``braintumor viewer``: gets the OHIF viewer that the server shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", help="Get the OHIF viewer that the server shows."
)


@app.callback()
def _group() -> None:
    """Keeps `fetch` a command of its own."""


@app.command()
def fetch(
    source: Annotated[
        Path | None, typer.Option("--from", metavar="TGZ", help="Tarball of @ohif/app on disk, for machines without internet.")
    ] = None,
    registry: Annotated[
        str, typer.Option(envvar="NPM_CONFIG_REGISTRY", help="npm registry, or a mirror of it.")
    ] = "https://registry.npmjs.org",
    folder: Annotated[
        Path | None, typer.Option("--to", help="Folder for the viewer; `serve` finds another one by BRAINTUMOR_VIEWER.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Get it even if the folder is current.")] = False,
) -> None:
    """Download the pinned viewer (48 MB), check its hash, and unpack it for `braintumor serve`.

    [dim]braintumor viewer fetch[/]
    """
    from braintumor.server import ohif

    pin, dist = ohif.Pin.read(), folder or ohif.default_dist()
    if ohif.is_current(pin, dist) and not force:
        ohif.say(f"{pin.package} {pin.version} is in place")
        return
    ohif.fetch(pin, dist, source=source, registry=registry)
    ohif.say(f"{pin.package} {pin.version} is in {dist}")
