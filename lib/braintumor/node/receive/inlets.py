"""The doors that have a thread of their own, opened and closed together; STOW-RS is a part of the web server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from braintumor.node import metrics
from braintumor.node.deliver.commitment import CommitmentInbox
from braintumor.node.receive.commitment import Peer
from braintumor.node.receive.dimse import StorageService
from braintumor.node.receive.folder import WatchedFolder
from braintumor.node.settings import NodeSettings
from braintumor.node.spool import Arrival, IngestOutcome, Spool
from braintumor.node.tls import client_context


class Receivers:
    """The DICOM service and the watched folder, as far as the settings want them.

    Parameters
    ----------
    on_kept, on_committed, inbox
        See `StorageService`.
    """

    def __init__(
        self,
        settings: NodeSettings,
        spool: Spool,
        on_kept: Callable[[Arrival], None],
        on_committed: Callable[[str], None],
        inbox: CommitmentInbox | None = None,
    ) -> None:
        self._doors: list[StorageService | WatchedFolder] = []
        if settings.dicom.enabled:
            peers = {
                title: Peer(one.host, one.port, None if one.tls is None else client_context(one.tls))
                for title, one in settings.dicom.peers.items()
            }
            door = StorageService(settings.dicom, spool, on_kept, on_committed, count, inbox=inbox, peers=peers)
            self._doors.append(door)
        if settings.watch.folder is not None:
            self._doors.append(WatchedFolder(settings.watch, spool, on_kept, count))
        self._open = ExitStack()

    def running(self) -> bool:
        """Whether every door that is wanted is open."""
        return all(door.running for door in self._doors)

    def __enter__(self) -> Receivers:
        with ExitStack() as stack:
            for door in self._doors:
                stack.enter_context(door)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def count(code: str) -> None:
    """Into the metrics: what became of an instance."""
    if code in (IngestOutcome.NEW, IngestOutcome.SAME):
        metrics.count_received(code)
    else:
        metrics.count_refused(code)
