"""A PDF with signatures, which may be damaged or hostile: what is signed, and what came after in which words."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asn1crypto import parser  # type: ignore[import-untyped]
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation import DocumentSecurityStore, EmbeddedPdfSignature
from pyhanko.sign.validation.errors import ValidationInfoReadingError

from braintumor.domain import SigningError

# What pyHanko logs, tracebacks among it, is said by our verdicts; an application that wants it too configures logging.
for _name in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

MAX_SIGNATURES = 64
MAX_PAGES = 5000
"""More are not compared page by page."""

_KNOWN = ("/ETSI.CAdES.detached", "/adbe.pkcs7.detached", "/ETSI.RFC3161")
_PADDING = b"\0\t\n\r "


@dataclass(frozen=True)
class Field:
    """A signed field; without `signature` if that cannot be read, and `trouble` says why."""

    name: str
    entry: generic.DictionaryObject
    signature: EmbeddedPdfSignature | None
    trouble: str = ""


class SignedPdf:
    """A PDF that is read without taking anything on trust. Damaged bytes make every part of it raise anything.

    Attributes
    ----------
    fields
        All signed fields, oldest first; those that cannot be read last.
    store
        Its document security store (ISO 32000-2 12.8.4.3): certificates, revocation lists and OCSP answers.
    removed
        Names of fields that an earlier revision of the file has signed and this one has not.

    Raises
    ------
    SigningError
        If it is encrypted, or has an unreasonable number of signatures.
    """

    def __init__(self, pdf: bytes) -> None:
        self._pdf, self.reader = pdf, PdfFileReader(io.BytesIO(pdf), strict=True)
        if self.reader.encrypted:
            remedy = "Remove the password with a reader of PDF first"
            raise SigningError("The PDF is encrypted, so its signatures cannot be read", remedy=remedy)
        _ = self.reader.root["/Pages"]
        try:
            self.store = DocumentSecurityStore.read_dss(self.reader)
        except ValidationInfoReadingError:  # it has none
            self.store = DocumentSecurityStore(None)
        signed = list(enumerate_sig_fields(self.reader, filled_status=True))
        if len(signed) > MAX_SIGNATURES:
            remedy = "Do not rely on this file"
            raise SigningError(f"The PDF has {len(signed)} signatures, which is unreasonable", remedy=remedy)
        fields = [self._field(name, value.get_object(), field) for name, value, field in signed]
        self.fields = sorted(
            fields, key=lambda f: (f.signature is None, 0 if f.signature is None else f.signature.signed_revision)
        )
        earlier = range(min(self.reader.total_revisions - 1, MAX_SIGNATURES))
        names = {name for n in earlier for name in _signed(self.reader.get_historical_resolver(n))}
        self.removed = sorted(names - {f.name for f in fields})

    def _field(self, name: str, entry: generic.DictionaryObject, field: generic.DictionaryObject) -> Field:
        try:
            if value_of(entry, "/SubFilter") not in _KNOWN:
                return Field(name, entry, None, "it is of a kind that cannot be checked")
            return Field(name, entry, EmbeddedPdfSignature(self.reader, field, name))
        except Exception:  # noqa: BLE001  # one hostile signature must not hide the verdict on the others
            return Field(name, entry, None, "it is damaged")

    def after(self, signature: EmbeddedPdfSignature) -> list[EmbeddedPdfSignature]:
        """Later signatures and document timestamps, oldest first."""
        readable = [f.signature for f in self.fields if f.signature is not None]
        return [other for other in readable if other.signed_revision > signature.signed_revision]

    def gap_is_exact(self, signature: EmbeddedPdfSignature) -> bool:
        """Whether all bytes up to the signature's end are signed except itself, in hexadecimal, padded with zeros.

        The format would allow any list of ranges; one with a wider gap leaves bytes that anybody can change.
        """
        span = [int(n) for n in signature.byte_range]
        if len(span) != 4 or span[0] != 0 or min(span) < 0:
            return False
        _, first, second, rest = span
        gap = self._pdf[first:second]
        if second + rest > len(self._pdf) or gap[:1] != b"<" or gap[-1:] != b">":
            return False
        try:
            content = bytes.fromhex(gap[1:-1].decode("ascii"))
            padding = content[parser.peek(content) :]
        except ValueError:
            return False
        return content == signature.pkcs7_content and not padding.strip(b"\0")

    def additions(self, signature: EmbeddedPdfSignature) -> list[str]:
        """What followed a signature and is permitted: further signatures, timestamps, evidence."""
        words = [
            f"a {'document timestamp' if is_timestamp(other) else 'further signature'} was added ({other.field_name})"
            for other in self.after(signature)
        ]
        before = self.reader.get_historical_resolver(signature.signed_revision)
        if _evidence(before.root) != _evidence(self.reader.root):
            words.append("evidence for long-term validation was added")
        return words

    def alterations(self, signature: EmbeddedPdfSignature) -> list[str]:
        """What followed it and is not permitted; nothing if only additions did."""
        if signature.signed_revision == self.reader.total_revisions - 1:
            _, _, start, length = (int(n) for n in signature.byte_range)
            if self._pdf[start + length :].strip(_PADDING):  # DICOM pads
                return ["bytes that belong to nothing were added behind its end"]
        if signature.summarise_integrity_info()["docmdp_ok"]:
            return []
        before = list(_pages(self.reader.get_historical_resolver(signature.signed_revision)))
        after = list(_pages(self.reader))
        words = []
        if len(before) != len(after):
            words.append(f"the number of pages was changed from {len(before)} to {len(after)}")
        pairs = list(zip(before, after, strict=False))
        for what, part in (
            ("the content of page {} was changed", _content),
            ("notes or form fields on page {} were changed", _notes),
        ):
            if changed := [str(n) for n, (old, new) in enumerate(pairs, 1) if part(old) != part(new)]:
                words.append(what.format(", ".join(changed[:10]) + " and more" * (len(changed) > 10)))
        return words or ["objects of the file were changed or replaced"]


def is_timestamp(signature: EmbeddedPdfSignature) -> bool:
    """Whether it is a timestamp authority's over the whole document, and nobody's signature."""
    return bool(signature.sig_object_type == "/DocTimeStamp")


def value_of(entry: generic.DictionaryObject, key: str) -> Any:
    """The value of a key, references followed; None without one. Its own `get` follows none."""
    return entry[key] if key in entry else None  # noqa: SIM401


def _items(entry: generic.DictionaryObject, key: str) -> list[Any]:
    """The items of an array, references followed; none without it. Its own iterator follows none."""
    return [item.get_object() for item in value_of(entry, key) or ()]


def _signed(handler: PdfHandler) -> list[str]:
    return [name for name, _, _ in enumerate_sig_fields(handler, filled_status=True)]


def _pages(handler: PdfHandler) -> Iterator[generic.DictionaryObject]:
    """Pages in order; hostile trees may have loops."""
    waiting = [handler.root["/Pages"]]
    seen = 0
    while waiting and seen < MAX_PAGES:
        node = waiting.pop()
        seen += 1
        if "/Kids" in node:
            waiting.extend(reversed(_items(node, "/Kids")))
        else:
            yield node


def _content(page: generic.DictionaryObject) -> bytes:
    content = value_of(page, "/Contents")
    if isinstance(content, generic.StreamObject):
        return bytes(content.data)
    return b"\n".join(part.data for part in _items(page, "/Contents"))


def _notes(page: generic.DictionaryObject) -> int:
    """How many annotations there are that do not belong to a signature field."""
    return sum(value_of(note, "/FT") != "/Sig" for note in _items(page, "/Annots"))


def _evidence(root: generic.DictionaryObject) -> list[int]:
    """How much the document security store holds of each kind."""
    store = value_of(root, "/DSS")
    return [0 if store is None else len(value_of(store, kind) or ()) for kind in ("/Certs", "/CRLs", "/OCSPs", "/VRI")]
