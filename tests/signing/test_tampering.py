"""Every way to change a signed report is found; each test says by which verdict."""

import contextlib
import io
import logging
import re
from datetime import timedelta

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

from braintumor.domain import BrainTumorError, CorruptFileError
from braintumor.signing import SigningError, sign, verify
from tests.signing.conftest import make_report
from tests.signing.identities import AT


def ranges(pdf):
    """The last /ByteRange."""
    found = re.findall(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\s*\]", pdf)
    return [int(n) for n in found[-1]]


def flipped(pdf, position, bits=1):
    return pdf[:position] + bytes([pdf[position] ^ bits]) + pdf[position + 1 :]


def detected(pdf, roots=None):
    """Whether no reader of the verdict could take the file for the signed one."""
    try:
        return not verify(pdf, roots, at=AT).holds
    except (CorruptFileError, SigningError):
        return True


def test_a_byte_of_the_page_is_not_intact(signed, roots):
    changed = signed.replace(b"34.2 mL", b"14.2 mL")
    assert changed != signed
    (one,) = verify(changed, roots, at=AT).signatures
    assert (one.intact, one.trusted, one.covers_file, one.modified) == (False, False, False, True)
    assert one.problems[0] == "the signed content was changed after signing"
    assert one.signer == "Dr. Asha Rao"  # who had signed it is still said


def test_a_byte_of_the_signature_value_is_not_intact(signed):
    _, first, second, _ = ranges(signed)
    value = bytes.fromhex(signed[first + 1 : second - 1].decode())
    end = len(value.rstrip(b"\0"))  # the ECDSA value stands last
    broken = value[: end - 3] + bytes([value[end - 3] ^ 1]) + value[end - 2 :]
    (one,) = verify(signed[: first + 1] + broken.hex().encode() + signed[second - 1 :], at=AT).signatures
    assert not one.intact
    assert "not made by the key of its certificate" in " ".join(one.problems)


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_any_byte_of_the_signed_ranges(signed, data):
    start, first, second, rest = ranges(signed)
    offset = data.draw(st.integers(0, first + rest - 1))
    position = start + offset if offset < first else second + offset - first
    assert detected(flipped(signed, position, data.draw(st.integers(1, 255))))


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_no_bytes_make_it_raise_anything_else(signed, data):
    """Flips, cuts and insertions anywhere: a verdict, or a refusal in words."""
    pdf = bytearray(signed)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(pdf) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "put", "repeat"]))
        length = data.draw(st.integers(1, 40))
        if kind == "flip":
            pdf[position] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del pdf[position : position + length]
        elif kind == "put":
            pdf[position:position] = data.draw(st.binary(min_size=1, max_size=40))
        else:
            pdf[position:position] = pdf[position : position + length]
    with contextlib.suppress(BrainTumorError):
        verify(bytes(pdf), at=AT)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_are_refused_in_words(content, headed):
    with pytest.raises(CorruptFileError, match="damaged or cut off"):
        verify(b"%PDF-1.7\n" * headed + content, at=AT)


def test_every_cut(signed, report):
    """A cut file is refused; cut back to what it was before signing, it is an ordinary unsigned PDF."""
    for length in range(0, len(signed), 97):
        if length != len(report):
            assert detected(signed[:length])
    before = verify(signed[: len(report)], at=AT)
    assert (before.is_signed, before.holds, before.signatures) == (False, False, ())


def appended(pdf, change):
    """The file with an incremental update behind it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    assert out.getvalue().startswith(pdf)
    return out.getvalue()


def new_text(writer):
    page = writer.root["/Pages"]["/Kids"][0]
    stream = page["/Contents"]
    stream._data = stream.data.replace(b"34.2", b"14.2")
    stream._encoded_data = None
    writer.update_container(stream)


def test_an_update_that_changes_text_is_intact_but_modified(signed, roots):
    changed = appended(signed, new_text)
    (one,) = verify(changed, roots, at=AT).signatures
    assert (one.intact, one.covers_file, one.modified, one.holds) == (True, False, True, False)
    assert one.modifications == ("the content of page 1 was changed",)
    assert one.problems == ("the document was changed after signing: the content of page 1 was changed",)
    assert one.trusted  # who signed the older version is not in doubt


def new_note(writer):
    page = writer.root["/Pages"]["/Kids"][0]
    note = generic.DictionaryObject({generic.pdf_name("/Type"): generic.pdf_name("/Annot")})
    note[generic.pdf_name("/Subtype")] = generic.pdf_name("/FreeText")
    note[generic.pdf_name("/Contents")] = generic.pdf_string("14.2 mL")
    note[generic.pdf_name("/Rect")] = generic.ArrayObject(map(generic.NumberObject, (0, 0, 99, 99)))
    page["/Annots"] = generic.ArrayObject([writer.add_object(note)])
    writer.update_container(page)


def test_an_update_that_lays_a_note_over_the_page(signed):
    (one,) = verify(appended(signed, new_note), at=AT).signatures
    assert (one.intact, one.modified) == (True, True)
    assert one.modifications == ("notes or form fields on page 1 were changed",)


def one_page_less(writer):
    pages = writer.root["/Pages"]
    pages["/Kids"] = generic.ArrayObject(list(pages["/Kids"])[1:])
    pages["/Count"] = generic.NumberObject(1)
    writer.update_container(pages)


def test_an_update_that_drops_a_page(signed):
    (one,) = verify(appended(signed, one_page_less), at=AT).signatures
    assert (one.intact, one.modified) == (True, True)
    assert one.modifications[0] == "the number of pages was changed from 2 to 1"


def other_title(writer):
    writer.root["/PageMode"] = generic.pdf_name("/UseNone")
    writer.update_root()


def test_an_update_of_something_else_is_found_too(signed):
    (one,) = verify(appended(signed, other_title), at=AT).signatures
    assert one.modified
    assert one.modifications == ("objects of the file were changed or replaced",)


def test_bytes_behind_the_end(signed):
    for tail in (b"\n%hidden\n", b"%%EOF\n", b"startxref\n1\n%%EOF\n"):
        assert detected(signed + tail)
    (one,) = verify(signed + b"\n%hidden\n", at=AT).signatures
    assert one.modifications == ("bytes that belong to nothing were added behind its end",)


def test_padding_behind_the_end_is_no_change(signed):
    """DICOM pads an encapsulated document to an even length."""
    (one,) = verify(signed + b"\0", at=AT).signatures
    assert (one.holds, one.covers_file, one.modifications) == (True, False, ())


def rewritten(pdf, change):
    """The file written anew, as editors do."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        change(opened)
        opened.save(out)
    return out.getvalue()


def test_a_replaced_page_is_not_intact(signed, roots):
    def swap(opened):
        with pikepdf.open(io.BytesIO(make_report("Whole tumour 14.2 mL"))) as other:
            opened.pages[0] = other.pages[0]

    found = verify(rewritten(signed, swap), roots, at=AT)
    (one,) = found.signatures
    assert (found.is_signed, found.holds, one.intact, one.trusted) == (True, False, False, False)


def test_a_file_saved_anew_is_not_intact(signed):
    (one,) = verify(rewritten(signed, lambda _: None), at=AT).signatures
    assert not one.intact


def test_a_removed_signature_is_not_signed(signed):
    def strip(opened):
        del opened.Root.AcroForm
        for page in opened.pages:
            if "/Annots" in page:
                del page.Annots

    found = verify(rewritten(signed, strip), at=AT)
    assert (found.is_signed, found.holds, found.trusted, found.signatures) == (False, False, None, ())


def test_a_signature_removed_by_an_update_is_told(signed):
    def strip(writer):
        del writer.root["/AcroForm"]
        writer.update_root()

    found = verify(appended(signed, strip), at=AT)
    assert (found.is_signed, found.holds) == (False, False)
    assert found.problems == ("a signature was removed from this file (Physician)",)


def test_a_signature_moved_to_another_file(other_signer):
    """The value of one file's signature in another file: it belongs to other content."""
    one, other = (
        sign(make_report(f"Whole tumour {n} mL"), other_signer, reason="x", signed_at=AT, field_name="A") for n in (34.2, 14.2)
    )
    _, first, second, _ = ranges(one)
    assert ranges(other) == ranges(one)
    moved = other[:first] + one[first:second] + other[second:]
    (one,) = verify(moved, at=AT).signatures
    assert one.problems[0] == "the signed content was changed after signing"


def test_a_wider_gap_is_not_intact(signed):
    """Bytes between the signature and its ranges would be anybody's to change."""
    start, first, second, rest = ranges(signed)
    old = f"/ByteRange [{start} {first} {second} {rest}".encode()
    assert old in signed
    for span in ((start, first - 8, second, rest), (start, first, second + 8, rest - 8), (8, first - 8, second, rest)):
        new = "/ByteRange [{} {} {} {}".format(*span).encode()
        assert detected(signed.replace(old, new.ljust(len(old))[: len(old)]))


def test_bytes_hidden_behind_the_signature_value_are_found(signed):
    _, _, second, _ = ranges(signed)
    assert signed[second - 5 : second] == b"0000>"
    (one,) = verify(signed[: second - 5] + b"beef>" + signed[second:], at=AT).signatures
    assert one.problems == ("it leaves parts of the file unsigned that may hold anything",)


def test_an_update_behind_the_second_signature(signed, other_signer):
    both = sign(signed, other_signer, reason="x", signed_at=AT, field_name="Radiologist")
    first, second = verify(appended(both, new_text), at=AT).signatures
    assert first.modified
    assert second.modified
    assert first.modifications == ("a further signature was added (Radiologist)", "the content of page 1 was changed")


def test_unsigned(report):
    found = verify(report, [], at=AT)
    assert (found.is_signed, found.holds, found.trusted, found.signatures, found.problems) == (False, False, None, (), ())


def test_unknown_kind_of_signature_is_told_not_skipped(signed):
    other = signed.replace(b"/ETSI.CAdES.detached", b"/ETSI.CAdES.detacheX")
    (one,) = verify(other, at=AT).signatures
    assert (one.intact, one.trusted) == (False, None)
    assert "of a kind that cannot be checked" in one.problems[0]


def by_pyhanko(report, signer, **metadata):
    """A signature that our own `sign` would not make."""
    made = PdfSignatureMetadata(field_name="A", **metadata)
    return PdfSigner(made, signer.backend).sign_pdf(IncrementalPdfFileWriter(io.BytesIO(report))).getvalue()


def test_an_old_algorithm_is_no_proof(report, other_signer, roots):
    (one,) = verify(by_pyhanko(report, other_signer, md_algorithm="sha1"), roots).signatures
    assert (one.intact, one.trusted) == (False, False)
    assert one.problems == ("it was made with an algorithm that is not safe any more",)


def test_a_plain_signature_of_other_software(report, other_signer):
    (one,) = verify(by_pyhanko(report, other_signer)).signatures
    assert (one.holds, one.profile) == (True, "other")


def test_a_certified_document_forbids_more_than_a_signature_does(report, signer, other_signer):
    """Its author allowed no further change, so a further signature is one too many."""
    closed = by_pyhanko(report, other_signer, certify=True, docmdp_permissions=MDPPerm.NO_CHANGES)
    assert verify(closed).holds
    with pytest.raises(SigningError, match="forbids all changes"):
        sign(closed, signer, reason="x", signed_at=AT, field_name="B")


def test_from_the_future(signed, roots):
    (one,) = verify(signed, roots, at=AT - timedelta(hours=1)).signatures
    assert "of the future" in one.problems[0]


def test_nothing_is_printed(signed, capfd):
    logging.getLogger().handlers, kept = [], logging.getLogger().handlers
    try:
        verify(signed.replace(b"34.2 mL", b"14.2 mL"), [], at=AT)
    finally:
        logging.getLogger().handlers = kept
    assert capfd.readouterr() == ("", "")


def test_the_fixture_is_what_it_should_be(signed):
    assert PdfFileReader(io.BytesIO(signed)).total_revisions == 2
