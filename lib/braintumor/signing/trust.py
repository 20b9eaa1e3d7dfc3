"""Whether a signer is trusted: certificates followed to a root, at the time that timestamps prove."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from pyhanko.sign.ades.report import AdESIndeterminate
from pyhanko.sign.validation import (
    DocumentSecurityStore,
    EmbeddedPdfSignature,
    async_validate_pdf_signature,
    async_validate_pdf_timestamp,
)
from pyhanko.sign.validation.generic_cms import collect_timing_info
from pyhanko.sign.validation.status import DocumentTimestampStatus, SignatureStatus, TimestampSignatureStatus
from pyhanko_certvalidator import ValidationContext

from braintumor.signing.signed_pdf import is_timestamp
from braintumor.signing.signer import USAGE, to_asn1, utc


@dataclass(frozen=True)
class Trust:
    """What the reader trusts and knows, and what the file brings.

    Attributes
    ----------
    roots
        None where nobody's identity is asked for.
    revocation
        Revocation lists (DER) beside those in the file.
    at
        The time for which the question is asked.
    store
        Of the file, see `SignedPdf`.
    """

    roots: Sequence[x509.Certificate] | None
    revocation: Sequence[bytes]
    at: datetime
    store: DocumentSecurityStore

    def context(self, moment: datetime, mode: str) -> ValidationContext:
        """What pyHanko judges with. It never uses the network or the machine's own list of roots."""
        return self.store.as_validation_context(
            {
                "trust_roots": [to_asn1(root) for root in self.roots or ()],
                "crls": self.revocation,
                "moment": moment,
                "revocation_mode": mode,
                # evidence is collected after signing; what it says of revocation before the moment counts
                "retroactive_revinfo": True,
            }
        )


@dataclass(frozen=True)
class Judgement:
    """Verdict of pyHanko on a signature or document timestamp, the moment it is for, and that on its own timestamp."""

    status: SignatureStatus
    moment: datetime
    stamp: TimestampSignatureStatus | None = None

    @property
    def weak(self) -> bool:
        """Whether the signature was made with an algorithm that is not safe any more."""
        return self.status.trust_problem_indic in (
            AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE,
            AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        )

    @property
    def stamped_at(self) -> datetime | None:
        """The time that a timestamp states, if it is whole and belongs to the signature."""
        stamp = self.status if isinstance(self.status, TimestampSignatureStatus) else self.stamp
        return stamp.timestamp.astimezone(UTC) if stamp is not None and stamp.intact and stamp.valid else None

    @property
    def distrust(self) -> str:
        """Why the signer is not trusted, in words; empty if it is."""
        status, certificate = self.status, self.status.signing_cert
        # a root that signs by itself is not checked by pyHanko for its validity
        if not certificate.not_valid_before <= self.moment <= certificate.not_valid_after:
            return (
                f"its certificate was valid from {utc(certificate.not_valid_before)} to {utc(certificate.not_valid_after)}, "
                f"and nothing proves that it signed then (judged at {utc(self.moment)})"
            )
        if status.trusted:
            return ""
        if status.revocation_details is not None:
            return f"its certificate was revoked at {utc(status.revocation_details.revocation_date)}"
        if certificate.self_issued:
            return "its certificate is self-signed, and not among the trusted ones"
        unfollowed = f"its certificate could not be followed to a trusted root at {utc(self.moment)}"
        return _WORDS.get(status.trust_problem_indic, unfollowed)


_WORDS: dict[Any, str] = {
    AdESIndeterminate.NO_CERTIFICATE_CHAIN_FOUND: "its certificate leads to none of the trusted root certificates",
    AdESIndeterminate.CHAIN_CONSTRAINTS_FAILURE: "its certificate is not meant for this",
    AdESIndeterminate.OUT_OF_BOUNDS_NO_POE: "a certificate was not valid at the time",
}


async def judge(signature: EmbeddedPdfSignature, later: Sequence[EmbeddedPdfSignature], trust: Trust) -> Judgement:
    """Judge a signature at the moment when it is known to have existed.

    A certificate must have been valid when it signed. That moment is the present, unless a trusted timestamp proves that the
    signature existed earlier: first the document timestamps over it, from the newest to the oldest, each judged at the
    moment that the one before proves, then its own.

    Parameters
    ----------
    later
        Document timestamps after it, oldest first.
    """
    moment = trust.at

    def now(mode: str) -> ValidationContext:
        return trust.context(moment, mode)

    async def over(stamp: EmbeddedPdfSignature) -> DocumentTimestampStatus:
        verdict: DocumentTimestampStatus = await _with_revocation(lambda mode: async_validate_pdf_timestamp(stamp, now(mode)))
        return verdict

    for stamp_over in reversed(later):
        verdict = await over(stamp_over)
        if not verdict.trusted:
            break
        moment = min(moment, verdict.timestamp)
    if is_timestamp(signature):
        return Judgement(await over(signature), moment)
    stamp = await _with_revocation(lambda mode: _own_stamp(signature, now(mode)))
    if stamp is not None and stamp.trusted:
        moment = min(moment, stamp.timestamp)
    status = await _with_revocation(
        lambda mode: async_validate_pdf_signature(signature, now(mode), now("soft-fail"), key_usage_settings=USAGE)
    )
    return Judgement(status, moment, stamp)


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
