"""Approval: a signed PDF and a chain of hashes, all or nothing; whatever is changed later is found."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from braintumor.domain import FinalReportError, Section, Status
from braintumor.report import Picture, dump_report
from braintumor.report.approval import approve, contents, examine, final
from braintumor.report.editing import amended, edited
from braintumor.report.versions import ReportFolder, packed
from braintumor.signing import SigningKeyError, verify
from braintumor.signing.chain import check
from tests.reports import grown
from tests.signing.identities import AT, LAST, made, make_test_identity


def flipped(data, at=2000):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.fixture(scope="module")
def signer():
    identity = make_test_identity("Dr A. Rao")
    return made(identity.certificate, identity.key, ())


@pytest.fixture
def folder(tmp_path):
    picture = Picture("sequences", "What is seen.", np.full((80, 120, 3), 77, np.uint8))
    images = packed([picture])
    report = replace(grown(), status=Status.DRAFT, version=1, pictures=tuple(image for image, _ in images))
    return ReportFolder.create(tmp_path / "report", report, images)


def test_an_approved_report_is_signed_and_tied_to_its_images(folder, signer):
    done = approve(folder, signer, when=AT)
    assert folder.versions() == (1, 2)
    assert folder.latest().status is Status.FINAL
    assert folder.latest().approved.who == "Dr A. Rao"
    verification = verify(done.pdf, at=AT)
    assert verification.holds
    assert verification.signatures[0].signer == "Dr A. Rao"
    assert check(done.chain, contents(done)) == ()
    assert [link.name for link in done.chain.links] == ["images", "mask", "findings", "report", "pdf"]
    assert examine(folder) == ()


def test_the_head_of_the_chain_stands_in_the_signed_pdf(folder, signer, tmp_path):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (Debian package poppler-utils) is not installed")
    done = approve(folder, signer, when=AT)
    path = tmp_path / "final.pdf"
    path.write_bytes(done.pdf)
    text = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, check=True).stdout
    assert done.chain.links[-2].hash in text
    assert "approved by Dr A. Rao" in text
    assert "Draft" not in text


def test_without_a_usable_key_nothing_becomes_final(folder, signer):
    with pytest.raises(SigningKeyError, match="expired"):
        approve(folder, signer, when=LAST.replace(year=LAST.year + 1))
    assert folder.versions() == (1,)
    assert folder.latest().status is Status.DRAFT
    with pytest.raises(FinalReportError, match="draft"):
        final(folder)


def test_a_final_report_is_not_approved_again(folder, signer):
    approve(folder, signer, when=AT)
    with pytest.raises(FinalReportError):
        approve(folder, signer, when=AT)


def test_an_amendment_follows_the_version_before(folder, signer):
    first = approve(folder, signer, when=AT)
    folder.add(amended(folder.latest(), who="Dr B. Sen", when=AT, reason="second reading"))
    folder.add(edited(folder.latest(), "en", Section.IMPRESSION, ["Seen again."], who="Dr B. Sen", when=AT))
    second = approve(folder, signer, when=AT, who="Dr B. Sen")
    assert second.chain.start == first.chain.head
    assert final(folder, 2).pdf == first.pdf
    assert examine(folder) == ()


def test_a_change_of_text_facts_pdf_or_chain_is_found(folder, signer):
    approve(folder, signer, when=AT)
    report, pdf, chain = (folder.path(2, kind) for kind in ("json", "pdf", "chain.json"))
    whole = {path: path.read_bytes() for path in (report, pdf, chain)}
    said = folder.latest()
    line = said.texts["en"].sections[Section.IMPRESSION][0]
    other = replace(
        said.texts["en"], sections={**said.texts["en"].sections, Section.IMPRESSION: (replace(line, text="Fine."),)}
    )
    volumes = replace(said.findings.measurements, brain_ml=1.0)
    cases = {
        "text": (report, dump_report(replace(said, texts={**said.texts, "en": other}))),
        "facts": (report, dump_report(replace(said, findings=replace(said.findings, measurements=volumes)))),
        "pdf": (pdf, flipped(whole[pdf])),
        "chain": (chain, json.dumps({**json.loads(whole[chain]), "start": "1" * 64}).encode()),
    }
    for what, (path, changed) in cases.items():
        assert changed != whole[path], what
        path.write_bytes(changed)
        assert examine(folder), what
        path.write_bytes(whole[path])
    assert examine(folder) == ()
