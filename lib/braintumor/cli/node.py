"""`braintumor node`: the inference node beside a PACS, its workers, and how it stands."""

from __future__ import annotations

import importlib.util
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from braintumor.cli import console
from braintumor.domain import InputNotFoundError, NotInstalledError, SettingsError

if TYPE_CHECKING:
    from braintumor.node.ledger import Ledger
    from braintumor.node.settings import NodeSettings
    from braintumor.node.states import StudyRecord

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Receive studies from a PACS, segment them, send the results back; nothing acknowledged is lost.",
)

SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", "-s", metavar="TOML", envvar="BRAINTUMOR_NODE_SETTINGS", help="Settings, see docs/node.md."),
]

_COLOURS = {"failed": "bold red", "running": "cyan", "acknowledged": "green", "delivered": "green"}


@app.command()
def start(
    settings: SettingsFile = None,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
) -> None:
    """Run the node until it is asked to stop (Ctrl+C, SIGTERM); a running study may then finish.

    Logs one JSON object a line to standard error, without patient data.

    [dim]braintumor node start --settings node.toml[/]
    """
    _installed()
    from braintumor.node.logs import configure
    from braintumor.node.node import Node

    found = _load(settings)
    configure(log_level)
    node = Node(found, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: node.stop())
    node.run()


@app.command()
def worker(settings: SettingsFile = None) -> None:
    """Run workers on this host for a node on another; needs the node's database, its state folder and, if named, its broker.

    [dim]braintumor node worker --settings node.toml[/]
    """
    _installed()
    from braintumor.node import broker, pool
    from braintumor.node.logs import configure
    from braintumor.node.worker import owner_name

    found = _load(settings)
    configure()
    raise typer.Exit(broker.serve(settings, found) if found.broker else pool.serve(found, owner_name()))


@app.command()
def status(
    settings: SettingsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many studies to list.")] = 20,
) -> None:
    """Show how many studies are where, and the failed and latest ones by pseudonym. Works while the node is stopped.

    [dim]braintumor node status --settings node.toml[/]
    """
    from braintumor.node.outbox import Outbox

    ledger = _ledger(settings)
    counts, waiting = ledger.counts(), Outbox(ledger.database).waiting()
    recent = ledger.recent(limit)
    if as_json:
        body: dict[str, Any] = {"studies": {state.value: count for state, count in counts.items()}, "waiting": waiting}
        body["recent"] = [_facts(study) for study in recent]
        typer.echo(json.dumps(body, indent=2))
        return
    standing = [f"[bold]{count}[/] {state.value}" for state, count in counts.items() if count]
    console.out.print("   ".join(standing) or "No study yet.")
    for name, count in waiting.items():
        console.out.print(f"[bold]{count}[/] wait for destination {name}")
    if recent:
        console.out.print(_table(recent))


@app.command()
def retry(
    pseudonym: Annotated[str, typer.Argument(help="As `braintumor node status` lists it; `failed` for every failed study.")],
    settings: SettingsFile = None,
) -> None:
    """Take up a failed study again: its deliveries where it has results, else the work.

    [dim]braintumor node retry failed --settings node.toml[/]
    """
    from braintumor.node.states import StudyState

    ledger = _ledger(settings)
    every = [study.pseudonym for study in ledger.in_state(StudyState.FAILED)]
    names = every if pseudonym == "failed" else [pseudonym]
    taken = [name for name in names if ledger.retry(name)]
    if not taken and pseudonym != "failed":
        problem = "There is no failed study of this name"
        raise InputNotFoundError(problem, remedy="Look at `braintumor node status`", path=pseudonym)
    console.out.print(f"{len(taken)} taken up again.")


def _installed() -> None:
    for name in ("pynetdicom", "sqlalchemy", "celery", "prometheus_client", "fastapi"):
        if importlib.util.find_spec(name) is None:
            raise NotInstalledError("The node is not installed", remedy="Install braintumor[node]")


def _load(path: Path | None) -> NodeSettings:
    from braintumor.node.settings import load

    return load(path)


def _ledger(path: Path | None) -> Ledger:
    """The state machine, which must be there: a mistyped name must not make an empty one."""
    _installed()
    from braintumor.node.ledger import Ledger
    from braintumor.node.schema import Database

    found = _load(path)
    if not found.database and not (found.state / "node.db").is_file():
        problem = "No node has run with these settings"
        raise SettingsError(problem, remedy="Name its settings with --settings", path=found.state)
    return Ledger(Database(found.database_url))


def _facts(study: StudyRecord) -> dict[str, Any]:
    names = ("pseudonym", "state", "generation", "instances", "attempts", "reason", "detail", "first_received", "changed")
    return {name: getattr(study, name) for name in names}


def _table(studies: list[StudyRecord]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Study", "State", "Images", "Since (UTC)", "Reason"):
        table.add_column(heading, justify="right" if heading == "Images" else "left")
    for study in studies:
        colour = _COLOURS.get(study.state.value, "default")
        since = study.changed[:19].replace("T", " ")
        words = study.detail or study.reason
        table.add_row(study.pseudonym, f"[{colour}]{study.state.value}[/]", str(study.instances), since, words)
    return table
