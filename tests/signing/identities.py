"""A small certificate authority, signers and a timestamp server, all valid at `AT` whatever the clock says."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from asn1crypto import keys, tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.sign.signers import SimpleSigner
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from braintumor.signing import Signer

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FIRST, LAST = AT - timedelta(days=365), AT + timedelta(days=365)
CENTURY = {"first": datetime(2001, 1, 1, tzinfo=UTC), "last": datetime(2101, 1, 1, tzinfo=UTC)}
PASSPHRASE = b"correct horse"


@dataclass(frozen=True)
class Identity:
    certificate: x509.Certificate
    key: object

    def pem(self, passphrase=None):
        lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)

    def p12(self, passphrase=PASSPHRASE, chain=()):
        lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return pkcs12.serialize_key_and_certificates(b"signer", self.key, self.certificate, list(chain), lock)


def usage(**allowed):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


SIGNING = usage(digital_signature=True, content_commitment=True)


def new_key(kind="ec"):
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, int(kind))


def make_test_identity(
    name, issuer=None, *, key="ec", first=FIRST, last=LAST, key_usage=SIGNING, purpose=None, ca=False, crl=None
):
    """A key and certificate; self-signed without an issuer. `crl` is the address of its revocation list."""
    private = new_key(key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = x509.BasicConstraints(ca=ca, path_length=None)
    signing_key = private if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(above, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    if crl is not None:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return Identity(builder.sign(signing_key, hashes.SHA256()), private)


def made(certificate, key, chain):
    """A signer from its parts."""
    first, *others = (asn1.Certificate.load(c.public_bytes(serialization.Encoding.DER)) for c in (certificate, *chain))
    private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Signer(SimpleSigner(first, keys.PrivateKeyInfo.load(private), SimpleCertificateStore.from_certs(others)))


@cache
def authority():
    """The root of all of these."""
    allowed = usage(key_cert_sign=True, crl_sign=True)
    return make_test_identity("Test root", ca=True, key_usage=allowed, **CENTURY)


@cache
def physician():
    return make_test_identity("Dr. Asha Rao", authority())


@cache
def radiologist():
    """Another signer, with an RSA key."""
    return make_test_identity("Dr. Jonas Weiß", authority(), key="2048")


@cache
def stamper():
    """Of the timestamp server; RSA because pyHanko's stand-in knows no other. Valid longer than the signers."""
    purpose = ExtendedKeyUsageOID.TIME_STAMPING
    allowed = usage(digital_signature=True)
    return make_test_identity("Test time", authority(), key="2048", key_usage=allowed, purpose=purpose, **CENTURY)


def revocation_list(*revoked, at=AT, days=7, reasoned_at=None):
    """A list (DER) of the authority, with these identities on it."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority().certificate.subject)
        .last_update(at - timedelta(hours=1))
        .next_update(at + timedelta(days=days))
    )
    for identity in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(identity.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(reasoned_at or at - timedelta(hours=2)).build())
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority().key.public_key())
    builder = builder.add_extension(above, critical=False)
    return builder.sign(authority().key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def answer(question, at=AT):
    """What an honest RFC 3161 server answers to a question, both DER."""
    der = stamper().certificate.public_bytes(serialization.Encoding.DER)
    private = stamper().key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = DummyTimeStamper(asn1.Certificate.load(der), keys.PrivateKeyInfo.load(private), fixed_dt=at)
    return made.request_tsa_response(tsp.TimeStampReq.load(question)).dump()
