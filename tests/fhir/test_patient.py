"""Names and numbers of patients, in any script and any state, and that none of them breaks a bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.domain import Identifier, Line, Patient, Section, abha_identifier
from braintumor.fhir import bundle, validate
from braintumor.fhir.parts import Naming, clean, token
from braintumor.fhir.patient import birth_date, human_names, identifiers, person_name
from tests import reports


def of(content: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in content["entry"] if entry["resource"]["resourceType"] == kind]


def test_patient() -> None:
    (patient,) = of(bundle(reports.amended(), patient_system="https://hospital.example/mrn"), "Patient")
    assert [(each.get("system"), each["value"]) for each in patient["identifier"]] == [
        ("https://hospital.example/mrn", "P-010"),
        (reports.ABHA, "91-1234-5678-9012"),
        (None, "W/17|b,c"),
    ]
    assert (patient["gender"], patient["birthDate"]) == ("female", "1968-07-04")
    assert patient["name"] == [{"use": "official", "text": "Lakshmi Iyer", "family": "Iyer", "given": ["Lakshmi"]}]


def test_patient_is_created_only_where_unknown_and_by_numbers_that_can_be_searched() -> None:
    entry = bundle(reports.amended())["entry"][0]
    assert entry["request"]["method"] == "POST"
    searched = f"{token(Naming().patient_id, 'P-010')},{token(reports.ABHA, '91-1234-5678-9012')}"
    assert entry["request"]["ifNoneExist"] == f"identifier={searched}"


def test_search_values_are_escaped() -> None:
    assert token("urn:a", "b|c,d$e\\f") == "urn%3Aa%7Cb%5C%7Cc%5C%2Cd%5C%24e%5C%5Cf"


def test_ideographic_names() -> None:
    (patient,) = of(bundle(reports.many_scripts()), "Patient")
    assert [(name["text"], name["extension"][0]["valueCode"]) for name in patient["name"]] == [
        ("Tarou Yamada", "ABC"),
        ("山田 太郎", "IDE"),
        ("やまだ たろう", "SYL"),
    ]
    assert person_name(patient["name"]) == "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("19680704", "1968-07-04"), ("1968.07.04", "1968-07-04"), ("", ""), ("19681340", ""), ("00000000", ""), ("1968", "")],
)
def test_birth_dates(value: str, expected: str) -> None:
    assert birth_date(value) == expected


TEXT = st.text(max_size=40)
SCRIPTS = st.text(alphabet="aÄß अआक्ष山田ءلى Ω😀\u200d\u3000^=\\,|$&<>\"'\x00\x1b", max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    name=TEXT | SCRIPTS,
    patient_id=TEXT | SCRIPTS,
    birth=TEXT | st.dates().map(lambda day: day.strftime("%Y%m%d")),
    sex=st.sampled_from(["M", "F", "O", "", "f ", "X"]),
    others=st.lists(st.tuples(TEXT, TEXT | SCRIPTS), max_size=3),
    accession=TEXT | SCRIPTS,
    said=TEXT | SCRIPTS,
)
def test_any_name_and_number_gives_a_sound_bundle(
    name: str, patient_id: str, birth: str, sex: str, others: list[tuple[str, str]], accession: str, said: str
) -> None:
    base = reports.first_visit()
    texts = {"en": replace(base.texts["en"], sections={**base.texts["en"].sections, Section.IMPRESSION: (Line(said),)})}
    report = replace(
        base,
        patient=Patient(patient_id, name, birth, sex),
        identifiers=tuple(Identifier(*pair) for pair in others),
        study=replace(base.study, accession=accession),
        texts=texts,
    )
    made = bundle(report)
    assert validate(made) == ()
    json.dumps(made, ensure_ascii=False).encode()
    assert bool(of(made, "Patient")) == bool(list(identifiers(report, Naming())))


PART = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="^=\\"), max_size=12).map(
    lambda text: clean(text)
)


@given(st.lists(PART, min_size=5, max_size=5))
def test_names_come_back(parts: list[str]) -> None:
    family, given_name, middle, prefix, suffix = parts
    middle = middle if given_name else ""  # FHIR keeps an order of given names, not a gap in it
    name = "^".join((family, given_name, middle, prefix, suffix)).rstrip("^")
    assert person_name(human_names(name)) == name


def test_an_abha_number_has_14_digits() -> None:
    assert abha_identifier("12 3456-7890 1234") == Identifier(reports.ABHA, "12-3456-7890-1234")
    for wrong in ("", "123", "1234567890123४", "12345678901234 5"):
        with pytest.raises(ValueError, match="14 digits"):
            abha_identifier(wrong)
