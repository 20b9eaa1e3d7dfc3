"""Others' programs on the same files: pdfsig (poppler, NSS) and OpenSSL."""

import re
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from braintumor.signing import sign
from tests.signing.identities import AT, authority
from tests.signing.test_tampering import appended, new_text, ranges


def pdfsig(pdf, folder):
    if shutil.which("pdfsig") is None:
        pytest.skip("pdfsig (Debian package poppler-utils) is not installed")
    (folder / "a.pdf").write_bytes(pdf)
    return subprocess.run(["pdfsig", "-nocert", folder / "a.pdf"], capture_output=True, text=True, check=False).stdout


def test_poppler_agrees(signed, tmp_path):
    said = pdfsig(signed, tmp_path)
    assert "Signature is Valid." in said
    assert "Total document signed" in said
    assert "Common Name: Dr. Asha Rao" in said
    assert "Signature Type: ETSI.CAdES.detached" in said
    assert "Mar 04 2026" in said


def test_poppler_finds_a_changed_byte(signed, tmp_path):
    said = pdfsig(signed.replace(b"34.2 mL", b"14.2 mL"), tmp_path)
    assert "Signature is Valid." not in said
    assert "Digest Mismatch" in said


def test_poppler_finds_an_update(signed, tmp_path):
    said = pdfsig(appended(signed, new_text), tmp_path)
    assert "Not total document signed" in said


@pytest.mark.parametrize("profile", ["B-T", "B-LTA"])
def test_poppler_agrees_on_stamped_files(report, signer, stamping, profile, tmp_path):
    done = sign(report, signer, reason="x", signed_at=AT, field_name="A", timestamping=stamping(profile))
    said = pdfsig(done, tmp_path)
    assert said.count("Signature is Valid.") >= 1
    assert "Mismatch" not in said


def openssl(pdf, folder):
    """`openssl cms -verify` on the bytes of the ranges and the value of the signature."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    start, first, second, rest = ranges(pdf)
    value = bytes.fromhex(pdf[first + 1 : second - 1].decode())
    (folder / "value.der").write_bytes(value)
    (folder / "content").write_bytes(pdf[start : start + first] + pdf[second : second + rest])
    (folder / "root.pem").write_bytes(authority().certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-binary", "-cades", "-purpose", "any"]
    command += ["-in", folder / "value.der", "-content", folder / "content", "-CAfile", folder / "root.pem"]
    command += ["-attime", str(int(AT.timestamp())), "-out", folder / "out"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_openssl_agrees_on_content_signer_and_cades_attributes(signed, tmp_path):
    done = openssl(signed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search("successful", done.stderr, re.I)


def test_openssl_finds_a_changed_byte(signed, tmp_path):
    done = openssl(signed.replace(b"34.2 mL", b"14.2 mL"), tmp_path)
    assert done.returncode != 0
