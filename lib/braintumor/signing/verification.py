"""Checking the signatures of a PDF: whole, unchanged, by whom, when."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cryptography import x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import EmbeddedPdfSignature, SignatureCoverageLevel
from pyhanko.sign.validation.generic_cms import get_signing_cert_attr
from pyhanko.sign.validation.status import SignatureStatus

from braintumor.domain import BrainTumorError
from braintumor.signing.changes import additions, alterations, loose_end
from braintumor.signing.loop import run
from braintumor.signing.reading import Found, damaged, find, gap_is_exact, open_pdf, removed, value_of
from braintumor.signing.signer import common_name, utc
from braintumor.signing.timestamp import Profile
from braintumor.signing.trust import Anchors, Evidence, Judgement, distrust, judge, read_evidence, stamped_at, weak
from braintumor.signing.verdict import Signature, Verification


def verify(
    pdf: bytes,
    trust: Sequence[x509.Certificate] | None = None,
    *,
    at: datetime | None = None,
    revocation: Sequence[bytes] = (),
) -> Verification:
    """All signatures of a PDF, with what is known about each.

    Nothing is fetched: revocation is checked by the lists in the file and those given.

    Parameters
    ----------
    pdf
        Any bytes.
    trust
        Root certificates, or self-signed ones that a person has compared. None: who signed is not asked, only whether the
        file is what was signed. Empty: nobody is trusted.
    at
        The time to judge for, with time zone; now if not given.
    revocation
        Revocation lists (DER).

    Raises
    ------
    CorruptFileError
        If the bytes are no whole PDF. No other kind of exception comes from hostile bytes.
    SigningError
        If the file is encrypted, or has an unreasonable number of signatures.
    """
    moment = datetime.now(UTC) if at is None else at
    if moment.tzinfo is None:
        raise ValueError("the time to judge for needs a time zone")
    try:
        return _verify(pdf, Anchors(trust, revocation, moment))
    except BrainTumorError:
        raise
    except Exception as error:  # hostile bytes can make a parser raise anything
        raise damaged(error) from error


def integrity(pdf: bytes, at: datetime) -> tuple[Signature, ...]:
    """The signatures, without asking who signed."""
    return verify(pdf, at=at).signatures


def _verify(pdf: bytes, anchors: Anchors) -> Verification:
    reader = open_pdf(pdf)
    found = find(reader)
    evidence = read_evidence(reader)
    readable = [f.signature for f in found if f.signature is not None]
    signatures = tuple(_examine(pdf, reader, f, readable, anchors, evidence) for f in found)
    problems = tuple(
        f"a signature was removed from this file ({name})" for name in removed(reader, {f.field_name for f in found})
    )
    return Verification(signatures, problems)


def _examine(
    pdf: bytes,
    reader: PdfFileReader,
    found: Found,
    others: Sequence[EmbeddedPdfSignature],
    anchors: Anchors,
    evidence: Evidence,
) -> Signature:
    plain = Signature(
        found.field_name,
        "timestamp" if value_of(found.entry, "/Type") == "/DocTimeStamp" else "signature",
        reason=_text(found.entry, "/Reason"),
        location=_text(found.entry, "/Location"),
    )
    signature = found.signature
    if signature is None:
        return replace(plain, problems=(f"the signature does not count: {found.trouble}",))
    stamps = [o for o in others if o.sig_object_type == "/DocTimeStamp" and o.signed_revision > signature.signed_revision]
    try:
        judgement = run(judge(signature, stamps, anchors, evidence))
        status = judgement.status
        certificate = x509.load_der_x509_certificate(status.signing_cert.dump())
        known = replace(
            plain,
            signer=common_name(certificate),
            issuer=_issuer(certificate),
            fingerprint=hashlib.sha256(status.signing_cert.dump()).hexdigest(),
            claimed_at=_aware(signature.self_reported_timestamp) if plain.kind == "signature" else None,
            proven_at=stamped_at(judgement),
            profile=_profile(signature, judgement, stamps, evidence),
        )
        judged = _integrity(known, pdf, signature, status)
        judged = _changes(judged, pdf, reader, signature, others)
        return _trust(judged, judgement, anchors)
    except Exception:  # noqa: BLE001  # one hostile signature must not hide the verdict on the others
        return replace(plain, problems=("the signature does not count: it is damaged",))


def _integrity(known: Signature, pdf: bytes, signature: EmbeddedPdfSignature, status: SignatureStatus) -> Signature:
    problems = []
    if not status.intact:
        problems.append("the signed content was changed after signing")
    if not status.valid:
        problems.append("the signature was not made by the key of its certificate, or was changed")
    if weak(status):
        problems.append("it was made with an algorithm that is not safe any more")
    if not gap_is_exact(pdf, signature):
        problems.append("it leaves parts of the file unsigned that may hold anything")
    elif signature.evaluate_signature_coverage() < SignatureCoverageLevel.ENTIRE_REVISION:
        problems.append("it does not cover the file as it was when it was signed")
    covers = not problems and signature.evaluate_signature_coverage() is SignatureCoverageLevel.ENTIRE_FILE
    return replace(known, intact=not problems, covers_file=covers, problems=(*known.problems, *problems))


def _changes(
    known: Signature,
    pdf: bytes,
    reader: PdfFileReader,
    signature: EmbeddedPdfSignature,
    others: Sequence[EmbeddedPdfSignature],
) -> Signature:
    if not known.intact:  # nothing can be compared with what was signed
        return replace(known, modified=True, modifications=("the file is not the one that was signed",))
    if known.covers_file:
        return known
    words = additions(reader, signature, others)
    loose = loose_end(pdf, reader, signature)
    if signature.summarise_integrity_info()["docmdp_ok"] and not loose:
        return replace(known, modifications=tuple(words))
    altered = [loose] if loose else alterations(reader, signature.signed_revision)
    problem = "the document was changed after signing: " + "; ".join(altered)
    return replace(known, modified=True, modifications=(*words, *altered), problems=(*known.problems, problem))


def _trust(known: Signature, judgement: Judgement, anchors: Anchors) -> Signature:
    problems = []
    if known.claimed_at is not None and known.claimed_at > anchors.at:
        problems.append(f"it claims to be of the future ({utc(known.claimed_at)})")
    trusted = None
    if anchors.roots is not None:
        reason = distrust(judgement.status, judgement.moment)
        trusted = known.intact and not reason
        if known.intact and reason:
            problems.append(f"the signer is not trusted: {reason}")
    stamp = judgement.stamp
    if stamp is not None and not (stamp.intact and stamp.valid):
        problems.append("its timestamp belongs to something else or was changed")
    elif stamp is not None and anchors.roots is not None and not stamp.trusted:
        problems.append("its timestamp is of an authority that is not trusted")
    return replace(known, trusted=trusted, problems=(*known.problems, *problems))


def _profile(
    signature: EmbeddedPdfSignature, judgement: Judgement, stamps: Sequence[EmbeddedPdfSignature], evidence: Evidence
) -> str:
    """By what the file holds, each level only on top of the one below."""
    if signature.sig_object_type == "/DocTimeStamp":
        return "timestamp"
    attributes = signature.signer_info["signed_attrs"]
    if value_of(signature.sig_object, "/SubFilter") != "/ETSI.CAdES.detached" or get_signing_cert_attr(attributes) is None:
        return "other"
    if stamped_at(judgement) is None:
        return str(Profile.B_B)
    if not evidence.on_revocation:
        return str(Profile.B_T)
    return str(Profile.B_LTA if stamps else Profile.B_LT)


def _issuer(certificate: x509.Certificate) -> str:
    names = certificate.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.issuer.rfc4514_string()


def _text(entry: generic.DictionaryObject, key: str) -> str:
    value = value_of(entry, key)
    return str(value) if isinstance(value, generic.TextStringObject) else ""


def _aware(at: datetime | None) -> datetime | None:
    """A time with zone; PDF allows to leave it out."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
