"""Who and what made the report, of which bytes: the Device and one Provenance per version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from braintumor.domain import Action, Code, Entry, Report
from braintumor.fhir import codes
from braintumor.fhir.imaging import named_information
from braintumor.fhir.parts import Frame, Naming, Part, Resource, clean, filled, full_url, instant, issued, status, updated
from braintumor.fhir.report import version

PRODUCT = "braintumor"
MANUFACTURER = "Brain Tumor project"

_ROLES = {
    Action.REPHRASED: Code("assembler", "participant", "Assembler"),
    Action.EDITED: Code("author", "participant", "Author"),
    Action.AMENDED: Code("author", "participant", "Author"),
    Action.APPROVED: Code("verifier", "participant", "Verifier"),
}
"""What people (or language models) did, as FHIR calls it. REFUSED changed nothing; MADE is the Device's."""

_HEX_256 = re.compile("[0-9a-f]{64}")


def device(report: Report, naming: Naming) -> Part:
    """The software with its model, engine and the weights' checksum; one Device for all reports it makes.

    For a mask by a person it is the software alone: the person is the Observation's performer.
    """
    made, author = report.provenance, report.findings.technique.author
    by_model = author.kind != "human"
    model = " ".join(filter(None, (clean(made.model), clean(made.model_version)))) if by_model else ""
    versions = {
        "software": clean(made.software_version),
        "model": model,
        "engine": clean(made.engine) if by_model else "",
        "weights SHA-256": clean(made.weights_checksum) if by_model else "",
    }
    content: Resource = {
        "resourceType": "Device",
        "identifier": [named_information(made.weights_checksum)]
        if by_model and _HEX_256.fullmatch(made.weights_checksum)
        else [],
        "status": "active",
        "manufacturer": MANUFACTURER,
        "deviceName": [{"name": PRODUCT, "type": "model-name"}],
        "type": codes.concept(codes.ours("software")),
        "version": [{"type": {"text": kind}, "value": value} for kind, value in versions.items() if value],
        "note": [{"text": "Research use only. Not a medical device."}],
    }
    key = hashlib.sha256(repr((PRODUCT, sorted(versions.items()))).encode()).hexdigest()
    return updated(naming, "device", key, filled(content))


def provenance(frame: Frame, targets: Sequence[Part]) -> Part:
    """How this version came about.

    Provenance has no identifier in R4, so it is found again by a tag that names the version (conditional update by ``_tag``);
    the Provenance of an earlier version stays. It carries no signature: the report's signature is inside the PDF.
    """
    report, naming = frame.report, frame.naming
    system, code = naming.system("provenance"), version(report)
    resource: Resource = {
        "resourceType": "Provenance",
        "meta": {"tag": [{"system": system, "code": code}, naming.tag(report.uid)]},
        "target": [target.reference for target in targets],
        "occurredDateTime": instant(report.provenance.created),
        "recorded": issued(report),
        "activity": codes.concept(_activity(report)),
        "agent": [_software(frame), *_annotator(report), *_people(report.audit)],
        "entity": list(_entities(frame)),
    }
    request = {"method": "PUT", "url": f"Provenance?_tag={quote(f'{system}|{code}', safe='')}"}
    return Part("provenance", full_url("Provenance", system, code), resource, request)


def _activity(report: Report) -> Code:
    revised = status(report) == "amended"
    return Code("UPDATE", "operation", "revise") if revised else Code("CREATE", "operation", "create")


def _software(frame: Frame) -> Resource:
    return {"type": codes.concept(Code("assembler", "participant", "Assembler")), "who": frame.device}


def _annotator(report: Report) -> list[Resource]:
    author = report.findings.technique.author
    if author.kind != "human":
        return []
    who = {"type": "Practitioner", "display": clean(author.name) or "Annotator"}
    return [{"type": codes.concept(Code("performer", "participant", "Performer"), text="Outlined the tumour"), "who": who}]


def _people(audit: Sequence[Entry]) -> Iterator[Resource]:
    """Everybody once per role, in the order in which they took part."""
    for action, who in dict.fromkeys((entry.action, clean(entry.who)) for entry in audit):
        if action in _ROLES and who:
            kind = {} if action is Action.REPHRASED else {"type": "Practitioner"}
            yield {"type": codes.concept(_ROLES[action]), "who": {**kind, "display": who}}


def _entities(frame: Frame) -> Iterator[Resource]:
    """What it was made of: the images, and the hashes that tell whether they, or the mask, are still the same."""
    for source in frame.sources:
        yield {"role": "source", "what": source}
    made = frame.report.provenance
    hashed = (("source", "All input files", made.input_sha256), ("derivation", "Segmentation mask", made.mask_sha256))
    for role, words, digest in hashed:
        if _HEX_256.fullmatch(digest):
            yield {"role": role, "what": {"identifier": named_information(digest), "display": f"{words}, SHA-256 {digest}"}}
