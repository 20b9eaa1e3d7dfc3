"""A folder as destination, for simple exports: results appear whole below ``<pseudonym>/<generation>``."""

from __future__ import annotations

import errno
import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from braintumor.domain import sync_folder, write_bytes
from braintumor.node.deliver.faults import Fault, OutletError
from braintumor.node.deliver.outlet import DeliveryConfirmation
from braintumor.node.deliver.parcel import Delivery

_PARTIAL = ".partial-"
_LOOK = "Look whether the folder is there (mounted), writable, and has free space"


class FolderOutlet:
    """One folder, see `Destination`; it must exist, because one that does not is most likely not mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, parcel: Delivery) -> None:
        """Write everything aside, then give it its name; when this returns, a power cut loses nothing."""
        with _explained():
            if not self._folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, "no folder")
            for stale in self._folder.glob(f"{_PARTIAL}*"):
                shutil.rmtree(stale)  # of a node that was killed
            if self._has(parcel):
                return
            scratch = self._folder / f"{_PARTIAL}{uuid.uuid4().hex}"
            scratch.mkdir()
            try:
                for item in parcel.items:
                    write_bytes(scratch / item.path.name, item.read())
                self._name(scratch, self._place(parcel))
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def confirm(self, parcel: Delivery) -> DeliveryConfirmation:
        """Read everything again, see `Destination`."""
        with _explained():
            return DeliveryConfirmation.KEPT if self._has(parcel) else DeliveryConfirmation.MISSING

    def abandon(self) -> None:
        """Nothing to do: no thread of its own outlives the deliverer's."""

    def _place(self, parcel: Delivery) -> Path:
        return self._folder / parcel.pseudonym / str(parcel.generation)

    def _has(self, parcel: Delivery) -> bool:
        place = self._place(parcel)
        try:
            return all(_sha256(place / item.path.name) == item.sha256 for item in parcel.items)
        except FileNotFoundError:
            return False

    def _name(self, scratch: Path, place: Path) -> None:
        place.parent.mkdir(exist_ok=True)
        sync_folder(self._folder)
        replaced = self._folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        if place.exists():  # other results of this generation: a run that was repeated
            place.rename(replaced)
        scratch.rename(place)
        sync_folder(place.parent)
        shutil.rmtree(replaced, ignore_errors=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fault = Fault.NO_SPACE if full else Fault.UNREACHABLE
        raise OutletError(fault, "The destination's folder cannot be written", remedy=_LOOK) from error
