"""Signing with a token: NSS's soft token, which comes with poppler's pdfsig, stands in for a smart card."""

import shutil
import subprocess
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pkcs11 import Attribute
from pkcs11.util.ec import decode_ec_private_key
from pkcs11.util.x509 import decode_x509_certificate
from pyhanko.config.pkcs11 import PKCS11SignatureConfig, TokenCriteria

from braintumor.signing import SigningKeyError, open_token, sign, verify
from tests.signing.identities import AT, authority, make_test_identity, physician, usage

TOKEN, PIN = "NSS Certificate DB", b"1234 pin"

# NSS wants parameters when it starts, which PKCS#11 has no place for: this module hands them over, and all other calls on
SHIM = r"""
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
typedef unsigned long (*call)();
typedef struct { unsigned char version[2]; call calls[68]; } table;
typedef struct { void *mutexes[4]; unsigned long flags; char *parameters; void *reserved; } arguments;
static table ours, *theirs;
static unsigned long start(void *ignored) {
    arguments a;
    memset(&a, 0, sizeof a);
    a.flags = 2;
    a.parameters = getenv("SHIM_PARAMETERS");
    return theirs->calls[0](&a);
}
unsigned long C_GetFunctionList(table **out) {
    if (!theirs) {
        void *module = dlopen(getenv("SHIM_MODULE"), RTLD_NOW);
        ((call)dlsym(module, "C_GetFunctionList"))(&theirs);
        ours = *theirs;
        ours.calls[0] = start;
    }
    *out = &ours;
    return 0;
}
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A PKCS#11 module whose token holds the physician's key, a server's, and a certificate without its key."""
    found = sorted(Path("/usr/lib").glob("*/libsoftokn3.so"))
    if not found or shutil.which("gcc") is None:
        pytest.skip("NSS's soft token (Debian package libnss3) or gcc is not installed")
    folder = tmp_path_factory.mktemp("token")
    (folder / "shim.c").write_text(SHIM)
    shim = folder / "shim.so"
    subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-o", shim, folder / "shim.c", "-ldl"], check=True)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SHIM_MODULE", str(found[0]))
        parameters = f"configdir='sql:{folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags= "
        environment.setenv("SHIM_PARAMETERS", parameters)
        token = pkcs11.lib(str(shim)).get_token(token_label=TOKEN)
    with token.open(rw=True, so_pin="") as session:
        session.init_pin(PIN.decode())
    with token.open(rw=True, user_pin=PIN.decode()) as session:
        server = make_test_identity("Web server", authority(), key_usage=usage(key_encipherment=True))
        for number, (label, identity, complete) in enumerate(
            [("doctor", physician(), True), ("server", server, True), ("lonely", make_test_identity("Dr. L"), False)]
        ):
            _store(session, label, identity, bytes([number + 1]), complete)
    return shim


def _store(session, label, identity, number, complete):
    common = {Attribute.TOKEN: True, Attribute.LABEL: label, Attribute.ID: number}
    certificate = decode_x509_certificate(identity.certificate.public_bytes(Encoding.DER))
    session.create_object(certificate | common)
    if complete:
        der = identity.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        secret = {Attribute.SIGN: True, Attribute.PRIVATE: True, Attribute.SENSITIVE: True}
        session.create_object(decode_ec_private_key(der) | common | secret)


def opened(module, label="doctor", pin=PIN, token=TOKEN):
    criteria = None if token is None else TokenCriteria(label=token)
    return open_token(PKCS11SignatureConfig(str(module), cert_label=label, token_criteria=criteria), pin)


def test_a_token_signs(module, report, roots):
    with opened(module) as signer:
        assert signer.name == "Dr. Asha Rao"
        once = sign(report, signer, reason="Approved", signed_at=AT, field_name="A")
        twice = sign(once, signer, reason="Approved", signed_at=AT, field_name="B")
    assert verify(once, roots, at=AT).trusted
    assert verify(twice, roots, at=AT).holds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pin": b"wrong"}, "PinIncorrect.*a few wrong PINs lock it"),
        ({"token": "none"}, "No token matching"),
        ({"token": None}, "more than 1 slot"),
        ({"label": "nobody"}, "no certificate and key with the label nobody"),
        ({"label": "lonely"}, "no certificate and key with the label lonely"),
        ({"label": "server"}, "not meant for signing documents"),
    ],
)
def test_what_can_be_wrong_with_a_token(module, changes, words):
    with pytest.raises(SigningKeyError, match=words), opened(module, **changes):
        pass


def test_no_module(tmp_path):
    with pytest.raises(SigningKeyError, match=r"no PKCS#11 module none.so"), opened(tmp_path / "none.so"):
        pass
    (tmp_path / "text.so").write_text("hello")
    with pytest.raises(SigningKeyError, match="cannot be opened"), opened(tmp_path / "text.so"):
        pass
