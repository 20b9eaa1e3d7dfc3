"""Signing a PDF: a PAdES signature appended to the file, whole or not at all."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pyhanko.pdf_utils.font.opentype import GlyphAccumulatorFactory
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.text import TextBoxStyle
from pyhanko.pdf_utils.writer import BasePdfFileWriter
from pyhanko.sign import signers as hanko
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.signers.pdf_signer import DSSContentSettings, PdfSigningSession
from pyhanko.stamp import TextStampStyle
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from braintumor.domain import CorruptFileError, SigningError, TimestampError
from braintumor.signing.signer import Signer
from braintumor.signing.timestamp import Authority, Profile, Timestamping
from braintumor.signing.verification import run, verify


@dataclass(frozen=True, slots=True)
class Block:
    """A visible block that names the signer and the time, on the last page.

    Attributes
    ----------
    box
        Left, bottom, right, top in points from the lower left corner of the page.
    font
        A TrueType or OpenType file with the letters of the signer's name; those used are embedded, as PDF/A wants.
    """

    box: tuple[int, int, int, int]
    font: Path


def sign(
    pdf: bytes,
    signer: Signer,
    *,
    reason: str,
    location: str = "",
    signed_at: datetime,
    field_name: str,
    block: Block | None = None,
    timestamping: Timestamping | None = None,
) -> bytes:
    """The PDF with one more signature: the bytes given, unchanged, and an update behind them.

    A key on an elliptic curve makes it a file of PDF 2.0 (ISO/TS 32002); where it is to stay PDF/A-2 or -3, sign with RSA.

    Signatures add up: a second signer signs the bytes that this returned, under another field name. Call it from a thread,
    not from an event loop: it waits for the token and the timestamp server.

    Parameters
    ----------
    signer
        Of `braintumor.signing.from_pkcs12`, `from_pem` or `open_token`. The name shown is that of its certificate.
    reason
        Why, e.g. ``Report approved``; readers show it. Never patient data.
    location
        Where, e.g. the name of the hospital.
    signed_at
        With time zone. What the signer's clock says; only a timestamp proves it.
    field_name
        Of the new field, e.g. ``Physician``; not yet in the file.
    block
        Makes the signature visible; invisible if not given.
    timestamping
        Asks a timestamp server (PAdES B-T and above); without it, PAdES B-B. A server that does not answer is an error, never
        a weaker signature: who accepts that catches `TimestampError` and signs without.

    Raises
    ------
    CorruptFileError
        If the bytes are no whole PDF.
    SigningKeyError
        If the certificate is not valid at `signed_at`.
    TimestampError
        If the timestamp or the evidence of its profile cannot be had.
    SigningError
        If the file is encrypted or has the field already, or the key did not sign.
    """
    if signed_at.tzinfo is None:
        raise ValueError("the time of a signature needs a time zone")
    if not field_name or "." in field_name:
        raise ValueError("a field name is not empty and has no dots")
    signer.check(signed_at)
    writer = _opened(pdf, field_name)
    profile = Profile.B_B if timestamping is None else timestamping.profile
    context = None if timestamping is None else timestamping.context(signed_at)
    metadata = hanko.PdfSignatureMetadata(
        field_name=field_name,
        reason=reason,
        location=location or None,
        subfilter=SigSeedSubFilter.PADES,
        embed_validation_info=context is not None,
        use_pades_lta=profile == Profile.B_LTA,
        timestamp_field_name=f"{field_name}-archive",
        validation_context=context,
        # entries per signature (VRI) are deprecated, and would be written behind the last timestamp
        dss_settings=DSSContentSettings(include_vri=False),
        signer_key_usage=set(),  # checked when the signer was made: either of two usages will do
    )
    session = _Session(
        metadata,
        signer.backend,
        timestamper=None if timestamping is None else Authority(timestamping.url, timeout=timestamping.timeout_s),
        stamp_style=None if block is None else _stamp(block, signer.name),
        new_field_spec=SigFieldSpec(field_name, on_page=-1, box=None if block is None else block.box),
    )
    session.at = signed_at
    signed = run(_signing(session, writer, context))
    # a signature leaves this module only after it was read back and found whole
    made = next((s for s in verify(signed, at=signed_at).signatures if s.field_name == field_name), None)
    if made is None or not made.intact or made.profile != profile:
        problems = "; ".join(made.problems) if made is not None else "it is not in the file"
        raise SigningError(
            f"The new signature does not hold ({problems or 'it carries less evidence than was asked for'})",
            remedy="Check that key and certificate belong together, and the timestamp server",
        )
    return signed


class _Session(hanko.PdfSigner):
    """pyHanko's, but the time is given and not that of the clock."""

    at: datetime

    def init_signing_session(self, pdf_out: BasePdfFileWriter, existing_fields_only: bool = False) -> PdfSigningSession:
        session = super().init_signing_session(pdf_out, existing_fields_only)
        session.system_time = self.at
        return session


def _opened(pdf: bytes, field_name: str) -> IncrementalPdfFileWriter:
    try:
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
        encrypted = writer.prev.encrypted
        taken = [name for name, _, _ in enumerate_sig_fields(writer.prev)]
    except Exception as error:  # a broken file can make pyHanko raise anything
        raise CorruptFileError("The PDF to sign is damaged or no PDF", remedy="Make the report again and sign that") from error
    if encrypted:
        raise SigningError("The PDF is encrypted", remedy="Sign it before it is encrypted, or remove the password")
    if field_name in taken:
        remedy = "Give the new signature another field name"
        raise SigningError(f"The PDF has a signature field named {field_name} already", remedy=remedy)
    return writer


def _stamp(block: Block, name: str) -> TextStampStyle:
    # HarfBuzz guesses the script of a line from its first letter, which is Latin here
    script = "dev2" if any("\u0900" <= letter <= "\u097f" for letter in name) else None
    font = GlyphAccumulatorFactory(str(block.font), font_size=8, ot_script_tag=script)
    return TextStampStyle(
        stamp_text="Signed by %(signer)s\n%(ts)s",
        timestamp_format="%Y-%m-%d %H:%M %Z",
        text_box_style=TextBoxStyle(font=font, font_size=8, border_width=0),
        border_width=0,
        background=None,
    )


async def _signing(session: _Session, writer: IncrementalPdfFileWriter, context: ValidationContext | None) -> bytes:
    """Sign, with every failure in our words."""
    try:
        output: io.BytesIO = await session.async_sign_pdf(writer)
    except SigningError:
        raise
    except Exception as error:  # pyHanko's own, and whatever the driver of a token raises
        for cause in (error, error.__cause__):
            if isinstance(cause, (PathError, ValidationError)):
                raise TimestampError(
                    f"The evidence for long-term validation is incomplete ({cause})",
                    remedy="Give the root certificates and current revocation lists of signer and timestamp server, "
                    "or choose profile B-T",
                ) from error
        raise SigningError(
            f"The PDF could not be signed ({str(error) or type(error).__name__})",
            remedy="Check the token or the key file, and whether an earlier signature forbids further ones",
        ) from error
    finally:
        if context is not None:
            await context.aclose()  # type: ignore[no-untyped-call]
    return output.getvalue()
