"""Routes for reports: draft, read, edit, approve, amend, download, store in the archive."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import Response
from pydantic import BaseModel, Field

from braintumor.domain import InputNotFoundError, Report, Section
from braintumor.server.api.views import of_job, of_report
from braintumor.server.api.work import Work
from braintumor.server.workspace import Workspace

router = APIRouter(prefix="/api/studies", tags=["reports"])

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"\S", description="Who does it; stands in the audit trail")]


class Edit(BaseModel):
    """A section as a person wrote it."""

    version: int = Field(ge=1, description="the version that was read; refused (409) if the report was changed since")
    by: Name
    lines: list[Annotated[str, Field(max_length=2000)]] = Field(max_length=100)


class Approval(BaseModel):
    """Who approves which version."""

    version: int = Field(ge=1, description="the version that was read; refused (409) if the report was changed since")
    by: Name


class Amendment(BaseModel):
    """Who starts a new draft of a final report, and why."""

    by: Name
    reason: str = Field(min_length=1, max_length=500)


@router.post("/{study}/report", status_code=202)
def make(work: Work, study: str) -> dict[str, Any]:
    """Write the report from the newest mask; if mask and images are those of the report there is, that one stays."""
    return of_job(work.reports.make(study))


@router.get("/{study}/report")
def read(work: Work, study: str) -> dict[str, Any]:
    """The newest version; `fresh` is false when a mask or an image has changed since."""
    return _shown(work, study, work.reports.folder(study).latest())


@router.put("/{study}/report/{language}/{section}")
def edit(work: Work, study: str, language: str, section: Section, change: Edit) -> dict[str, Any]:
    """Change a section of a draft; the answer is the next version."""
    after = work.reports.edit(study, change.version, language, section, change.lines, who=change.by)
    return _shown(work, study, after)


@router.post("/{study}/report/approve")
def approve(work: Work, study: str, approval: Approval) -> dict[str, Any]:
    """Sign the draft and make it final, with the server's key."""
    return _shown(work, study, work.reports.approve(study, approval.version, who=approval.by))


@router.post("/{study}/report/amend")
def amend(work: Work, study: str, amendment: Annotated[Amendment, Body()]) -> dict[str, Any]:
    """Start a new draft from the final report, which stays as it is."""
    return _shown(work, study, work.reports.amend(study, who=amendment.by, reason=amendment.reason))


@router.post("/{study}/report/archive", status_code=202)
def archive(work: Work, study: str) -> dict[str, Any]:
    """Store the final report in the archive as Encapsulated PDF, beside the images."""
    return of_job(work.reports.archive(study))


@router.post("/{study}/report/fhir", status_code=202)
def send(work: Work, study: str) -> dict[str, Any]:
    """Send the final report to the hospital's FHIR server; a new version updates what was sent before."""
    return of_job(work.reports.send(study))


@router.get("/{study}/report.pdf", response_class=Response)
def pdf(work: Work, study: str) -> Response:
    """The newest version as PDF; signed if it is final."""
    return Response(work.reports.pdf(study), media_type="application/pdf", headers={"Cache-Control": "no-store"})


@router.get("/{study}/report/pictures/{name}", response_class=Response)
def picture(work: Work, study: str, name: str) -> Response:
    """A key image of the newest version, as PNG."""
    folder = work.reports.folder(study)
    for image in folder.latest().pictures:
        if image.name == name:
            return Response(folder.picture_data(image), media_type="image/png", headers={"Cache-Control": "no-store"})
    raise InputNotFoundError("The report has no such picture", remedy="Ask for one that the report names")


def _shown(work: Workspace, study: str, report: Report) -> dict[str, Any]:
    return of_report(report, fresh=work.reports.is_fresh(study), sendable=bool(work.reports.fhir))
