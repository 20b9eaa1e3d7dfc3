"""PDFs for these tests: with text, without, mixed, encrypted and broken."""

import io

from fpdf import FPDF
from PIL import Image
from pypdf import PdfReader, PdfWriter


def pdf(*pages: str | None) -> bytes:
    """A page per text; None is a page that holds a picture only."""
    made = FPDF()
    made.set_font("Helvetica", size=11)
    for text in pages:
        made.add_page()
        if text is None:
            made.image(Image.new("L", (60, 80), 200), w=100)
        else:
            made.multi_cell(0, 6, text)
    return bytes(made.output())


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
