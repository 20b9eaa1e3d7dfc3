"""`result.json`: what went in, what was done with which versions, what came out; no patient data in it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from braintumor import __version__
from braintumor.domain import Case, Findings, Measurements, Section, Segmentation, Study
from braintumor.measure import as_dict
from braintumor.report import write_text

SCHEMA = "braintumor-result/1"
"""Raised when a key changes its meaning or goes away."""

_LIBRARIES = ("torch", "openvino", "highdicom", "pydicom", "SimpleITK", "numpy", "deepbet")


def build(
    study: Study,
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    findings: Findings,
    *,
    created: datetime,
    timings: Mapping[str, float],
    outputs: Mapping[str, tuple[str, ...]],
    folder: Path,
) -> dict[str, Any]:
    """The manifest as a JSON-ready dict.

    Parameters
    ----------
    outputs
        Kind -> paths relative to `folder`, all written already; they are hashed here.
    """
    return {
        "schema": SCHEMA,
        "created": created.isoformat(timespec="seconds"),
        "software": {
            "name": "braintumor",
            "version": __version__,
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in _LIBRARIES},
        },
        "input": _input(study),
        "preparation": {
            "grid": case.grid.summary(),
            "present": [sequence.value for sequence in case.present],
            "steps": list(case.steps),
            "alignment": {
                sequence.value: {
                    "method": alignment.method,
                    "quality_nmi": None if alignment.quality is None else round(alignment.quality, 4),
                    "translation_mm": round(alignment.translation_mm, 3),
                    "rotation_deg": round(alignment.rotation_deg, 3),
                    "transform_lps": [[round(float(v), 6) for v in row] for row in alignment.transform],
                }
                for sequence, alignment in case.alignment.items()
            },
        },
        "model": {
            "name": segmentation.author.name,
            "version": segmentation.author.version,
            "checksum_sha256": segmentation.author.checksum,
            "engine": segmentation.author.engine,
            "confidence": {region.value: round(value, 4) for region, value in segmentation.confidence.items()},
        },
        "measurements": as_dict(measurements),
        "findings": [
            {"section": section.value, "text": line.text, "source": line.source}
            for section, lines in write_text(findings, "en").sections.items()
            if section is not Section.CLINICAL  # age, referral and notes are patient data
            for line in lines
        ],
        "flags": [{"code": f.code, "severity": f.severity.value, "message": f.message} for f in findings.flags],
        "timings_s": dict(timings),
        "outputs": {
            kind: [{"path": path, "sha256": _sha256(folder / path), "bytes": (folder / path).stat().st_size} for path in paths]
            for kind, paths in outputs.items()
        },
    }


def _input(study: Study) -> dict[str, Any]:
    return {
        "kind": study.kind,
        "study_uid": study.uid,
        "reference": study.reference_sequence.value,
        "series": {
            sequence.value: {
                "uid": series.uid,
                "grid": series.image.grid.summary(),
                "confidence": round(series.evidence.confidence, 3),
                "reasons": list(series.evidence.reasons),
                "attributes": dict(series.attributes),
                "instances": [{"uid": i.uid, "sha256": i.sha256} for i in series.instances],
            }
            for sequence, series in study.series.items()
        },
        "unused": dict(study.unused),
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
