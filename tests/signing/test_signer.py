import os
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from braintumor.domain import BrainTumorError, exit_codes
from braintumor.signing import (
    SigningError,
    SigningKeyError,
    from_pem,
    from_pkcs12,
    make_identity,
    read_passphrase,
    sign,
    verify,
)
from braintumor.signing.signer import to_x509
from tests.signing.identities import (
    AT,
    FIRST,
    LAST,
    PASSPHRASE,
    Identity,
    authority,
    made,
    make_test_identity,
    physician,
    usage,
)


def pem(*identities):
    return b"".join(identity.certificate.public_bytes(serialization.Encoding.PEM) for identity in identities)


def chain_of(signer):
    """The certificates that signatures carry beside the signer's own."""
    return [c for c in map(to_x509, signer.backend.cert_registry) if c != signer.certificate]


@pytest.fixture
def write(tmp_path):
    def write(name, content, mode=0o600):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return write


def test_pkcs12_with_its_chain(write):
    signer = from_pkcs12(write("key.p12", physician().p12(chain=[authority().certificate])), PASSPHRASE)
    assert signer.name == "Dr. Asha Rao"
    assert chain_of(signer) == [authority().certificate]
    alone = from_pkcs12(write("alone.p12", physician().p12()), PASSPHRASE, chain=[authority().certificate])
    assert chain_of(alone) == [authority().certificate]
    assert signer.warnings == ()
    assert "PrivateKey" not in repr(signer)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_pem_files(write, passphrase, report):
    key, certificate = write("key.pem", physician().pem(passphrase)), write("cert.pem", pem(physician()), 0o644)
    signer = from_pem(key, certificate, passphrase, chain=write("chain.pem", pem(authority()), 0o644))
    assert chain_of(signer) == [authority().certificate]
    done = sign(report, signer, reason="Approved", signed_at=AT, field_name="A")
    assert verify(done, [authority().certificate], at=AT).trusted


def test_der_files(write):
    der = serialization.Encoding.DER
    locked = serialization.BestAvailableEncryption(PASSPHRASE)
    key = write("key.der", physician().key.private_bytes(der, serialization.PrivateFormat.PKCS8, locked))
    certificate = write("cert.der", physician().certificate.public_bytes(der), 0o644)
    assert from_pem(key, certificate, PASSPHRASE).certificate == physician().certificate


def test_chain_may_stand_in_the_certificate_file(write):
    key, certificate = write("key.pem", physician().pem()), write("cert.pem", pem(physician(), authority()), 0o644)
    assert chain_of(from_pem(key, certificate)) == [authority().certificate]


def test_wrong_or_missing_passphrase(write):
    path = write("key.p12", physician().p12())
    for wrong in (b"wrong", None):
        with pytest.raises(SigningKeyError, match="passphrase is wrong or missing"):
            from_pkcs12(path, wrong)
    locked, certificate = write("key.pem", physician().pem(PASSPHRASE)), write("cert.pem", pem(physician()))
    for wrong in (b"wrong", None):
        with pytest.raises(SigningKeyError, match="passphrase is wrong, missing or not needed"):
            from_pem(locked, certificate, wrong)


def test_missing_and_foreign_files(write, tmp_path):
    with pytest.raises(SigningKeyError, match=r"does not exist.*Check the path"):
        from_pkcs12(tmp_path / "none.p12", PASSPHRASE)
    with pytest.raises(SigningKeyError, match="no PKCS#12 file"):
        from_pkcs12(write("text.p12", b"hello"), PASSPHRASE)
    key = write("key.pem", physician().pem())
    with pytest.raises(SigningKeyError, match="does not exist"):
        from_pem(key, tmp_path / "none.pem")
    for content in (b"hello", b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(SigningKeyError, match="no readable certificate"):
            from_pem(key, write("bad.pem", content))


def test_pkcs12_without_a_key(write):
    lock = serialization.BestAvailableEncryption(PASSPHRASE)
    bag = serialization.pkcs12.serialize_key_and_certificates(None, None, None, [authority().certificate], lock)
    with pytest.raises(SigningKeyError, match="holds no private key"):
        from_pkcs12(write("bag.p12", bag), PASSPHRASE)


def test_key_of_another_certificate():
    with pytest.raises(SigningKeyError, match=r"does not belong to the certificate of Dr. Asha Rao"):
        made(physician().certificate, authority().key, ())


@pytest.mark.parametrize(
    ("at", "words"), [(FIRST - timedelta(seconds=1), "not yet"), (LAST + timedelta(seconds=1), "expired at 2027-03-04")]
)
def test_certificate_must_be_valid_when_it_signs(report, signer, at, words):
    with pytest.raises(SigningKeyError, match=words):
        sign(report, signer, reason="Approved", signed_at=at, field_name="A")


def test_valid_to_the_last_second(report, signer):
    for at in (FIRST, LAST):
        sign(report, signer, reason="Approved", signed_at=at, field_name="A")


def test_certificate_not_for_signing():
    for allowed in (usage(key_encipherment=True), None):
        server = make_test_identity("Web server", authority(), key_usage=allowed)
        with pytest.raises(SigningKeyError, match=r"not meant for signing documents.*digitalSignature or nonRepudiation"):
            made(server.certificate, server.key, ())


@pytest.mark.parametrize("allowed", [usage(digital_signature=True), usage(content_commitment=True)])
def test_either_usage_is_enough(report, allowed, roots):
    identity = make_test_identity("Dr. B", authority(), key_usage=allowed)
    done = sign(report, made(identity.certificate, identity.key, ()), reason="Approved", signed_at=AT, field_name="A")
    assert verify(done, roots, at=AT).trusted


def test_weak_and_unusual_keys():
    short = make_test_identity("Dr. Short", key="1024")
    with pytest.raises(SigningKeyError, match="1024 bits, which is too weak"):
        made(short.certificate, short.key, ())
    key = ed25519.Ed25519PrivateKey.generate()
    name = physician().certificate.subject
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    edwards = Identity(builder.not_valid_before(FIRST).not_valid_after(LAST).sign(key, None), key)
    with pytest.raises(SigningKeyError, match="most readers of PDF cannot check"):
        made(edwards.certificate, edwards.key, ())


@pytest.mark.skipif(os.name != "posix", reason="mode bits")
def test_secrets_that_others_can_read(write):
    locked = from_pkcs12(write("open.p12", physician().p12(), 0o644), PASSPHRASE)
    assert "Every user of this machine can read open.p12" in locked.warnings[0]
    certificate = write("cert.pem", pem(physician()), 0o644)
    with pytest.raises(SigningKeyError, match=r"in clear that every user can read.*chmod 600"):
        from_pem(write("open.pem", physician().pem(), 0o644), certificate)
    with pytest.raises(SigningKeyError, match="in clear that every user can read"):
        from_pkcs12(write("clear.p12", physician().p12(None), 0o644), None)
    grouped = from_pem(write("group.pem", physician().pem(), 0o640), certificate)
    assert "A whole group can read group.pem" in grouped.warnings[0]
    assert from_pkcs12(write("group.p12", physician().p12(), 0o640), PASSPHRASE).warnings == ()
    with pytest.raises(SigningKeyError, match="every user can read"):
        read_passphrase(file=write("word.txt", b"secret", 0o604))


def test_passphrase_sources(write, monkeypatch):
    monkeypatch.setenv("WORD", "größe")
    assert read_passphrase(variable="WORD") == "größe".encode()
    assert read_passphrase(file=write("word.txt", b" two words \r\n")) == b" two words "
    assert read_passphrase() is None
    monkeypatch.setenv("WORD", "")
    for empty in ({"variable": "WORD"}, {"variable": "NOT_SET"}, {"file": write("empty.txt", b"\n")}):
        with pytest.raises(SigningKeyError, match="is empty or not set"):
            read_passphrase(**empty)
    with pytest.raises(SigningKeyError, match="not both"):
        read_passphrase(variable="WORD", file=write("word.txt", b"x"))


def test_made_identity_proves_integrity_not_identity(write, report):
    signer = from_pkcs12(write("own.p12", make_identity("Reading room 3", 30, b"word", start=AT)), b"word")
    done = sign(report, signer, reason="Approved", signed_at=AT, field_name="A")
    stranger = verify(done, [authority().certificate], at=AT).signatures[0]
    assert stranger.intact
    assert stranger.trusted is False
    assert "self-signed, and not among the trusted ones" in stranger.problems[0]
    assert verify(done, [signer.certificate], at=AT).trusted
    late = verify(done, [signer.certificate], at=AT + timedelta(days=31))
    assert late.trusted is False


@pytest.mark.parametrize(("name", "days", "word"), [("", 1, b"x"), ("n" * 65, 1, b"x"), ("n", 0, b"x"), ("n", 1, b"")])
def test_make_identity_refuses(name, days, word):
    with pytest.raises(ValueError, match=r"name of 1|at least one day"):
        make_identity(name, days, word, start=AT)


def test_errors_have_their_own_exit_codes():
    assert issubclass(SigningError, BrainTumorError)
    assert {70, 71, 72} <= set(exit_codes())
    codes = [c.exit_code for c in (SigningError, *SigningError.__subclasses__())]
    assert len(set(codes)) == len(codes)
