"""`braintumor deidentify` as a person uses it: key, export, reveal."""

import json

import pytest

from braintumor.cli import deidentify
from braintumor.cli.deidentify import PASSPHRASE
from braintumor.deidentify import DeidentificationError

WORDS = "a passphrase of words"


def call(*arguments):
    return deidentify.app([str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def place(dicom_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deidentify")
    one = folder / "study"
    one.mkdir()
    for path in sorted(dicom_study.rglob("*.dcm"))[:3]:
        (one / path.name).write_bytes(path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSPHRASE, WORDS)
        call("key", folder / "key")
        call("export", one, "-o", folder / "out", "--key", folder / "key", "--vault", folder / "vault", "--no-deface")
    return folder


def test_the_way_out_and_back(place, monkeypatch, capsys):
    monkeypatch.setenv(PASSPHRASE, WORDS)
    report = json.loads((place / "out" / "deidentification.json").read_text())
    (pseudonym,) = report["studies"]
    capsys.readouterr()
    call("reveal", pseudonym, "--vault", place / "vault")
    assert "PHANTOM-0007" in capsys.readouterr().out
    call("reveal", report["studies"][pseudonym][0], "--vault", place / "vault", "--json")
    assert json.loads(capsys.readouterr().out)["uid"].startswith("1.2.826.")
    with pytest.raises(DeidentificationError, match="does not know"):
        call("reveal", "BT-NOBODY", "--vault", place / "vault")
    monkeypatch.setenv(PASSPHRASE, "the wrong passphrase")
    with pytest.raises(DeidentificationError, match="passphrase is wrong"):
        call("reveal", pseudonym, "--vault", place / "vault")


def test_a_dry_run_says_what_would_be_done(place, capsys):
    call("export", place / "study", "-o", place / "dry", "--key", place / "key", "--no-deface", "--dry-run")
    said = capsys.readouterr().out
    assert "dry run" in said
    assert "3 MR Image Storage" in said
    assert "No vault was named" in said
    assert "PHANTOM-0007" not in said
    assert not (place / "dry").exists()


def test_the_report_as_json_holds_no_value(place, capsys):
    call("export", place / "study", "-o", place / "json", "--key", place / "key", "--no-deface", "--json")
    said = capsys.readouterr().out
    assert json.loads(said)["written"] == {"MR Image Storage": 3}
    assert "PHANTOM-0007" not in said
    assert "Glioma" not in said


def test_a_key_in_the_output_is_refused(place, tmp_path):
    call("key", tmp_path / "out" / "key")
    with pytest.raises(DeidentificationError, match="inside the output"):
        call("export", place / "study", "-o", tmp_path / "out", "--key", tmp_path / "out" / "key")
