import io
import re
import shutil
import subprocess
from dataclasses import replace

import pikepdf
import pytest
from pdfua import validate

from braintumor import __version__
from braintumor.domain import Flag, FlagCode, MRSequence, Patient, Severity
from braintumor.report import draft, gather_findings, key_images, render
from braintumor.report.names import listed, person_name, plain_date


def document(stages, languages=("en", "hi"), **changes):
    study = replace(stages.study, **changes)
    findings = gather_findings(study, stages.case, stages.segmentation, stages.measurements)
    return draft(study, findings, stages.facts, uid="2.25.7", languages=languages)


def made(stages, pictures=(), **changes):
    return render(document(stages, **changes), pictures)


def words(pdf, tmp_path, page=None):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (Debian package poppler-utils) is not installed")
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf)
    pages = [] if page is None else ["-f", str(page), "-l", str(page)]
    done = subprocess.run(["pdftotext", *pages, str(path), "-"], capture_output=True, text=True, check=True)
    return re.sub(r"\s+", " ", done.stdout)


@pytest.fixture(scope="module")
def illustrated(moved_stages):
    pictures = key_images(moved_stages.case, moved_stages.segmentation, moved_stages.measurements)
    return made(moved_stages, pictures)


def test_first_page_tells_who_what_and_how_serious(illustrated, moved_stages, tmp_path):
    text = words(illustrated, tmp_path, page=1)
    for said in (
        "Doe, Jane",
        "PID-42",
        "1961-02-17",
        "2024-01-15",
        "Research use only",
        "Not a medical device",
        "Draft, version 1",
    ):
        assert said in text
    assert "FLAIR agrees poorly with T1ce." in text  # the serious flag
    assert f"{moved_stages.measurements.regions['WT'].volume_ml:.1f} mL" in text
    assert "Page 1 of " in text


def test_provenance_technique_and_limits_follow(illustrated, moved_stages, tmp_path):
    text = words(illustrated, tmp_path)
    facts = moved_stages.facts
    for said in (
        facts.input_sha256,
        facts.mask_sha256,
        facts.weights_checksum,
        f"braintumor {__version__}",
        "attention-unet 1.2.3",
        "pytorch",
    ):
        assert said in text
    for said in ("3.4 mm, 1.7°", "1.123", "not available", "N4 skipped: no skull.", "not a verdict"):
        assert said in text


def test_metadata_names_no_patient(illustrated):
    assert b"Doe" not in illustrated
    assert b"PID-42" not in illustrated


def test_the_same_input_gives_the_same_bytes(stages):
    assert made(stages) == made(stages)


def test_nifti_input_shows_the_case_and_no_patient_block(stages, tmp_path):
    text = words(made(stages), tmp_path, page=1)
    assert "case-7" in text
    assert "Birth date" not in text


def test_japanese_korean_and_accented_names_are_legible(moved_stages, tmp_path):
    name = "Müller^Åse-Šárka=山田^희중=やまだ^たろう"
    text = words(made(moved_stages, patient=Patient("1", name, "", "")), tmp_path, page=1)
    assert "Müller, Åse-Šárka (山田 희중)" in text


def test_letters_without_a_font_are_marked_and_explained(moved_stages, tmp_path):
    text = words(made(moved_stages, patient=Patient("1", "\U00010480^Jane", "", "")), tmp_path, page=1)
    assert "?, Jane" in text
    assert "cannot be drawn" in text


def test_many_lesions_and_flags_are_cut_with_a_word_about_the_rest(moved_stages, tmp_path):
    lesion = moved_stages.measurements.lesions[0]
    measurements = replace(moved_stages.measurements, lesions=tuple(replace(lesion, number=n) for n in range(1, 12)))
    notes = tuple(Flag(f"note-{n}", Severity.INFO, f"Remark number {n}.") for n in range(12))
    study = replace(moved_stages.study, flags=notes)
    text = words(made(replace(moved_stages, study=study, measurements=measurements)), tmp_path)
    assert "Lesions (11)" in text
    assert "5 smaller lesions are not listed here" in text
    assert "more notes are in result.json" in text


def test_a_healthy_brain_and_a_human_author(healthy_stages, by_hand, tmp_path):
    assert "none segmented" in words(made(healthy_stages), tmp_path, page=1)
    text = words(made(by_hand), tmp_path)
    assert "drawn or corrected by a person" in text


def test_both_languages_stand_side_by_side(stages, tmp_path):
    text = words(made(stages), tmp_path)
    for said in ("Impression", "सार", "Recommendations", "सुझाव", "Segmented tumour of", "का ट्यूमर मिला"):
        assert said in text


def test_flags_are_in_hindi_in_the_hindi_column(stages, tmp_path):
    flags = (
        FlagCode.POOR_REGISTRATION.flag(sequence=MRSequence.FLAIR, agreement=1.04),
        FlagCode.THICK_SLICES.flag(Severity.WARNING, spacing_mm=5.0, limit_mm=3.0),
    )
    text = words(made(stages, flags=flags), tmp_path)
    for said in (
        "FLAIR agrees poorly with the reference after alignment (1.040)",
        "रजिस्ट्रेशन के बाद भी FLAIR का संदर्भ सीक्वेंस से मेल कमज़ोर है (1.040); ओवरले जाँचें।",
        "Slices are 5.0 mm apart",
        "स्लाइसों के बीच की दूरी 5.0 मिमी है",
        "परिणाम पर भरोसा करने से पहले जाँचें",
        "गुणवत्ता संबंधी टिप्पणियाँ",
    ):
        assert said in text


def test_a_report_in_one_language_has_no_other(stages, tmp_path):
    assert "सार" not in words(made(stages, languages=("en",)), tmp_path)


def test_hindi_headings_come_first_where_hindi_is_asked_for_first(stages, tmp_path):
    text = words(made(stages, languages=("hi", "en")), tmp_path, page=1)
    assert text.startswith("मस्तिष्क ट्यूमर MRI रिपोर्ट")


def structure(pdf):
    """Kind, language, name and description of every tag, in reading order."""

    def walk(element, language):
        language = str(element.get("/Lang", language))
        if "/S" in element:
            yield str(element.S), language, str(element.get("/T", "")), str(element.get("/Alt", ""))
        kids = element.get("/K", [])
        for kid in kids if isinstance(kids, pikepdf.Array) else [kids]:
            if isinstance(kid, pikepdf.Dictionary) and "/S" in kid:
                yield from walk(kid, language)

    with pikepdf.open(io.BytesIO(pdf)) as opened:
        return list(walk(opened.Root.StructTreeRoot, str(opened.Root.Lang)))


def test_headings_paragraphs_tables_and_figures_are_tagged(illustrated, moved_stages):
    tree = structure(illustrated)
    kinds, titles = [kind for kind, *_ in tree], [title for _, _, title, _ in tree]
    assert kinds[:2] == ["/Document", "/H1"]
    assert titles[1] == "Brain tumour MRI report"
    start = titles.index("Measurements")
    assert kinds[start : start + 5] == ["/H2", "/Table", "/THead", "/TR", "/TH"]
    pictures = key_images(moved_stages.case, moved_stages.segmentation, moved_stages.measurements)
    described = [text for kind, _, _, text in tree if kind == "/Figure"]
    assert sorted(described) == sorted(picture.caption for picture in pictures)


def test_each_column_says_its_language(illustrated):
    tree = structure(illustrated)
    assert ("/H2", "en-GB", "Impression", "") in tree
    assert ("/H2", "hi", "सार", "") in tree
    assert [language for kind, language, *_ in tree if kind == "/P"].count("hi") > 20


def test_it_is_declared_as_pdf_a_and_pdf_ua_with_an_output_intent(illustrated):
    with pikepdf.open(io.BytesIO(illustrated)) as pdf:
        metadata = pdf.open_metadata()
        assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"], metadata["pdfuaid:part"]) == ("3", "A", "1")
        assert pdf.Root.OutputIntents[0].S == "/GTS_PDFA1"
        assert pdf.Root.MarkInfo.Marked


def test_a_checker_of_pdf_ua_finds_nothing(illustrated, tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(illustrated)
    assert [finding.message for finding in validate(str(path)).findings] == []


def test_the_file_has_the_time_of_the_report(illustrated, moved_stages):
    with pikepdf.open(io.BytesIO(illustrated)) as pdf:
        assert str(pdf.docinfo.CreationDate) == "D:20260102030405Z"
        assert pdf.open_metadata()["xmp:CreateDate"].startswith("2026-01-02T03:04:05")


def test_fonts_are_embedded(illustrated, tmp_path):
    if shutil.which("pdffonts") is None:
        pytest.skip("pdffonts (Debian package poppler-utils) is not installed")
    path = tmp_path / "report.pdf"
    path.write_bytes(illustrated)
    lines = subprocess.run(["pdffonts", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    assert lines
    assert all(re.search(r"\byes\s+yes\s+yes\b", line) for line in lines)


def test_pdf_with_pictures_is_small_enough_for_an_archive(illustrated):
    assert illustrated.startswith(b"%PDF-")
    assert io.BytesIO(illustrated).getbuffer().nbytes < 4_000_000


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe", "Doe"),
        ("", ""),
        ("^^^", ""),
        ("=山田^太郎", "山田 太郎"),
        ("Buc^Jérôme", "Buc, Jérôme"),
    ],
)
def test_person_names(raw, shown):
    assert person_name(raw) == shown


def test_dates_and_lists():
    assert plain_date("19610217") == "1961-02-17"
    assert plain_date("1961") == "1961"
    assert listed(["T1"]) == "T1"
    assert listed(["T1", "T2", "FLAIR"]) == "T1, T2 and FLAIR"
