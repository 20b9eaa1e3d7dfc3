"""`braintumor track`: the same tumour over several visits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from braintumor.cli import console
from braintumor.domain import REGION_NAMES, Region, Results
from braintumor.segment import ENGINES

_FACTS = "What images do not say (one per visit, in the order of the visits; - where it is not known)"


def track(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="CURRENT PRIOR...", help="Studies as for `run`; sorted by date.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; must not exist yet, or be empty.")],
    mask: Annotated[
        list[str] | None, typer.Option(help="NIfTI mask to use instead of the network's.", rich_help_panel=_FACTS)
    ] = None,
    day: Annotated[
        list[str] | None, typer.Option("--date", help="YYYY-MM-DD; else the study's.", rich_help_panel=_FACTS)
    ] = None,
    steroid: Annotated[
        list[str] | None,
        typer.Option("--steroid-mg", help="Dexamethasone equivalent per day in mg; 0 for none.", rich_help_panel=_FACTS),
    ] = None,
    clinical: Annotated[list[str] | None, typer.Option(help="improved, stable or worse.", rich_help_panel=_FACTS)] = None,
    preoperative: Annotated[
        int | None, typer.Option("--pre-operative", help="Number of the visit before surgery, 1 = CURRENT.", min=1)
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Date of the baseline scan of RANO 2.0 (after radiotherapy).")] = None,
    radiotherapy_end: Annotated[str | None, typer.Option(help="Date on which radiotherapy ended.")] = None,
    recurrent: Annotated[bool, typer.Option("--recurrent", help="Treatment of a recurrence: PD needs no second scan.")] = False,
    volumetric: Annotated[bool, typer.Option("--volumetric", help="RANO by volume instead of by two diameters.")] = False,
    event: Annotated[list[str] | None, typer.Option(help="Treatment for the plot, YYYY-MM-DD:WORDS; repeatable.")] = None,
    previous: Annotated[Path | None, typer.Option(help="Earlier timeline.json, whose lesion identities are kept.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Compare although patient IDs differ; the result is marked.")] = False,
    engine: Annotated[str, typer.Option(help=f"How to run the network: {', '.join(ENGINES)}.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print timeline.json to standard output instead of a table.")] = False,
) -> None:
    """Compare a study with earlier ones: change in mL, lesions followed, RANO 2.0 category as a measurement aid.

    For DICOM studies also segmentations, measurement report, registrations and registered priors, as DICOM in dicom/.

    [dim]braintumor phantom -o visits/ --visits 2 --spacing 4 && braintumor track visits/visit-2 visits/visit-1 -o timeline/[/]
    """
    from braintumor import pipeline
    from braintumor.track import Clinical, Criteria, Event, Measure, TrackOptions, VisitNotes

    count = len(sources)
    masks, days = _per_visit(mask, count, "--mask"), _per_visit(day, count, "--date")
    doses, states = _per_visit(steroid, count, "--steroid-mg"), _per_visit(clinical, count, "--clinical")
    if preoperative is not None and preoperative > count:
        raise typer.BadParameter(f"there are {count} visits", param_hint="--pre-operative")
    notes = tuple(
        VisitNotes(
            mask=None if masks[n] is None else Path(masks[n] or ""),
            date=_date(days[n], "--date"),
            preoperative=preoperative == n + 1,
            steroid_mg=_dose(doses[n]),
            clinical=None if states[n] is None else _choice(Clinical, states[n], "--clinical"),
        )
        for n in range(count)
    )
    criteria = Criteria(
        measure=Measure.VOLUME if volumetric else Measure.PRODUCT,
        baseline=_date(baseline, "--baseline"),
        radiotherapy_end=_date(radiotherapy_end, "--radiotherapy-end"),
        recurrent=recurrent,
    )
    events = tuple(Event(_date(e.partition(":")[0], "--event") or date.min, e.partition(":")[2]) for e in event or ())
    options = TrackOptions(criteria, notes, events, previous, force, engine)

    def progress(step: str, share: float) -> None:
        console.err.print(f"{share:4.0%} {step}", soft_wrap=True)

    results = pipeline.track_visits(sources, output, options, progress)
    if as_json:
        typer.echo(json.dumps(results.manifest, indent=2))
    else:
        show(results)


def show(results: Results) -> None:
    """Print volumes per visit, the last change and category, flags and where everything is."""
    content = results.manifest
    console.out.print(_volumes(content))
    for region in Region:
        console.out.print(f"{REGION_NAMES[region]}: {_words(content['changes'][-1]['regions'][region.value])}", soft_wrap=True)
    if content["rano"]:
        last = content["rano"][-1]
        console.out.print(f"RANO 2.0: {last['category']} ({last['confirmation']}). {last['rule']}", soft_wrap=True)
        if last["inputs_missing"]:
            console.out.print(f"Not known: {', '.join(last['inputs_missing'])}.", soft_wrap=True)
    else:
        console.out.print(f"RANO 2.0: not assessed, because {content['rano_not_assessed']}.", soft_wrap=True)
    console.out.print(content["notice"], soft_wrap=True)
    for flag in content["flags"]:
        colour = {"serious": "bold red", "warning": "yellow"}.get(flag["severity"], "dim")
        console.out.print(f"[{colour}]{flag['severity']:>8}[/]  {flag['message']}", soft_wrap=True)
    console.out.print(f"\nResults in [bold]{results.folder}[/]", soft_wrap=True)


def _words(change: dict[str, Any]) -> str:
    ml, percent = change["ml"], change["percent"]
    share = "" if percent is None else f", {percent['value']:+.0f} %"
    time = change["doubling_time_days"]
    speed = "" if time is None else f", {'doubling' if time > 0 else 'halving'} time {abs(time):.0f} days"
    return f"{change['words']} ({ml['value']:+.2f} ± {1.96 * ml['standard_error']:.2f} mL{share}{speed})"


def _volumes(content: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("Visit")
    for region in Region:
        table.add_column(f"{region.value} mL", justify="right")
    for n, visit in enumerate(content["visits"], start=1):
        cells = [f"{visit['volume_ml'][r.value]['value']:.2f}" for r in Region]
        table.add_row(visit["date"] or f"visit {n} (no date)", *cells)
    return table


def _per_visit(given: list[str] | None, count: int, option: str) -> list[str | None]:
    if not given:
        return [None] * count
    if len(given) != count:
        raise typer.BadParameter(f"give it once for each of the {count} visits, - where it is not known", param_hint=option)
    return [None if value == "-" else value for value in given]


def _date(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write dates as YYYY-MM-DD", param_hint=option) from None


def _dose(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        dose = float(text)
    except ValueError:
        dose = -1.0
    if not 0 <= dose < 1000:
        raise typer.BadParameter("write the dose in mg a day, 0 for none", param_hint="--steroid-mg")
    return dose


def _choice(kind: Any, text: str | None, option: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise typer.BadParameter(f"choose one of {', '.join(kind)}", param_hint=option) from None
