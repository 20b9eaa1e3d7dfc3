"""Who signs: a certificate with its private key, from a PKCS#12 file or PEM files, checked before anything is signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from asn1crypto import keys  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.sign import signers as hanko
from pyhanko_certvalidator.registry import SimpleCertificateStore

from braintumor.domain import SigningKeyError
from braintumor.signing.secret import read_secret

MIN_RSA_BITS = 2048


@dataclass(frozen=True, eq=False)
class Signer:
    """A certificate, and something that signs in its name.

    Attributes
    ----------
    certificate
        Of the signer; its name is the one that signatures show.
    chain
        Certificates between the signer's and the root, put into the signature so that others can follow them.
    warnings
        What the reader should know about how the key is kept, in plain words.
    backend
        pyHanko's signer, which holds the key or the session with a token.
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    warnings: tuple[str, ...]
    backend: hanko.Signer = field(repr=False)

    @property
    def name(self) -> str:
        """Common name in the certificate."""
        return common_name(self.certificate)

    def check(self, at: datetime) -> None:
        """Raise `SigningKeyError` unless the certificate is valid at a time."""
        first, last = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if at < first:
            raise SigningKeyError(
                f"The certificate of {self.name} is valid from {first:%Y-%m-%d %H:%M} UTC on, not yet at {utc(at)}",
                remedy="Check the clock of this machine, or wait until the certificate is valid",
            )
        if at > last:
            raise SigningKeyError(
                f"The certificate of {self.name} expired at {last:%Y-%m-%d %H:%M} UTC, before {utc(at)}",
                remedy="Ask for a new certificate where this one came from",
            )


def from_pkcs12(path: Path, passphrase: bytes | None, *, chain: Sequence[x509.Certificate] = ()) -> Signer:
    """A signer from a PKCS#12 file (``.p12``, ``.pfx``).

    Parameters
    ----------
    passphrase
        From `braintumor.signing.read_passphrase`.
    chain
        Intermediate certificates that the file lacks.

    Raises
    ------
    SigningKeyError
        If the file is missing or damaged, the passphrase is wrong, or the key cannot be used (`made`).
    """
    content, warning = read_secret(path, clear=not passphrase)
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(content, passphrase)
    except ValueError as error:
        raise SigningKeyError(
            f"{path.name} cannot be opened: the passphrase is wrong or missing, or this is no PKCS#12 file",
            remedy="Check the passphrase and its source, then the file",
            path=path,
        ) from error
    if key is None or certificate is None:
        lacking = "private key" if key is None else "certificate of its key"
        raise SigningKeyError(
            f"{path.name} holds no {lacking}", remedy="Export the certificate together with its private key", path=path
        )
    return made(certificate, key, (*others, *chain), warning)


def from_pem(key: Path, certificate: Path, passphrase: bytes | None = None, *, chain: Path | None = None) -> Signer:
    """A signer from PEM files.

    Parameters
    ----------
    key
        Private key, locked with `passphrase` or in clear.
    certificate
        Of the signer; certificates after the first are taken as its chain.
    chain
        A file with intermediate certificates.

    Raises
    ------
    SigningKeyError
        If a file is missing or damaged, the passphrase is wrong, or the key cannot be used (`made`).
    """
    content, warning = read_secret(key, clear=not passphrase)
    try:
        private = serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError) as error:  # TypeError: a passphrase where none is needed, or none where one is
        raise SigningKeyError(
            f"{key.name} cannot be opened: the passphrase is wrong, missing or not needed, or this is no PEM private key",
            remedy="Check the passphrase and its source, then the file",
            path=key,
        ) from error
    first, *others = read_certificates(certificate)
    others += read_certificates(chain) if chain is not None else []
    return made(first, private, tuple(others), warning)


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, or the one of a DER file; at least one.

    Raises
    ------
    SigningKeyError
        If the file is missing or holds none.
    """
    try:
        content = path.read_bytes()
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except FileNotFoundError as error:
        raise SigningKeyError(f"The file {path.name} does not exist", remedy="Check the path", path=path) from error
    except (OSError, ValueError) as error:
        remedy = "Give a file with certificates in PEM or DER form"
        raise SigningKeyError(f"{path.name} holds no readable certificate", remedy=remedy, path=path) from error


def made(
    certificate: x509.Certificate, key: PrivateKeyTypes, chain: Sequence[x509.Certificate], warning: str | None = None
) -> Signer:
    """A signer from its parts.

    Raises
    ------
    SigningKeyError
        If the key is of another certificate, too weak or of a kind that readers of PDF do not know, or the certificate is
        not meant for signing documents.
    """
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise SigningKeyError(
            f"The private key does not belong to the certificate of {common_name(certificate)}",
            remedy="Give the key and the certificate that were made together",
        )
    check_usable(certificate)
    private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple([to_asn1(c) for c in chain])
    backend = hanko.SimpleSigner(to_asn1(certificate), keys.PrivateKeyInfo.load(private), store)
    return Signer(certificate, tuple(chain), () if warning is None else (warning,), backend)


def check_usable(certificate: x509.Certificate) -> None:
    """Raise `SigningKeyError` unless a certificate is for signing documents, with a key that is strong and widely known."""
    name, key = common_name(certificate), certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise SigningKeyError(
                f"The RSA key of {name} has {key.key_size} bits, which is too weak",
                remedy=f"Ask for a certificate with an RSA key of at least {MIN_RSA_BITS} bits, or with an elliptic curve",
            )
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise SigningKeyError(
            f"The key of {name} is of a kind that most readers of PDF cannot check",
            remedy="Ask for a certificate with an RSA key or with the elliptic curve P-256, P-384 or P-521",
        )
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        meant = usage.digital_signature or usage.content_commitment
    except (x509.ExtensionNotFound, ValueError):  # ValueError: the extensions are malformed
        meant = False
    if not meant:
        raise SigningKeyError(
            f"The certificate of {name} is not meant for signing documents",
            remedy="Ask for one with the key usage digitalSignature or nonRepudiation",
        )


def common_name(certificate: x509.Certificate) -> str:
    """Common name of the holder; the whole subject where there is none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def to_asn1(certificate: x509.Certificate) -> asn1.Certificate:
    """The same certificate as pyHanko wants it."""
    return asn1.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


def utc(at: datetime) -> str:
    """A time in words."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
