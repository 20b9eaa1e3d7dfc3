"""A report as a file: JSON that is read back into the same value, or refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from braintumor.domain import CorruptFileError, Findings, InputNotFoundError, Report

_REPORT: TypeAdapter[Report] = TypeAdapter(Report)
_FINDINGS: TypeAdapter[Findings] = TypeAdapter(Findings)

MAX_BYTES = 50_000_000
"""A report has some hundred kilobytes; more is not one."""


def dump_report(report: Report) -> bytes:
    """The report as UTF-8 JSON; equal reports give equal bytes."""
    return _REPORT.dump_json(report, indent=1) + b"\n"


def load_report(data: bytes, path: Path | None = None) -> Report:
    """A report from its JSON.

    Raises
    ------
    CorruptFileError
        If it is none. The message names the field and never its content.
    """
    try:
        return _REPORT.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CorruptFileError(
            f"The report cannot be read: {where}: {first['type']}",
            remedy="Name a report.json that this program wrote",
            path=path,
        ) from None  # the validator's own message repeats the content


def read_report(path: Path) -> Report:
    """A report from its file.

    Raises
    ------
    InputNotFoundError, CorruptFileError
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CorruptFileError("The file is too large for a report", remedy="Name a report.json", path=path)
        return load_report(path.read_bytes(), path)
    except OSError as error:
        raise InputNotFoundError("There is no report", remedy="Name a folder that `braintumor run` wrote", path=path) from error


def findings_sha256(findings: Findings) -> str:
    """SHA-256 of the facts, for the chain of hashes from images to report."""
    return hashlib.sha256(_FINDINGS.dump_json(findings)).hexdigest()
