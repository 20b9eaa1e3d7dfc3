"""All DICOM objects of a comparison as files, and which priors may not be part of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from braintumor.domain import Flag, Severity, Study, StudyKind
from braintumor.export.common import save
from braintumor.track.dicom.common import Prior, TrackContext
from braintumor.track.dicom.prior import make_prior_series
from braintumor.track.dicom.registration import make_registration
from braintumor.track.dicom.report import make_report
from braintumor.track.dicom.seg import make_change_seg, make_lesion_seg
from braintumor.track.timeline import Timeline

_CONSEQUENCE = "its image and its registration were not written into the current study"


def left_out(timeline: Timeline) -> tuple[Flag, ...]:
    """One flag for each prior that DICOM objects of the current study must not show; none where nothing is written at all."""
    study = timeline.visits[-1].study
    if study.kind is not StudyKind.DICOM:
        return ()
    priors = timeline.visits[:-1]
    return tuple(found for n, prior in enumerate(priors, start=1) if (found := _refusal(study, prior.study, n)))


def write_objects(timeline: Timeline, folder: Path, created: datetime) -> Mapping[str, tuple[Path, ...]]:
    """Write everything into `folder`, which is made: kind -> files, or nothing for a current study from NIfTI.

    ``dicom``: ``lesions.dcm`` (not without a lesion), ``change.dcm``, ``measurements.dcm`` and per prior
    ``registration-N.dcm``; ``dicom-prior``: ``prior-N/0001.dcm`` and so on. Priors that `left_out` names have neither of
    the latter two.

    Parameters
    ----------
    created
        Local time of the content, without time zone. The same comparison at the same time gives the same bytes and UIDs.

    Raises
    ------
    InputNotFoundError, CorruptFileError
        If a source file is gone or changed meanwhile.
    OutputError
        If a file cannot be written.
    """
    if timeline.visits[-1].study.kind is not StudyKind.DICOM:
        return {}
    folder.mkdir()
    written = tuple(save(made, folder / f"{name}.dcm") for name, made in sorted(make_objects(timeline, created).items()))
    context, slices = TrackContext.between(timeline, created), []
    for prior in _shown(timeline):
        place = folder / f"prior-{prior.number}"
        place.mkdir()
        made = make_prior_series(timeline, prior, context)
        slices += [save(one, place / f"{n:04d}.dcm") for n, one in enumerate(made, start=1)]
    return {"dicom": written} | ({"dicom-prior": tuple(slices)} if slices else {})


def make_objects(timeline: Timeline, created: datetime) -> dict[str, Dataset]:
    """Every object but the priors' images, by name: what an archive keeps of a comparison. Parameters as `write_objects`."""
    context, priors = TrackContext.between(timeline, created), _shown(timeline)
    lesions, change = make_lesion_seg(timeline, context), make_change_seg(timeline, context)
    registrations = [make_registration(timeline, prior, context) for prior in priors]
    report = make_report(timeline, lesions, change, priors, registrations, context)
    objects: dict[str, Dataset] = {"change": change, "measurements": report}
    if lesions is not None:
        objects["lesions"] = lesions
    return objects | {f"registration-{p.number}": made for p, made in zip(priors, registrations, strict=True)}


def _shown(timeline: Timeline) -> list[Prior]:
    """The priors that may be shown in the current study."""
    study = timeline.visits[-1].study
    pairs = zip(timeline.visits, timeline.alignments, strict=True)
    return [
        Prior(n, visit, alignment)
        for n, (visit, alignment) in enumerate(pairs, start=1)
        if alignment is not None and _refusal(study, visit.study, n) is None
    ]


def _refusal(study: Study, prior: Study, number: int) -> Flag | None:
    """Why a prior's pixels may not enter the current study; nothing is known of a NIfTI file's patient."""
    if prior.kind is not StudyKind.DICOM:
        words = f"Visit {number} did not come as DICOM: {_CONSEQUENCE}."
        return Flag("prior-not-dicom", Severity.INFO, words)
    one, other = study.patient.patient_id, prior.patient.patient_id
    if not one or not other:
        words = f"It is not known whether visit {number} is of the current study's patient: {_CONSEQUENCE}."
        return Flag("prior-patient-not-checked", Severity.WARNING, words)
    if one != other:
        words = f"Visit {number} has another patient ID than the current study: {_CONSEQUENCE}."
        return Flag("prior-of-other-patient", Severity.SERIOUS, words)
    return None
