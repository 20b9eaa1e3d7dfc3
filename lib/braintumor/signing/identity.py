"""A key and a self-signed certificate for demos and for a single machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

MAX_NAME = 64
"""Letters of a common name (RFC 5280, ub-common-name)."""


def make_identity(common_name: str, days: int, passphrase: bytes, *, start: datetime | None = None) -> bytes:
    """A new RSA key of 3072 bits with a self-signed certificate, as a PKCS#12 file.

    A self-signed certificate proves integrity, not identity: a signature made with it shows that the file was not changed
    since somebody with this key signed it, but anybody can make a certificate in anybody's name. Readers of PDF say so
    ("identity unknown") until a person has compared its fingerprint and trusts it. For identity, get a certificate from an
    authority that the readers trust.

    Parameters
    ----------
    common_name
        Who signs, as readers will see it, 1..64 letters. Never a patient.
    days
        How long it is valid from `start`, at least one.
    passphrase
        Locks the file; not empty.
    start
        First moment of validity, now if not given.

    Returns
    -------
    bytes
        For a file that `braintumor.signing.from_pkcs12` reads. Write it with mode 600.
    """
    if not 0 < len(common_name.strip()) <= MAX_NAME:
        raise ValueError(f"a name of 1 to {MAX_NAME} letters is needed")
    if days < 1 or not passphrase:
        raise ValueError("at least one day of validity and a passphrase are needed")
    first = (datetime.now(UTC) if start is None else start).replace(microsecond=0)
    # RSA: an elliptic curve would lift signed files to PDF 2.0, which PDF/A-3 does not know
    key = rsa.generate_private_key(65537, 3072)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(first + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNING, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(passphrase)
    return pkcs12.serialize_key_and_certificates(common_name.encode(), key, certificate, None, lock)


_SIGNING = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
