"""The report's files: drafts and final versions as PDF, DICOM and FHIR, beside the facts they were made of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.dataset import Dataset

from braintumor import report
from braintumor.domain import (
    Findings,
    Identifier,
    InputNotFoundError,
    Provenance,
    Report,
    StoredInstance,
    StoredSeries,
    Study,
    StudyKind,
    write_bytes,
)
from braintumor.export.common import ResultContext, save
from braintumor.export.encapsulated import make_pdf, next_pdf
from braintumor.fhir import bundle
from braintumor.report import Picture
from braintumor.report.versions import FOLDER, ReportFolder, packed

if TYPE_CHECKING:
    from braintumor.report.approval import Final

TITLE = "Brain tumour MRI report"
"""Document Title and Series Description of the encapsulated PDF."""


@dataclass(frozen=True, eq=False)
class Sources:
    """What a report is made of."""

    study: Study
    findings: Findings
    provenance: Provenance
    context: ResultContext
    pictures: tuple[Picture, ...]
    derived: tuple[StoredSeries, ...] = ()


def stored(*objects: Dataset) -> tuple[StoredSeries, ...]:
    """DICOM objects made of a study, as its report refers to them."""
    return tuple(
        StoredSeries(
            uid=str(one.SeriesInstanceUID),
            modality=str(one.Modality),
            description=str(one.get("SeriesDescription", "")),
            sequence=None,
            instances=(StoredInstance(str(one.SOPInstanceUID), str(one.SOPClassUID), ""),),
        )
        for one in objects
    )


def write_report(sources: Sources, languages: Iterable[str], identifiers: Iterable[Identifier], folder: Path) -> list[Path]:
    """Write the first version of a report: ``report.pdf``, below ``report/`` its facts, text, pictures and FHIR bundle, and
    for a DICOM study ``dicom/report.dcm``.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UnknownLanguageError
    """  # noqa: D205  one list of files
    images = packed(sources.pictures)
    document = report.draft(
        sources.study,
        sources.findings,
        sources.provenance,
        uid=sources.context.uid("report"),
        pictures=[image for image, _ in images],
        languages=languages,
        identifiers=identifiers,
        derived=sources.derived,
    )
    kept = ReportFolder.create(folder / FOLDER, document, images)
    pdf = report.render(document, sources.pictures)
    (folder / "report.pdf").write_bytes(pdf)
    _same(folder / "report.pdf", kept.path(1, "pdf"))
    write_bytes(kept.path(1, "fhir.json"), _json(document, pdf))
    written = [folder / "report.pdf", *(path for path in (folder / FOLDER).rglob("*") if path.is_file())]
    if sources.study.kind is StudyKind.DICOM:
        (folder / "dicom").mkdir(exist_ok=True)
        encapsulated = save(make_pdf(sources.study, pdf, TITLE, sources.context), folder / "dicom" / "report.dcm")
        _same(encapsulated, kept.path(1, "dcm"))
        written += [encapsulated, kept.path(1, "dcm")]
    return written


def write_final(folder: ReportFolder, final: Final, when: datetime) -> list[Path]:
    """Write a final version's DICOM object and FHIR bundle beside its signed PDF.

    Both follow from what is stored, so they are made again if the program was killed before they were written.

    Parameters
    ----------
    when
        Content time of the DICOM object.
    """
    number = final.report.version
    written = [folder.path(number, "fhir.json")]
    write_bytes(written[0], _json(final.report, final.pdf))
    if folder.path(1, "dcm").exists():
        target = folder.path(number, "dcm")
        target.unlink(missing_ok=True)
        written.append(save(_next(folder, final, when), target))
    return written


def encapsulated(folder: ReportFolder, final: Final) -> Dataset:
    """A final version as DICOM, as `write_final` stored it.

    Raises
    ------
    InputNotFoundError
        If the study is no DICOM study.
    """
    path = folder.path(final.report.version, "dcm")
    if not path.exists():
        raise InputNotFoundError("The report has no DICOM object", remedy="Only reports of DICOM studies have one", path=path)
    return dcmread(path)


def _next(folder: ReportFolder, final: Final, when: datetime) -> Dataset:
    return next_pdf(dcmread(folder.path(1, "dcm")), final.pdf, final.report, when)


def _json(document: Report, pdf: bytes) -> bytes:
    return json.dumps(bundle(document, pdf=pdf), ensure_ascii=False, indent=1).encode() + b"\n"


def _same(path: Path, other: Path) -> None:
    """One file under two names; a copy where the disk knows no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
