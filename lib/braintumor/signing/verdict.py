"""What is known about the signatures of a PDF, in plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature or document timestamp.

    Attributes
    ----------
    field_name
        Of its field in the PDF.
    kind
        ``signature`` is of a person or institution, ``timestamp`` of a timestamp authority over the whole file.
    signer, issuer
        Common names in the certificate and of who issued it; empty if unreadable. Worth what `trusted` says.
    fingerprint
        SHA-256 of the certificate, hexadecimal; what to compare where a certificate is self-signed.
    reason, location
        As the signer wrote them.
    claimed_at
        When, by the signer's clock.
    proven_at
        When at the latest, by a timestamp; None without one. Worth something only if `trusted` is True.
    profile
        ``B-B``, ``B-T``, ``B-LT`` or ``B-LTA`` (`braintumor.signing.Profile`) by what the file holds; ``timestamp`` for a
        document timestamp; ``other`` for a signature that lacks what PAdES asks for.
    intact
        The signed bytes are those that were signed, by the key of the certificate, with algorithms that are still safe, and
        they are all of the file up to the signature.
    covers_file
        Nothing follows the signed bytes. Later signatures and evidence follow them rightly.
    modifications
        What was added or changed after signing, in words.
    modified
        Some of it is more than a signature permits.
    trusted
        Whether the certificate leads to a given root, and was valid, not revoked and meant for signing when it signed; None
        where no roots were given.
    problems
        Everything that is wrong, in words.
    """

    field_name: str
    kind: Literal["signature", "timestamp"]
    signer: str = ""
    issuer: str = ""
    fingerprint: str = ""
    reason: str = ""
    location: str = ""
    claimed_at: datetime | None = None
    proven_at: datetime | None = None
    profile: str = "other"
    intact: bool = False
    covers_file: bool = False
    modifications: tuple[str, ...] = ()
    modified: bool = False
    trusted: bool | None = None
    problems: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """The document is what was signed; who signed is the question of `trusted`."""
        return self.intact and not self.modified


@dataclass(frozen=True, slots=True)
class Verification:
    """All signatures of a PDF, oldest first.

    Attributes
    ----------
    problems
        What is wrong with the file as a whole, e.g. that a signature was removed.
    """

    signatures: tuple[Signature, ...]
    problems: tuple[str, ...] = ()

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
