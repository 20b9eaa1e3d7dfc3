"""What was done to a PDF after it was signed, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.validation import EmbeddedPdfSignature

from braintumor.signing.reading import items_of, value_of

MAX_PAGES = 5000
"""More are not compared page by page."""
_PADDING = b"\0\t\n\r "


def additions(reader: PdfFileReader, signature: EmbeddedPdfSignature, others: Sequence[EmbeddedPdfSignature]) -> list[str]:
    """What followed a signature and is permitted: further signatures, timestamps, evidence."""
    later = [other for other in others if other.signed_revision > signature.signed_revision]
    words = [
        f"a document timestamp was added ({other.field_name})"
        if other.sig_object_type == "/DocTimeStamp"
        else f"a further signature was added ({other.field_name})"
        for other in later
    ]
    before = reader.get_historical_resolver(signature.signed_revision)
    if _evidence(before.root) != _evidence(reader.root):
        words.append("evidence for long-term validation was added")
    return words


def alterations(reader: PdfFileReader, revision: int) -> list[str]:
    """What differs on the pages between a revision and the file as it is."""
    before = list(_pages(reader.get_historical_resolver(revision)))
    after = list(_pages(reader))
    words = []
    if len(before) != len(after):
        words.append(f"the number of pages was changed from {len(before)} to {len(after)}")
    changed = [n for n, (old, new) in enumerate(zip(before, after, strict=False), 1) if _content(old) != _content(new)]
    if changed:
        pages = ", ".join(map(str, changed[:10])) + (" and more" if len(changed) > 10 else "")
        words.append(f"the content of page {pages} was changed")
    noted = [n for n, (old, new) in enumerate(zip(before, after, strict=False), 1) if _notes(old) != _notes(new)]
    if noted:
        words.append(f"notes or form fields on page {', '.join(map(str, noted[:10]))} were changed")
    return words or ["objects of the file were changed or replaced"]


def loose_end(pdf: bytes, reader: PdfFileReader, signature: EmbeddedPdfSignature) -> str:
    """Whether bytes that belong to no revision follow the newest one; padding, as DICOM adds it, is none."""
    if signature.signed_revision < reader.total_revisions - 1:
        return ""
    _, _, start, length = (int(n) for n in signature.byte_range)
    return "bytes that belong to nothing were added behind its end" if pdf[start + length :].strip(_PADDING) else ""


def _pages(handler: PdfHandler) -> Iterator[generic.DictionaryObject]:
    """Pages in order; hostile trees may have loops."""
    waiting = [handler.root["/Pages"]]
    seen = 0
    while waiting and seen < MAX_PAGES:
        node = waiting.pop()
        seen += 1
        if "/Kids" in node:
            waiting.extend(reversed(items_of(node, "/Kids")))
        else:
            yield node


def _content(page: generic.DictionaryObject) -> bytes:
    content = value_of(page, "/Contents")
    if isinstance(content, generic.StreamObject):
        return bytes(content.data)
    return b"\n".join(part.data for part in items_of(page, "/Contents"))


def _notes(page: generic.DictionaryObject) -> int:
    """How many annotations there are that do not belong to a signature field."""
    return sum(value_of(note, "/FT") != "/Sig" for note in items_of(page, "/Annots"))


def _evidence(root: generic.DictionaryObject) -> list[int]:
    """How much the document security store holds of each kind."""
    store = value_of(root, "/DSS")
    return [0 if store is None else len(value_of(store, kind) or ()) for kind in ("/Certs", "/CRLs", "/OCSPs", "/VRI")]
