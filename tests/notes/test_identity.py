"""Whose notes: explicit lines that differ leave a document out, and nothing else does."""

from datetime import date

import pytest

from braintumor.domain import Patient
from braintumor.notes.dates import readings, written_on
from braintumor.notes.identity import Whose, whose

OURS = Patient(patient_id="000457-B", name="Sharma^Ravi^Kumar", birth_date="19700304")


@pytest.mark.parametrize(
    "line",
    [
        "MRN: 457-B",
        "Patient ID: 000457-B",
        "**Patient ID:** 457B",
        "UHID: 457B   Age: 54   Sex: M",
        "Name: Ravi Sharma   MRN: 457-B",
        "Name: SHARMA, Ravi K., Age: 54",
        "Name: Mr. R. Sharma",
        "Patient: Ravi Sharma",
        "Patient name - Ravi\nMRN: 457B",
        "DOB: 04/03/1970",
        "DOB: 03/04/1970",
        "D.O.B: 4 March 1970",
        "Date of birth: 1970-03-04",
        "Patient ID: 457B\nHospital number: 99887",  # of another register
    ],
)
def test_lines_that_agree(line):
    assert whose(f"Clinic letter\n{line}\nHe is well.", OURS) is Whose.OURS


@pytest.mark.parametrize(
    "line",
    [
        "MRN: 458-B",
        "Patient ID: 0004570",
        "Name: Sunita Verma",
        "Name: Ravi Verma",
        "Patient's name: Anil Sharma",
        "Patient\u2019s name: Dr Anil Rao",
        "Patient: Sunita Verma",
        "DOB: 5 March 1970",
        "MRN: 457-B\nSecond letter\nMRN: 999-X",  # notes of two patients in one file
        "Name: Ravi Sharma\nDOB: 01/01/1950",
        "| Name: Sunita Verma | MRN: 457B |",
        "Age: 50  Name: Sunita Verma",
        "यूनिट 4\nUHID: 9981",
    ],
)
def test_lines_that_differ(line):
    assert whose(f"Clinic letter\n{line}\nHe is well.", OURS) is Whose.ANOTHERS


@pytest.mark.parametrize(
    "line",
    [
        "He is well.",
        "Drug name: Temozolomide",
        "Name: [REDACTED]\nMRN: xxxx\nDOB: **",
        "Name: ______",
        "Name: Dr A. Menon",
        "Patient: seen with his wife in clinic",
        "मरीज का नाम: सुनीता वर्मा",  # another script cannot be compared
        "The patient: a 54-year-old man",
        "Name:\nMRN:",
    ],
)
def test_lines_that_prove_nothing(line):
    assert whose(f"Clinic letter\n{line}\n", OURS) is Whose.UNSAID


def test_names_of_other_scripts_are_compared_where_the_study_has_them():
    both = Patient(name="Verma^Sunita=वर्मा^सुनीता")
    assert whose("मरीज का नाम: सुनीता वर्मा", both) is Whose.OURS
    assert whose("मरीज का नाम: रवि शर्मा", both) is Whose.ANOTHERS


def test_empty_fields_of_the_patient_are_not_compared():
    assert whose("MRN: 1\nName: Anybody Else\nDOB: 1 May 1990", Patient()) is Whose.UNSAID


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("2024-03-05", {date(2024, 3, 5)}),
        ("05/03/2024", {date(2024, 3, 5), date(2024, 5, 3)}),
        ("25.3.2024", {date(2024, 3, 25)}),
        ("५ मई", set()),
        ("२५/०३/२०२४", {date(2024, 3, 25)}),
        ("3rd May 2024", {date(2024, 5, 3)}),
        ("May 3, 2024", {date(2024, 5, 3)}),
        ("16-Jan-24", {date(1924, 1, 16), date(2024, 1, 16)}),
        ("31/02/2024", set()),
        ("no date", set()),
        ("99999999", set()),
    ],
)
def test_dates_in_every_way_they_can_be_read(words, days):
    assert readings(words) == days


@pytest.mark.parametrize(
    ("name", "text", "day"),
    [
        ("2024-02-01 clinic.txt", "Date: 3 May 2020", date(2024, 2, 1)),
        ("clinic.txt", "Clinic\nDate: 3 May 2020", date(2020, 5, 3)),
        ("clinic.txt", "Date: 03/05/2020", None),
        ("clinic.txt", "Date of birth: 3 May 1960", None),
        ("clinic.txt", "nothing", None),
    ],
)
def test_when_a_note_was_written(name, text, day):
    assert written_on(name, text) == day
