"""A folder of DICOM files with the methods of a DICOMweb client, for many threads at once.

`dicomweb_client.DICOMfileClient` 0.61 was to stand here. It cannot: its SQLite connection works in the one thread that opened
it; an update reads every file of the folder again and never forgets a deleted one (it compares relative with absolute
paths); it answers with an error for implicit VR little endian, DICOM's default transfer syntax; it finds nothing below a
path that has a space in it; it indexes hidden and half-written files; and it knows no descriptions, which people choose
studies by. Methods, arguments and answers are the same here, as far as the project uses them.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from braintumor.archive.entries import LIST_AGAIN
from braintumor.archive.folder import query
from braintumor.archive.folder.facts import FileFacts, header_members, read_facts, tag_name
from braintumor.archive.folder.frames import Frames, read_bulk, read_frames
from braintumor.archive.folder.index import FolderIndex, Tree
from braintumor.archive.folder.model import Element, JsonModel
from braintumor.archive.folder.rendered import Look, render
from braintumor.archive.folder.writing import InstanceBytes, keep, tidy
from braintumor.archive.instances import decoded, encoded
from braintumor.domain import ArchiveError, CorruptFileError, InputNotFoundError, UnknownStudyError

Answer = dict[str, Element]
_Level = TypeVar("_Level")

MISSED_S = 0.1
"""How old the index may be when it does not know a study that is asked for."""

METADATA_BYTES = 128 * 2**20
"""Metadata kept in memory, as JSON: that of about 100 series of 155 slices."""

_BASE = "urn:uuid:5d7ad3f6-0c2b-4d0c-9d39-0f4f4f6f6a53"
"""Stands in remembered metadata for the address of the service, which differs from request to request."""


class FolderClient:
    """The studies below one folder.

    Parameters
    ----------
    root
        Searched with all its visible subfolders, however they are named. New instances are put in
        ``<study>/<series>/<instance>.dcm`` (UIDs).

    Attributes
    ----------
    base_url
        As in every DICOMweb client: what `BulkDataURI` begins with here.

    Raises
    ------
    InputNotFoundError
        If `root` is no folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise InputNotFoundError("the folder of studies does not exist", remedy="name an existing folder", path=root)
        self.root = root.resolve()
        self.base_url = self.root.as_uri()
        self._index = FolderIndex(self.root)
        self._writing = threading.Lock()
        self._metadata: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._remembering = threading.Lock()
        tidy(self.root, time.time())
        self._index.begin()

    def search_for_studies(
        self,
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
        fields: Sequence[str] | None = None,
        search_filters: Mapping[str, Any] | None = None,
        get_remaining: bool = False,
    ) -> list[Answer]:
        """As `dicomweb_client.DICOMwebClient`; newest first. `fields` changes nothing: all that is kept is given."""
        return query.select(
            query.studies(self._tree(study=(search_filters or {}).get("StudyInstanceUID"))),
            search_filters or {},
            limit,
            offset or 0,
        )

    def search_for_series(
        self,
        study_instance_uid: str | None = None,
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
        fields: Sequence[str] | None = None,
        search_filters: Mapping[str, Any] | None = None,
        get_remaining: bool = False,
    ) -> list[Answer]:
        """As `dicomweb_client.DICOMwebClient`; by Series Number."""
        return query.select(
            query.series(self._tree(study=study_instance_uid), study_instance_uid), search_filters or {}, limit, offset or 0
        )

    def search_for_instances(
        self,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
        fields: Sequence[str] | None = None,
        search_filters: Mapping[str, Any] | None = None,
        get_remaining: bool = False,
    ) -> list[Answer]:
        """As `dicomweb_client.DICOMwebClient`; by Instance Number."""
        found = query.instances(self._tree(study=study_instance_uid), study_instance_uid, series_instance_uid)
        return query.select(found, search_filters or {}, limit, offset or 0)

    def retrieve_instance_metadata(
        self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
    ) -> dict[str, Element]:
        """As `dicomweb_client.DICOMwebClient`.

        Raises
        ------
        UnknownStudyError
            If there is no such instance.
        """
        found = json.loads(self.metadata(self.base_url, study_instance_uid, series_instance_uid, sop_instance_uid))
        return dict(found[0])

    def iter_series(
        self, study_instance_uid: str, series_instance_uid: str, media_types: tuple[Any, ...] | None = None
    ) -> Iterator[Dataset]:
        """As `dicomweb_client.DICOMwebClient`; always as stored."""
        for facts in self.files(study_instance_uid, series_instance_uid):
            yield decoded(facts.path)

    def store_instances(self, datasets: Sequence[Dataset], study_instance_uid: str | None = None) -> Dataset:
        """As `dicomweb_client.DICOMwebClient`, but all or none: anything that cannot be kept raises what `put` raises."""
        self.put([encoded(dataset) for dataset in datasets])
        return Dataset()

    def put(self, files: Sequence[bytes]) -> None:
        """Add DICOM files, byte for byte; when this returns they are on the disk and can be found.

        Raises
        ------
        CorruptFileError
            If one is no complete DICOM instance; nothing is added then.
        ArchiveError
            If an instance of the same UID and another content is there already; nothing is added then.
        OutputError
            If the folder cannot be written.
        """
        arrivals = [self._arrival(data) for data in files]
        with self._writing:
            held = {facts.uid: facts for facts in self.files(fresh_s=0.0)}
            new = {a.facts.uid: a for a in arrivals if not _is_held(a, held.get(a.facts.uid))}
            for facts in keep(self.root, list(new.values())):
                self._index.add(facts)

    def files(
        self,
        study_uid: str | None = None,
        series_uid: str | None = None,
        uid: str | None = None,
        *,
        fresh_s: float | None = None,
    ) -> list[FileFacts]:
        """The instances of a study, a series, or one; of all if nothing is named.

        Raises
        ------
        UnknownStudyError
            If there are none of that name.
        """
        tree = self._tree(fresh_s, study_uid)
        found = [
            facts for series in _below(tree, study_uid) for files in _below(series, series_uid) for facts in _below(files, uid)
        ]
        if not found and study_uid is not None:
            raise UnknownStudyError("the folder holds no such study, series or instance", remedy=LIST_AGAIN)
        return found

    def metadata(self, base_url: str, study_uid: str, series_uid: str | None = None, uid: str | None = None) -> bytes:
        """Everything but pixels and long binary values as DICOM JSON (PS3.18 F.2), one object per instance.

        Parameters
        ----------
        base_url
            Of the DICOMweb service that offers it: `BulkDataURI` begins with it.

        Raises
        ------
        UnknownStudyError
            If there is no such study, series or instance.
        """
        levels: dict[str, list[FileFacts]] = {}
        for facts in self.files(study_uid, series_uid, uid):
            levels.setdefault(facts.series, []).append(facts)
        parts = [self._series_metadata(files) for files in levels.values()]
        return b"[" + b",".join(parts).replace(_BASE.encode(), json.dumps(base_url)[1:-1].encode()) + b"]"

    def frames(self, study_uid: str, series_uid: str, uid: str, numbers: Sequence[int], *, decompress: bool = False) -> Frames:
        """See `read_frames`; raises `UnknownStudyError` too."""
        return read_frames(self.files(study_uid, series_uid, uid)[0], numbers, decompress=decompress)

    def bulk(self, study_uid: str, series_uid: str, uid: str, where: str) -> bytes:
        """See `read_bulk`; raises `UnknownStudyError` too."""
        return read_bulk(self.files(study_uid, series_uid, uid)[0], where)

    def document(self, study_uid: str, series_uid: str, uid: str) -> bytes | None:
        """The PDF inside an Encapsulated PDF instance, which is its rendered form (PS3.18 8.7.4); None for an image.

        Raises
        ------
        UnknownStudyError
            If there is no such study, series or instance.
        InputNotFoundError
            If it holds no PDF.
        """
        facts = self.files(study_uid, series_uid, uid)[0]
        if facts.value("SOPClassUID") != EncapsulatedPDFStorage:
            return None
        data = read_bulk(facts, tag_name("EncapsulatedDocument"))
        return data.removesuffix(b"\0") if len(data) % 2 == 0 else data

    def rendered(
        self, study_uid: str, look: Look, series_uid: str | None = None, uid: str | None = None, number: int = 0
    ) -> bytes:
        """A picture of one frame; of the one in the middle (of the longest series) if no instance or frame is given.

        Raises
        ------
        UnknownStudyError
            If there is no such study, series or instance.
        InputNotFoundError, CorruptFileError
            See `render`.
        """
        files = self.files(study_uid, series_uid, uid)
        length = Counter(facts.series for facts in files if facts.frames)
        longest = max(length, key=lambda series: length[series], default=None)
        images = [facts for facts in files if facts.series == longest and facts.frames]
        images.sort(key=lambda facts: (facts.value("InstanceNumber") or 0, facts.uid))
        facts = images[len(images) // 2] if images else files[0]
        return render(facts, number or facts.frames // 2 + 1, look)

    def _tree(self, fresh_s: float | None = None, study: str | None = None) -> Tree:
        try:
            tree = self._index.tree(fresh_s)
            return tree if study is None or study in tree else self._index.tree(MISSED_S)  # it may just have arrived
        except OSError as error:
            raise ArchiveError(
                f"the folder of studies cannot be read: {error.strerror or error}",
                remedy="check that its disk is there and may be read",
                path=self.root,
            ) from error

    def _series_metadata(self, files: list[FileFacts]) -> bytes:
        key = tuple(f"{facts.path}{facts.stamp}" for facts in files)
        with self._remembering:
            if key in self._metadata:
                self._metadata.move_to_end(key)
                return self._metadata[key]
        model = JsonModel()
        text = ",".join(f"{{{','.join(_members(facts, model))}}}" for facts in files).encode()
        with self._remembering:
            self._metadata[key] = text
            while sum(map(len, self._metadata.values())) > METADATA_BYTES and len(self._metadata) > 1:
                self._metadata.popitem(last=False)
        return text

    def _arrival(self, data: bytes) -> InstanceBytes:
        dataset = decoded(data)
        parts = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, f"{dataset.SOPInstanceUID}.dcm")
        facts = read_facts(data, self.root.joinpath(*map(str, parts)), (0, 0), JsonModel())
        if facts is None:
            raise CorruptFileError("a file without the DICOM prefix cannot be kept", remedy="send it as a DICOM file (PS3.10)")
        return InstanceBytes(facts, data)


def _below(level: Mapping[str, _Level], uid: str | None) -> Iterable[_Level]:
    """What has this UID, or everything if there is none."""
    if uid is None:
        return level.values()
    return (level[uid],) if uid in level else ()


def _members(facts: FileFacts, model: JsonModel) -> list[str]:
    where = f"{_BASE}/studies/{facts.study}/series/{facts.series}/instances/{facts.uid}/bulkdata/"
    try:
        return header_members(facts, model, where)
    except OSError as error:
        raise UnknownStudyError("an instance was removed from the folder meanwhile", remedy=LIST_AGAIN) from error


def _is_held(arrival: InstanceBytes, held: FileFacts | None) -> bool:
    if held is None:
        return False
    try:
        same = held.path.read_bytes() == arrival.data or decoded(held.path) == decoded(arrival.data)
    except OSError:
        return False  # deleted this very moment
    if not same:
        raise ArchiveError(
            "the folder holds another instance under the same SOP Instance UID, which was left as it is",
            remedy="give changed content a new UID",
        )
    return True
