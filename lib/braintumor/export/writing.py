"""The last stage: everything a run found becomes files, in one folder that appears whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from PIL import Image as Pillow
from pydicom.dataset import Dataset

from braintumor import report
from braintumor.domain import (
    MANIFEST,
    Case,
    Findings,
    Identifier,
    Measurements,
    MRSequence,
    Results,
    Segmentation,
    StoredSeries,
    Study,
    StudyKind,
    appearing,
)
from braintumor.export import manifest as manifest_file
from braintumor.export.common import ResultContext, save
from braintumor.export.mesh import write_mesh
from braintumor.export.nifti import write_nifti
from braintumor.export.reporting import Sources, stored, write_report
from braintumor.export.sc import make_secondary_captures
from braintumor.export.seg import SegKind, make_seg
from braintumor.export.sr import make_sr
from braintumor.preprocess import on_grid
from braintumor.report import LANGUAGES, Picture, provenance_of
from braintumor.report.findings import gather_flags


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What to write beyond the usual.

    Attributes
    ----------
    preview
        Also ``preview.png``.
    seg_kind
        How the DICOM SEG stores voxels.
    languages
        Of the report; the first is that of the headings.
    identifiers
        Of the patient, beside the Patient ID: an ABHA number for instance.
    """

    preview: bool = False
    seg_kind: SegKind = SegKind.BINARY
    languages: tuple[str, ...] = LANGUAGES
    identifiers: tuple[Identifier, ...] = ()


def write_results(
    study: Study,
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    findings: Findings,
    out: Path,
    options: WriteOptions = WriteOptions(),
    timings: Mapping[str, float] | None = None,
    created: datetime | None = None,
) -> Results:
    """Write NIfTI, surfaces, PDF and manifest, and for a DICOM study also SEG, SR, secondary captures and PDF in DICOM.

    Parameters
    ----------
    segmentation
        On the case's grid; it is carried to each source series' own grid here.
    out
        A folder that does not exist yet, or is empty.
    timings
        Seconds of the stages before this one, for the manifest.
    created
        Time of the content, with time zone; now if None.

    Raises
    ------
    OutputError
        If the results cannot be written; `out` is then as it was.
    """
    created = created or datetime.now().astimezone().replace(microsecond=0)
    facts = provenance_of(study, segmentation, created)
    context = ResultContext.of(study, segmentation, created.replace(tzinfo=None))
    seconds = dict(timings or {})
    outputs: dict[str, tuple[str, ...]] = {}

    with appearing(out) as folder:

        @contextmanager
        def part(kind: str) -> Iterator[Callable[..., None]]:
            started = time.perf_counter()

            def wrote(*paths: Path) -> None:
                outputs[kind] = tuple(sorted(str(path.relative_to(folder)) for path in paths))

            yield wrote
            seconds[f"write {kind}"] = round(time.perf_counter() - started, 3)

        with part("nifti") as wrote:
            per_series = _per_series(study, case, segmentation)
            lost = (mask.flags for mask in per_series.values())  # a label too small for a series' own grid is said everywhere
            findings = replace(findings, flags=gather_flags(findings.flags, *lost))
            target = folder / "nifti"
            target.mkdir()
            wrote(*write_nifti(study, segmentation, per_series, target, facts))
        with part("mesh") as wrote:
            target = folder / "mesh"
            target.mkdir()
            wrote(*write_mesh(segmentation, target))
        with part("pictures"):
            pictures = report.key_images(case, segmentation, measurements)
        if options.preview:
            with part("preview") as wrote:
                Pillow.fromarray(report.overview(case, segmentation, measurements).rgb).save(folder / "preview.png")
                wrote(folder / "preview.png")
        derived: tuple[StoredSeries, ...] = ()
        if study.kind is StudyKind.DICOM:
            with part("dicom") as wrote:
                mask = per_series[study.reference_sequence]
                made = _dicom(study, mask, measurements, findings, pictures, context, options)
                derived = stored(made["segmentation"], made["measurements"])
                wrote(*_saved(made, folder / "dicom"))
        with part("report") as wrote:
            sources = Sources(study, findings, facts, context, pictures, derived)
            wrote(*write_report(sources, options.languages, options.identifiers, folder))
        content = manifest_file.build(
            study, case, segmentation, measurements, findings, created=created, timings=seconds, outputs=outputs, folder=folder
        )
        (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n")
    return Results(out, outputs, content)


def _per_series(study: Study, case: Case, segmentation: Segmentation) -> dict[MRSequence, Segmentation]:
    """The mask on each series' own grid; series that share a grid and a transform share the mask."""
    found: dict[MRSequence, Segmentation] = {}
    for sequence, series in study.series.items():
        transform = case.alignment[sequence].transform
        twin = next(
            (
                other
                for other in found
                if study.series[other].image.grid.same_as(series.image.grid)
                and (case.alignment[other].transform == transform).all()
            ),
            None,
        )
        found[sequence] = found[twin] if twin else on_grid(segmentation, series.image.grid, transform)
    return found


def _dicom(
    study: Study,
    mask: Segmentation,
    measurements: Measurements,
    findings: Findings,
    pictures: tuple[Picture, ...],
    context: ResultContext,
    options: WriteOptions,
) -> dict[str, Dataset]:
    """File name, without its end, -> object."""
    seg = make_seg(study, mask, measurements, context, kind=options.seg_kind)
    made: dict[str, Dataset] = {
        "segmentation": seg,
        "measurements": make_sr(study, mask, seg, measurements, findings.flags, context),
    }
    captures = make_secondary_captures(study, [(p.name, p.rgb, p.caption) for p in pictures], context)
    return made | {f"picture-{picture.name}": capture for picture, capture in zip(pictures, captures, strict=True)}


def _saved(made: Mapping[str, Dataset], folder: Path) -> list[Path]:
    folder.mkdir()
    return [save(dataset, folder / f"{name}.dcm") for name, dataset in made.items()]
