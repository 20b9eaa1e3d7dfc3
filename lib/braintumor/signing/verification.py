"""Checking the signatures of a PDF: whole, unchanged, by whom, when."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from cryptography import x509
from pyhanko.pdf_utils import generic
from pyhanko.sign.validation import EmbeddedPdfSignature, SignatureCoverageLevel
from pyhanko.sign.validation.generic_cms import get_signing_cert_attr

from braintumor.domain import BrainTumorError, CorruptFileError
from braintumor.signing.signed_pdf import Field, SignedPdf, is_timestamp, value_of
from braintumor.signing.signer import common_name, to_x509, utc
from braintumor.signing.timestamp import Profile
from braintumor.signing.trust import Judgement, Trust, judge

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature or document timestamp."""

    field_name: str
    """Of its field in the PDF."""
    kind: Literal["signature", "timestamp"]
    """A ``signature`` is of a person or institution, a ``timestamp`` of a timestamp authority over the whole file."""
    signer: str = ""
    """Common name in the certificate, empty if unreadable. Worth what `trusted` says; so is `issuer`, who issued it."""
    issuer: str = ""
    fingerprint: str = ""
    """SHA-256 of the certificate, hexadecimal; what to compare where a certificate is self-signed."""
    reason: str = ""
    """As the signer wrote it; so is `location`."""
    location: str = ""
    claimed_at: datetime | None = None
    """When, by the signer's clock."""
    proven_at: datetime | None = None
    """When at the latest, by a timestamp; None without one. Worth something only if `trusted` is True."""
    profile: str = "other"
    """A `braintumor.signing.Profile` by what the file holds; ``timestamp`` for a document timestamp; ``other`` for a
    signature that lacks what PAdES asks for."""
    intact: bool = False
    """The signed bytes are those that were signed, by the key of the certificate, with algorithms that are still safe, and
    they are all of the file up to the signature."""
    covers_file: bool = False
    """Nothing follows the signed bytes. Later signatures and evidence follow them rightly."""
    modifications: tuple[str, ...] = ()
    """What was added or changed after signing, in words."""
    modified: bool = False
    """Some of it is more than a signature permits."""
    trusted: bool | None = None
    """Whether the certificate leads to a given root, and was valid, not revoked and meant for signing when it signed; None
    where no roots were given."""
    problems: tuple[str, ...] = ()
    """Everything that is wrong, in words."""

    @property
    def holds(self) -> bool:
        """The document is what was signed; who signed is the question of `trusted`."""
        return self.intact and not self.modified


@dataclass(frozen=True, slots=True)
class Verification:
    """All signatures of a PDF, oldest first."""

    signatures: tuple[Signature, ...]
    problems: tuple[str, ...] = ()
    """What is wrong with the file as a whole, e.g. that a signature was removed."""

    @property
    def is_signed(self) -> bool:
        """Somebody signed; timestamps alone are no signature."""
        return any(s.kind == "signature" for s in self.signatures)

    @property
    def holds(self) -> bool:
        """Signed, and no signature or timestamp shows a change that is not permitted."""
        return self.is_signed and not self.problems and all(s.holds for s in self.signatures)

    @property
    def trusted(self) -> bool | None:
        """Whether all signers are trusted; None where no roots were given, or nobody signed."""
        known = [s.trusted for s in self.signatures if s.kind == "signature"]
        if not known or None in known:
            return None
        return all(known)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one of pyHanko's coroutines to its end; in a thread, as asyncio.run refuses where the caller's has an event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


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
        file = SignedPdf(pdf)
        known = Trust(trust, revocation, moment, file.store)
        removed = tuple(f"a signature was removed from this file ({name})" for name in file.removed)
        return Verification(tuple(_examine(file, field, known) for field in file.fields), removed)
    except BrainTumorError:
        raise
    except Exception as error:  # hostile bytes can make a parser raise anything
        remedy = "Get the file again from where it came; a damaged file proves nothing"
        words = "The PDF is damaged or cut off, so its signatures cannot be checked"
        raise CorruptFileError(words, remedy=remedy) from error


def _examine(file: SignedPdf, field: Field, trust: Trust) -> Signature:
    kind: Literal["signature", "timestamp"] = "signature"
    if value_of(field.entry, "/Type") == "/DocTimeStamp":
        kind = "timestamp"
    plain = Signature(field.name, kind, reason=_text(field.entry, "/Reason"), location=_text(field.entry, "/Location"))
    signature = field.signature
    if signature is None:
        return replace(plain, problems=(f"the signature does not count: {field.trouble}",))
    try:
        stamps = [other for other in file.after(signature) if is_timestamp(other)]
        judgement = run(judge(signature, stamps, trust))
        certificate = to_x509(judgement.status.signing_cert)
        known = replace(
            plain,
            signer=common_name(certificate.subject),
            issuer=common_name(certificate.issuer),
            fingerprint=judgement.status.signing_cert.sha256.hex(),
            claimed_at=_aware(signature.self_reported_timestamp) if kind == "signature" else None,
            proven_at=judgement.stamped_at,
            profile=_profile(signature, judgement, trust, archived=bool(stamps)),
        )
        return _trust(_changes(_integrity(known, file, signature, judgement), file, signature), judgement, trust)
    except Exception:  # noqa: BLE001  # one hostile signature must not hide the verdict on the others
        return replace(plain, problems=("the signature does not count: it is damaged",))


def _integrity(known: Signature, file: SignedPdf, signature: EmbeddedPdfSignature, judgement: Judgement) -> Signature:
    coverage = signature.evaluate_signature_coverage()
    problems = []
    if not judgement.status.intact:
        problems.append("the signed content was changed after signing")
    if not judgement.status.valid:
        problems.append("the signature was not made by the key of its certificate, or was changed")
    if judgement.weak:
        problems.append("it was made with an algorithm that is not safe any more")
    if not file.gap_is_exact(signature):
        problems.append("it leaves parts of the file unsigned that may hold anything")
    elif coverage < SignatureCoverageLevel.ENTIRE_REVISION:
        problems.append("it does not cover the file as it was when it was signed")
    covers = not problems and coverage is SignatureCoverageLevel.ENTIRE_FILE
    return replace(known, intact=not problems, covers_file=covers, problems=tuple(problems))


def _changes(known: Signature, file: SignedPdf, signature: EmbeddedPdfSignature) -> Signature:
    if not known.intact:  # nothing can be compared with what was signed
        return replace(known, modified=True, modifications=("the file is not the one that was signed",))
    if known.covers_file:
        return known
    added, altered = file.additions(signature), file.alterations(signature)
    problems = ("the document was changed after signing: " + "; ".join(altered),) if altered else ()
    return replace(known, modified=bool(altered), modifications=(*added, *altered), problems=(*known.problems, *problems))


def _trust(known: Signature, judgement: Judgement, trust: Trust) -> Signature:
    problems = []
    if known.claimed_at is not None and known.claimed_at > trust.at:
        problems.append(f"it claims to be of the future ({utc(known.claimed_at)})")
    trusted = None
    if trust.roots is not None:
        reason = judgement.distrust
        trusted = known.intact and not reason
        if known.intact and reason:
            problems.append(f"the signer is not trusted: {reason}")
    stamp = judgement.stamp
    if stamp is not None and not (stamp.intact and stamp.valid):
        problems.append("its timestamp belongs to something else or was changed")
    elif stamp is not None and trust.roots is not None and not stamp.trusted:
        problems.append("its timestamp is of an authority that is not trusted")
    return replace(known, trusted=trusted, problems=(*known.problems, *problems))


def _profile(signature: EmbeddedPdfSignature, judgement: Judgement, trust: Trust, *, archived: bool) -> str:
    """By what the file holds, each level only on top of the one below."""
    if is_timestamp(signature):
        return "timestamp"
    attributes = signature.signer_info["signed_attrs"]
    if value_of(signature.sig_object, "/SubFilter") != "/ETSI.CAdES.detached" or get_signing_cert_attr(attributes) is None:
        return "other"
    if judgement.stamped_at is None:
        return Profile.B_B.value
    if not (trust.store.crls or trust.store.ocsps):
        return Profile.B_T.value
    return (Profile.B_LTA if archived else Profile.B_LT).value


def _text(entry: generic.DictionaryObject, key: str) -> str:
    value = value_of(entry, key)
    return str(value) if isinstance(value, generic.TextStringObject) else ""


def _aware(at: datetime | None) -> datetime | None:
    """A time with zone; PDF allows to leave it out."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
