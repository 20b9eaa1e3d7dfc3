"""Who signs: a certificate with its key, from a PKCS#12 file, PEM files or a token, checked before anything is signed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asn1crypto import x509 as asn1  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.config.pkcs11 import PKCS11SignatureConfig
from pyhanko.keys import load_private_key_from_pemder_data
from pyhanko.sign import signers as hanko
from pyhanko.sign.general import SigningError as HankoError
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator.errors import InvalidCertificateError
from pyhanko_certvalidator.registry import SimpleCertificateStore

from braintumor.domain import NotInstalledError, SigningKeyError
from braintumor.signing.secret import read_secret

USAGE = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False)
"""What a certificate must be meant for, when it signs and when its signature is judged: either will do."""

MIN_RSA_BITS = 2048
MAX_NAME = 64
"""Letters of a common name (RFC 5280, ub-common-name)."""


@dataclass(frozen=True, eq=False)
class Signer:
    """pyHanko's signer, checked: made for signing documents, with a strong key that belongs to its certificate.

    Attributes
    ----------
    backend
        Holds the certificate, the key or the session with a token, and the certificates between it and the root.
    warnings
        What the reader should know about how the key is kept, in plain words.

    Raises
    ------
    SigningKeyError
        If the key is of another certificate, too weak or of a kind that readers of PDF do not know, or the certificate is
        not meant for signing documents.
    """

    backend: hanko.Signer = field(repr=False)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        key = self.certificate.public_key()
        if isinstance(self.backend, hanko.SimpleSigner):  # the key of a token stays on the token
            private = serialization.load_der_private_key(self.backend.signing_key.dump(), None)
            if private.public_key() != key:
                raise SigningKeyError(
                    f"The private key does not belong to the certificate of {self.name}",
                    remedy="Give the key and the certificate that were made together",
                )
        if isinstance(key, rsa.RSAPublicKey):
            if key.key_size < MIN_RSA_BITS:
                raise SigningKeyError(
                    f"The RSA key of {self.name} has {key.key_size} bits, which is too weak",
                    remedy=f"Ask for a certificate with an RSA key of at least {MIN_RSA_BITS} bits, or with an elliptic curve",
                )
        elif not isinstance(key, ec.EllipticCurvePublicKey):
            raise SigningKeyError(
                f"The key of {self.name} is of a kind that most readers of PDF cannot check",
                remedy="Ask for a certificate with an RSA key or with the elliptic curve P-256, P-384 or P-521",
            )
        try:
            USAGE.validate(self.backend.signing_cert)
        except (InvalidCertificateError, ValueError) as error:  # ValueError: the extensions are malformed
            raise SigningKeyError(
                f"The certificate of {self.name} is not meant for signing documents",
                remedy="Ask for one with the key usage digitalSignature or nonRepudiation",
            ) from error

    @property
    def certificate(self) -> x509.Certificate:
        """Of the signer; its name is the one that signatures show."""
        return to_x509(self.backend.signing_cert)

    @property
    def name(self) -> str:
        """Common name in the certificate."""
        return common_name(self.certificate.subject)

    def check(self, at: datetime) -> None:
        """Raise `SigningKeyError` unless the certificate is valid at a time."""
        first, last = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if at < first:
            raise SigningKeyError(
                f"The certificate of {self.name} is valid from {utc(first)} on, not yet at {utc(at)}",
                remedy="Check the clock of this machine, or wait until the certificate is valid",
            )
        if at > last:
            raise SigningKeyError(
                f"The certificate of {self.name} expired at {utc(last)}, before {utc(at)}",
                remedy="Ask for a new certificate where this one came from",
            )


def from_pkcs12(path: Path, passphrase: bytes | None, *, chain: Sequence[x509.Certificate] = ()) -> Signer:
    """A signer from a PKCS#12 file (``.p12``, ``.pfx``) with its key, certificate and intermediate certificates.

    Parameters
    ----------
    passphrase
        From `braintumor.signing.read_passphrase`; None if the file is not locked.
    chain
        Intermediate certificates that the file lacks.

    Raises
    ------
    SigningKeyError
        If the file is missing or damaged, the passphrase is wrong, or the key cannot be used (`Signer`).
    """
    content, warnings = read_secret(path, clear=not passphrase)
    try:
        backend = hanko.SimpleSigner.load_pkcs12_data(content, [to_asn1(c) for c in chain], passphrase)
    except ValueError as error:
        raise SigningKeyError(
            f"{path.name} cannot be opened: the passphrase is wrong or missing, or this is no PKCS#12 file",
            remedy="Check the passphrase and its source, then the file",
            path=path,
        ) from error
    except AttributeError as error:  # pyHanko's, of a bag without one of the two
        remedy = "Export the certificate together with its private key"
        raise SigningKeyError(f"{path.name} holds no private key with its certificate", remedy=remedy, path=path) from error
    return Signer(backend, warnings)


def from_pem(key: Path, certificate: Path, passphrase: bytes | None = None, *, chain: Path | None = None) -> Signer:
    """A signer from PEM or DER files.

    Parameters
    ----------
    key
        Private key, locked with `passphrase` or in clear.
    certificate
        Of the signer; certificates after the first are taken as intermediate ones.
    chain
        A file with intermediate certificates.

    Raises
    ------
    SigningKeyError
        If a file is missing or damaged, the passphrase is wrong, or the key cannot be used (`Signer`).
    """
    content, warnings = read_secret(key, clear=not passphrase)
    try:
        private = load_private_key_from_pemder_data(content, passphrase)
    except (ValueError, TypeError) as error:  # TypeError: a passphrase where none is needed, or none where one is
        raise SigningKeyError(
            f"{key.name} cannot be opened: the passphrase is wrong, missing or not needed, or this is no private key",
            remedy="Check the passphrase and its source, then the file",
            path=key,
        ) from error
    first, *others = map(to_asn1, read_certificates(certificate) + (read_certificates(chain) if chain is not None else []))
    store = SimpleCertificateStore.from_certs(others)  # type: ignore[no-untyped-call]
    return Signer(hanko.SimpleSigner(first, private, store), warnings)


@contextmanager
def open_token(config: PKCS11SignatureConfig, pin: bytes | None) -> Iterator[Signer]:
    """A signer whose key never leaves a smart card or a hardware security module, for as long as its session is open.

    Parameters
    ----------
    config
        pyHanko's own: the maker's PKCS#11 module, which token, which certificate and key on it, intermediate certificates.
        For a reader with its own keypad set ``prompt_pin=PKCS11PinEntryMode.DEFER``.
    pin
        From `braintumor.signing.read_passphrase`; None if the token is to ask, or needs none.

    Raises
    ------
    NotInstalledError
        If python-pkcs11 is not installed.
    SigningKeyError
        If the module, token, certificate or key is not there, the PIN is wrong, or the certificate is not for signing.
    """
    try:
        import pkcs11
        from pyhanko.sign.pkcs11 import PKCS11SigningContext
    except ImportError as error:
        remedy = "Run pip install 'pyHanko[pkcs11]'"
        raise NotInstalledError("Signing with a token needs the package python-pkcs11", remedy=remedy) from error
    module = Path(config.module_path)
    if not module.is_file():
        remedy = "Install the software of the token's maker"
        raise SigningKeyError(f"There is no PKCS#11 module {module.name}", remedy=remedy, path=module)
    with ExitStack() as stack:
        try:
            backend = stack.enter_context(PKCS11SigningContext(config, None if pin is None else pin.decode()))
        except (HankoError, pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: the file is no such module
            cause = error.__cause__ or error  # its own text is empty for most errors of the module
            raise SigningKeyError(
                f"The token behind {module.name} cannot be opened ({type(cause).__name__}{f': {cause}' * bool(str(cause))})",
                remedy="Check that it is plugged in, its label, and its PIN (a few wrong PINs lock it)",
                path=module,
            ) from error
        try:
            signer = Signer(backend)
        except (HankoError, pkcs11.PKCS11Error, AttributeError) as error:
            raise SigningKeyError(
                f"The token holds no certificate and key with the label {config.cert_label or config.key_label}",
                remedy="List its objects and choose another label",
            ) from error
        yield signer


def make_identity(name: str, days: int, passphrase: bytes, *, start: datetime | None = None) -> bytes:
    """A new RSA key of 3072 bits with a self-signed certificate for demos, as a PKCS#12 file that `from_pkcs12` reads.

    A self-signed certificate proves integrity, not identity: a signature made with it shows that the file was not changed
    since somebody with this key signed it, but anybody can make a certificate in anybody's name. Readers of PDF say so
    ("identity unknown") until a person has compared its fingerprint and trusts it. For identity, get a certificate from an
    authority that the readers trust.

    Parameters
    ----------
    name
        Who signs, as readers will see it, 1..64 letters. Never a patient.
    days
        How long it is valid from `start` (now if not given), at least one.
    passphrase
        Locks the file; not empty. Write the file with mode 600 all the same.
    """
    if not 0 < len(name.strip()) <= MAX_NAME:
        raise ValueError(f"a name of 1 to {MAX_NAME} letters is needed")
    if days < 1 or not passphrase:
        raise ValueError("at least one day of validity and a passphrase are needed")
    first = (datetime.now(UTC) if start is None else start).replace(microsecond=0)
    # RSA: an elliptic curve would lift signed files to PDF 2.0, which PDF/A-3 does not know
    key = rsa.generate_private_key(65537, 3072)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(first + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # digital signature and content commitment, and nothing else
        .add_extension(x509.KeyUsage(True, True, False, False, False, False, False, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(passphrase)
    return pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, None, lock)


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, or the one of a DER file; at least one.

    Raises
    ------
    SigningKeyError
        If the file is missing or holds none.
    """
    content, _ = read_secret(path, clear=False)
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except ValueError as error:
        remedy = "Give a file with certificates in PEM or DER form"
        raise SigningKeyError(f"{path.name} holds no readable certificate", remedy=remedy, path=path) from error


def common_name(name: x509.Name) -> str:
    """Common name; the whole name where there is none."""
    names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else name.rfc4514_string()


def to_asn1(certificate: x509.Certificate) -> asn1.Certificate:
    """The same certificate as pyHanko wants it."""
    return asn1.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


def to_x509(certificate: asn1.Certificate) -> x509.Certificate:
    """The same certificate as the library cryptography has it."""
    return x509.load_der_x509_certificate(certificate.dump())


def utc(at: datetime) -> str:
    """A time in words."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
