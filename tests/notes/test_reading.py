"""Files to documents: every bad file is a notice without names, and the rest of the notes goes on."""

import hashlib
import os
import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.domain import InputNotFoundError, NotInstalledError
from braintumor.notes import pdftext, reading
from braintumor.notes.decoding import decode
from braintumor.notes.notices import Notices
from braintumor.notes.reading import Limits
from tests.notes.pdfs import bomb, encrypted, pdf

NOTE = "He has a glioma. Dexamethasone 4 mg daily."


def read(place, limits=None):
    notices = Notices()
    found = reading.find(place, notices)
    documents = list(reading.read(found, limits or Limits(), notices))
    return documents, {flag.code: flag for flag in notices.flags(len(found))}


def folder(tmp_path, **files):
    for name, content in files.items():
        path = tmp_path / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


def refused(tmp_path, name, content, code, limits=None):
    """The bad file is left out with that flag, and the good one beside it is read."""
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.txt").write_text(NOTE)
    documents, flags = read(tmp_path, limits)
    assert [d.name for d in documents] == ["good.txt"]
    assert list(flags) == [code]
    assert name not in flags[code].message
    return flags[code]


def test_a_text_is_read_with_its_hash_and_date(tmp_path):
    content = f"Date: 3 May 2024\n{NOTE}".encode()
    (document,), flags = read(folder(tmp_path, a__txt=content))
    assert (document.name, document.paged, document.written) == ("a.txt", False, date(2024, 5, 3))
    assert document.sha256 == hashlib.sha256(content).hexdigest()
    assert document.pages == (content.decode(),)
    assert flags == {}


def test_repr_shows_neither_name_nor_text(tmp_path):
    (document,), _ = read(folder(tmp_path, Sharma__txt=NOTE))
    assert "glioma" not in repr(document)
    assert "Sharma" not in repr(document)


@pytest.mark.parametrize("kind", ["list", "folder", "file", "nested", "upper"])
def test_ways_to_name_notes(tmp_path, kind):
    inner = tmp_path / "2024" if kind == "nested" else tmp_path
    inner.mkdir(exist_ok=True)
    path = inner / ("नोट.TXT" if kind == "upper" else "नोट.txt")
    path.write_text(NOTE)
    (document,), flags = read({"list": [path], "file": path}.get(kind, tmp_path))
    assert document.name == ("2024/नोट.txt" if kind == "nested" else path.name)
    assert flags == {}


def test_the_same_file_given_twice_is_read_once(tmp_path):
    folder(tmp_path, a__txt=NOTE)
    documents, _ = read([tmp_path, tmp_path / "a.txt"])
    assert len(documents) == 1


@pytest.mark.parametrize(
    "make", [lambda p: p, lambda p: p / "missing", lambda p: [], lambda p: [p / "a.txt", p / "missing.txt"]]
)
def test_nothing_there_is_an_error(tmp_path, make):
    if isinstance(make(tmp_path), list) and make(tmp_path):
        (tmp_path / "a.txt").write_text(NOTE)
    with pytest.raises(InputNotFoundError):
        read(make(tmp_path))


ENGLISH = "Na\u00efve caf\u00e9, Gr\u00f6\u00dfe 4 cm. He has a glioma, no fits.\r\n"
HINDI = "सिरदर्द है। उल्टी नहीं है और दौरा पड़ा।\n"


@pytest.mark.parametrize("text", [ENGLISH, HINDI])
@pytest.mark.parametrize(
    ("encoding", "mark", "guessed"),
    [
        ("utf-8", b"", False),
        ("utf-8", b"\xef\xbb\xbf", False),
        ("utf-16-le", b"\xff\xfe", False),
        ("utf-16-be", b"\xfe\xff", False),
        ("utf-32-le", b"\xff\xfe\x00\x00", False),
        ("utf-16-le", b"", True),
        ("utf-16-be", b"", True),
    ],
)
def test_unicode(encoding, mark, guessed, text):
    assert decode(mark + text.encode(encoding)) == (text, guessed)


@pytest.mark.parametrize("text", [ENGLISH, "stable \u2013 no change", "caf\u00e9"])
def test_old_encodings(text):
    assert decode(text.encode("cp1252")) == (text, True)


def test_latin_1_where_windows_has_no_letter():
    assert decode("caf\u00e9 ".encode("latin-1") * 1000 + b"\x81") == ("caf\u00e9 " * 1000 + "\ufffd", True)


@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_not(data):
    decoded = decode(data)
    if decoded is not None:
        assert decoded[0].isprintable() or not set(decoded[0]) & {"\x00", "\x01", "\x7f"}


def test_a_guessed_encoding_is_said(tmp_path):
    (document,), flags = read(folder(tmp_path, a__txt="Größe 4 cm, kein Anfall".encode("cp1252")))
    assert "Größe" in document.text
    assert list(flags) == ["encoding-guessed"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 20,
        random.Random(1).randbytes(5000),
        b"\x00" * 1000,
        b"\xff\xfe\x00",
        b"PK\x03\x04" + hashlib.sha512(b"x").digest() * 50,
    ],
)
def test_binary_named_text(tmp_path, content):
    refused(tmp_path, "bad.txt", content, "note-not-text")


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_empty_files(tmp_path, content):
    refused(tmp_path, "bad.txt", content, "note-empty")


def test_a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "bad.txt").open("wb") as file:
        file.truncate(50_000_000)
    refused_size = []
    original = os.fdopen

    class Counted:
        def __init__(self, file):
            self._file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def read(self, most):
            refused_size.append(most)
            return self._file.read(most)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdopen", lambda *words: Counted(original(*words)))
        (tmp_path / "good.txt").write_text(NOTE)
        documents, flags = read(tmp_path)
    assert [d.name for d in documents] == ["good.txt"]
    assert list(flags) == ["note-too-large"]
    assert max(refused_size) == 20_000_001


def test_fifty_megabytes_of_text(tmp_path):
    refused(tmp_path, "bad.txt", b"He has a glioma. " * 3_000_000, "note-too-large")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(all_bytes=60), "notes-too-large"),
        (Limits(all_characters=60), "notes-too-large"),
        (Limits(files=1), "too-many-notes"),
    ],
)
def test_limits_of_all_notes(tmp_path, limits, code):
    documents, flags = read(folder(tmp_path, a__txt=NOTE, b__txt=NOTE + " "), limits)
    assert [d.name for d in documents] == ["a.txt"]
    assert list(flags) == [code]
    assert flags[code].message.startswith("Note 2 of 2")


def test_hidden_and_other_files_are_counted(tmp_path):
    folder(tmp_path, a__txt=NOTE, b__docx=b"x", c__exe=b"x")
    (tmp_path / ".secret.txt").write_text(NOTE)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.txt").write_text(NOTE)
    documents, flags = read(tmp_path)
    assert len(documents) == 1
    assert flags["hidden-files"].message.startswith("1 file ")
    assert flags["note-type-unknown"].message.startswith("2 files ")


def test_links_out_of_the_folder_are_refused(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "other.txt").write_text(NOTE)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a link.txt").symlink_to(outside / "other.txt")
    (inside / "broken.txt").symlink_to(inside / "nothing.txt")
    (inside / "loop.txt").symlink_to(inside / "loop.txt")
    (inside / "folder").symlink_to(outside)
    (inside / "good.txt").write_text(NOTE)
    (inside / "good again.txt").symlink_to(inside / "good.txt")
    documents, flags = read(inside)
    assert len(documents) == 1
    assert flags["link-outside"].message.startswith("Notes 1, 2")
    assert "folder-unreadable" in flags
    documents, flags = read([inside / "a link.txt", inside / "good.txt"])
    assert [d.name for d in documents] == ["good.txt"]


def test_a_file_exchanged_for_a_link_after_it_was_found(tmp_path):
    folder(tmp_path, a__txt=NOTE, b__txt=NOTE)
    notices = Notices()
    found = reading.find(tmp_path, notices)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "a.txt").symlink_to("/etc/hostname")
    assert [d.name for d in reading.read(found, Limits(), notices)] == ["b.txt"]
    assert notices.flags(2)[0].code == "note-unreadable"


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "bad.txt")
    (tmp_path / "good.txt").write_text(NOTE)
    documents, flags = read(tmp_path)
    assert len(documents) == 1
    assert list(flags) == ["note-unreadable"]


def test_a_pdf_is_read_by_page(tmp_path):
    content = pdf("He has a glioma.", "Dexamethasone 4 mg daily.")
    (document,), flags = read(folder(tmp_path, a__pdf=content))
    assert document.paged
    assert [page.strip() for page in document.pages] == ["He has a glioma.", "Dexamethasone 4 mg daily."]
    assert document.sha256 == hashlib.sha256(content).hexdigest()
    assert flags == {}


def test_a_pdf_named_text_is_a_pdf(tmp_path):
    (document,), _ = read(folder(tmp_path, a__txt=pdf("He has a glioma.")))
    assert document.paged


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7 and then nothing",
        pdf("x")[:200],
        b"no pdf at all",
        pdf("He is well")[:-300],
        b"%PDF-" + random.Random(2).randbytes(3000),
    ],
)
def test_a_broken_pdf(tmp_path, content):
    documents, flags = read(folder(tmp_path, bad__pdf=content, good__txt=NOTE))
    assert [d.name for d in documents][-1] == "good.txt"
    if len(documents) == 1:
        assert set(flags) <= {"pdf-damaged", "pdf-without-text"}
        assert flags
    else:
        assert "He is well" in documents[0].text  # repaired


def test_an_encrypted_pdf(tmp_path):
    refused(tmp_path, "bad.pdf", encrypted(pdf(NOTE), "secret"), "pdf-encrypted")


def test_a_pdf_that_needs_no_password_to_read(tmp_path):
    (document,), _ = read(folder(tmp_path, a__pdf=encrypted(pdf(NOTE), "")))
    assert "glioma" in document.text


def test_a_scanned_pdf_is_said(tmp_path):
    refused(tmp_path, "bad.pdf", pdf(None, None), "pdf-without-text")


def test_a_partly_scanned_pdf_is_said(tmp_path):
    documents, flags = read(folder(tmp_path, a__pdf=pdf(NOTE, None)))
    assert len(documents) == 1
    assert list(flags) == ["pdf-partly-scanned"]


def test_a_long_pdf_is_read_in_part(tmp_path):
    documents, flags = read(folder(tmp_path, a__pdf=pdf(*["He has a glioma."] * 5)), Limits(pages=3))
    assert len(documents[0].pages) == 3
    assert list(flags) == ["pdf-cut"]


def test_a_page_of_too_much_text_is_cut(tmp_path):
    documents, flags = read(folder(tmp_path, a__pdf=pdf(NOTE * 20)), Limits(page_characters=100))
    assert len(documents[0].pages[0]) == 100
    assert list(flags) == ["pdf-cut"]


def test_a_pdf_that_unpacks_to_anything_ends(tmp_path):
    content = bomb(megabytes=60)
    assert len(content) < 1_000_000
    flag = refused(tmp_path, "bad.pdf", content, "pdf-too-costly", Limits(pdf_seconds=3, pdf_memory=1_000_000_000))
    assert "time or memory" in flag.message


def test_a_missing_pdf_reader_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "pypdf.py").write_text("raise ModuleNotFoundError(\"No module named 'pypdf'\", name='pypdf')")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.pdf").write_bytes(pdf(NOTE))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match="pypdf"):
        read(notes)


def test_pages_hold_nothing_that_json_or_xml_cannot_carry():
    assert "a\ud800b\x00c\nd".translate(pdftext._REPLACED) == "a\ufffdb\ufffdc\nd"
    assert pdftext.extract(pdf("He is well."), 5, 100)["texts"][0].strip() == "He is well."
    assert pdftext.extract(b"%PDF-", 5, 100)["problem"] == "damaged"
