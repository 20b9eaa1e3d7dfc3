"""The reader: gathers files, indexes them, chooses one series per sequence and reads their voxels."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from braintumor.domain import (
    Evidence,
    Flag,
    Image,
    InputNotFoundError,
    MissingSequenceError,
    MRSequence,
    Patient,
    Series,
    Severity,
    ShareProgress,
    Study,
    StudyKind,
    silent,
)
from braintumor.study import nifti, sources
from braintumor.study.choose import Load, SeriesCandidate, SeriesChoice, candidates_of, choose
from braintumor.study.facts import patient_of, study_date_of
from braintumor.study.index import Refuse, SeriesIndex, index_files, raise_it, text
from braintumor.study.volume import build_series, header_flags

MINIMUM = 2
"""Fewest sequences a study is segmented with; one of them must show oedema or enhancement (T1ce, T2 or FLAIR)."""


def read_study(
    source: str | Path,
    *,
    overrides: Mapping[MRSequence, str] | None = None,
    require: int = MINIMUM,
    progress: ShareProgress = silent,
) -> Study:
    """Read one visit of one patient.

    Parameters
    ----------
    source
        DICOM folder, zip, ``http(s)://host/dicom-web/studies/UID``, or NIfTI folder (BraTS, nnU-Net or BIDS names).
    overrides
        Which series (Series Instance UID; for NIfTI a file) is which sequence, whatever its header says.
    require
        Fewest sequences to go on with.
    progress
        Called with 0..1.

    Returns
    -------
    Study
        What was unpacked or downloaded for it is deleted with it: keep it while its instances' paths are needed.

    Raises
    ------
    InputNotFoundError, CorruptFileError, GeometryError, ModalityError, PatientMismatchError, MissingSequenceError,
    AmbiguousSequenceError, UnusableImageError, UnsafeArchiveError, OutputError
        Each names what is wrong and the remedy; see `braintumor.domain.errors`.
    """
    material = sources.gather(source)
    try:
        with quiet():
            study = _study(material, overrides or {}, require, progress)
    except BaseException:
        material.clean()
        raise
    weakref.finalize(study, material.clean)
    return study


def choose_series(
    index: SeriesIndex, candidates: list[SeriesCandidate], overrides: Mapping[MRSequence, str], load: Load, refuse: Refuse
) -> SeriesChoice:
    """`braintumor.study.choose.choose`, with everything else that was in the input and what the chosen headers warn of."""
    choice = choose(candidates, overrides, load, refuse)
    choice.unused |= index.ignored
    for candidate in choice.chosen.values():
        choice.flags += header_flags(candidate)
    if index.copies:
        message = f"{index.copies} files were exact copies of others and left out."
        choice.flags.append(Flag("duplicate-files", Severity.INFO, message))
    return choice


def refuse_missing(found: Mapping[MRSequence, object], require: int) -> None:
    """Raise `MissingSequenceError` below the minimum."""
    seen = [s.title for s in MRSequence if s in found]
    if len(found) >= require and set(found) - {MRSequence.T1}:
        return
    names = f"only {' and '.join(seen)} was found" if seen else "none was found"
    needed = f"at least {require} are needed" if len(found) < require else "one of T1ce, T2 and FLAIR is needed"
    raise MissingSequenceError(
        f"of T1, T1ce, T2 and FLAIR {names}; {needed}",
        remedy="add the missing series, or name a series that was not recognised with --t1, --t1ce, --t2 or --flair; "
        "`braintumor inspect` lists what was found",
    )


def missing_flags(found: Mapping[MRSequence, object]) -> list[Flag]:
    """One flag for each absent sequence; serious if it is T1ce, which alone shows enhancement, or if two are absent."""
    missing = [s for s in MRSequence if s not in found]
    severity = Severity.SERIOUS if MRSequence.T1CE in missing or len(missing) > 1 else Severity.WARNING
    return [Flag("missing-sequence", severity, f"{s.title} is missing: {_EFFECT[s]}.") for s in missing]


_EFFECT = {
    MRSequence.T1: "blood and fat may be mistaken for enhancement",
    MRSequence.T1CE: "enhancing tumour cannot be seen, so its extent and the tumour core are a guess",
    MRSequence.T2: "the borders of oedema and cysts are less certain",
    MRSequence.FLAIR: "oedema is hard to tell from fluid, so the whole tumour is less certain",
}


def nothing_found(material: sources.Material, index: SeriesIndex) -> InputNotFoundError:
    """The error for an input without any usable image."""
    reasons = sorted(set(index.ignored.values()))
    what = f"no MR image in it, but {'; '.join(reasons)}" if reasons else f"none of its {len(material.files)} files is an image"
    where = material.files[0] if len(material.files) == 1 else material.root
    return InputNotFoundError(
        f"the input holds {what}" if reasons else f"the input cannot be used: {what}",
        remedy="give a folder or zip of DICOM MR images, or of NIfTI files (.nii, .nii.gz)",
        path=where,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings about odd values: they quote the values, which may be patient data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _study(material: sources.Material, overrides: Mapping[MRSequence, str], require: int, progress: ShareProgress) -> Study:
    index = index_files(material.files, raise_it, lambda share: progress(0.6 * share))
    if index.series:
        return _dicom_study(index, overrides, require, progress)
    if any(nifti.is_nifti(p) for p in index.not_dicom):
        return _nifti_study(material, overrides, require, progress)
    raise nothing_found(material, index)


def _dicom_study(index: SeriesIndex, overrides: Mapping[MRSequence, str], require: int, progress: ShareProgress) -> Study:
    loaded: dict[str, Series] = {}  # pixels that told T1 from T1ce are not read twice

    def load(candidate: SeriesCandidate) -> Image:
        if candidate.key not in loaded:
            loaded[candidate.key] = build_series(candidate)
        return loaded[candidate.key].image

    choice = choose_series(index, candidates_of(index), overrides, load, raise_it)
    refuse_missing(choice.chosen, require)
    series: dict[MRSequence, Series] = {}
    for sequence in (s for s in MRSequence if s in choice.chosen):
        candidate = choice.chosen[sequence]
        load(candidate)
        series[sequence] = replace(loaded[candidate.key], evidence=candidate.evidence)
        progress(0.6 + 0.4 * len(series) / len(choice.chosen))
    first = index.first
    flags = (*choice.flags, *missing_flags(series))
    uid = text(first, "StudyInstanceUID")
    return Study(uid, StudyKind.DICOM, patient_of(first), study_date_of(first), series, choice.unused, flags)


def _nifti_study(
    material: sources.Material, overrides: Mapping[MRSequence, str], require: int, progress: ShareProgress
) -> Study:
    case = nifti.find_case(material.files, overrides, raise_it)
    refuse_missing(case.files, require)
    series: dict[MRSequence, Series] = {}
    flags = list(case.flags)
    for sequence, path in case.files.items():
        series[sequence], found = nifti.load(path, Evidence(sequence, 1.0, (case.reasons[sequence],)))
        flags += found
        progress(len(series) / len(case.files))
    uid = case.name or material.name
    return Study(uid, StudyKind.NIFTI, Patient(), None, series, case.unused, (*flags, *missing_flags(series)))
