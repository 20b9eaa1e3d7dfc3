"""PDFs for these tests: with text, without, mixed, encrypted and broken."""

import io

from pypdf import PdfReader, PdfWriter

from tests.plain_pdf import plain_pdf as pdf


def encrypted(data: bytes, password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def bomb(megabytes: int) -> bytes:
    """A small PDF whose page unpacks to so much."""
    from pypdf.generic import NameObject, StreamObject

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("x"))))
    stream = StreamObject()
    stream.set_data(b"BT /F1 9 Tf (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj ET\n" * (megabytes * 20_000))
    writer.pages[0][NameObject("/Contents")] = writer._add_object(stream.flate_encode(9))
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
