"""The parts: words, dates, codes, keys, vault, table."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from braintumor.deidentify import (
    DeidentificationError,
    DeidentifyOptions,
    Originals,
    Person,
    Vault,
    clean_words,
    create_key,
    load_key,
)
from braintumor.deidentify.coded import cleaned_code
from braintumor.deidentify.dates import capped_age, shifted
from braintumor.deidentify.keys import LARGEST_SHIFT_DAYS, Key
from braintumor.deidentify.profile import TagAction, action_of
from braintumor.study.classify import classify
from braintumor.study.facts import HeaderFacts

WORDS = "a passphrase of words"
KEY = Key(b"k" * 32)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("T1_MPRAGE-SAG.iso +C John Doe 12345", "T1_MPRAGE-SAG.iso +C"),
        ("t1 tra C-", "t1 tra C-"),
        ("AX T2* GRE (Dr. Meyer)", "AX T2* GRE"),
        ("Sean ax FLAIR 0221 555 0188", "ax FLAIR"),
        ("t2_tirm_tra_dark-fluid_p2 3mm 1961-03-12", "t2_tirm_tra_dark-fluid_p2 3mm"),
        ("造影T1 山田太郎", "造影 T1"),
        ("Tim Vida Amira ax", "ax"),
        ("", ""),
    ],
)
def test_only_words_of_imaging_stay(given_, expected):
    assert clean_words(given_) == expected


def test_makers_and_the_patients_own_name():
    assert clean_words("MAGNETOM Vida", "ManufacturerModelName") == "MAGNETOM Vida"
    assert clean_words("MAGNETOM Vida", "SeriesDescription") == ""
    assert clean_words("Head ax", "", frozenset({"head"})) == "ax"


@given(st.text(max_size=60))
def test_cleaning_twice_changes_nothing_more_and_digits_never_pile_up(text):
    once = clean_words(text)
    assert clean_words(once) == once
    assert not any(run.isdigit() and len(run) > 4 for run in once.split())


@pytest.mark.parametrize(
    "description",
    [
        "T1 post Gd ax", "t1_mprage_sag_p2_iso", "T1 +C", "T1 C-", "T1 w/o contrast", "AX T2 FLAIR", "t2_tirm_tra_dark-fluid",
        "T2 TSE", "SAG T1 POST", "t1_se_tra_KM", "T1 FLAIR pre", "ep2d_diff_ADC", "AX T2* GRE", "3-plane localizer", "MIP",
        "T1造影後", "STIR cor", "TOF angio", "t1 nativ", "T1W_3D_TFE", "AX FSPGR BRAVO +C",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "Zwetschgenbaum {} 4711"])
def test_the_classifier_sees_the_same(description, around):
    before = classify(HeaderFacts(description=description))
    after = classify(HeaderFacts(description=clean_words(around.format(description))))
    assert (after.evidence.sequence, after.agent) == (before.evidence.sequence, before.agent)


@pytest.mark.parametrize(
    ("value", "vr", "expected"),
    [
        ("20240301", "DA", "20240229"),
        ("2024.03.01", "DA", "20240229"),
        ("20240301101530.25+0200", "DT", "20240229101530.25"),
        ("20240301", "DT", "20240229"),
        ("101530.5", "TM", "101530.5"),
        ("10:15 Meyer", "TM", ""),
        ("202403", "DT", ""),
        ("20241399", "DA", ""),
        ("20240301 Meyer", "DA", ""),
        ("00010101", "DA", ""),
    ],
)
def test_dates_move_and_what_is_none_goes(value, vr, expected):
    assert shifted(value, vr, -1) == expected


@pytest.mark.parametrize(("age", "left"), [("045Y", "045Y"), ("089Y", "089Y"), ("101Y", "090Y"), ("006M", "006M"), ("x", "")])
def test_high_ages_are_capped(age, left):
    assert capped_age(age) == left


@given(st.text(), st.dates())
def test_shifts_are_whole_days_back_and_the_same_each_time(identity, day):
    days = KEY.shift_days(identity)
    assert -LARGEST_SHIFT_DAYS <= days <= -1
    assert days == KEY.shift_days(identity)


def test_pseudonyms_and_uids_follow_from_the_key():
    assert KEY.pseudonym("a") == KEY.pseudonym("a") != KEY.pseudonym("b")
    assert KEY.pseudonym("a") != Key(b"l" * 32).pseudonym("a")
    assert len(KEY.pseudonym("a")) == len("BT-") + 10
    assert KEY.uid("1.2.3").startswith("2.25.")
    assert len(KEY.uid("1.2.3")) <= 64


def test_a_key_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "key"
    assert create_key(path) == load_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(DeidentificationError, match="exists already"):
        create_key(path)
    path.chmod(0o640)
    with pytest.raises(DeidentificationError, match="Others than its owner"):
        load_key(path)
    path.chmod(0o600)
    path.write_text("something else")
    with pytest.raises(DeidentificationError, match="no key"):
        load_key(path)
    with pytest.raises(DeidentificationError, match="does not exist"):
        load_key(tmp_path / "none")


def test_two_exports_merge_in_one_vault(tmp_path):
    vault = Vault(tmp_path / "vault", WORDS)
    vault.add(Originals({"BT-A": Person("1", "Doe^J", "", -3)}, {"2.25.1": "1.2"}), "f")
    vault.add(Originals({"BT-B": Person("2", "Roe^J", "", -4)}, {"2.25.2": "1.3"}), "f")
    read = vault.read()
    assert set(read.people) == {"BT-A", "BT-B"}
    assert read.uids == {"2.25.1": "1.2", "2.25.2": "1.3"}
    data = vault.path.read_bytes()
    assert b"Doe" not in data
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    assert "Doe" not in repr(read)
    with pytest.raises(DeidentificationError, match="another key"):
        vault.add(Originals(), "g")
    with pytest.raises(DeidentificationError, match="something else"):
        vault.add(Originals({"BT-A": Person("9", "", "", -3)}), "f")


def test_a_vault_that_does_not_open_says_why(tmp_path):
    vault = Vault(tmp_path / "vault", WORDS)
    with pytest.raises(DeidentificationError, match="does not exist"):
        vault.read()
    vault.add(Originals(), "f")
    with pytest.raises(DeidentificationError, match="passphrase is wrong"):
        Vault(vault.path, "another passphrase").read()
    with pytest.raises(DeidentificationError, match="fewer than"):
        Vault(vault.path, "short")
    data = bytearray(vault.path.read_bytes())
    data[-1] ^= 1
    vault.path.write_bytes(data)
    with pytest.raises(DeidentificationError, match="file was changed"):
        vault.read()
    vault.path.write_bytes(b"nothing of the kind")
    with pytest.raises(DeidentificationError, match="no vault"):
        vault.read()


@pytest.mark.parametrize(
    ("tag", "vr", "action"),
    [
        (0x00100010, "PN", TagAction.EMPTY),
        (0x00100030, "DA", TagAction.EMPTY),
        (0x00101000, "LO", TagAction.REMOVE),
        (0x00080018, "UI", TagAction.REMAP),
        (0x0008103E, "LO", TagAction.CLEAN),
        (0x00080020, "DA", TagAction.CLEAN),
        (0x00081140, "SQ", TagAction.CLEAN),
        (0x60023000, "OW", TagAction.REMOVE),
        (0x60020010, "US", TagAction.REMOVE),
        (0x50000005, "US", TagAction.REMOVE),
        (0x00291010, "OB", TagAction.REMOVE),
        (0x00280FFF, "LO", TagAction.REMOVE),
        (0x00181030, "LO", TagAction.CLEAN),
        (0x00180081, "DS", TagAction.KEEP),
        (0x00101010, "AS", TagAction.CLEAN),
        (0x00880200, "SQ", TagAction.REMOVE),
        (0x7FE00010, "OW", TagAction.KEEP),
        (0x00282000, "OB", TagAction.REMOVE),
    ],
)
def test_the_table_and_its_rules(tag, vr, action):
    assert action_of(Tag(tag), vr, DeidentifyOptions()) == action


def test_device_identity_is_an_option():
    tag = Tag(0x00181000)
    assert action_of(tag, "LO", DeidentifyOptions()) is TagAction.DUMMY
    assert action_of(tag, "LO", DeidentifyOptions(device=True)) is TagAction.KEEP


@pytest.mark.parametrize(
    ("code", "scheme", "meaning", "left"),
    [
        ("12738006", "SCT", "Brain of Doe", ("12738006", "SCT", "Brain structure")),
        ("12738006", "SCT", "Brain", ("12738006", "SCT", "Brain")),
        ("Doe", "SCT", "Brain", ("REMOVED", "99REMOVED", "Removed")),
        ("MRH", "99HOSPITAL", "MR head Doe", ("REMOVED", "99REMOVED", "Removed")),
        ("999999999", "SCT", "Doe", ("999999999", "SCT", "999999999")),
    ],
)
def test_codes_leave_under_the_standards_own_words(code, scheme, meaning, left):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, scheme, meaning
    found = cleaned_code(item, frozenset())
    assert (found["CodeValue"], found["CodingSchemeDesignator"], found["CodeMeaning"]) == left


def test_the_vault_file_says_how_it_is_locked(tmp_path):
    vault = Vault(tmp_path / "vault", WORDS)
    vault.add(Originals(), "f")
    header = json.loads(vault.path.read_bytes().split(b"\n")[0].removeprefix(b"braintumor-vault "))
    assert (header["version"], header["n"]) == (1, 2**17)
