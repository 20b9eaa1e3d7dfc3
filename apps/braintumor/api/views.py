"""Domain objects as the JSON that the viewer's panel reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from apps.braintumor.labels import Version
from braintumor.jobs import Job
from braintumor.labels import LABELS, REGION_NAMES, Region, values_of
from braintumor.nouns import Flag


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


def of_version(version: Version) -> dict[str, Any]:
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
