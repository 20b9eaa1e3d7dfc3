"""Whether a signer is trusted: certificates followed to a root, at the time that timestamps prove."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asn1crypto import x509 as asn1  # type: ignore[import-untyped]
from cryptography import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESIndeterminate
from pyhanko.sign.validation import (
    DocumentSecurityStore,
    EmbeddedPdfSignature,
    async_validate_pdf_signature,
    async_validate_pdf_timestamp,
)
from pyhanko.sign.validation.errors import ValidationInfoReadingError
from pyhanko.sign.validation.generic_cms import collect_timing_info
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import DocumentTimestampStatus, SignatureStatus, TimestampSignatureStatus
from pyhanko_certvalidator import ValidationContext

from braintumor.signing.signer import to_asn1, utc

_USAGE = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False)


@dataclass(frozen=True)
class Anchors:
    """What the reader trusts and knows.

    Attributes
    ----------
    roots
        None where nobody's identity is asked for.
    revocation
        Revocation lists (DER) beside those in the file.
    at
        The time for which the question is asked.
    """

    roots: Sequence[x509.Certificate] | None
    revocation: Sequence[bytes]
    at: datetime


@dataclass(frozen=True)
class Evidence:
    """Certificates, revocation lists and OCSP answers that the file brings."""

    certificates: Sequence[asn1.Certificate] = ()
    lists: Sequence[bytes] = ()
    answers: Sequence[bytes] = ()

    @property
    def on_revocation(self) -> bool:
        """Whether anything says what was revoked."""
        return bool(self.lists or self.answers)


def read_evidence(reader: PdfFileReader) -> Evidence:
    """The file's document security store (ISO 32000-2 12.8.4.3)."""
    try:
        store = DocumentSecurityStore.read_dss(reader)
    except ValidationInfoReadingError:
        return Evidence()
    return Evidence(
        list(store.load_certs()),
        [reference.get_object().data for reference in store.crls],
        [reference.get_object().data for reference in store.ocsps],
    )


def context(anchors: Anchors, evidence: Evidence, moment: datetime, mode: str) -> ValidationContext:
    """What pyHanko judges with. It never uses the network or the machine's own list of roots."""
    return ValidationContext(
        trust_roots=[to_asn1(root) for root in anchors.roots or ()],
        other_certs=evidence.certificates,
        crls=[*anchors.revocation, *evidence.lists],
        ocsps=evidence.answers,
        moment=moment,
        revocation_mode=mode,
        # evidence is collected after signing; what it says of revocation before the moment counts
        retroactive_revinfo=True,
    )


@dataclass(frozen=True)
class Judgement:
    """Verdict of pyHanko on a signature or document timestamp, the moment it is for, and that on its own timestamp."""

    status: SignatureStatus
    moment: datetime
    stamp: TimestampSignatureStatus | None = None


async def judge(
    signature: EmbeddedPdfSignature, later: Sequence[EmbeddedPdfSignature], anchors: Anchors, evidence: Evidence
) -> Judgement:
    """Judge a signature at the moment when it is known to have existed.

    A certificate must have been valid when it signed. That moment is the present, unless a trusted timestamp proves that the
    signature existed earlier: first the document timestamps over it, from the newest to the oldest, each judged at the
    moment that the one before proves, then its own.

    Parameters
    ----------
    later
        Document timestamps after it, oldest first.
    """

    def now(mode: str) -> ValidationContext:
        return context(anchors, evidence, moment, mode)

    moment = anchors.at
    for over in reversed(later):
        verdict = await _over(over, now)
        if not verdict.trusted:
            break
        moment = min(moment, verdict.timestamp)
    if signature.sig_object_type == "/DocTimeStamp":
        return Judgement(await _over(signature, now), moment)
    stamp = await _with_revocation(lambda mode: _own_stamp(signature, now(mode)))
    if stamp is not None and stamp.trusted:
        moment = min(moment, stamp.timestamp)
    status = await _with_revocation(
        lambda mode: async_validate_pdf_signature(signature, now(mode), now("soft-fail"), key_usage_settings=_USAGE)
    )
    return Judgement(status, moment, stamp)


async def _over(stamp: EmbeddedPdfSignature, contexts: Callable[[str], ValidationContext]) -> DocumentTimestampStatus:
    """Verdict on a document timestamp."""
    verdict: DocumentTimestampStatus = await _with_revocation(lambda mode: async_validate_pdf_timestamp(stamp, contexts(mode)))
    return verdict


async def _own_stamp(signature: EmbeddedPdfSignature, with_context: ValidationContext) -> TimestampSignatureStatus | None:
    """Verdict on the timestamp over the signature's value, if it has one."""
    timing = await collect_timing_info(signature.signer_info, with_context, signature.compute_digest)
    return timing.get("timestamp_validity")


async def _with_revocation(check: Callable[[str], Awaitable[Any]]) -> Any:
    """The verdict that takes notice of every list at hand, and does not ask for one where there is none.

    By itself pyHanko either demands a list for each certificate, or looks only at certificates that name an address of one.
    """
    strict = await check("require")
    return strict if strict is not None and strict.revoked else await check("soft-fail")


def distrust(status: SignatureStatus, moment: datetime) -> str:
    """Why a signer is not trusted, in words; empty if it is."""
    certificate = status.signing_cert
    # a root that signs by itself is not checked by pyHanko for its validity
    if not certificate.not_valid_before <= moment <= certificate.not_valid_after:
        return (
            f"its certificate was valid from {utc(certificate.not_valid_before)} to {utc(certificate.not_valid_after)}, "
            f"and nothing proves that it signed then (judged at {utc(moment)})"
        )
    if status.trusted:
        return ""
    if status.revocation_details is not None:
        return f"its certificate was revoked at {utc(status.revocation_details.revocation_date)}"
    if certificate.self_issued:
        return "its certificate is self-signed, and not among the trusted ones"
    indication = status.trust_problem_indic
    if isinstance(indication, AdESIndeterminate) and indication in _WORDS:
        return _WORDS[indication]
    return f"its certificate could not be followed to a trusted root at {utc(moment)}"


_WORDS = {
    AdESIndeterminate.NO_CERTIFICATE_CHAIN_FOUND: "its certificate leads to none of the trusted root certificates",
    AdESIndeterminate.CHAIN_CONSTRAINTS_FAILURE: "its certificate is not meant for this",
    AdESIndeterminate.OUT_OF_BOUNDS_NO_POE: "a certificate was not valid at the time",
}


def weak(status: SignatureStatus) -> bool:
    """Whether the signature was made with an algorithm that is not safe any more."""
    return status.trust_problem_indic in (
        AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE,
        AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
    )


def stamped_at(judgement: Judgement) -> datetime | None:
    """The time that a timestamp states, if it is whole and belongs to the signature."""
    stamp = judgement.status if isinstance(judgement.status, TimestampSignatureStatus) else judgement.stamp
    return stamp.timestamp.astimezone(UTC) if stamp is not None and stamp.intact and stamp.valid else None
