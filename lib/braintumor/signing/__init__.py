"""Digital signatures of report PDFs, and the chain of hashes that ties a report to its images.

A signer comes from `from_pkcs12`, `from_pem` or `open_token`; `sign` returns the signed file; `verify` says what holds.
The chain of hashes is in `braintumor.signing.chain`.
"""

from braintumor.domain import SigningError, SigningKeyError, TimestampError
from braintumor.signing.apply import Block, sign
from braintumor.signing.chain import Chain, Link
from braintumor.signing.secret import read_passphrase
from braintumor.signing.signer import Signer, from_pem, from_pkcs12, make_identity, open_token, read_certificates
from braintumor.signing.timestamp import Profile, Timestamping
from braintumor.signing.verification import Signature, Verification, verify

__all__ = [
    "Block",
    "Chain",
    "Link",
    "Profile",
    "Signature",
    "Signer",
    "SigningError",
    "SigningKeyError",
    "TimestampError",
    "Timestamping",
    "Verification",
    "from_pem",
    "from_pkcs12",
    "make_identity",
    "open_token",
    "read_certificates",
    "read_passphrase",
    "sign",
    "verify",
]
