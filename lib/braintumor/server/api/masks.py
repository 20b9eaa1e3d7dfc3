"""Routes for the masks of a study, in and out: bytes on a series' own grid, one per voxel, x fastest."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from braintumor.domain import SubmissionError
from braintumor.refine import Hint, refine
from braintumor.server.api.views import of_version
from braintumor.server.api.work import Work
from braintumor.server.layout import unpacked
from braintumor.server.masks import uncertainty_bytes, volumes_ml
from braintumor.server.studies import from_bytes, to_bytes

OCTETS = "application/octet-stream"
BINARY_BODY = {"requestBody": {"required": True, "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}}
BINARY_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {OCTETS: {}}}}
UID = Annotated[str, Query(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64, description="Series Instance UID")]

router = APIRouter(prefix="/api/studies", tags=["masks"])


class Click(BaseModel):
    """A voxel of the series and the label it should have (0 = no tumour)."""

    ijk: tuple[int, int, int]
    label: int


class RefineRequest(BaseModel):
    """Clicks and scribbles on the current mask of a series."""

    clicks: list[Click] = Field(default_factory=list, max_length=200)
    scribbles: list[Click] = Field(default_factory=list, max_length=20000)
    mask: str = Field(description="base64 of the gzip of the current mask, one byte per voxel, x fastest")


@router.get("/{study}/mask", response_class=Response, responses=BINARY_ANSWER)
def mask(work: Work, study: str, series: UID, version: str = "", accept_encoding: Annotated[str, Header()] = "") -> Response:
    """A mask on the series' own grid: uint8, x fastest, values of the label table."""
    found, which = work.labels.mask(study, series, version)
    return _octets(
        to_bytes(found.mask),
        found.grid.shape,
        accept_encoding,
        {
            "X-Version": which,
            "X-Measurements": json.dumps(volumes_ml(found.mask, found.grid)),
        },
    )


@router.get("/{study}/uncertainty", response_class=Response, responses=BINARY_ANSWER)
def uncertainty(work: Work, study: str, series: UID, accept_encoding: Annotated[str, Header()] = "") -> Response:
    """How unsure the model is, 0..255, in the same layout."""
    found, which = work.labels.mask(study, series)
    return _octets(uncertainty_bytes(found), found.grid.shape, accept_encoding, {"X-Version": which})


@router.post("/{study}/measure", openapi_extra=BINARY_BODY)
async def measure(work: Work, study: str, series: UID, request: Request) -> dict[str, float]:
    """Volumes of an edited mask, mL."""
    content = await request.body()

    def work_out() -> dict[str, float]:
        grid = work.labels.grid(study, series)
        return volumes_ml(from_bytes(unpacked(content, int(np.prod(grid.shape))), grid), grid)

    return await run_in_threadpool(work_out)


@router.put("/{study}/label", status_code=201, openapi_extra=BINARY_BODY)
async def submit(
    work: Work,
    study: str,
    series: UID,
    annotator: Annotated[str, Query(max_length=200)],
    request: Request,
    base: Annotated[str, Query(max_length=128)] = "",
    force: bool = False,
) -> dict[str, Any]:
    """Store a corrected mask as DICOM SEG; answered when the archive holds it."""
    content = await request.body()

    def store() -> dict[str, Any]:
        grid = work.labels.grid(study, series)
        voxels = from_bytes(unpacked(content, int(np.prod(grid.shape))), grid)
        return of_version(work.labels.submit(study, series, voxels, annotator, base=base, force=force))

    return await run_in_threadpool(store)


@router.post("/{study}/refine")
def refine_mask(work: Work, study: str, series: UID, wish: Annotated[RefineRequest, Body()]) -> dict[str, Any]:
    """The mask corrected around clicks; only the box that changed comes back."""
    prepared = work.studies.prepared(study)
    image, transform = prepared.series(series)
    grid = image.image.grid
    try:
        sent = base64.b64decode(wish.mask, validate=True)
    except binascii.Error as error:
        raise SubmissionError("The mask is not base64", remedy="Encode the gzip of the mask as base64") from error
    current = from_bytes(unpacked(sent, int(np.prod(grid.shape))), grid)
    found = work.masks.probabilities(study, prepared)
    clicks = [Hint(click.ijk, click.label) for click in wish.clicks]
    scribbles = [Hint(click.ijk, click.label) for click in wish.scribbles]
    patch = refine(prepared.case, grid, current, found, clicks, scribbles, transform)
    return {
        "box": [[s.start, s.stop] for s in patch.box],
        "mask": base64.b64encode(gzip.compress(to_bytes(patch.mask), 1)).decode(),
    }


def _octets(content: bytes, shape: tuple[int, ...], accepted: str, headers: dict[str, str]) -> Response:
    """A mask is nearly all background: level 1 makes 9 MB into some 30 kB in 30 ms."""
    headers = headers | {"X-Shape": ",".join(map(str, shape)), "Cache-Control": "no-store"}
    if "gzip" in accepted:
        return Response(gzip.compress(content, 1), media_type=OCTETS, headers=headers | {"Content-Encoding": "gzip"})
    return Response(content, media_type=OCTETS, headers=headers)
