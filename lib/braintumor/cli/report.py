"""`braintumor report`: read, edit, approve, sign, check and send the report of a run."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer
from rich.table import Table

from braintumor.cli import console
from braintumor.domain import InputNotFoundError, NotInstalledError, Origin, Report, Section, Status
from braintumor.report.language import language_of
from braintumor.report.versions import FOLDER, ReportFolder

if TYPE_CHECKING:
    from braintumor.report.rewriting import LanguageModel
    from braintumor.signing import Signature, Signer, Timestamping

app = typer.Typer(
    help="Read, edit, approve, sign, check and send the report of a run. `braintumor run` writes its first version.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
)

Results = Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder that `braintumor run` wrote.")]
Who = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does it; stands in the audit trail.")]
PASSPHRASE = "BRAINTUMOR_KEY_PASSPHRASE"  # noqa: S105  the name of a variable
"""Environment variable with the signing key's passphrase."""


@app.command()
def show(
    results: Results,
    language: Annotated[str, typer.Option(help="Only this language.")] = "",
    audit: Annotated[bool, typer.Option("--audit", help="Also who did what with it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The newest version as JSON.")] = False,
) -> None:
    """Print the newest version of a report.

    [dim]braintumor report show out --language hi[/]
    """
    report = _folder(results).latest()
    if as_json:
        from braintumor.report import dump_report

        typer.echo(dump_report(report).decode())
        return
    console.out.print(_status(report))
    for code in [language] if language else report.texts:
        _print_text(report, code)
    if audit:
        _print_audit(report)


@app.command()
def edit(
    results: Results,
    language: Annotated[str, typer.Option(help="Of the text to change, e.g. en.")],
    section: Annotated[Section, typer.Option(help="Section to change.")],
    by: Who,
    file: Annotated[
        Path | None, typer.Option(help="The section's new text, one line each; without it your editor opens.")
    ] = None,
) -> None:
    """Change a section of a draft; the version before stays.

    [dim]braintumor report edit out --language en --section impression --by "Dr A. Rao" --file impression.txt[/]
    """
    from braintumor.report.editing import edited

    folder = _folder(results)
    report = folder.latest()
    lines = report.texts[language].sections.get(section, ()) if language in report.texts else ()
    if file is None:
        words = click.edit("\n".join(line.text for line in lines)) or "\n".join(line.text for line in lines)
    else:
        words = _words(file)
    after = edited(report, language, section, words.splitlines(), who=by, when=_now())
    _keep(folder, report, after)
    _warn_of_other_languages(after)


@app.command()
def rewrite(
    results: Results,
    endpoint: Annotated[
        str, typer.Option(metavar="URL", help="OpenAI-compatible server, e.g. http://localhost:11434/v1.")
    ] = "",
    model: Annotated[str, typer.Option(help="Name of the model on that server.")] = "",
    model_folder: Annotated[Path | None, typer.Option(help="A local transformers model instead (safetensors).")] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let sentences of the report go to a server outside this network.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Deadline; sentences that are not ready keep our words.")] = 120.0,
) -> None:
    """Let a language model word a draft; every sentence is checked against the facts, and what fails keeps our words.

    [dim]braintumor report rewrite out --endpoint http://localhost:11434/v1 --model llama3[/]
    """
    from braintumor.report.rewriting import rewrite as reworded

    folder = _folder(results)
    report = folder.latest()
    made = reworded(report, _model(endpoint, model, model_folder, allow_remote), when=_now(), deadline_s=seconds)
    _keep(folder, report, made)
    lines = [line for text in made.texts.values() for said in text.sections.values() for line in said]
    worded = sum(line.origin is Origin.MODEL for line in lines)
    console.out.print(f"{worded} of {len(lines)} lines are the model's, each checked; the others are ours.")


@app.command()
def approve(
    results: Results,
    key: Annotated[Path, typer.Option(metavar="P12", help="Your signing key, a PKCS#12 file (.p12, .pfx).")],
    passphrase_file: Annotated[
        Path | None,
        typer.Option(help=f"File with its passphrase; else the environment variable {PASSPHRASE}, else it is asked."),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who approves; without it the name in the certificate.")] = "",
    place: Annotated[str, typer.Option(help="Where, e.g. the hospital; stands in the signature.")] = "",
    tsa: Annotated[str, typer.Option(metavar="URL", help="Timestamp server; its stamp goes into the signature.")] = "",
) -> None:
    """Make the draft final: sign its PDF, and write the signed PDF, its DICOM object and its FHIR bundle.

    [dim]braintumor report approve out --key rao.p12[/]
    """
    _installed("pyhanko")
    from braintumor.export.reporting import write_final
    from braintumor.report.approval import approve as approved

    folder, when = _folder(results), _now()
    signer = _signer(key, passphrase_file)
    _warn_of_other_languages(folder.latest())
    for warning in signer.warnings:
        console.err.print(f"[yellow]Note[/] {warning}", soft_wrap=True)
    final = approved(folder, signer, when=when, who=by, location=place, timestamping=_timestamping(tsa))
    written = write_final(folder, final, when.astimezone().replace(tzinfo=None))
    console.out.print(_status(final.report))
    for path in (folder.path(final.report.version, "pdf"), *written):
        console.out.print(f"  {path}", soft_wrap=True)


@app.command()
def amend(
    results: Results,
    by: Who,
    reason: Annotated[str, typer.Option(help="Why; stands in the audit trail.")],
) -> None:
    """Start a new draft from a final report; the final one stays as it is.

    [dim]braintumor report amend out --by "Dr A. Rao" --reason "second reading"[/]
    """
    from braintumor.report.editing import amended

    folder = _folder(results)
    report = folder.latest()
    _keep(folder, report, amended(report, who=by, when=_now(), reason=reason))


@app.command()
def pdf(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; must not exist yet.")],
) -> None:
    """Write the newest version as PDF, for reading before it is approved.

    [dim]braintumor report pdf out -o draft.pdf[/]
    """
    from braintumor.report import render
    from braintumor.report.approval import final

    folder = _folder(results)
    report = folder.latest()
    data = final(folder).pdf if report.status is Status.FINAL else render(report, folder.pictures(report))
    with output.open("xb") as file:
        file.write(data)
    console.out.print(f"{_status(report)}: {output}", soft_wrap=True)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="PDF|RESULTS", help="A signed PDF, or the results folder with all versions.")],
    trust: Annotated[Path | None, typer.Option(metavar="PEM", help="Certificates to trust: also ask who signed.")] = None,
) -> None:
    """Check signatures, and in a results folder the chain of hashes from the images to each final version.

    Ends with status 1 where something does not hold.

    [dim]braintumor report verify out/report/v0002.pdf[/]
    """
    _installed("pyhanko")
    from braintumor.report.approval import examine
    from braintumor.signing import read_certificates
    from braintumor.signing import verify as checked

    if file.is_dir():
        problems = examine(_folder(file))
        for words in problems:
            console.out.print(f"[bold red]Wrong[/] {words}", soft_wrap=True)
        if not problems:
            console.out.print("Signatures and chain of hashes hold.")
        raise typer.Exit(bool(problems))
    found = checked(_read(file), None if trust is None else read_certificates(trust))
    if not found.is_signed:
        console.out.print("[bold red]Not signed.[/]")
    for signature in found.signatures:
        _print_signature(signature)
    for words in found.problems:
        console.out.print(f"[bold red]Wrong[/] {words}", soft_wrap=True)
    raise typer.Exit(not found.holds or found.trusted is False)


@app.command("send")
def send(
    results: Results,
    fhir: Annotated[str, typer.Option("--fhir", metavar="URL", help="FHIR R4 server, e.g. https://fhir.hospital.example/r4.")],
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token, if the server wants one.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Send a draft too, as a preliminary report.")] = False,
) -> None:
    """Send the newest version to a FHIR server; sending twice changes nothing, a new version updates.

    [dim]braintumor report send out --fhir https://fhir.hospital.example/r4[/]
    """
    from braintumor.fhir import FhirClient, bundle
    from braintumor.report import render
    from braintumor.report.approval import final

    folder = _folder(results)
    report = folder.latest()
    if report.status is Status.DRAFT and draft:
        made = bundle(report, pdf=render(report, folder.pictures(report)))
    else:
        found = final(folder)
        made = bundle(found.report, pdf=found.pdf)
    with FhirClient(fhir, token_file=token_file) as client:
        receipt = client.send(made)
    console.out.print(f"{len(receipt.entries)} resources are on the server.")


@app.command()
def key(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, e.g. rao.p12; must not exist yet.")],
    name: Annotated[str, typer.Option(help="Who signs, as readers will see it.")],
    days: Annotated[int, typer.Option(help="How long it is valid.")] = 730,
    passphrase_file: Annotated[
        Path | None, typer.Option(help=f"File with a passphrase; else {PASSPHRASE}, else it is asked.")
    ] = None,
) -> None:
    """Make a key with a self-signed certificate: it proves that nothing was changed, not who signed.

    [dim]braintumor report key -o rao.p12 --name "Dr A. Rao"[/]
    """
    _installed("pyhanko")
    from braintumor.signing import make_identity

    data = make_identity(name, days, _passphrase(passphrase_file, confirm=True))
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    console.out.print(f"Key of {name}: {output}", soft_wrap=True)


def _folder(results: Path) -> ReportFolder:
    return ReportFolder(results if results.name == FOLDER else results / FOLDER)


def _keep(folder: ReportFolder, before: Report, after: Report) -> None:
    if after is before:
        console.out.print("Nothing was changed.")
        return
    folder.add(after)
    console.out.print(_status(after))


def _warn_of_other_languages(report: Report) -> None:
    from braintumor.report.editing import edited_alone

    for section, codes in edited_alone(report).items():
        words = f"{section.value} was changed by a person in {', '.join(codes)} only; the report says so."
        console.err.print(f"[yellow]Note[/] {words}", soft_wrap=True)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _status(report: Report) -> str:
    language = language_of("en")
    approved = report.approved
    if approved is None:
        return language.words("page-draft", version=report.version)
    return language.words("page-final", version=report.version, who=approved.who, when=f"{approved.when:%Y-%m-%d %H:%M}")


def _print_text(report: Report, code: str) -> None:
    language = language_of(code)
    for section, lines in report.texts[code].sections.items() if code in report.texts else ():
        console.out.print(f"\n[bold]{language.title(section)}[/]")
        for line in lines:
            console.out.print(line.text.replace("[", r"\["), soft_wrap=True)


def _print_audit(report: Report) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("When", "What", "Who", "Detail"):
        table.add_column(heading)
    for entry in report.audit:
        table.add_row(f"{entry.when:%Y-%m-%d %H:%M}", entry.action.value, entry.who, entry.detail.replace("[", r"\["))
    console.out.print("\n", table)


def _print_signature(signature: Signature) -> None:
    verdict = "[green]holds[/]" if signature.holds else "[bold red]does not hold[/]"
    when = f", {signature.claimed_at:%Y-%m-%d %H:%M %Z}" if signature.claimed_at else ""
    trusted = {True: "trusted", False: "NOT trusted", None: "identity not checked"}[signature.trusted]
    console.out.print(f"Signature of {signature.signer}{when}: {verdict}, {trusted}, PAdES {signature.profile}", soft_wrap=True)
    for words in (*signature.problems, *signature.modifications):
        console.out.print(f"  {words}", soft_wrap=True)


def _model(endpoint: str, model: str, folder: Path | None, allow_remote: bool) -> LanguageModel:
    from braintumor.report.rewriting import EndpointModel, TransformersModel

    if folder is not None:
        return TransformersModel(folder)
    if not endpoint or not model:
        raise typer.BadParameter("give --endpoint with --model, or --model-folder", param_hint="--endpoint")
    return EndpointModel(endpoint, model, key_env="BRAINTUMOR_MODEL_KEY", allow_remote=allow_remote)


def _signer(key_file: Path, passphrase_file: Path | None) -> Signer:
    from braintumor.signing import from_pkcs12

    return from_pkcs12(key_file, _passphrase(passphrase_file))


def _timestamping(url: str) -> Timestamping | None:
    from braintumor.signing import Timestamping

    return Timestamping(url) if url else None


def _passphrase(file: Path | None, *, confirm: bool = False) -> bytes:
    """From a file, the environment, or asked for; never an option, which every user of the machine could read."""
    from braintumor.signing import read_passphrase

    if file is not None:
        return read_passphrase(file=file) or b""
    if os.environ.get(PASSPHRASE):
        return read_passphrase(variable=PASSPHRASE) or b""
    return str(typer.prompt("Passphrase of the key", hide_input=True, confirmation_prompt=confirm, err=True)).encode()


def _installed(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise NotInstalledError("Signing needs packages that are not installed", remedy="Install them: pip install '.[report]'")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputNotFoundError("The file cannot be read", remedy="Name a PDF", path=path) from error


def _words(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputNotFoundError("The text cannot be read as UTF-8", remedy="Name a text file", path=path) from error
