"""Proof of when: RFC 3161 timestamps, and the evidence that keeps a signature checkable for decades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from aiohttp import ClientResponseError
from asn1crypto import cms, tsp  # type: ignore[import-untyped]
from cryptography import x509
from pyhanko.sign.timestamps import HTTPTimeStamper, TimestampRequestError
from pyhanko_certvalidator import ValidationContext

from braintumor.domain import TimestampError
from braintumor.signing.signer import to_asn1


class Profile(StrEnum):
    """How much proof a PAdES signature carries (ETSI EN 319 142-1); each includes the one before."""

    B_B = "B-B"
    """Who, and that nothing changed; when is only what the signer's clock said."""
    B_T = "B-T"
    """A timestamp authority confirms when."""
    B_LT = "B-LT"
    """Certificates and revocation lists are inside, so that nobody needs to be asked later."""
    B_LTA = "B-LTA"
    """A timestamp over all of it, to be renewed before its own certificate expires."""


@dataclass(frozen=True)
class Timestamping:
    """Which timestamp authority to ask, and how much evidence to put in."""

    url: str
    """Of the authority, http or https; the answer is signed, so either will do."""
    profile: Profile = Profile.B_T
    """`Profile.B_T`, `B_LT` or `B_LTA`."""
    trust: Sequence[x509.Certificate] = ()
    """Root certificates of the signer and of the authority; needed for B-LT and B-LTA."""
    revocation: Sequence[bytes] = ()
    """Revocation lists (DER) of the certificates involved; needed for B-LT and B-LTA unless `fetch`."""
    fetch: bool = False
    """Fetch lists and OCSP answers from the addresses in the certificates; needs the network and the present time."""
    timeout_s: float = 10.0
    """For one answer of the authority; a signature asks up to three times."""

    def __post_init__(self) -> None:
        if self.profile == Profile.B_B:
            raise ValueError("B-B is a signature without a timestamp: give no Timestamping")
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise TimestampError(
                "The address of the timestamp server is not one of http or https",
                remedy="Give its whole address, such as https://tsa.example.org/",
            )
        if self.profile != Profile.B_T and not self.trust:
            raise TimestampError(
                f"A signature of profile {self.profile} needs the root certificates of signer and timestamp server",
                remedy="Give both root certificates, or choose profile B-T",
            )

    def context(self, at: datetime) -> ValidationContext | None:
        """What pyHanko collects evidence with, and refuses to sign if a certificate's status cannot be shown; None for B-T."""
        if self.profile == Profile.B_T:
            return None
        return ValidationContext(
            trust_roots=[to_asn1(certificate) for certificate in self.trust],
            crls=list(self.revocation),
            allow_fetching=self.fetch,
            moment=None if self.fetch else at,
            revocation_mode="require",
        )


class Authority(HTTPTimeStamper):
    """A timestamp server whose every failure is a `TimestampError`; what it answers is checked against what was asked."""

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        """A token over a digest."""
        try:
            token = await super().async_timestamp(message_digest, md_algorithm)
            info = token["content"]["encap_content_info"]["content"].parsed
            same = info["message_imprint"]["hashed_message"].native == message_digest
        except OSError as error:  # pyHanko's own errors are of this kind too
            raise self._failed(_reason(error)) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # what asn1crypto raises on bytes of no sense
            raise self._failed("gave an answer that is no timestamp") from error
        if not same:
            raise self._failed("stamped something else than was asked")
        return token

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        """The answer to one request; a refusal is read here, because asn1crypto cannot read an answer without a token."""
        response = await super().async_request_tsa_response(req)
        status = tsp.PKIStatusInfo.load(response.contents)
        if status["status"].native != "granted":
            raise TimestampRequestError("; ".join(status["status_string"].native or [status["status"].native]))
        return response

    def _failed(self, what: str) -> TimestampError:
        return TimestampError(
            # the host only: the address may hold a password
            f"The timestamp server {urlsplit(self.url).hostname} {what}; nothing was signed",
            remedy="Try again later, give another server, or sign without a timestamp (profile B-B) if that is allowed",
        )


def _reason(error: OSError) -> str:
    """Words that hold no address, because an address may hold a password."""
    cause = error.__cause__
    if isinstance(cause, TimeoutError):
        return "did not answer in time"
    if isinstance(cause, ClientResponseError):
        return f"answered with HTTP status {cause.status}" if cause.status >= 400 else "gave an answer that is no timestamp"
    return "cannot be reached" if cause is not None else f"refused ({error})"
