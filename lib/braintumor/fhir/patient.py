"""Who the report is about: Patient, or a reference by identifier where nobody is known well enough to be stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from braintumor.domain import ABHA, Identifier, Patient, Report
from braintumor.fhir import codes
from braintumor.fhir.parts import Naming, Part, Resource, clean, filled, full_url, plain_token, token

GENDERS = {"M": "male", "F": "female", "O": "other"}
REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
GROUPS = ("ABC", "IDE", "SYL")
"""Groups of a DICOM person name (PS3.5 6.2.1.2) in their order: alphabetic, ideographic, phonetic."""


def patient(report: Report, naming: Naming) -> Part | None:
    """The Patient; None where the report has no identifier of one (NIfTI, anonymised studies).

    It is created only if the server knows none of its identifiers (``ifNoneExist``); a Patient that is there is never changed.
    Two Patients with our identifiers are an error of the server's data, and it refuses.
    """
    found = tuple(identifiers(report, naming))
    if not found:
        return None
    who = report.patient
    resource: Resource = {
        "resourceType": "Patient",
        "identifier": [_identifier(each, naming) for each in found],
        "name": human_names(who.name),
        "gender": GENDERS.get(who.sex.strip().upper(), "unknown"),
        "birthDate": birth_date(who.birth_date),
    }
    searched = [each for each in found if each.system and plain_token(each.value)] or list(found)
    query = ",".join(token(each.system, each.value) for each in searched)
    request = {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={query}"}
    return Part("Patient", full_url("Patient", found[0].system, found[0].value), filled(resource), request)


def subject(report: Report, part: Part | None, naming: Naming) -> Resource:
    """Reference to the Patient, or one by the study's identifier that names nobody.

    A Patient without identifier would be made anew by every post, and could never be told from another one. So none is stored
    for NIfTI, and the reference is a logical one (R4 2.3.0.1): valid wherever a subject is required, and honest.
    """
    if part is not None:
        return part.reference
    name = next((str(each["text"]) for each in human_names(report.patient.name)), "")
    return {
        "type": "Patient",
        "identifier": {"system": naming.system("subject-of-study"), "value": clean(report.study.uid) or report.uid},
        "display": name or "Unidentified patient",
    }


def identifiers(report: Report, naming: Naming) -> Iterator[Identifier]:
    """The Patient ID first, then the others, each once."""
    seen = set()
    own = Identifier(naming.patient_id, report.patient.patient_id)
    for each in (own, *report.identifiers):
        key = (_uri(each.system), clean(each.value))
        if key[1] and key not in seen:
            seen.add(key)
            yield Identifier(*key)


def _identifier(identifier: Identifier, naming: Naming) -> Resource:
    own = identifier.system == naming.patient_id
    found: Resource = {"use": "usual" if own else "official"}
    if own:
        found["type"] = codes.concept(codes.MEDICAL_RECORD)
    elif identifier.system == ABHA:
        found["type"] = {"text": "ABHA number"}  # no code: v2-0203 has none that says it
    if identifier.system:
        found["system"] = identifier.system
    return {**found, "value": identifier.value}


def _uri(value: str) -> str:
    """A system without blanks and control characters, which a URI cannot hold."""
    return re.sub(r"\s+", "", clean(value))


def human_names(value: str) -> list[Resource]:
    """A DICOM person name as HumanName, one for each of its groups that says something.

    >>> [name["text"] for name in human_names("Yamada^Tarou=山田^太郎=やまだ^たろう")]
    ['Tarou Yamada', '山田 太郎', 'やまだ たろう']
    """
    groups = value.split("=")[:3]
    several = sum(bool(clean(group.replace("^", " "))) for group in groups) > 1
    found = (_human_name(group, code, several=several) for code, group in zip(GROUPS, groups, strict=False))
    return [name for name in found if name is not None]


def _human_name(group: str, code: str, *, several: bool) -> Resource | None:
    parts = [clean(part) for part in group.split("^")][:5]
    family, given, middle, prefix, suffix = parts + [""] * (5 - len(parts))
    order = (prefix, given, middle, family, suffix) if code == "ABC" else (prefix, family, given, middle, suffix)
    text = " ".join(filter(None, order))
    if not text:
        return None
    name: Resource = {"use": "official", "text": text, "family": family, "given": [p for p in (given, middle) if p]}
    name |= {"prefix": [prefix] if prefix else [], "suffix": [suffix] if suffix else []}
    if several:
        name["extension"] = [{"url": REPRESENTATION, "valueCode": code}]
    return filled(name)


def birth_date(value: str) -> str:
    """A DICOM date as FHIR's; '' when it is none."""
    found = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", value.strip(), re.ASCII)
    try:
        return date(*(int(part) for part in found.groups())).isoformat() if found else ""
    except ValueError:
        return ""


def noun(resource: Resource, system: str) -> tuple[Patient, tuple[Identifier, ...]]:
    """A server's Patient in our words: the patient as DICOM would have it, and its further identifiers.

    Parameters
    ----------
    system
        Whose identifier is the Patient ID; where the Patient has none of it, the one that is typed as medical record number.
    """
    given = [each for each in resource.get("identifier", ()) if each.get("value") and each.get("use") != "old"]
    own = next((each for each in given if each.get("system") == system), None) or next(
        (each for each in given if _is_record_number(each)), None
    )
    others = tuple(Identifier(each.get("system", ""), each["value"]) for each in given if each is not own)
    sexes = {gender: sex for sex, gender in GENDERS.items()}
    who = Patient(
        patient_id=own["value"] if own else "",
        name=person_name(resource.get("name", ())),
        birth_date=str(resource.get("birthDate", "")).replace("-", "") if len(str(resource.get("birthDate", ""))) == 10 else "",
        sex=sexes.get(resource.get("gender", ""), ""),
    )
    return who, others


def _is_record_number(identifier: Resource) -> bool:
    return any(each.get("code") == codes.MEDICAL_RECORD.value for each in identifier.get("type", {}).get("coding", ()))


def person_name(names: list[Resource] | tuple[Resource, ...]) -> str:
    """HumanName as a DICOM person name: the official one of each representation.

    >>> person_name(human_names("Doe^Jane^A.^Dr^MD"))
    'Doe^Jane^A.^Dr^MD'
    """
    uses = ("official", "usual", "")
    ordered = sorted((name for name in names if name.get("use") != "old"), key=lambda name: _place(name.get("use", ""), uses))
    groups = ["", "", ""]
    for name in ordered:
        codes_found = [each.get("valueCode") for each in name.get("extension", ()) if each.get("url") == REPRESENTATION]
        place = GROUPS.index(codes_found[0]) if codes_found and codes_found[0] in GROUPS else 0
        groups[place] = groups[place] or _group(name)
    return "=".join(groups).rstrip("=")


def _place(use: str, uses: tuple[str, ...]) -> int:
    return uses.index(use) if use in uses else len(uses)


def _group(name: Resource) -> str:
    given = [_component(part) for part in name.get("given", ())]
    parts = [
        _component(name.get("family", "")),
        " ".join(given[:1]),
        " ".join(given[1:]),
        " ".join(_component(part) for part in name.get("prefix", ())),
        " ".join(_component(part) for part in name.get("suffix", ())),
    ]
    return "^".join(parts).rstrip("^") or _component(name.get("text", ""))


def _component(value: str | None) -> str:
    """Without the characters that separate parts of a person name."""
    return clean(re.sub(r"[\^=\\]", " ", value or ""))
