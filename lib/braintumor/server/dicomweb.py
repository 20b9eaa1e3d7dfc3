"""The DICOMweb door (PS3.18) that the viewer asks: our own service over a folder, a pass-through to a PACS."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydicom.uid import UID, ExplicitVRLittleEndian

from braintumor.archive import FolderClient, StudyStore
from braintumor.archive.folder import query
from braintumor.archive.folder.facts import FileFacts
from braintumor.archive.folder.frames import PLAIN, media_type
from braintumor.archive.folder.rendered import Look
from braintumor.archive.instances import decoded, encoded
from braintumor.domain import ArchiveError, CorruptFileError
from braintumor.server import dicomweb_proxy, problems

JSON = "application/dicom+json"
DICOM = "application/dicom"
MOST_RECEIVED = 2**31
"""Bytes that one message may bring."""

THUMBNAIL = (128, 128)
LARGEST_PICTURE = 4096

_DUPLICATE, _NOT_UNDERSTOOD, _OTHER_STUDY = 0x0111, 0xC000, 0xA900
"""Failure reasons (PS3.18 table I.2-2, PS3.4 B.2.3)."""

_PAGING = ("limit", "offset", "fuzzymatching", "includefield", "emptyvaluematching", "multiplevaluematching")

Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
Numbers = Annotated[str, Path(pattern=r"^[0-9]{1,6}(,[0-9]{1,6}){0,4095}$")]
Limit = Annotated[int | None, Query(ge=0, le=10**6)]
Window = Annotated[str | None, Query(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,9})?,[0-9]{1,9}(\.[0-9]{1,9})?(,[A-Za-z_-]+)?$")]
Viewport = Annotated[str | None, Query(pattern=r"^[0-9]{1,5},[0-9]{1,5}(,.{0,40})?$")]
Offset = Annotated[int, Query(ge=0, le=10**9)]

_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"


def router(store: StudyStore) -> APIRouter:
    """The routes below the service's root, e.g. ``/dicom-web``; errors leave as `problems.install` says."""
    if isinstance(store.client, FolderClient):
        return _folder(store.client)
    assert store.pacs is not None  # noqa: S101  there is no third kind
    return dicomweb_proxy.router(store.pacs)


def _folder(client: FolderClient) -> APIRouter:
    routes = APIRouter(tags=["dicomweb"], default_response_class=Response)
    for add in (_searching, _describing, _retrieving, _showing, _storing):
        add(routes, client)
    return routes


def _searching(routes: APIRouter, client: FolderClient) -> None:
    """QIDO-RS."""

    def found(request: Request, search: Callable[..., list[Any]], *uids: str, limit: int | None, offset: int) -> Response:
        asked = request.query_params.items()
        filters = {key: value for key, value in asked if key not in _PAGING and query.is_attribute(key)}
        return _json(search(*uids, search_filters=filters, limit=limit, offset=offset))

    @routes.get("/studies")
    def studies(request: Request, limit: Limit = None, offset: Offset = 0) -> Response:
        return found(request, client.search_for_studies, limit=limit, offset=offset)

    @routes.get("/series")
    def every_series(request: Request, limit: Limit = None, offset: Offset = 0) -> Response:
        return found(request, client.search_for_series, limit=limit, offset=offset)

    @routes.get("/instances")
    def every_instance(request: Request, limit: Limit = None, offset: Offset = 0) -> Response:
        return found(request, client.search_for_instances, limit=limit, offset=offset)

    @routes.get(_STUDY + "/series")
    def series_of(request: Request, study: Uid, limit: Limit = None, offset: Offset = 0) -> Response:
        return found(request, client.search_for_series, study, limit=limit, offset=offset)

    @routes.get(_STUDY + "/instances")
    def instances_of_study(request: Request, study: Uid, limit: Limit = None, offset: Offset = 0) -> Response:
        return found(request, client.search_for_instances, study, limit=limit, offset=offset)

    @routes.get(_SERIES + "/instances")
    def instances(request: Request, study: Uid, series: Uid, limit: Limit = None, offset: Offset = 0) -> Response:
        return found(request, client.search_for_instances, study, series, limit=limit, offset=offset)


def _describing(routes: APIRouter, client: FolderClient) -> None:
    """WADO-RS metadata."""

    def metadata(request: Request, *uids: str) -> Response:
        return Response(client.metadata(_base(request), *uids), media_type=JSON)

    @routes.get(_STUDY + "/metadata")
    def of_study(request: Request, study: Uid) -> Response:
        return metadata(request, study)

    @routes.get(_SERIES + "/metadata")
    def of_series(request: Request, study: Uid, series: Uid) -> Response:
        return metadata(request, study, series)

    @routes.get(_INSTANCE + "/metadata")
    def of_instance(request: Request, study: Uid, series: Uid, instance: Uid) -> Response:
        return metadata(request, study, series, instance)


def _retrieving(routes: APIRouter, client: FolderClient) -> None:
    """WADO-RS instances, frames and bulk data."""

    def files(request: Request, *uids: str) -> Response:
        accepted = _accepted(request)
        if not any(kind in (DICOM, "application/*", "*/*") for kind, _ in accepted):
            return _not_acceptable(DICOM)
        as_stored = any(syntax == "*" for _, syntax in accepted)
        return _multipart(DICOM, (_file(facts, as_stored) for facts in client.files(*uids)))

    @routes.get(_STUDY)
    def study_files(request: Request, study: Uid) -> Response:
        return files(request, study)

    @routes.get(_SERIES)
    def series_files(request: Request, study: Uid, series: Uid) -> Response:
        return files(request, study, series)

    @routes.get(_INSTANCE)
    def instance_file(request: Request, study: Uid, series: Uid, instance: Uid) -> Response:
        return files(request, study, series, instance)

    @routes.get(_INSTANCE + "/frames/{numbers}")
    def frames(request: Request, study: Uid, series: Uid, instance: Uid, numbers: Numbers) -> Response:
        syntax = client.files(study, series, instance)[0].syntax
        decompress = _must_decompress(_accepted(request), syntax)
        if decompress is None:
            return _not_acceptable(f"{media_type(syntax)} and {PLAIN}")
        wanted = [int(number) for number in numbers.split(",")]
        read = client.frames(study, series, instance, wanted, decompress=decompress)
        return _parts(f"{read.media_type}; transfer-syntax={read.syntax}", read.media_type, read.data)

    @routes.get(_INSTANCE + "/bulkdata/{where:path}")
    def bulkdata(request: Request, study: Uid, series: Uid, instance: Uid, where: str) -> Response:
        value = client.bulk(study, series, instance, where)
        if "multipart/related" in request.headers.get("accept", ""):
            return _parts(PLAIN, PLAIN, (value,))
        return Response(value, media_type=PLAIN)


def _showing(routes: APIRouter, client: FolderClient) -> None:
    """WADO-RS rendered frames and thumbnails."""

    def picture(
        request: Request, look: Look, study: str, series: str | None, instance: str | None, number: int = 0
    ) -> Response:
        return Response(client.rendered(study, look, series, instance, number), media_type=look.media_type)

    def rendered(
        request: Request, study: Uid, series: Uid, instance: Uid, number: int = 0, *, shown: str | None, size: str | None
    ) -> Response:
        look = Look(_picture_type(request), _pair(shown), _size(size, (LARGEST_PICTURE, LARGEST_PICTURE)))
        return picture(request, look, study, series, instance, number)

    @routes.get(_INSTANCE + "/rendered")
    def instance_rendered(
        request: Request, study: Uid, series: Uid, instance: Uid, window: Window = None, viewport: Viewport = None
    ) -> Response:
        document = client.document(study, series, instance)
        if document is not None:
            return Response(document, media_type="application/pdf")
        return rendered(request, study, series, instance, shown=window, size=viewport)

    @routes.get(_INSTANCE + "/frames/{number}/rendered")
    def frame_rendered(
        request: Request,
        study: Uid,
        series: Uid,
        instance: Uid,
        number: Annotated[int, Path(ge=1, le=10**6)],
        window: Window = None,
        viewport: Viewport = None,
    ) -> Response:
        return rendered(request, study, series, instance, number, shown=window, size=viewport)

    def thumbnail(
        request: Request, size: str | None, study: str, series: str | None = None, uid: str | None = None
    ) -> Response:
        return picture(request, Look(_picture_type(request), None, _size(size, THUMBNAIL)), study, series, uid)

    @routes.get(_STUDY + "/thumbnail")
    def of_study(request: Request, study: Uid, viewport: Viewport = None) -> Response:
        return thumbnail(request, viewport, study)

    @routes.get(_SERIES + "/thumbnail")
    def of_series(request: Request, study: Uid, series: Uid, viewport: Viewport = None) -> Response:
        return thumbnail(request, viewport, study, series)

    @routes.get(_INSTANCE + "/thumbnail")
    def of_instance(request: Request, study: Uid, series: Uid, instance: Uid, viewport: Viewport = None) -> Response:
        return thumbnail(request, viewport, study, series, instance)


def _storing(routes: APIRouter, client: FolderClient) -> None:
    """STOW-RS."""

    async def received(request: Request, study: str | None) -> Response:
        told = Message()
        told["Content-Type"] = request.headers.get("content-type", "")
        boundary = told.get_param("boundary")
        if told.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
            return _refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The message is not multipart/related with a boundary")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_RECEIVED:
                return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The message is longer than 2 GiB")
        files = _split(bytes(body), boundary.encode())
        if not files:
            return _refused(HTTPStatus.BAD_REQUEST, "The message holds no part")
        return await run_in_threadpool(_store, client, files, study, _base(request))

    @routes.post("/studies")
    async def store(request: Request) -> Response:
        return await received(request, None)

    @routes.post(_STUDY)
    async def store_in_study(request: Request, study: Uid) -> Response:
        return await received(request, study)


def _store(client: FolderClient, files: list[bytes], study: str | None, base: str) -> Response:
    """Keeps what can be kept; the answer says of every instance whether it was (PS3.18 10.5.3)."""
    kept: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    unnamed: list[dict[str, Any]] = []
    for data in files:
        try:
            dataset = decoded(data)
        except CorruptFileError:
            unnamed.append(_reason(_NOT_UNDERSTOOD))
            continue
        uids = {"00081150": _uid(str(dataset.SOPClassUID)), "00081155": _uid(str(dataset.SOPInstanceUID))}
        if study is not None and study != dataset.StudyInstanceUID:
            failed.append(uids | _reason(_OTHER_STUDY))
            continue
        try:
            client.put([data])
        except ArchiveError:
            failed.append(uids | _reason(_DUPLICATE))
        except CorruptFileError:
            failed.append(uids | _reason(_NOT_UNDERSTOOD))
        else:
            where = f"{base}/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/"
            kept.append(uids | {"00081190": {"vr": "UR", "Value": [where + str(dataset.SOPInstanceUID)]}})
    answer = {
        tag: {"vr": "SQ", "Value": items}
        for tag, items in (("00081198", failed), ("00081199", kept), ("0008119A", unnamed))
        if items
    }
    lost = failed or unnamed
    status = HTTPStatus.OK if not lost else HTTPStatus.ACCEPTED if kept else HTTPStatus.CONFLICT
    return JSONResponse(answer, status, media_type=JSON)


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """The contents of the parts of a multipart message (RFC 2046 5.1)."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]
    parts = (piece.partition(b"\r\n\r\n") for piece in pieces if not piece.startswith(b"--"))
    return [content for _, blank, content in parts if blank]


def _base(request: Request) -> str:
    """Address of the service as the client sees it."""
    return (
        str(request.base_url).rstrip("/") + request.url.path[len(request.scope.get("root_path", "")) :].partition("/studies")[0]
    )


def _json(answers: Any) -> Response:
    return Response(json.dumps(answers, separators=(",", ":")).encode(), media_type=JSON)


def _accepted(request: Request) -> list[tuple[str, str | None]]:
    """Media type and transfer syntax of each entry of the Accept header; of the parts, for multipart/related."""
    found = []
    for entry in re.findall(r'(?:[^,"]|"[^"]*")+', request.headers.get("accept") or "*/*"):
        told = Message()
        told["Content-Type"] = entry.strip()
        kind, syntax = told.get_content_type(), told.get_param("transfer-syntax")
        if entry.strip().startswith("*/*"):
            kind = "*/*"  # no content type, so the parser does not know it
        if kind == "multipart/related":
            kind = str(told.get_param("type") or "*/*").lower()
        found.append((kind, None if syntax is None else str(syntax)))
    return found


def _must_decompress(accepted: Iterable[tuple[str, str | None]], syntax: str) -> bool | None:
    """Whether frames of a transfer syntax have to be sent uncompressed; None if nothing that can be sent is accepted."""
    stored = media_type(syntax)
    plain = False
    for kind, wanted in accepted:
        if wanted in ("*", syntax) and kind in (stored, PLAIN, "*/*", stored.partition("/")[0] + "/*"):
            return False
        if wanted is None and kind in ("*/*", stored, stored.partition("/")[0] + "/*"):
            return False
        plain = plain or (kind in (PLAIN, "application/*", "*/*") and wanted in (None, str(ExplicitVRLittleEndian)))
    return True if plain else None


def _file(facts: FileFacts, as_stored: bool) -> bytes:
    """A file as it is, or in explicit VR little endian where the client did not say that it can read others."""
    syntax = UID(facts.syntax)
    data = facts.path.read_bytes()
    if as_stored or syntax.is_encapsulated or syntax == ExplicitVRLittleEndian:
        return data
    dataset = decoded(data)
    if not syntax.is_little_endian and dataset.get("BitsAllocated") == 16:  # pydicom leaves the order of pixel bytes alone
        dataset.PixelData = np.frombuffer(dataset.PixelData, ">u2").astype("<u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return encoded(dataset)


def _multipart(kind: str, contents: Iterator[bytes]) -> StreamingResponse:
    boundary = secrets.token_hex(16)

    def stream() -> Iterator[bytes]:
        for content in contents:
            yield f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
            yield content
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return StreamingResponse(stream(), media_type=f'multipart/related; type="{kind}"; boundary={boundary}')


def _parts(part_type: str, kind: str, contents: Iterable[bytes]) -> Response:
    """The same at once, for what is small."""
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
    body = b"".join(head + content + b"\r\n" for content in contents) + f"--{boundary}--\r\n".encode()
    return Response(body, media_type=f'multipart/related; type="{kind}"; boundary={boundary}')


def _picture_type(request: Request) -> str:
    return "image/png" if "image/png" in request.headers.get("accept", "") else "image/jpeg"


def _pair(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    centre, width = (float(part) for part in text.split(",")[:2])
    return centre, width


def _size(text: str | None, otherwise: tuple[int, int]) -> tuple[int, int]:
    if text is None:
        return otherwise
    wide, high = (min(max(int(part), 1), LARGEST_PICTURE) for part in text.split(",")[:2])
    return wide, high


def _uid(uid: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [uid]}


def _reason(code: int) -> dict[str, Any]:
    return {"00081197": {"vr": "US", "Value": [code]}}


def _not_acceptable(offered: str) -> Response:
    return _refused(HTTPStatus.NOT_ACCEPTABLE, f"Only {offered} can be sent")


def _refused(status: HTTPStatus, detail: str) -> Response:
    return problems.answer(status, status.phrase, detail, "Ask as DICOMweb (PS3.18) says", "dicomweb")
