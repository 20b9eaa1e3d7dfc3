"""The archive as the rest of the project sees it: studies, their images as local files, and every version of their label."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from braintumor.archive.cache import FolderCache, default_cache
from braintumor.archive.entries import (
    IMAGE_MODALITY,
    LIST_AGAIN,
    LabelVersion,
    SeriesEntry,
    StudyEntry,
    checked_uid,
    newest_first,
)
from braintumor.archive.folder import FolderClient
from braintumor.archive.listing import Client, find_labels, find_series, find_studies, find_study, study_entry, text, value
from braintumor.archive.remote import Credentials, Pacs, PacsTimeouts, explained
from braintumor.domain import ArchiveError, InputNotFoundError, UnknownStudyError

LISTED_S = 3.0
"""How old the list of studies may be."""

CACHE_BYTES = 10 * 2**30
_VERSIONS_KEPT = 4096


def open_store(
    location: str | Path,
    *,
    user: str = "",
    password: str = "",
    token: str = "",
    cache: Path | None = None,
    cache_bytes: int = CACHE_BYTES,
    limits: PacsTimeouts | None = None,
) -> StudyStore:
    """Open a folder of DICOM files or a DICOMweb PACS.

    Parameters
    ----------
    location
        A folder, or ``http(s)://host/dicom-web``.
    user, password, token
        For the PACS: basic authentication or a bearer token. They appear in no message, log or `repr`.
    cache
        Folder on this machine for what is fetched; the user's cache folder if None.
    cache_bytes
        Size at which the least recently used studies leave the cache.

    Raises
    ------
    InputNotFoundError
        If the folder does not exist or the address is none. A PACS that is down is told at the first question.
    """
    place = FolderCache(cache or default_cache() / "studies", cache_bytes)
    if str(location).startswith(("http://", "https://")):
        return StudyStore(Pacs(str(location), Credentials(user, password, token), limits or PacsTimeouts()), place)
    return StudyStore(FolderClient(Path(location).expanduser()), place)


class StudyStore:
    """One archive; may be used from many threads.

    Every method raises `ArchiveError` where the archive does not answer, and `UnknownStudyError` where it holds nothing of the
    given UID.

    Attributes
    ----------
    location
        Folder or address, without credentials.
    kind
        ``folder`` or ``dicomweb``.
    pacs
        The PACS with its credentials, for a proxy; None for a folder.
    """

    def __init__(self, archive: FolderClient | Pacs, cache: FolderCache) -> None:
        self._archive = archive
        self._cache = cache
        self.kind: Literal["folder", "dicomweb"] = "dicomweb" if isinstance(archive, Pacs) else "folder"
        self.location = archive.url if isinstance(archive, Pacs) else str(archive.root)
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._listed: tuple[float, tuple[StudyEntry, ...] | ArchiveError] = (-float("inf"), ())
        self._counted: dict[str, tuple[object, tuple[SeriesEntry, ...]]] = {}
        self._versions: OrderedDict[str, LabelVersion | None] = OrderedDict()

    @property
    def client(self) -> DICOMwebClient | FolderClient:
        """The DICOMweb client of the calling thread."""
        return self._archive.client() if isinstance(self._archive, Pacs) else self._archive

    @property
    def pacs(self) -> Pacs | None:  # noqa: D102  see the class
        return self._archive if isinstance(self._archive, Pacs) else None

    def studies(self) -> tuple[StudyEntry, ...]:
        """Every study that has MR images, newest first; at most `LISTED_S` seconds old."""
        with self._listing:  # whoever comes second gets the answer of the first
            at, listed = self._listed
            if time.monotonic() - at > LISTED_S:
                try:
                    listed = self._list()
                except ArchiveError as error:  # who waits for the lock does not have to wait for a dead PACS as well
                    listed = error
                self._listed = (time.monotonic(), listed)
            if isinstance(listed, ArchiveError):
                raise listed
            return listed

    def study(self, study_uid: str) -> StudyEntry:
        """One study as the archive has it now."""
        with self._asking() as client:
            answer = find_study(client, checked_uid(study_uid))
            if answer is None:
                raise _unknown()
            return study_entry(answer, find_series(client, study_uid))

    def locate(self, uid: str) -> tuple[StudyEntry, SeriesEntry | None]:
        """The study with this UID (then without a series), or the series with it and its study."""
        with self._asking() as client:
            if find_study(client, checked_uid(uid)) is not None:
                return self.study(uid), None
            for answer in client.search_for_series(search_filters={"SeriesInstanceUID": uid}):
                if text(answer, "SeriesInstanceUID") == uid:
                    study = self.study(text(answer, "StudyInstanceUID"))
                    entry = next((series for series in study.series if series.uid == uid), None)
                    if entry is not None:
                        return study, entry
        raise _unknown()

    def priors(self, study_uid: str) -> tuple[StudyEntry, ...]:
        """Earlier studies of the same patient (by Patient ID), newest first."""
        now = self.study(study_uid)
        if now.date is None or not now.patient_id:
            return ()
        return tuple(
            other
            for other in self.studies()
            if other.patient_id == now.patient_id and other.uid != now.uid and other.date is not None and other.date < now.date
        )

    def fetch(self, study_uid: str) -> Path:
        """A folder on this machine with the study's MR instances, each a file as it is stored, and nothing else.

        The folder is to be read only. It stays for at least 15 minutes after the last call that returned it.

        Raises
        ------
        ArchiveError
            If fewer instances came than the archive says it has, or the study changed meanwhile.
        InputNotFoundError
            If the study has no MR images.
        OutputError
            If the disk is full.
        """
        entry = self.study(study_uid)
        if not entry.images:
            raise InputNotFoundError("the study has no MR images", remedy="choose a study with T1, T1ce, T2 and FLAIR series")
        if isinstance(self._archive, Pacs):
            pacs = self._archive
            return self._cache.get(_key(pacs.url, entry), lambda folder: self._download(pacs, entry, folder))
        files = [f for series in entry.images for f in self._archive.files(study_uid, series.uid)]
        stamps = repr(sorted((facts.uid, facts.stamp) for facts in files))
        return self._cache.get(_key(self.location + stamps, entry), lambda folder: _link([f.path for f in files], folder))

    def labels(self, study_uid: str) -> tuple[LabelVersion, ...]:
        """Every segmentation object of the study, newest first; asked of the archive each time."""
        with self._asking() as client:
            if find_study(client, checked_uid(study_uid)) is None:
                raise _unknown()
            known = dict(self._versions)
            found = find_labels(client, study_uid, known)
        with self._lock:
            self._versions.update(known)
            while len(self._versions) > _VERSIONS_KEPT:
                self._versions.popitem(last=False)
        return newest_first(found)

    def label_file(self, version: LabelVersion) -> Path:
        """The segmentation object as a file, to be read only."""
        uids = [checked_uid(uid) for uid in (version.study_uid, version.series_uid, version.uid)]
        if isinstance(self._archive, FolderClient):
            return self._archive.files(*uids)[0].path
        pacs = self._archive
        folder = self._cache.get(_key(pacs.url, version), lambda folder: _write(folder / "seg.dcm", pacs.instance(*uids)))
        return folder / "seg.dcm"

    def store(self, datasets: Sequence[Dataset]) -> None:
        """Add instances to the archive; when this returns, the archive has them (a folder: on the disk, power may fail).

        An instance that is there already with the same content is no error.

        Raises
        ------
        ArchiveError
            If the archive refuses or does not confirm one, or holds another content under its UID.
        CorruptFileError
            If one lacks identifiers or has invalid ones.
        OutputError
            If the disk is full or may not be written.
        """
        if isinstance(self._archive, Pacs):
            self._archive.put(datasets)
        else:
            self._archive.store_instances(datasets)
        with self._listing:
            self._listed = (-float("inf"), ())

    def _list(self) -> tuple[StudyEntry, ...]:
        entries = []
        with self._asking() as client:
            for answer in find_studies(client, ModalitiesInStudy=IMAGE_MODALITY):
                series = self._series_of(client, answer)
                if any(entry.modality == IMAGE_MODALITY for entry in series):
                    entries.append(study_entry(answer, series))
        uids = {entry.uid for entry in entries}
        self._counted = {uid: counted for uid, counted in self._counted.items() if uid in uids}
        return tuple(sorted(entries, key=lambda e: (e.date is not None, e.date or 0, e.uid), reverse=True))

    def _series_of(self, client: Client, answer: Mapping[str, Any]) -> tuple[SeriesEntry, ...]:
        """The series of a listed study, asked for again only when its number of instances has changed."""
        uid, count = text(answer, "StudyInstanceUID"), value(answer, "NumberOfStudyRelatedInstances")
        known = self._counted.get(uid)
        if known is None or count is None or known[0] != count:
            known = (count, find_series(client, uid))
            self._counted[uid] = known
        return known[1]

    def _download(self, pacs: Pacs, entry: StudyEntry, folder: Path) -> None:
        for number, series in enumerate(entry.images):
            for k, data in enumerate(pacs.receive(entry.uid, series)):
                _write(folder / f"{number:03d}-{k:06d}.dcm", data)
        if self.study(entry.uid).fingerprint != entry.fingerprint:  # what came late is not in the folder
            raise ArchiveError("a study changed while it was fetched", remedy="wait until it has arrived, then try again")

    @contextmanager
    def _asking(self) -> Iterator[Client]:
        client = cast("Client", self.client)
        if isinstance(self._archive, FolderClient):  # explains itself
            yield client
        else:
            with explained(self.location):
                yield client


def _key(where: str, what: StudyEntry | LabelVersion) -> str:
    content = what.fingerprint if isinstance(what, StudyEntry) else ""
    return hashlib.sha256("\0".join((where, what.uid, content)).encode()).hexdigest()[:40]


def _link(paths: list[Path], folder: Path) -> None:
    """The files under other names, without copying them where the disk is the same."""
    for number, path in enumerate(paths):
        target = folder / f"{number:06d}.dcm"
        try:
            os.link(path.resolve(), target)
        except FileNotFoundError as error:
            raise ArchiveError(
                "a study changed while it was fetched", remedy="wait until it is complete, then try again"
            ) from error
        except OSError:
            shutil.copyfile(path, target)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _unknown() -> UnknownStudyError:
    return UnknownStudyError("the archive holds no such study or series", remedy=LIST_AGAIN)
