"""NIfTI out: masks on each input's own grid as a BIDS derivatives data set (BIDS 1.10, 'Imaging data types' of derivatives)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError

from braintumor.domain import (
    LABELS,
    LPS_FROM_RAS,
    AuthorKind,
    Grid,
    MRSequence,
    Provenance,
    Segmentation,
    Series,
    Study,
    StudyKind,
)

BIDS_VERSION = "1.10.0"
_SCANNER_SPACE = 1  # NIFTI_XFORM_SCANNER_ANAT of nifti1.h
_FORMS = ("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
_PLACEMENT = (*_FORMS, "sform_code", "srow_x", "srow_y", "srow_z")


def write_nifti(
    study: Study,
    case: Segmentation,
    per_series: Mapping[MRSequence, Segmentation],
    folder: Path,
    facts: Provenance,
) -> list[Path]:
    """Write a BIDS derivatives data set into an existing folder.

    ``sub-X[_ses-Y]_space-orig_desc-tumour_dseg.nii.gz`` when all series share one grid; otherwise one file per distinct grid,
    with ``space-T1ce``, ``space-FLAIR`` ... for the series it belongs to. Voxel values are BraTS's 0, 1, 2, 4; shape, voxel
    order and affine are those of the source series (RAS+ as NIfTI wants it; for a NIfTI source also its qform and sform).
    Beside each: ``.json`` with sources and provenance, ``.tsv`` with the label table. The uncertainty map, if there is one, is
    written on the grid of the analysis as ``space-case_desc-uncertainty_probseg.nii.gz`` (0 sure .. 1 undecided).

    Parameters
    ----------
    study
        The sources. The patient's name and identifiers are never written: a DICOM study's subject label is a hash of its UID.
    case
        The segmentation on the grid of the analysis.
    per_series
        The segmentation on the grid of each source series.

    Returns
    -------
    list of Path
        All files written.
    """
    subject, session = _labels(study)
    anat = folder / f"sub-{subject}" / (f"ses-{session}" if session else "") / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{subject}" + (f"_ses-{session}" if session else "")
    written = [_json(folder / "dataset_description.json", _description(study, facts))]
    groups = _groups(study, per_series)
    for sequences in groups:
        series, segmentation = study.series[sequences[0]], per_series[sequences[0]]
        space = "orig" if len(groups) == 1 else sequences[0].title
        base = anat / f"{stem}_space-{space}_desc-tumour_dseg"
        written.append(_save(Path(f"{base}.nii.gz"), segmentation.mask, segmentation.grid, _source_header(study, series)))
        written.append(_json(Path(f"{base}.json"), _sidecar(study, segmentation, sequences, facts)))
        written.append(_table(Path(f"{base}.tsv")))
    if case.uncertainty is not None:
        base = anat / f"{stem}_space-case_desc-uncertainty_probseg"
        written.append(_save_fraction(Path(f"{base}.nii.gz"), case.uncertainty, case.grid))
        written.append(_json(Path(f"{base}.json"), _uncertainty_sidecar(case, facts)))
    return written


def _labels(study: Study) -> tuple[str, str]:
    """Subject and session label: letters and digits only, as BIDS wants, and never the patient's ID."""
    if study.kind is StudyKind.DICOM:
        return hashlib.sha256(study.uid.encode()).hexdigest()[:12], ""
    bids = re.match(r"sub-([A-Za-z0-9]+)(?:_ses-([A-Za-z0-9]+))?", study.uid)
    if bids:
        return bids[1], bids[2] or ""
    plain = re.sub(r"[^A-Za-z0-9]", "", study.uid)
    return plain or hashlib.sha256(study.uid.encode()).hexdigest()[:12], ""


def _groups(study: Study, per_series: Mapping[MRSequence, Segmentation]) -> list[list[MRSequence]]:
    """Sequences that share a grid, the reference's group first: one file each, not four copies of one mask."""
    order = sorted(per_series, key=lambda s: (s is not study.reference_sequence, list(MRSequence).index(s)))
    groups: list[list[MRSequence]] = []
    for sequence in order:
        for group in groups:
            if per_series[group[0]].grid.same_as(per_series[sequence].grid):
                group.append(sequence)
                break
        else:
            groups.append([sequence])
    return groups


def _source_header(study: Study, series: Series) -> Any:
    """The source's header, if it is NIfTI and can still be read: its qform and sform are carried over unchanged."""
    if study.kind is not StudyKind.NIFTI:
        return None
    try:
        return nib.load(series.instances[0].path).header
    except (OSError, ImageFileError):
        return None  # unpacked and gone, or oddly named: the grid has the affine, only the choice of forms is lost


def _save(path: Path, voxels: npt.NDArray[Any], grid: Grid, source: Any = None) -> Path:
    """Write uint8 voxels in exactly this order, with the grid's affine in RAS+ mm."""
    affine = LPS_FROM_RAS @ grid.affine
    header = nib.Nifti1Header()
    if source is None:
        header.set_data_shape(grid.shape)
        header.set_qform(affine, _SCANNER_SPACE, strip_shears=True)
        header.set_sform(affine, _SCANNER_SPACE)
    else:
        for field in _PLACEMENT:  # only where the voxels lie: names and comments of the source stay behind
            header[field] = source[field]
        header["pixdim"][:4] = source["pixdim"][:4]  # [0] is the sign of the quaternion's third axis
    header.set_xyzt_units("mm")
    image = nib.Nifti1Image(voxels, affine, header, dtype=np.uint8)
    nib.save(image, path)
    return path


def _save_fraction(path: Path, fraction: npt.NDArray[Any], grid: Grid) -> Path:
    """Write numbers 0..1 in steps of 1/255: a byte per voxel, scaled back by every NIfTI reader."""
    affine = LPS_FROM_RAS @ grid.affine
    image = nib.Nifti1Image(np.rint(fraction.astype(np.float32) * 255).astype(np.uint8), affine)
    image.header.set_slope_inter(1 / 255, 0.0)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def _description(study: Study, facts: Provenance) -> dict[str, Any]:
    return {
        "Name": "Brain tumour segmentation",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "braintumor", "Version": facts.software_version},
            {"Name": facts.model, "Version": facts.model_version, "Description": "author of the masks"},
        ],
        "SourceDatasets": [{"URL": f"urn:{study.kind}:{facts.input_sha256}"}],
        "Acknowledgements": "Research use only. Not a medical device.",
    }


def _sidecar(study: Study, segmentation: Segmentation, sequences: list[MRSequence], facts: Provenance) -> dict[str, Any]:
    return {
        "Description": "Tumour labels; 0 is background, the others are in the table beside this file",
        "Manual": segmentation.author.kind is AuthorKind.HUMAN,
        "SpatialReference": sequences[0].title,
        "Sources": [
            {"Sequence": s.title, "SHA256": [instance.sha256 for instance in study.series[s].instances]} for s in sequences
        ],
        "Grid": segmentation.grid.summary(),
        "QualityFlags": [f"{flag.severity}: {flag.message}" for flag in segmentation.flags],
        **_provenance(facts),
    }


def _uncertainty_sidecar(case: Segmentation, facts: Provenance) -> dict[str, Any]:
    return {
        "Description": "Entropy of the class probabilities divided by its maximum: 0 sure, 1 undecided",
        "Grid": case.grid.summary(),
        **_provenance(facts),
    }


def _provenance(facts: Provenance) -> dict[str, str]:
    return {
        "Model": f"{facts.model} {facts.model_version}".strip(),
        "WeightsSHA256": facts.weights_checksum,
        "Engine": facts.engine,
        "SoftwareVersion": facts.software_version,
        "Created": facts.created.isoformat(timespec="seconds"),
    }


def _table(path: Path) -> Path:
    """The lookup table of BIDS: index, name, abbreviation, colour."""
    rows = ["index\tname\tabbreviation\tcolor"]
    rows += [f"{m.value}\t{m.name}\t{m.short}\t#{m.rgb[0]:02x}{m.rgb[1]:02x}{m.rgb[2]:02x}" for m in LABELS]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _json(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
