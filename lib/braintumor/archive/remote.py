"""A DICOMweb PACS: opened with credentials, time limits and retries; its failures in plain words."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset
from requests.auth import AuthBase, HTTPBasicAuth

from braintumor.archive.entries import SeriesEntry
from braintumor.archive.instances import decoded, encoded, is_truncated
from braintumor.domain import ArchiveError, InputNotFoundError
from braintumor.study.dicomweb import AS_STORED, NOT_DICOMWEB, as_received, open_client, patient_session

_ONE_MESSAGE = 2**31
_ASK_ITS_KEEPER = "check that it runs, its address, and your access to it; then try again"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to introduce oneself to a PACS: user and password, or a bearer token, or neither. `repr` shows none of it."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def auth(self) -> AuthBase:
        """For `requests`; given also where there is nothing to say, or `requests` looks for a netrc file."""
        return HTTPBasicAuth(self.user, self.password) if self.user else _Bearer(self.token)


@dataclass(frozen=True, slots=True)
class PacsTimeouts:
    """How long to wait for a PACS, in seconds: until it answers the call, and between two pieces of an answer."""

    connect_s: float = 5.0
    read_s: float = 30.0


class Pacs:
    """One DICOMweb service. A client per thread: `requests` does not promise that sessions may be shared."""

    def __init__(self, url: str, credentials: Credentials, limits: PacsTimeouts) -> None:
        self.url, own = _address(url)
        self.credentials = credentials if own is None else own
        self.limits = limits
        self._local = threading.local()
        self.client()  # an unusable address is told now

    def client(self) -> DICOMwebClient:
        """The calling thread's client."""
        found = getattr(self._local, "client", None)
        if found is None:
            found = self._local.client = self._open()
        return found

    def _open(self) -> DICOMwebClient:
        session = patient_session()
        session.auth = self.credentials.auth()
        wait = (self.limits.connect_s, self.limits.read_s)
        try:
            return open_client(self.url, session, timeout=wait, chunk_size=_ONE_MESSAGE)
        except ValueError as error:
            raise InputNotFoundError(
                "the address of the PACS is not a DICOMweb address", remedy="write it as https://host/dicom-web", path=self.url
            ) from error

    def receive(self, study_uid: str, entry: SeriesEntry) -> Iterator[bytes]:
        """Every instance of a series as it is stored, exactly as many as the PACS says it has.

        Raises
        ------
        ArchiveError
            If the PACS does not deliver them all, or delivers something else.
        """
        met = set[str]()
        with explained(self.url):
            self.client().set_chunk_size(2**20)
            try:
                for dataset in self.client().iter_series(study_uid, entry.uid, media_types=AS_STORED):
                    if dataset.get("SeriesInstanceUID") != entry.uid or is_truncated(dataset):
                        raise half(entry, len(met))
                    met.add(str(dataset.SOPInstanceUID))
                    yield as_received(dataset)
            finally:
                self.client().set_chunk_size(_ONE_MESSAGE)
        if len(met) != entry.instances:
            raise half(entry, len(met))

    def instance(self, study_uid: str, series_uid: str, uid: str) -> bytes:
        """One instance as it is stored.

        Raises
        ------
        ArchiveError
            If the PACS does not deliver it.
        """
        with explained(self.url):
            found = self.client().retrieve_instance(study_uid, series_uid, uid, media_types=AS_STORED)
            if found.get("SOPInstanceUID") != uid or is_truncated(found):
                raise _not_delivered(self.url, "something else than was asked for")
            return as_received(found)

    def put(self, datasets: Sequence[Dataset]) -> None:
        """Store instances (STOW-RS); returns when the PACS has confirmed every one.

        Raises
        ------
        ArchiveError
            If it refuses one or confirms fewer, or holds another content under an instance's UID.
        """
        files = [decoded(encoded(dataset)) for dataset in datasets]
        with explained(self.url):
            new = [file for file in files if not self._is_held(file)]
            if not new:
                return
            try:
                answer = self.client().store_instances(new)
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code == requests.codes.conflict:
                    raise _refused(len(new)) from error
                raise
            failed = {str(item.ReferencedSOPInstanceUID) for item in answer.get("FailedSOPSequence") or ()}
            kept = {str(item.ReferencedSOPInstanceUID) for item in answer.get("ReferencedSOPSequence") or ()} - failed
            lost = [f for f in new if str(f.SOPInstanceUID) in failed or (f.SOPInstanceUID not in kept and not self._has(f))]
        if lost:
            raise _refused(len(lost))

    def _has(self, file: Dataset) -> bool:
        wanted = {"SOPInstanceUID": str(file.SOPInstanceUID)}
        return bool(self.client().search_for_instances(file.StudyInstanceUID, file.SeriesInstanceUID, search_filters=wanted))

    def _is_held(self, file: Dataset) -> bool:
        """Many archives keep the first content they get under a UID and confirm the second; so it is compared here."""
        if not self._has(file):
            return False
        held = self.instance(str(file.StudyInstanceUID), str(file.SeriesInstanceUID), str(file.SOPInstanceUID))
        if decoded(held) != file:
            raise ArchiveError(
                "the PACS holds another instance under the same SOP Instance UID, which was left as it is",
                remedy="give changed content a new UID",
            )
        return True


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turns what the network and the PACS can do wrong into an `ArchiveError`."""
    try:
        yield
    except requests.Timeout as error:
        raise _not_delivered(url, "nothing in time") from error
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        raise _not_delivered(url, f"HTTP status {status}") from error
    except requests.RequestException as error:
        raise _not_delivered(url, f"no complete answer ({type(error).__name__})") from error
    except NOT_DICOMWEB as error:
        raise _not_delivered(url, "something that is not DICOMweb, or not whole") from error


def half(entry: SeriesEntry, received: int) -> ArchiveError:
    """The error for a series of which only a part came, or more than was announced."""
    return ArchiveError(
        f"the PACS says that a series has {entry.instances} instances and delivered {received} of them whole",
        remedy="wait until the study has arrived there completely, then try again",
    )


def _not_delivered(url: str, what: str) -> ArchiveError:
    return ArchiveError(f"the PACS answered with {what}", remedy=_ASK_ITS_KEEPER, path=url)


def _refused(count: int) -> ArchiveError:
    return ArchiveError(
        f"the PACS did not keep {count} of the instances sent to it",
        remedy="ask its administrator why it refuses segmentations of this patient; nothing was lost here, send again",
    )


def _address(url: str) -> tuple[str, Credentials | None]:
    """The address without a user and password in it, and those."""
    try:
        parts = urlsplit(url.rstrip("/"))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InputNotFoundError(
            "the address of the PACS is not a DICOMweb address", remedy="write it as https://host/dicom-web"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    bare = f"{parts.scheme}://{host}{port}{parts.path}"
    return bare, Credentials(unquote(parts.username), unquote(parts.password or "")) if parts.username else None


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request
