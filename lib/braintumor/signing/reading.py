"""Finding the signatures of a PDF that may be damaged or hostile."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import Any

from asn1crypto import parser  # type: ignore[import-untyped]
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation import EmbeddedPdfSignature

from braintumor.domain import BrainTumorError, CorruptFileError, SigningError

# What pyHanko logs, tracebacks among it, is said by our verdicts; an application that wants it too configures logging.
for _name in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

MAX_SIGNATURES = 64
_KNOWN = ("/ETSI.CAdES.detached", "/adbe.pkcs7.detached", "/ETSI.RFC3161")


@dataclass(frozen=True)
class Found:
    """A signed field; without `signature` if that cannot be read, and `trouble` says why."""

    field_name: str
    entry: generic.DictionaryObject
    signature: EmbeddedPdfSignature | None
    trouble: str = ""


def damaged(error: Exception | None = None) -> CorruptFileError:
    """The refusal of bytes that are no whole PDF."""
    remedy = "Get the file again from where it came; a damaged file proves nothing"
    made = CorruptFileError("The PDF is damaged or cut off, so its signatures cannot be checked", remedy=remedy)
    made.__cause__ = error
    return made


def open_pdf(pdf: bytes) -> PdfFileReader:
    """A reader that takes nothing on trust.

    Raises
    ------
    CorruptFileError
        If the bytes are no whole PDF.
    SigningError
        If it is encrypted.
    """
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=True)
        encrypted = reader.encrypted
        _ = reader.root["/Pages"]
    except Exception as error:  # hostile bytes can make a parser raise anything
        raise damaged(error) from error
    if encrypted:
        raise SigningError(
            "The PDF is encrypted, so its signatures cannot be read", remedy="Remove the password with a reader of PDF first"
        )
    return reader


def find(reader: PdfFileReader) -> list[Found]:
    """All signed fields, oldest first; those that cannot be read last.

    Raises
    ------
    CorruptFileError
        If the form cannot be read, or there is an unreasonable number of signatures.
    """
    try:
        fields = [(name, value.get_object(), field) for name, value, field in enumerate_sig_fields(reader, filled_status=True)]
    except Exception as error:  # as above
        raise damaged(error) from error
    if len(fields) > MAX_SIGNATURES:
        raise SigningError(f"The PDF has {len(fields)} signatures, which is unreasonable", remedy="Do not rely on this file")
    found = [_read(reader, name, entry, field) for name, entry, field in fields]
    return sorted(found, key=lambda f: (f.signature is None, 0 if f.signature is None else f.signature.signed_revision))


def _read(reader: PdfFileReader, name: str, entry: generic.DictionaryObject, field: generic.DictionaryObject) -> Found:
    try:
        if value_of(entry, "/SubFilter") not in _KNOWN:
            return Found(name, entry, None, "it is of a kind that cannot be checked")
        return Found(name, entry, EmbeddedPdfSignature(reader, field, name))
    except BrainTumorError:
        raise
    except Exception:  # noqa: BLE001  # as above
        return Found(name, entry, None, "it is damaged")


def removed(reader: PdfFileReader, present: set[str]) -> list[str]:
    """Names of fields that an earlier revision of the file has signed and this one has not."""
    try:
        earlier = {
            name
            for revision in range(min(reader.total_revisions - 1, MAX_SIGNATURES))
            for name in _signed(reader.get_historical_resolver(revision))
        }
    except Exception as error:  # as above
        raise damaged(error) from error
    return sorted(earlier - present)


def _signed(handler: PdfHandler) -> list[str]:
    return [name for name, _, _ in enumerate_sig_fields(handler, filled_status=True)]


def value_of(entry: generic.DictionaryObject, key: str) -> Any:
    """The value of a key, references followed; None without one. Its own `get` follows none."""
    return entry[key] if key in entry else None  # noqa: SIM401


def items_of(entry: generic.DictionaryObject, key: str) -> list[Any]:
    """The items of an array, references followed; none without it. Its own iterator follows none."""
    return [item.get_object() for item in value_of(entry, key) or ()]


def gap_is_exact(pdf: bytes, signature: EmbeddedPdfSignature) -> bool:
    """Whether all bytes up to the signature's end are signed except the signature itself, in hexadecimal, padded with zeros.

    The format would allow any list of ranges; one with a wider gap leaves bytes that anybody can change.
    """
    span = [int(n) for n in signature.byte_range]
    if len(span) != 4 or span[0] != 0 or min(span) < 0:
        return False
    _, first, second, rest = span
    gap = pdf[first:second]
    if second + rest > len(pdf) or gap[:1] != b"<" or gap[-1:] != b">":
        return False
    try:
        content = bytes.fromhex(gap[1:-1].decode("ascii"))
        padding = content[parser.peek(content) :]
    except ValueError:
        return False
    return content == signature.pkcs7_content and not padding.strip(b"\0")
