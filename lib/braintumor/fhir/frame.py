"""What every resource of one bundle repeats: subject, encounter, sources, device, status and times."""

from __future__ import annotations

from dataclasses import dataclass

from braintumor.domain import Action, FinalReportError, Report, Status
from braintumor.fhir.parts import Naming, Part, Resource, instant, updated


@dataclass(frozen=True, slots=True)
class Frame:
    """One report on its way into resources.

    Attributes
    ----------
    subject
        Reference to the patient.
    encounter
        None for NIfTI.
    sources
        References to what was measured: the ImagingStudy, or the NIfTI files.
    device
        Reference to the software.
    """

    report: Report
    naming: Naming
    subject: Resource
    encounter: Resource | None
    sources: tuple[Resource, ...]
    device: Resource

    @property
    def common(self) -> Resource:
        """Subject and encounter, as most resources have them."""
        return {"subject": self.subject, **({"encounter": self.encounter} if self.encounter else {})}

    def part(self, key: str, content: Resource, *, name: str = "") -> Part:
        """A resource that belongs to this report alone; `key` names it among the report's resources."""
        marked = {**content, "meta": {"tag": [self.naming.tag(self.report.uid)]}}
        return updated(self.naming, "report-part", f"{self.report.uid}/{key}", marked, name=name or key)


def status(report: Report) -> str:
    """Status of the DiagnosticReport and its Observations.

    A version that follows an approved one is ``amended`` (something changed after it was final; ``corrected`` would claim to
    know that it was an error). A higher number alone does not amend: an edited draft gets one too.

    Raises
    ------
    FinalReportError
        If it is a draft of a report that was final before. Stored, it would take the final report's place.
    """
    approvals = sum(entry.action is Action.APPROVED for entry in report.audit)
    if report.status is Status.DRAFT:
        if approvals:
            raise FinalReportError(
                "The report is a draft that amends a final report, and would replace it on the FHIR server",
                remedy="Approve the amendment first, then send it",
            )
        return "preliminary"
    amended = approvals > 1 or any(entry.action is Action.AMENDED for entry in report.audit)
    return "amended" if amended else "final"


def issued(report: Report) -> str:
    """When this version became what it is: its approval, or the last thing that happened to it."""
    approved = report.approved
    moment = approved.when if approved else report.audit[-1].when if report.audit else report.provenance.created
    return instant(moment)
