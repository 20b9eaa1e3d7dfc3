"""Reports of the archive's studies: drafted in a job, edited and approved by people, every version kept in the state folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braintumor import pipeline
from braintumor import report as report_stage
from braintumor.domain import (
    Findings,
    Identifier,
    InputNotFoundError,
    Measurements,
    NewerVersionError,
    NotInstalledError,
    Progress,
    Report,
    Section,
    Status,
)
from braintumor.export.common import ResultContext
from braintumor.export.reporting import Sources, encapsulated, write_final, write_report
from braintumor.notes.reading import SUFFIXES
from braintumor.report import editing
from braintumor.report.versions import ReportFolder
from braintumor.server.jobs import Job, JobKind, Jobs
from braintumor.server.studies import Studies
from braintumor.server.tracking import Tracking
from braintumor.track import Visit

if TYPE_CHECKING:
    from braintumor.signing import Signer


@dataclass(frozen=True, slots=True)
class Signing:
    """The server's signing key; `key` is None where none was set up."""

    key: Path | None = None
    passphrase_file: Path | None = None
    place: str = ""

    def signer(self) -> Signer:
        """Read the key now: an expired or exchanged one is noticed at the next signature, not at the next start.

        Raises
        ------
        InputNotFoundError
            If no key was set up.
        SigningError
            If it cannot be used.
        """
        if self.key is None:
            raise InputNotFoundError(
                "The server has no signing key, and nothing unsigned is called final",
                remedy="Start it with --conf signing_key FILE.p12 (braintumor report key makes one for trying it out)",
            )
        try:
            from braintumor.signing import from_pkcs12, read_passphrase
        except ImportError as error:
            remedy = "Install them: pip install '.[report]'"
            raise NotInstalledError("Signing needs packages that are not installed", remedy=remedy) from error
        variable = None if self.passphrase_file else "BRAINTUMOR_KEY_PASSPHRASE"
        return from_pkcs12(self.key, read_passphrase(variable=variable, file=self.passphrase_file))


@dataclass(frozen=True, slots=True)
class About:
    """Where the server finds what images do not say of a patient.

    Attributes
    ----------
    notes
        Folder with a folder of notes for each patient, named by Patient ID; None for no notes.
    orders
        FHIR server that is asked for a study's order, by its accession number; '' for none.
    """

    notes: Path | None = None
    orders: str = ""

    def notes_of(self, patient_id: str) -> tuple[Path, ...]:
        """The patient's notes; none for an ID that is no plain name of a folder."""
        if self.notes is None or Path(patient_id).name != patient_id or patient_id in ("", "..") or "\0" in patient_id:
            return ()
        found = (self.notes / patient_id).rglob("*")
        return tuple(sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file()))

    def fingerprint(self, patient_id: str) -> str:
        """Changes when the patient's notes do; '' without notes."""
        found = self.notes_of(patient_id)
        facts = "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in found)
        return hashlib.sha256(facts.encode()).hexdigest()[:32] if found else ""


class Reports:
    """The reports of the archive's studies."""

    def __init__(
        self,
        studies: Studies,
        tracking: Tracking,
        jobs: Jobs,
        state: Path,
        signing: Signing = Signing(),
        fhir: str = "",
        about: About = About(),
    ) -> None:
        self._studies, self._tracking, self._jobs = studies, tracking, jobs
        self._signing, self.fhir, self._about = signing, fhir, about
        self._state = state / "reports"
        self._state.mkdir(parents=True, exist_ok=True)

    def make(self, study_uid: str) -> Job:
        """A job that writes the report of a study from its newest mask, and from priors, notes and order where there are some.

        A report whose facts are still the same stays as it is, with every edit. One whose mask or images changed gets a new
        draft from the new facts; the versions before stay.
        """
        entry = self._studies.store.study(study_uid)
        return self._jobs.submit(
            JobKind.REPORT, study_uid, lambda report: self._make(entry.uid, report), key=f"report {entry.uid}"
        )

    def folder(self, study_uid: str) -> ReportFolder:
        """Where the report of a study is kept.

        Raises
        ------
        UnknownStudyError
            If the archive has no such study.
        InputNotFoundError
            If there is no report yet.
        """
        folder = ReportFolder(self._folder(self._studies.store.study(study_uid).uid))
        if not folder.versions():
            raise InputNotFoundError("The study has no report yet", remedy="Press Make report first")
        return folder

    def edit(self, study_uid: str, version: int, language: str, section: Section, lines: Sequence[str], *, who: str) -> Report:
        """Change a section of the draft as it was at `version`.

        Raises
        ------
        NewerVersionError
            If the report was changed since.
        FinalReportError, UnknownLanguageError
        """
        folder, report = self._at(study_uid, version)
        after = editing.edited(report, language, section, lines, who=who, when=_now())
        if after is not report:
            folder.add(after)
        return after

    def approve(self, study_uid: str, version: int, *, who: str) -> Report:
        """Sign the draft as it was at `version`, and make it final.

        Raises
        ------
        NewerVersionError
            If the report was changed since it was read.
        FinalReportError, SigningError, InputNotFoundError
        """
        signer = self._signing.signer()
        from braintumor.report.approval import approve

        folder, _ = self._at(study_uid, version)
        when = _now()
        final = approve(folder, signer, when=when, who=who, location=self._signing.place)
        write_final(folder, final, when.astimezone().replace(tzinfo=None))
        return final.report

    def amend(self, study_uid: str, *, who: str, reason: str) -> Report:
        """Start a new draft from the final report.

        Raises
        ------
        FinalReportError
            If the report is a draft.
        """
        folder = self.folder(study_uid)
        after = editing.amended(folder.latest(), who=who, when=_now(), reason=reason)
        folder.add(after)
        return after

    def pdf(self, study_uid: str) -> bytes:
        """The newest version as PDF; signed if it is final."""
        folder = self.folder(study_uid)
        report = folder.latest()
        if report.status is Status.FINAL:
            return folder.path(report.version, "pdf").read_bytes()
        return report_stage.render(report, folder.pictures(report))

    def archive(self, study_uid: str) -> Job:
        """A job that stores the final report in the archive as Encapsulated PDF; stored twice it is the same object.

        Raises
        ------
        FinalReportError
            If the newest version is a draft.
        """
        from braintumor.report.approval import final

        folder = self.folder(study_uid)
        done = final(folder)

        def work(progress: Progress) -> Mapping[str, Any]:
            progress("archive", 0.0)
            self._studies.store.store([encapsulated(folder, done)])
            return {"version": done.report.version}

        return self._jobs.submit(
            JobKind.ARCHIVE, study_uid, work, key=f"archive report {done.report.uid} {done.report.version}"
        )

    def send(self, study_uid: str) -> Job:
        """A job that sends the final report to the FHIR server; sent twice it changes nothing.

        Raises
        ------
        InputNotFoundError
            If no FHIR server was set up.
        FinalReportError
            If the newest version is a draft.
        """
        if not self.fhir:
            raise InputNotFoundError("No FHIR server is set up", remedy="Start this server with --conf fhir URL")
        from braintumor.fhir import FhirClient, bundle
        from braintumor.report.approval import final

        done = final(self.folder(study_uid))

        def work(progress: Progress) -> Mapping[str, Any]:
            progress("send", 0.0)
            with FhirClient(self.fhir) as client:
                receipt = client.send(bundle(done.report, pdf=done.pdf))
            return {"version": done.report.version, "resources": len(receipt.entries)}

        return self._jobs.submit(JobKind.SEND, study_uid, work, key=f"send report {done.report.uid} {done.report.version}")

    def is_fresh(self, study_uid: str) -> bool:
        """Whether the report's facts are of the images and the mask as they are now."""
        path = self._folder(self._studies.store.study(study_uid).uid) / "source.txt"
        return path.exists() and path.read_text() == self._source(study_uid)

    def _source(self, study_uid: str) -> str:
        """Names the images, masks and notes that a report would go by now."""
        notes = self._about.fingerprint(self._studies.store.study(study_uid).patient_id)
        return " ".join(filter(None, (self._tracking.sources(study_uid), notes)))

    def _make(self, study_uid: str, progress: Progress) -> Mapping[str, Any]:
        source = self._source(study_uid)
        if self.is_fresh(study_uid):
            return {"version": self.folder(study_uid).latest().version, "new": False}
        timeline = self._tracking.timeline(study_uid, progress)
        visit = timeline.visits[-1] if timeline else self._tracking.visit(study_uid, progress)
        progress("measure", 0.0)
        measured = pipeline.measured(visit)
        progress("findings", 0.0)
        notes = self._about.notes_of(visit.study.patient.patient_id)
        referral = pipeline.with_order(pipeline.Referral(visit.study, notes=notes), self._about.orders)
        found = pipeline.found(visit, measured, referral, timeline)
        progress("report", 0.0)
        made = self._keep(visit, _sources(visit, found, measured), referral.identifiers)
        (self._folder(study_uid) / "source.txt").write_text(source)
        return {"version": made.version, "new": True}

    def _keep(self, visit: Visit, sources: Sources, identifiers: Sequence[Identifier]) -> Report:
        """The first version in a folder of its own, or the next one of a report that there is."""
        folder = self._folder(visit.study.uid)
        aside = self._state / f".{visit.study.uid}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        write_report(sources, report_stage.LANGUAGES, identifiers, aside)
        fresh = ReportFolder(aside / "report")
        existing = ReportFolder(folder)
        if not existing.versions():
            shutil.rmtree(folder, ignore_errors=True)
            fresh.folder.replace(folder)
        else:
            existing.take(fresh.latest(), fresh)
        shutil.rmtree(aside)
        return existing.latest()

    def _at(self, study_uid: str, version: int) -> tuple[ReportFolder, Report]:
        folder = self.folder(study_uid)
        report = folder.latest()
        if report.version != version:
            raise NewerVersionError(
                "Somebody else changed the report since you opened it", remedy="Load it again and repeat your change"
            )
        return folder, report

    def _folder(self, study_uid: str) -> Path:
        return self._state / study_uid


def _sources(visit: Visit, found: Findings, measured: Measurements) -> Sources:
    created = _now()
    context = ResultContext.of(visit.study, visit.segmentation, created.astimezone().replace(tzinfo=None))
    provenance = report_stage.provenance_of(visit.study, visit.segmentation, created)
    pictures = report_stage.key_images(visit.case, visit.segmentation, measured)
    return Sources(visit.study, found, provenance, context, pictures)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
