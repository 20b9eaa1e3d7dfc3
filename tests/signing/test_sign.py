import asyncio
import io
import shutil
import subprocess
from datetime import timedelta, timezone
from importlib.resources import files
from pathlib import Path

import pikepdf
import pkcs11
import pytest
from pypdf import PdfReader

from braintumor.domain import CorruptFileError
from braintumor.signing import Block, SigningError, sign, verify
from braintumor.signing.apply import _stamp
from tests.signing.identities import AT, authority, made, make_test_identity, physician, radiologist, usage

FONT = Path(str(files("fontpkg_fira_sans") / "files" / "FiraSans-Regular.ttf"))


def test_a_signature_is_appended_and_says_who_why_where_when(report, signed, roots):
    assert signed.startswith(report)
    found = verify(signed, roots, at=AT + timedelta(days=1))
    (one,) = found.signatures
    assert (found.is_signed, found.holds, found.trusted, found.problems) == (True, True, True, ())
    assert (one.field_name, one.kind, one.profile) == ("Physician", "signature", "B-B")
    assert (one.signer, one.issuer) == ("Dr. Asha Rao", "Test root")
    assert (one.reason, one.location, one.claimed_at, one.proven_at) == ("Report approved", "Pune", AT, None)
    assert one.intact
    assert one.covers_file
    assert one.trusted
    assert one.modifications == one.problems == ()
    assert one.fingerprint == physician().certificate.fingerprint(physician().certificate.signature_hash_algorithm).hex()


def test_it_is_pades_b_b(signed):
    field = PdfReader(io.BytesIO(signed)).get_fields()["Physician"]
    value = field["/V"]
    assert value["/SubFilter"] == "/ETSI.CAdES.detached"
    assert value["/M"].startswith("D:20260304050607")
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        (widget,) = pdf.pages[-1].Annots
        assert [float(n) for n in widget.Rect] == [0, 0, 0, 0]
        assert int(widget.F) & 4  # printed: PDF/A wants it, also of an invisible one
        assert not int(widget.F) & 2


def test_the_time_is_the_one_given_in_its_zone(report, signer):
    zone = timezone(timedelta(hours=5, minutes=30))
    done = sign(report, signer, reason="x", signed_at=AT.astimezone(zone), field_name="A")
    assert verify(done, at=AT).signatures[0].claimed_at == AT


def test_signatures_add_up(report, signed, other_signer, roots):
    both = sign(signed, other_signer, reason="Second reading", signed_at=AT + timedelta(hours=1), field_name="Radiologist")
    assert both.startswith(signed)
    found = verify(both, roots, at=AT + timedelta(days=1))
    first, second = found.signatures
    assert found.holds
    assert found.trusted
    assert (first.signer, first.covers_file, first.modified) == ("Dr. Asha Rao", False, False)
    assert first.modifications == ("a further signature was added (Radiologist)",)
    assert (second.signer, second.covers_file) == ("Dr. Jonas Weiß", True)


def test_intermediate_certificates_travel_inside(report, roots):
    middle = make_test_identity("Hospital CA", authority(), ca=True, key_usage=usage(key_cert_sign=True))
    person = make_test_identity("Dr. C", middle)
    complete = made(person.certificate, person.key, (middle.certificate,))
    alone = made(person.certificate, person.key, ())
    inside = sign(report, complete, reason="x", signed_at=AT, field_name="A")
    assert verify(inside, roots, at=AT).trusted
    assert verify(sign(report, alone, reason="x", signed_at=AT, field_name="A"), roots, at=AT).trusted is False


def test_visible_block_names_signer_and_time(report, other_signer, tmp_path):
    block = Block((350, 40, 550, 80), FONT)
    done = sign(report, other_signer, reason="x", signed_at=AT, field_name="A", block=block)
    assert verify(done, at=AT).holds
    with pikepdf.open(io.BytesIO(done)) as pdf:
        (widget,) = pdf.pages[-1].Annots
        assert [float(n) for n in widget.Rect] == [350, 40, 550, 80]
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (Debian package poppler-utils) is not installed")
    (tmp_path / "a.pdf").write_bytes(done)
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "a.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert "Signed by Dr. Jonas Weiß" in text
    assert "2026-03-04 05:06 UTC" in text


def test_a_devanagari_name_is_set_as_hindi_is_written(report):
    assert _stamp(Block((0, 0, 1, 1), FONT), "Dr. आशा मिश्रा").text_box_style.font.ot_script_tag == "dev2"
    assert _stamp(Block((0, 0, 1, 1), FONT), "Dr. Weiß").text_box_style.font.ot_script_tag is None


def test_rsa_keeps_the_version_of_the_file_as_pdf_a_wants(report, signer, other_signer):
    for who, version in ((other_signer, "1.7"), (signer, "2.0")):
        with pikepdf.open(io.BytesIO(sign(report, who, reason="x", signed_at=AT, field_name="A"))) as pdf:
            assert str(pdf.Root.Version) == f"/{version}"


@pytest.mark.parametrize("junk", [b"", b"%PDF-1.7\n", b"hello", b"%PDF-1.7\n" + bytes(2000)])
def test_not_a_pdf(junk, signer):
    with pytest.raises(CorruptFileError, match="damaged or no PDF"):
        sign(junk, signer, reason="x", signed_at=AT, field_name="A")


def test_cut_off(report, signer):
    with pytest.raises(CorruptFileError):
        sign(report[:-200], signer, reason="x", signed_at=AT, field_name="A")


def test_field_name_is_taken(signed, signer):
    with pytest.raises(SigningError, match="named Physician already"):
        sign(signed, signer, reason="x", signed_at=AT, field_name="Physician")


def test_encrypted(report, signer):
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(report)) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(owner="o", user="u"))
    with pytest.raises(SigningError, match="encrypted"):
        sign(out.getvalue(), signer, reason="x", signed_at=AT, field_name="A")
    with pytest.raises(SigningError, match="encrypted"):
        verify(out.getvalue(), at=AT)


def test_arguments(report, signer):
    with pytest.raises(ValueError, match="time zone"):
        sign(report, signer, reason="x", signed_at=AT.replace(tzinfo=None), field_name="A")
    for name in ("", "a.b"):
        with pytest.raises(ValueError, match="field name"):
            sign(report, signer, reason="x", signed_at=AT, field_name=name)
    with pytest.raises(ValueError, match="time zone"):
        verify(report, at=AT.replace(tzinfo=None))


def test_works_where_an_event_loop_runs(report, signer):
    async def handler():
        return verify(sign(report, signer, reason="x", signed_at=AT, field_name="A"), at=AT)

    assert asyncio.run(handler()).holds


def test_a_key_that_signs_wrongly_is_found_before_the_file_leaves(report, signer, monkeypatch):
    monkeypatch.setattr(type(signer.backend), "sign_raw", lambda *_: bytes(70))
    with pytest.raises(SigningError, match="was not made by the key of its certificate"):
        sign(report, signer, reason="x", signed_at=AT, field_name="A")


@pytest.mark.parametrize("error", [RuntimeError("DeviceRemoved"), pkcs11.DeviceRemoved()])
def test_a_token_that_fails(report, signer, monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr(type(signer.backend), "sign_raw", broken)
    with pytest.raises(SigningError, match="DeviceRemoved"):
        sign(report, signer, reason="x", signed_at=AT, field_name="A")


def test_rsa_and_elliptic_keys_sign(report, other_signer, roots):
    assert radiologist().key.key_size == 2048
    done = sign(report, other_signer, reason="x", signed_at=AT, field_name="A")
    assert verify(done, roots, at=AT).trusted
