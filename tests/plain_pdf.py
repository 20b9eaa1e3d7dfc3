"""PDFs of plain text whose page content can be read as it is."""

import io
from textwrap import wrap

import pikepdf
from pikepdf import Dictionary, Name


def plain_pdf(*pages: str | None) -> bytes:
    """A page per text, in lines of at most 90 letters; None is a page that holds a picture only."""
    pdf = pikepdf.new()
    face = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding)
    picture = pdf.make_stream(bytes([200] * 80 * 60), Type=Name.XObject, Subtype=Name.Image, Width=60, Height=80)
    picture.ColorSpace, picture.BitsPerComponent = Name.DeviceGray, 8
    shared = pdf.make_indirect(Dictionary(Font=Dictionary(F1=pdf.make_indirect(face)), XObject=Dictionary(I1=picture)))
    for text in pages:
        page = pdf.add_blank_page(page_size=(595, 842))
        page.obj.Resources = shared
        page.obj.Contents = pdf.make_stream(b"q 240 0 0 320 40 480 cm /I1 Do Q" if text is None else _lines(text))
    out = io.BytesIO()
    pdf.save(out, compress_streams=False, deterministic_id=True)
    return out.getvalue()


def _lines(text: str) -> bytes:
    shown = b"\n".join(pikepdf.String(line).unparse() + b" '" for part in text.split("\n") for line in wrap(part, 90) or [""])
    return b"BT /F1 11 Tf 14 TL 40 800 Td\n" + shown + b"\nET"
