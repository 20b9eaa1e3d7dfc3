"""Approval: a draft becomes a final report with a signed PDF and a chain of hashes back to the images, all or nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from braintumor.domain import BrainTumorError, CorruptFileError, FinalReportError, Report, Status, write_bytes
from braintumor.report.document import dump_report, findings_sha256
from braintumor.report.editing import approved
from braintumor.report.pdf import render
from braintumor.report.versions import ReportFolder
from braintumor.signing import Chain, Signer, Timestamping, chain, sign, verify

SIGNATURE_FIELD = "Approval"
_CHAIN: TypeAdapter[Chain] = TypeAdapter(Chain)


@dataclass(frozen=True, slots=True)
class Final:
    """A final report.

    Attributes
    ----------
    pdf
        Signed.
    chain
        From the images to the PDF; see `contents` for its links.
    """

    report: Report
    pdf: bytes
    chain: Chain


def approve(
    folder: ReportFolder,
    signer: Signer,
    *,
    when: datetime,
    who: str = "",
    location: str = "",
    timestamping: Timestamping | None = None,
) -> Final:
    """Make the newest draft final: render, sign, check the signature, and store PDF, chain and version, the version last.

    Parameters
    ----------
    who
        The person who approves; the name in the certificate if not given.
    when
        With time zone.
    location
        Of the signature, e.g. the hospital's name.
    timestamping
        Asks a timestamp server too.

    Raises
    ------
    FinalReportError
        If the newest version is final.
    SigningError
        If the key cannot sign, or the timestamp server does not answer. The report stays a draft.
    NewerVersionError
        If somebody edited the draft meanwhile; it was not approved as it is now.
    """
    final = approved(folder.latest(), who=who or signer.name, when=when)
    parts = _before_pdf(final, folder)
    pdf = render(final, folder.pictures(final), chain_head=parts.head)
    reason = f"Report approved, version {final.version}"
    signed = sign(
        pdf,
        signer,
        reason=reason,
        location=location,
        signed_at=when,
        field_name=SIGNATURE_FIELD,
        timestamping=timestamping,
    )
    whole = chain.extend(parts, "pdf", chain.digest(signed))
    write_bytes(folder.path(final.version, "pdf"), signed)
    write_bytes(folder.path(final.version, "chain.json"), _CHAIN.dump_json(whole, indent=1))
    folder.add(final)  # from here on it is final: a version without its PDF cannot be, a PDF without its version is no report
    return Final(final, signed, whole)


def final(folder: ReportFolder, number: int | None = None) -> Final:
    """A final version with its PDF and chain.

    Raises
    ------
    FinalReportError
        If that version, by default the newest, is a draft.
    CorruptFileError
        If its PDF or chain is gone or damaged.
    """
    report = folder.latest() if number is None else folder.version(number)
    if report.status is not Status.FINAL:
        raise FinalReportError(f"Version {report.version} of the report is a draft", remedy="Approve it first")
    return Final(report, _bytes(folder.path(report.version, "pdf")), _chain(folder, report.version))


def contents(final: Final) -> dict[str, str]:
    """Name of each link of the chain -> SHA-256 of the content as it is now."""
    return {**_hashes(final.report), "pdf": chain.digest(final.pdf)}


def examine(folder: ReportFolder) -> tuple[str, ...]:
    """What is wrong with the final versions of a report, in words: changed PDFs, texts, findings, or a broken chain."""
    problems: list[str] = []
    chains = []
    for number in folder.versions():
        if folder.version(number).status is Status.DRAFT:
            continue
        found = final(folder, number)
        chains.append(found.chain)
        said = [*chain.check(found.chain, contents(found)), *_of_signature(found.pdf)]
        problems += [f"version {number}: {words}" for words in said]
    return (*problems, *chain.check_versions(chains))


def _of_signature(pdf: bytes) -> list[str]:
    try:
        verification = verify(pdf)
    except BrainTumorError as error:
        return [error.problem]
    if verification.holds:
        return []
    found = [*verification.problems, *(p for s in verification.signatures for p in (*s.problems, *s.modifications))]
    return found or ["the PDF is not signed"]


def _before_pdf(report: Report, folder: ReportFolder) -> Chain:
    """The chain as far as it is known before the PDF is made, whose head stands in the PDF."""
    earlier = [n for n in folder.versions() if folder.version(n).status is Status.FINAL]
    made = Chain(start=_chain(folder, earlier[-1]).head) if earlier else Chain()
    for name, content in _hashes(report).items():
        made = chain.extend(made, name, content)
    return made


def _hashes(report: Report) -> dict[str, str]:
    """Images (over all their files), mask, findings, and the whole document with its texts and audit trail."""
    return {
        "images": report.provenance.input_sha256,
        "mask": report.provenance.mask_sha256,
        "findings": findings_sha256(report.findings),
        "report": hashlib.sha256(dump_report(report)).hexdigest(),
    }


def _chain(folder: ReportFolder, number: int) -> Chain:
    path = folder.path(number, "chain.json")
    try:
        return _CHAIN.validate_json(_bytes(path))
    except ValueError:
        raise CorruptFileError("The chain of hashes is damaged", remedy="Restore it from a backup", path=path) from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptFileError("A file of the final report is gone", remedy="Restore it from a backup", path=path) from error
