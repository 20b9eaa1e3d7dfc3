"""Domain objects as the JSON that the viewer's panel reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from braintumor.domain import LABELS, REGION_NAMES, Flag, Region, Report, Section, values_of
from braintumor.report.editing import edited_alone
from braintumor.report.language import language_of
from braintumor.report.names import person_name
from braintumor.server.jobs import Job
from braintumor.server.labels import MaskVersion


def of_flags(flags: tuple[Flag, ...]) -> list[dict[str, str]]:
    """What a reader must know, the gravest first."""
    order = ["serious", "warning", "info"]
    return sorted(
        ({"code": f.code, "severity": f.severity.value, "message": f.message} for f in flags),
        key=lambda f: order.index(f["severity"]),
    )


def of_job(job: Job) -> dict[str, Any]:
    """A job, its times as ISO 8601 in UTC."""
    content = asdict(job)
    for key in ("queued", "started", "ended"):
        seconds = content[key]
        content[key] = None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    content["state"] = job.state.value
    return content


def of_version(version: MaskVersion) -> dict[str, Any]:
    """One line of the history; `change` in short (whole tumour), with all regions under `regions`.

    The time gets the server's offset, for DICOM's content time has none and browsers are elsewhere.
    """
    return {
        "uid": version.uid,
        "kind": version.kind,
        "author": version.author,
        "model_version": version.model_version,
        "created": version.created.astimezone().isoformat() if version.created else None,
        "referenced_series": version.referenced_series,
        "change": None if version.change is None else _change(version.change),
    }


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    whole = Region.WT.value
    return {
        "dice": change["dice"],
        "added_ml": change["added_ml"][whole],
        "removed_ml": change["removed_ml"][whole],
        "changed_ml": change["changed_ml"],
        "regions": {"added_ml": change["added_ml"], "removed_ml": change["removed_ml"]},
    }


def label_table() -> list[dict[str, Any]]:
    """The one table of labels."""
    return [
        {
            "value": label.value,
            "segment": label.segment,
            "name": label.name,
            "short": label.short,
            "rgb": list(label.rgb),
            "regions": sorted(region.value for region in label.regions),
        }
        for label in LABELS
    ]


def region_table() -> list[dict[str, Any]]:
    """Regions and the label values that make them up."""
    return [{"name": region.value, "title": REGION_NAMES[region], "labels": list(values_of(region))} for region in Region]


def of_report(report: Report, *, fresh: bool, sendable: bool = False) -> dict[str, Any]:
    """A report for its page: text by section with one column per language, numbers, flags, pictures, history."""
    languages = [language_of(code) for code in report.texts]
    approved = report.approved
    alone = edited_alone(report)
    return {
        "version": report.version,
        "status": report.status.value,
        "approved": None if approved is None else {"by": approved.who, "when": approved.when.isoformat()},
        "fresh": fresh,
        "sendable": sendable,
        "patient": {"name": person_name(report.patient.name), "id": report.patient.patient_id},
        "study_date": report.study.date.isoformat() if report.study.date else None,
        "languages": [{"code": one.code, "name": one.words("language-name")} for one in languages],
        "sections": [
            {
                "name": section.value,
                "titles": {one.code: one.title(section) for one in languages},
                "lines": {
                    one.code: [
                        {"text": line.text, "origin": line.origin.value}
                        for line in report.texts[one.code].sections.get(section, ())
                    ]
                    for one in languages
                },
                "edited_alone": list(alone.get(section, ())),
            }
            for section in Section
        ],
        "regions": _regions(report),
        "flags": of_flags(report.findings.flags),
        "pictures": [{"name": image.name, "caption": image.caption} for image in report.pictures],
        "history": [
            {"when": e.when.isoformat(), "action": e.action.value, "who": e.who, "detail": e.detail} for e in report.audit
        ],
    }


def _regions(report: Report) -> list[dict[str, Any]]:
    """Numbers as they were measured: who shows them rounds once, as the report's sentences do."""
    comparison = report.findings.comparison
    rows = []
    for region in Region:
        found = report.findings.measurements.regions.get(region.value)
        change = comparison.regions.get(region) if comparison else None
        rows.append(
            {
                "name": region.value,
                "title": REGION_NAMES[region],
                "ml": None if found is None else found.volume_ml,
                "prior_ml": None if change is None else change.before.value,
                "change_ml": None if change is None else change.ml.value,
                "change_interval_ml": None if change is None else [change.ml.low, change.ml.high],
                "change_percent": None if change is None or change.percent is None else change.percent.value,
                "direction": None if change is None else change.direction.value,
            }
        )
    return rows
