"""`braintumor run`: the main job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from braintumor import pipeline
from braintumor.cli import console
from braintumor.domain import REGION_NAMES, Identifier, MRSequence, Region, Results, abha_identifier, errors
from braintumor.export import WriteOptions
from braintumor.preprocess import Bias, PrepareOptions
from braintumor.report import LANGUAGES
from braintumor.report.language import languages
from braintumor.segment import ENGINES, SegmentOptions

EPILOG = "[bold]Exit status[/]\n\n" + "\n\n".join(f"{status}  {meaning}" for status, meaning in errors.exit_codes().items())

Input = Annotated[
    str, typer.Argument(help="DICOM folder or zip, NIfTI case folder (BraTS, nnU-Net, BIDS names), or DICOMweb study URL.")
]
Named = Annotated[
    str | None,
    typer.Option(
        metavar="UID",
        help="Use this series (UID or file name) for the sequence, whatever its header says.",
        rich_help_panel="Which series is which",
    ),
]


def overrides(t1: str | None, t1ce: str | None, t2: str | None, flair: str | None) -> dict[MRSequence, str]:
    """The --t1 … --flair options as the reader wants them."""
    named = {MRSequence.T1: t1, MRSequence.T1CE: t1ce, MRSequence.T2: t2, MRSequence.FLAIR: flair}
    return {sequence: uid for sequence, uid in named.items() if uid}


def run(
    source: Input,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; must not exist yet, or be empty.")],
    preview: Annotated[bool, typer.Option("--preview", help="Also write preview.png, one picture of the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json to standard output instead of a table.")] = False,
    engine: Annotated[str, typer.Option(help=f"How to run the network: {', '.join(ENGINES)}.")] = "auto",
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over flipped and rotated views: steadier, about four times slower.")
    ] = False,
    bias: Annotated[str, typer.Option(help="N4 bias correction: auto (where the skull is on), always, never.")] = "auto",
    histogram: Annotated[
        bool,
        typer.Option(
            "--histogram-matching",
            help="Match each sequence's histogram to the training cases'. No clear gain on four held-out patients.",
        ),
    ] = False,
    model: Annotated[Path | None, typer.Option(help="Model folder instead of the one that comes with the package.")] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help="An earlier study of the patient, to compare with; may be given again.", rich_help_panel="The report"
        ),
    ] = None,
    notes: Annotated[
        list[Path] | None,
        typer.Option(
            help="The patient's notes (text or PDF, file or folder), quoted with their source.", rich_help_panel="The report"
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why the study was ordered, in the referrer's words.", rich_help_panel="The report")
    ] = "",
    order: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="FHIR server to ask why the study was ordered, by its accession number.",
            rich_help_panel="The report",
        ),
    ] = "",
    language: Annotated[
        str, typer.Option(help="Languages of the report, the first one leads.", rich_help_panel="The report")
    ] = ",".join(LANGUAGES),
    abha: Annotated[
        str, typer.Option(metavar="NUMBER", help="The patient's ABHA number (India), 14 digits.", rich_help_panel="The report")
    ] = "",
    t1: Named = None,
    t1ce: Named = None,
    t2: Named = None,
    flair: Named = None,
) -> None:
    """Segment and measure one study, and write every result.

    Reads T1, T1ce, T2 and FLAIR (at least two of them), brings them onto one grid, segments the tumour, measures it and
    writes DICOM SEG, TID 1500 SR, PDF, overlays, NIfTI, surfaces and result.json. All results appear at the end, or none.

    [dim]braintumor run study/ -o results/ --preview[/]
    """
    if bias not in list(Bias):
        raise typer.BadParameter(f"choose one of {', '.join(Bias)}", param_hint="--bias")
    options = pipeline.RunOptions(
        overrides=overrides(t1, t1ce, t2, flair),
        engine=engine,
        model=model,
        prepare=PrepareOptions(bias=Bias(bias), histogram=histogram),
        segment=SegmentOptions(tta=tta),
        write=WriteOptions(preview=preview, languages=_languages(language), identifiers=_abha(abha)),
        priors=tuple(prior or ()),
        notes=tuple(notes or ()),
        reason=reason,
        orders=order,
    )
    with console.stages() as progress:
        results = pipeline.run(source, output, options, progress)
    if as_json:
        typer.echo(json.dumps(results.manifest, indent=2))
    else:
        show(results)


def _languages(words: str) -> tuple[str, ...]:
    """Codes, each known, before minutes of work."""
    codes = tuple(dict.fromkeys(code.strip() for code in words.split(",") if code.strip()))
    unknown = [code for code in codes if code not in languages()]
    if unknown or not codes:
        raise typer.BadParameter(f"choose from {', '.join(languages())}", param_hint="--language")
    return codes


def _abha(number: str) -> tuple[Identifier, ...]:
    try:
        return (abha_identifier(number),) if number else ()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--abha") from None


def show(results: Results) -> None:
    """Print volumes, flags and where everything is."""
    console.out.print(_volumes(results.manifest["measurements"]["regions"]))
    for flag in results.manifest["flags"]:
        colour = {"serious": "bold red", "warning": "yellow"}.get(flag["severity"], "dim")
        console.out.print(f"[{colour}]{flag['severity']:>8}[/]  {flag['message']}", soft_wrap=True)
    console.out.print(f"\nResults in [bold]{results.folder}[/]", soft_wrap=True)
    for kind, paths in results.outputs.items():
        console.out.print(
            f"  {kind:<12}{paths[0]}" + (f"  and {len(paths) - 1} more" if len(paths) > 1 else ""), soft_wrap=True
        )
    console.out.print("[dim]Research use only. Not a medical device.[/]")


def _volumes(regions: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, title=None)
    table.add_column("Region")
    for heading in ("Volume mL", "Longest mm", "Across mm"):
        table.add_column(heading, justify="right")
    for region in Region:
        row = regions[region.value]
        diameters = row["diameters"]
        sizes = [f"{diameters[key]:.1f}" for key in ("longest_mm", "perpendicular_mm")] if diameters else ["-", "-"]
        table.add_row(f"{REGION_NAMES[region]} ({region.value})", f"{row['volume_ml']:.2f}", *sizes)
    return table
