"""Where instances and results lie on the disk: the file system itself is the record of what was acknowledged."""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import secrets
import shutil
import struct
import uuid
import zlib
from base64 import b32encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import UID

from braintumor.domain import DuplicateInstanceError, OutputError, RefusedInstanceError, sync_folder
from braintumor.node.comparison import same_content
from braintumor.study.index import MR_IMAGES

LARGEST_INSTANCE = 2**30
"""Bytes; what is larger is refused while it arrives, because an instance is held in memory until it is kept."""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_HEADER = (*_UIDS, "Modality", "SeriesDescription", "PixelData")
_UNDEFINED = 0xFFFFFFFF
_DEFLATED = b"1.2.840.10008.1.2.1.99"


class Refusal(StrEnum):
    """Why an instance is not kept."""

    UNREADABLE = "unreadable"
    """Not a DICOM file (PS3.10), or damaged."""
    INCOMPLETE = "incomplete"
    """Ends before or within its pixels."""
    NO_UID = "no-uid"
    """A UID is missing or not valid."""
    NOT_MR = "not-mr"
    """Of none of `MR_IMAGES`."""
    MISMATCH = "mismatch"
    """Its UIDs are not those that it was announced under."""
    TOO_LARGE = "too-large"
    """Larger than `LARGEST_INSTANCE`."""


class RefusalError(RefusedInstanceError):
    """`RefusedInstanceError` with what statuses, metrics and logs need.

    Attributes
    ----------
    reason
        Why, as a code.
    identity
        SOP Class and Instance UID, where they could be read.
    """

    def __init__(self, problem: str, remedy: str, reason: Refusal, identity: tuple[str, str] | None = None) -> None:
        super().__init__(problem, remedy=remedy)
        self.reason, self.identity = reason, identity


@dataclass(frozen=True, slots=True)
class Announced:
    """What a sender says of an instance beside its data set; empty where it says nothing."""

    class_uid: str = ""
    sop_uid: str = ""
    study_uid: str = ""


class IngestOutcome(StrEnum):
    """What became of an instance that arrived."""

    NEW = "new"
    SAME = "same"
    """It was kept already, with the same content: as good as new for its sender."""
    CONFLICT = "conflict"
    """Another one is kept under its UID; it was put aside, and its sender is told that it failed."""
    REFUSED = "refused"
    """Not one that the node takes; sending it again will not help."""
    NO_SPACE = "out-of-space"
    """Nothing is wrong with it; sending it again later will help."""
    FAILED = "failed"
    """An error that nobody foresaw."""

    @property
    def is_kept(self) -> bool:
        """Whether it is durable: the only case in which a sender may hear of success."""
        return self in (IngestOutcome.NEW, IngestOutcome.SAME)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instance as it is kept.

    Attributes
    ----------
    file
        Name of its file in the study's folder.
    sha256
        Of the stored file.
    calling
        AE title of the sender, ``STOW-RS`` or ``folder``.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    class_uid: str
    modality: str
    description: str
    calling: str
    file: str
    sha256: str
    size: int


class Spool:
    """The node's folders.

    ``incoming/`` holds what is being written; ``studies/<pseudonym>/instances/`` what was acknowledged;
    ``studies/<pseudonym>/results/`` what was produced. An instance gets its name by a link that fails where the name exists,
    so two senders cannot overwrite each other, and a file that has its name is whole and on the disk.

    Parameters
    ----------
    free_mb
        Nothing is taken below so much free space.
    """

    def __init__(self, state: Path, free_mb: int = 0) -> None:
        self.state, self._free = state, free_mb * 1_000_000
        self._incoming, self._studies = state / "incoming", state / "studies"
        for folder in (state, self._incoming, self._studies):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._durable: set[Path] = set()
        self._secret = _secret(state / "secret")

    def pseudonym(self, study_uid: str) -> str:
        """What logs and files call a study: follows from its UID and this node's secret, and does not tell it."""
        return f"S-{self._hashed('study', study_uid)[:12]}"

    def study(self, pseudonym: str) -> Path:
        """A study's folder."""
        return self._studies / pseudonym

    def instances(self, pseudonym: str) -> Path:
        """The folder of a study's images."""
        return self.study(pseudonym) / "instances"

    def results(self, pseudonym: str, generation: int) -> Path:
        """A new name for the results of one run; not created."""
        return self.study(pseudonym) / "results" / f"{generation}-{uuid.uuid4().hex[:8]}"

    def keep(self, content: bytes, calling: str, announced: Announced | None = None) -> tuple[IngestOutcome, Arrival]:
        """Keep one DICOM file (PS3.10); when this returns, a power cut loses nothing of it.

        Parameters
        ----------
        calling
            AE title of the sender, ``STOW-RS`` or ``folder``.

        Raises
        ------
        RefusalError
            If it is not a whole DICOM file with an image of one of `MR_IMAGES`, or not what was announced.
        DuplicateInstanceError
            If another instance is kept under its UID; the new one is put aside in the study's ``conflicts``.
        OutputError
            If the disk is full, or about to be.
        """
        found = replace(self.read(content, calling), sha256=hashlib.sha256(content).hexdigest())
        if announced is not None and not _fits(found, announced):
            identity = (found.class_uid, found.sop_uid)
            raise RefusalError("An instance is not the one announced", "Correct its sender", Refusal.MISMATCH, identity)
        self._check_space(len(content))
        pseudonym = self.pseudonym(found.study_uid)
        target = self.instances(pseudonym) / found.file
        try:
            if self._link(content, target):
                return IngestOutcome.NEW, found
            if same_content(target.read_bytes(), content):
                sync_folder(target.parent)  # whoever kept it first may not have come so far yet
                return IngestOutcome.SAME, found
            aside = self.study(pseudonym) / "conflicts" / f"{target.stem}-{found.sha256[:8]}.dcm"
            self._link(content, aside)
        except OSError as error:
            raise _full(error) from error
        raise DuplicateInstanceError(
            f"An instance of study {pseudonym} arrived with the UID of another one",
            remedy="Compare it with the one that is kept; it was put aside in the folder conflicts",
        )

    def read(self, content: bytes, calling: str) -> Arrival:
        """What an instance says of itself; decodes no pixels.

        Raises
        ------
        RefusalError
            See `keep`.
        """
        if len(content) > LARGEST_INSTANCE or _inflates_too_far(content):
            raise RefusalError("An instance is too large", "Send it in parts", Refusal.TOO_LARGE)
        try:
            header = pydicom.dcmread(BytesIO(content), specific_tags=list(_HEADER))
            values = {name: _plain(header.get_item(name)) for name in (*_UIDS, "Modality")}
            description = str(header.get("SeriesDescription") or "")
            pixels: Any = header.get_item("PixelData")
        except Exception as error:  # anything may be sent, and pydicom has no one class for damage
            raise RefusalError("A file is not readable as DICOM", "Send DICOM files (PS3.10)", Refusal.UNREADABLE) from error
        if not any(values.values()):  # what pydicom leaves of a file that ends too early
            raise RefusalError("A file is not readable as DICOM", "Send DICOM files (PS3.10)", Refusal.UNREADABLE)
        if not all(_is_uid(values[name]) for name in _UIDS):
            raise RefusalError("An instance lacks a valid UID", "Send it again from its source", Refusal.NO_UID)
        identity = (values["SOPClassUID"], values["SOPInstanceUID"])
        if values["SOPClassUID"] not in MR_IMAGES:
            name = UID(values["SOPClassUID"]).name
            raise RefusalError(f"The node takes MR images, not {name}", "Send MR images only", Refusal.NOT_MR, identity)
        if pixels is None or (pixels.length != _UNDEFINED and len(pixels.value or b"") < pixels.length):
            raise RefusalError("An instance ends before its pixels do", "Send it again", Refusal.INCOMPLETE, identity)
        return Arrival(
            study_uid=values["StudyInstanceUID"],
            series_uid=values["SeriesInstanceUID"],
            sop_uid=values["SOPInstanceUID"],
            class_uid=values["SOPClassUID"],
            modality=values["Modality"][:16],
            description=_printable(description)[:64],
            calling=calling,
            file=self.file(values["SOPInstanceUID"]),
            sha256="",
            size=len(content),
        )

    def find(self, sop_uids: Iterable[str]) -> dict[str, Path]:
        """Files of the instances that are kept, by SOP Instance UID, whatever their study: what Storage Commitment promises.

        Looks into each study's folder once, the latest first, however many are asked for; needs no index that could disagree
        with the files.
        """
        wanted = {self.file(uid): uid for uid in sop_uids}
        found: dict[str, Path] = {}
        for folder in self._latest_first():
            if not wanted:
                break
            with suppress(OSError):  # removed meanwhile
                for name in wanted.keys() & set(os.listdir(folder)):  # noqa: PTH208  names only, of very many files
                    found[wanted.pop(name)] = Path(folder, name)
        return found

    def kept(self) -> Iterator[tuple[str, Path]]:
        """Pseudonym and file of every instance on the disk."""
        for study in sorted(self._studies.iterdir()):
            for path in sorted((study / "instances").glob("*.dcm")):
                yield study.name, path

    def recovered(self, path: Path) -> Arrival:
        """The arrival of a file that is on the disk and unknown to the database: the power went between the two."""
        content = path.read_bytes()
        return replace(self.read(content, "recovered"), sha256=hashlib.sha256(content).hexdigest())

    def clear_incoming(self) -> int:
        """Remove what was being written when the node was killed: it was not acknowledged. Returns how many files."""
        stale = list(self._incoming.iterdir())
        for path in stale:
            if path.is_dir():
                shutil.rmtree(path)  # a removal that was killed
            else:
                path.unlink()
        return len(stale)

    def remove(self, pseudonym: str) -> None:
        """Remove everything of a study; it vanishes by one rename first, so a killed removal leaves nothing half."""
        folder = self.study(pseudonym)
        if folder.exists():
            doomed = self._incoming / f"removed-{uuid.uuid4().hex}"
            self._durable -= {folder, folder / "instances", folder / "conflicts"}
            folder.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    @property
    def free_bytes(self) -> int:
        """Free space on the spool's disk, for this process."""
        found = os.statvfs(self.state)
        return found.f_bavail * found.f_frsize

    def _link(self, content: bytes, target: Path) -> bool:
        """Write `content` durably under a name that must be free; False if it is taken."""
        if target.exists():
            return False
        for folder in (target.parent.parent, target.parent):
            if folder not in self._durable or not folder.is_dir():
                folder.mkdir(exist_ok=True, mode=0o700)
                sync_folder(folder.parent)  # also where another thread made it, which may not have come so far yet
                self._durable.add(folder)
        partial = self._incoming / uuid.uuid4().hex
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(partial, target)
            except FileExistsError:
                return False
            sync_folder(target.parent)
            return True
        finally:
            partial.unlink(missing_ok=True)

    def _latest_first(self) -> list[str]:
        """Folders of instances of all studies, by the time of their last change."""
        times: list[tuple[int, str]] = []
        with os.scandir(self._studies) as studies:
            for study in studies:
                with suppress(OSError):
                    folder = f"{study.path}/instances"
                    times.append((os.stat(folder).st_mtime_ns, folder))  # noqa: PTH116  ten thousand of them
        return [folder for _, folder in sorted(times, reverse=True)]

    def file(self, sop_uid: str) -> str:
        """Name of an instance in its study's folder."""
        return f"{self._hashed('instance', sop_uid)[:26]}.dcm"

    def _check_space(self, size: int) -> None:
        if self.free_bytes - size < self._free:
            raise OutputError("The node's disk is almost full", remedy="Free space, or wait for the retention to do so")

    def _hashed(self, kind: str, words: str) -> str:
        digest = hmac.new(self._secret, f"{kind}\0{words}".encode(), hashlib.sha256).digest()
        return b32encode(digest).decode().rstrip("=").lower()


def _fits(found: Arrival, announced: Announced) -> bool:
    pairs = zip((found.class_uid, found.sop_uid, found.study_uid), astuple(announced), strict=True)
    return all(said in ("", is_) for is_, said in pairs)


def _inflates_too_far(content: bytes) -> bool:
    """Whether a file in deflated transfer syntax (PS3.5 A.5) unpacks to more than `LARGEST_INSTANCE`: pydicom has no limit."""
    (length,) = struct.unpack_from("<I", content, 140) if len(content) >= 144 else (0,)  # PS3.10 7.1: of group 2, always first
    if _DEFLATED not in content[144 : 144 + length]:
        return False
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with suppress(zlib.error):  # damage is for pydicom to report
        inflater.decompress(content[144 + length :], LARGEST_INSTANCE)
    return bool(inflater.unconsumed_tail)


def _plain(element: Any) -> str:
    """A value of the default character repertoire as it stands in the file: pydicom's own conversion warns and quotes it."""
    value = b"" if element is None else element.value or b""
    return _printable(value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip(" ")


def _printable(words: str) -> str:
    """Without what no database takes, such as NUL."""
    return "".join(letter for letter in words if letter.isprintable())


def _is_uid(value: str) -> bool:
    return bool(value) and UID(value).is_valid


def _secret(path: Path) -> bytes:
    """The node's secret, made at the first start; whoever has it can tell which pseudonym belongs to a UID."""
    if not path.exists():
        partial = path.with_name(f".secret-{uuid.uuid4().hex}")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)  # another process may have made it meanwhile: the first one stays
        except FileExistsError:
            pass
        finally:
            partial.unlink()
        sync_folder(path.parent)
    return path.read_bytes()


def _full(error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("The node's disk is full", remedy="Free space")
    return OutputError(f"The node cannot write: {error.strerror or type(error).__name__}", remedy="Check its state folder")
