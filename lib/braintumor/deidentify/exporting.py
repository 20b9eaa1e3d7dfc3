"""A folder of DICOM files -> a folder that may leave the hospital, a report, and the way back in a vault."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from braintumor.deidentify.face import FaceRegion, find_region
from braintumor.deidentify.header import Cleaner, identity_of
from braintumor.deidentify.instance import (
    ExclusionError,
    Tally,
    clean_pixels,
    confirm,
    finished,
    kind_of,
    refuse_contours_of_the_face,
    refuse_kind,
    refuse_segments_of_the_face,
)
from braintumor.deidentify.keys import Key
from braintumor.deidentify.profile import DeidentifyOptions
from braintumor.deidentify.report import REPORT, DeidentificationReport, Excluded, Proof
from braintumor.deidentify.vault import Originals, Person, Vault
from braintumor.domain import (
    BrainTumorError,
    DeidentificationError,
    InputNotFoundError,
    Instance,
    Progress,
    appearing,
    check_output,
    silent,
    write_json,
)
from braintumor.study.choose import candidates_of
from braintumor.study.index import DECODING_ERRORS, MR_IMAGES, Header, index_files, text
from braintumor.study.reader import quiet
from braintumor.study.sources import gather
from braintumor.study.stack import SlicePlane, planes_of

_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


@dataclass(frozen=True, eq=False)
class _File:
    """One DICOM object of the input: its header without pixels."""

    path: Path
    header: Dataset

    @property
    def uid(self) -> str:
        return text(self.header, "SOPInstanceUID")


@dataclass(eq=False)
class _Study:
    """Objects of one study of one patient."""

    identity: str
    files: list[_File] = field(default_factory=list)


def deidentify(
    source: str | Path | Iterable[str | Path],
    out: Path,
    key: Key,
    vault: Vault | None = None,
    options: DeidentifyOptions | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> DeidentificationReport:
    """De-identify DICOM objects of any number of patients and studies (PS3.15 Annex E).

    Parameters
    ----------
    source
        Folder, zip or DICOMweb study, or several; objects that refer to each other may come in any order and in several runs.
    out
        A folder that does not exist yet, or is empty: ``PSEUDONYM/STUDY/SERIES/0001.dcm`` and `REPORT`; all of it or nothing.
    vault
        Where the originals are kept; None makes the export irreversible without the key and the originals.
    dry_run
        Write nothing; the report then lacks what is read back from written files.
    progress
        Called with what is being done and the share done, 0..1.

    Raises
    ------
    DeidentificationError
        If the vault lies in the output or belongs to another key, or no image could be exported.
    InputNotFoundError, OutputError, CorruptFileError, UnsafeArchiveError
        From reading the source and writing `out`.
    """
    options = options or DeidentifyOptions()
    check_output(out)
    check_apart(out, vault.path if vault else None)
    if vault is not None:
        vault.check(key.fingerprint)
    sources = [source] if isinstance(source, (str, Path)) else list(source)
    materials = []
    try:
        for place in sources:
            materials.append(gather(place))  # noqa: PERF401 - what was unpacked before a failure must be cleaned up
        with quiet():
            report = DeidentificationReport(options)
            studies = _studies([path for material in materials for path in material.files], report, key, progress)
            with nullcontext() if dry_run else appearing(out) as folder:
                export = _Export(key, options, report, folder, progress)
                for number, study in enumerate(studies):
                    export.study(study, number / len(studies), 1 / len(studies))
                _finish(report, export, folder, vault, key)
    finally:
        for material in materials:
            material.clean()
    report.folder = None if dry_run else out
    return report


def check_apart(out: Path, *secrets: Path | None) -> None:
    """Refuse a key or vault inside the folder that leaves.

    Raises
    ------
    DeidentificationError
        If one lies there.
    """
    place = out.resolve()
    for secret in secrets:
        if secret is not None and (place == secret.resolve() or place in secret.resolve().parents):
            problem = "The vault or key lies inside the output folder, with which it would leave"
            raise DeidentificationError(
                problem, remedy="Keep it in a folder of its own that stays in the hospital", path=secret
            )


def _finish(report: DeidentificationReport, export: _Export, folder: Path | None, vault: Vault | None, key: Key) -> None:
    for uid, tally in export.tallies.items():
        report.proofs[uid] = tally.close(read_back=folder is not None)
        if folder is not None and report.proofs[uid].untouched is False:
            problem = "Voxels of a brain differ after de-identification; nothing was written"
            raise DeidentificationError(problem, remedy="Please report this; --no-deface exports the images as they are")
    if not report.written:
        reasons = "; ".join(sorted({e.reason for e in report.excluded}))
        remedy = "Give a study with MR images, or see what --no-deface would change"
        raise DeidentificationError(f"Nothing could be exported: {reasons}", remedy=remedy)
    if folder is None:
        return
    write_json(folder / REPORT, report.as_dict())
    if vault is not None:  # before the output appears: an export without its way back must not exist
        vault.add(Originals(export.people, export.uids), key.fingerprint)


def _studies(files: list[Path], report: DeidentificationReport, key: Key, progress: Progress) -> list[_Study]:
    """Headers of all files, by patient and study; what cannot be used is noted."""
    studies: dict[tuple[str, str], _Study] = {}
    known: dict[str, str] = {}
    for number, path in enumerate(files):
        progress("reading headers", number / len(files))
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except (*DECODING_ERRORS, InvalidDicomError):
            report.not_dicom += 1
            continue
        if not all(text(header, keyword) for keyword in _IDENTIFIERS):  # a DICOMDIR, or damaged
            report.not_dicom += 1
            continue
        uid = text(header, "SOPInstanceUID")
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        if uid in known:
            if known[uid] == checksum:
                report.copies += 1
            else:
                report.excluded.append(Excluded(key.uid(uid), kind_of(header), "another object has the same UID"))
            continue
        known[uid] = checksum
        identity = identity_of(header)
        where = (identity, text(header, "StudyInstanceUID"))
        studies.setdefault(where, _Study(identity)).files.append(_File(path, header))
    if not studies:
        raise InputNotFoundError("The input holds no DICOM object", remedy="Give a folder or zip with a DICOM study")
    return list(studies.values())


@dataclass(eq=False)
class _Export:
    """One run: what is shared by all its studies."""

    key: Key
    options: DeidentifyOptions
    report: DeidentificationReport
    folder: Path | None
    progress: Progress
    people: dict[str, Person] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    numbers: dict[Path, int] = field(default_factory=dict)

    def study(self, study: _Study, start: float, share: float) -> None:
        """Export one study; objects that must stay are noted with the reason."""
        pseudonym = self.key.pseudonym(study.identity)
        first = study.files[0].header
        person = Person(
            text(first, "PatientID"),
            text(first, "PatientName"),
            text(first, "PatientBirthDate"),
            self.key.shift_days(study.identity),
        )
        if self.people.setdefault(pseudonym, person).patient_id != person.patient_id:
            raise DeidentificationError("Two patients got the same pseudonym", remedy="Export them with another key")
        self.progress("looking for the brain", start)
        regions = self._regions(study)
        cleaner = Cleaner(self.key, self.options, study.identity, self.report.ledger, self.uids)
        files = sorted(study.files, key=lambda f: (text(f.header, "SeriesInstanceUID"), _number(f.header), f.uid))
        for n, file in enumerate(files):
            self.progress("de-identifying", start + share * n / len(files))
            try:
                self._one(file, regions, cleaner, pseudonym)
            except ExclusionError as reason:
                self.report.excluded.append(Excluded(cleaner.uid(file.uid), kind_of(file.header), str(reason)))

    def _regions(self, study: _Study) -> dict[str, FaceRegion | str]:
        """Frame of Reference UID -> what is removed there, or why that is not known."""
        if not self.options.deface:
            return {}
        index = index_files([f.path for f in study.files if _is_image(f.header)], refuse=lambda error: None)
        found: dict[str, FaceRegion | str] = {}
        candidates = candidates_of(index)
        for frame in sorted({text(h.dataset, "FrameOfReferenceUID") for headers in index.series.values() for h in headers}):
            same = [c for c in candidates if text(c.headers[0].dataset, "FrameOfReferenceUID") == frame]
            try:
                found[frame] = find_region(same, self.options.margin_mm)
            except BrainTumorError as error:
                found[frame] = error.problem[:1].lower() + error.problem[1:]
        return found

    def _one(self, file: _File, regions: dict[str, FaceRegion | str], cleaner: Cleaner, pseudonym: str) -> None:
        refuse_kind(file.header)
        try:
            dataset = pydicom.dcmread(file.path)
        except DECODING_ERRORS as error:
            raise ExclusionError("the file is damaged") from error
        region = regions.get(text(dataset, "FrameOfReferenceUID"), "")
        if _is_image(dataset):
            self._image(file, dataset, region, cleaner, pseudonym)
            return
        self._refuse_face(file, dataset, regions, region)
        self._write(finished(dataset, cleaner, self.options, None, checked=False, face=False), dataset, pseudonym)

    def _image(self, file: _File, dataset: Dataset, region: FaceRegion | str, cleaner: Cleaner, pseudonym: str) -> None:
        if self.options.deface and isinstance(region, str):
            raise ExclusionError(region or "its face could not be looked for")
        removed = None if isinstance(region, str) else region
        planes = None if removed is None else _planes(file, dataset)
        uid = cleaner.uid(text(dataset, "SeriesInstanceUID"))
        tally = self.tallies.get(uid) or Tally(Proof(uid, pseudonym, brain_ml=removed.brain_ml if removed else None))
        pixels = clean_pixels(dataset, planes, removed, tally)
        self.tallies[uid] = tally
        path = self._write(
            finished(dataset, cleaner, self.options, pixels.values, checked=True, face=removed is not None), dataset, pseudonym
        )
        if path is not None and removed is not None:
            confirm(pydicom.dcmread(path), pixels, tally)

    def _refuse_face(
        self, file: _File, dataset: Dataset, regions: dict[str, FaceRegion | str], region: FaceRegion | str
    ) -> None:
        """Derived objects must not draw again what was removed from the images."""
        if not self.options.deface:
            return
        if dataset.SOPClassUID == SegmentationStorage and isinstance(region, FaceRegion):
            refuse_segments_of_the_face(dataset, _planes(file, dataset), region)
        if dataset.SOPClassUID == RTStructureSetStorage:
            for other in regions.values():
                if isinstance(other, FaceRegion):
                    refuse_contours_of_the_face(dataset, other)

    def _write(self, result: Dataset, original: Dataset, pseudonym: str) -> Path | None:
        study, series = str(result.StudyInstanceUID), str(result.SeriesInstanceUID)
        studies = self.report.studies.setdefault(pseudonym, [])
        if study not in studies:
            studies.append(study)
        self.report.written[kind_of(original)] += 1
        if self.folder is None:
            return None
        home = self.folder / pseudonym / study / series
        home.mkdir(parents=True, exist_ok=True)
        self.numbers[home] = self.numbers.get(home, 0) + 1
        path = home / f"{self.numbers[home]:04d}.dcm"
        try:
            result.save_as(path, enforce_file_format=True, overwrite=False)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            path.unlink(missing_ok=True)
            raise ExclusionError("its header cannot be written as DICOM") from error
        return path


def _is_image(header: Dataset) -> bool:
    return header.get("SOPClassUID") in MR_IMAGES and text(header, "Modality") == "MR"


def _planes(file: _File, dataset: Dataset) -> list[SlicePlane]:
    """Where the frames of an object lie."""
    header = Header(Instance(file.uid, "", file.path), dataset, 0, -1)
    try:
        return planes_of([header])
    except BrainTumorError as error:
        raise ExclusionError("it does not say where its slices lie, so a face in it cannot be found") from error


def _number(header: Dataset) -> int:
    try:
        return int(header.get("InstanceNumber") or 0)
    except DECODING_ERRORS:
        return 0
