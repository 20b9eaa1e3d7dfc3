"""Fetches one study from a DICOMweb store, keeping the bytes of each instance as they were sent.

A plain folder does not pass through here: `DICOMfileClient` reads every file twice (index, then data set; 2.6 s of CPU against
1.0 s for 620 slices) and refuses implicit VR little endian, DICOM's default transfer syntax.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from dicomweb_client import DICOMfileClient, DICOMwebClient
from dicomweb_client.uri import URI
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from braintumor.domain import BrainTumorError, InputNotFoundError, OutputError

AS_STORED = (("application/dicom", "*"),)
"""Media type that asks the server not to transcode (PS3.18 8.7.3.5.2), so that hashes are of the archived object."""


TRIES = 2
"""How often a read is repeated."""

BUSY = (429, 502, 503, 504)
NOT_DICOMWEB = (
    InvalidDicomError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    NotImplementedError,
    struct.error,
)
"""What the client and pydicom raise on an answer that they do not understand; they have no common base."""

Client = DICOMfileClient | DICOMwebClient


def is_url(source: str | Path) -> bool:
    """Whether a source names a DICOMweb store rather than a file or folder."""
    return str(source).startswith(("http://", "https://", "file://"))


def download(url: str, folder: Path) -> None:
    """Write every instance of one study into a folder as received, one file each.

    Parameters
    ----------
    url
        ``http(s)://host/dicom-web/studies/UID``, or ``file:///folder/studies/UID`` for one study of a local folder that holds
        many (then `dicomweb_client.DICOMfileClient` serves it from an index in memory; the folder is not changed).

    Raises
    ------
    InputNotFoundError
        If the URL names no study, or the store does not answer or does not hold it.
    OutputError
        If the folder cannot be written.
    """
    client, study_uid = _client(url)
    try:
        for number, received in enumerate(_received(client, study_uid)):
            (folder / f"{number:06d}.dcm").write_bytes(received)
    except requests.RequestException as error:  # an OSError too, so it must come first
        status = error.response.status_code if error.response is not None else type(error).__name__
        raise _unreachable(url, str(status)) from error
    except NOT_DICOMWEB as error:
        raise _unreachable(url, "its answer is not DICOMweb, or not whole") from error
    except OSError as error:
        raise OutputError(
            f"an instance could not be kept: {error.strerror or error}",
            remedy="free space for temporary files, or set TMPDIR to a larger disk",
            path=folder,
        ) from error


def patient_session() -> requests.Session:
    """A session that repeats a read which was refused or met a busy server; a wrong address is still told within seconds.

    The client's own way of repeating would repeat writing, too, and end in an error of a third library.
    """
    again = Retry(total=TRIES, read=1, backoff_factor=0.2, status_forcelist=BUSY, raise_on_status=False)
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=again))  # GET, never POST
    return session


def open_client(url: str, session: requests.Session, **how: Any) -> DICOMwebClient:
    """A client that leaves repeating to its session; raises `ValueError` for an unusable address."""
    client = DICOMwebClient(url, session=session, permissive_uid=True, **how)
    client.set_http_retry_params(retry=False)
    return client


def _client(url: str) -> tuple[Client, str]:
    base, _, study_uid = url.rstrip("/").partition("/studies/")
    try:
        parsed = URI.from_string(f"https://any/studies/{study_uid}")  # checks the UID; `file` is no scheme it knows
        if parsed.study_instance_uid is None or parsed.series_instance_uid is not None:
            raise ValueError("no study")
        if url.startswith("file://"):
            return DICOMfileClient(base, in_memory=True, readonly=True), study_uid
        return open_client(base, patient_session()), study_uid
    except (ValueError, OSError) as error:
        raise InputNotFoundError(
            "the URL does not name a DICOMweb study", remedy="write it as https://host/dicom-web/studies/STUDY-UID", path=url
        ) from error


def _received(client: Client, study_uid: str) -> Iterator[bytes]:
    for dataset in client.iter_study(study_uid, media_types=AS_STORED):
        yield as_received(dataset)


def as_received(dataset: Dataset) -> bytes:
    """What a DICOMweb client parsed: it hands over a dataset, which remembers the buffer or file it was read from."""
    buffer = getattr(dataset, "buffer", None)
    if buffer is not None:
        return bytes(buffer.getvalue())
    return Path(dataset.filename).read_bytes()


def _unreachable(url: str, why: str) -> BrainTumorError:
    return InputNotFoundError(
        f"the DICOMweb store did not deliver the study ({why})",
        remedy="check the address, the study UID and your access; or export the study and give its folder",
        path=url,
    )
