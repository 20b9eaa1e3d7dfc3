"""`braintumor deidentify`: a study without names and faces, for research, and the locked way back."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from braintumor.cli import console
from braintumor.deidentify import (
    DeidentificationError,
    DeidentificationReport,
    DeidentifyOptions,
    Vault,
    check_apart,
    create_key,
    deidentify,
    load_key,
)

PASSPHRASE = "BRAINTUMOR_VAULT_PASSPHRASE"  # noqa: S105 - the name of a variable

app = typer.Typer(
    help="De-identify DICOM studies for research: PS3.15 Basic Profile, shifted dates, no face, no burnt-in text.",
    no_args_is_help=True,
)
VaultFile = Annotated[Path, typer.Option("--vault", help=f"Vault file; its passphrase is asked for, or in {PASSPHRASE}.")]


@app.command("key")
def make_key(file: Annotated[Path, typer.Argument(help="New file for the key; readable by you alone.")]) -> None:
    """Make the secret key that pseudonyms, UIDs and date shifts of a project follow from. Keep it, and keep it in the hospital.

    [dim]braintumor deidentify key project.key[/]
    """
    create_key(file)
    console.out.print(
        f"Key in [bold]{file}[/]. Back it up: with another key the same patients get other pseudonyms.", soft_wrap=True
    )


@app.command()
def export(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="DICOM folders or zips.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make; must not exist yet, or be empty.")],
    key: Annotated[Path, typer.Option("--key", help="Key file of `braintumor deidentify key`.")],
    vault: Annotated[
        Path | None, typer.Option("--vault", help=f"Encrypted way back, outside the output; passphrase in {PASSPHRASE}.")
    ] = None,
    deface: Annotated[bool, typer.Option(help="Remove the face from heads that are not skull-stripped.")] = True,
    characteristics: Annotated[bool, typer.Option(help="Keep sex, age (at most 90), size and weight.")] = True,
    device: Annotated[bool, typer.Option("--keep-device", help="Keep serial number and station name of the scanner.")] = False,
    margin: Annotated[float, typer.Option("--margin-mm", min=10.0, max=40.0, help="Kept around the brain.")] = 12.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would be done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """De-identify studies. The output holds deidentification.json: what was done to what, never a value.

    The same patient gets the same pseudonym and date shift in every run with the same key, so visits stay comparable.

    [dim]braintumor deidentify export study/ -o export/ --key project.key --vault project.vault[/]
    """
    check_apart(output, key, vault)
    secret = load_key(key)
    options = DeidentifyOptions(characteristics, device, deface, margin)
    kept = None if vault is None else Vault(vault, _passphrase(new=not vault.exists()))
    columns = (TextColumn("{task.description:<24}"), BarColumn(bar_width=28), TimeElapsedColumn())
    with Progress(*columns, console=console.err, disable=not console.err.is_terminal) as bars:
        task = bars.add_task("reading headers", total=1.0)

        def progress(step: str, share: float) -> None:
            bars.update(task, description=step, completed=share)

        report = deidentify(sources, output, secret, kept, options, dry_run=dry_run, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
        return
    show(report)
    if vault is None:
        console.out.print("[yellow]No vault was named: nobody can lead a finding back to its patient.[/]", soft_wrap=True)


@app.command()
def reveal(
    name: Annotated[str, typer.Argument(metavar="PSEUDONYM|UID", help="As it stands in the exported files.")],
    vault: VaultFile,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say whom a pseudonym, or what a UID, stands for. The answer identifies a patient: mind who sees your screen.

    [dim]braintumor deidentify reveal BT-ABCDEFGHIJ --vault project.vault[/]
    """
    originals = Vault(vault, _passphrase(new=False)).read()
    person = originals.people.get(name)
    if person is not None:
        facts = {
            "patient_id": person.patient_id,
            "name": person.name,
            "birth_date": person.birth_date,
            "date_shift_days": person.shift_days,
        }
    elif name in originals.uids:
        facts = {"uid": originals.uids[name]}
    else:
        raise DeidentificationError(
            "The vault does not know this pseudonym or UID", remedy="Check its spelling, or ask the vault of its project"
        )
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for label, value in facts.items():
        typer.echo(f"{label.replace('_', ' '):<16} {value}")


def show(report: DeidentificationReport) -> None:
    """Print what was exported, what happened to faces and text, and what stayed."""
    where = "would be written (dry run)" if report.folder is None else f"in [bold]{report.folder}[/]"
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.written.items())
    _say(f"{len(report.studies)} patients, {sum(map(len, report.studies.values()))} studies {where}: {kinds}")
    removed = sum(sum(c for a, c in actions.items() if a != "kept") for actions in report.ledger.attributes.values())
    _say(f"Attributes changed or removed: {removed}; private attributes removed: {sum(report.ledger.private.values())}")
    for proof in report.proofs.values():
        brain = {True: ", brain untouched", False: ", BRAIN CHANGED", None: ""}[proof.untouched]
        words = f"face {proof.face}" if proof.face == "removed" else proof.face
        text = f", text blanked in {proof.text_slices} slices" if proof.text_slices else ""
        _say(f"  {proof.pseudonym} series of {proof.slices} slices: {words}{brain}{text}")
    for (kind, reason), count in Counter((e.kind, e.reason) for e in report.excluded).items():
        _say(f"[yellow]Not exported: {count} {kind}: {reason}[/]")
    if report.not_dicom:
        _say(f"[yellow]Left out: {report.not_dicom} files that are not DICOM, or damaged[/]")


def _say(line: str) -> None:
    console.out.print(line, soft_wrap=True)


def _passphrase(*, new: bool) -> str:
    words = os.environ.get(PASSPHRASE, "")
    return words or str(typer.prompt("Passphrase of the vault", hide_input=True, confirmation_prompt=new, err=True))
