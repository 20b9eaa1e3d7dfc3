"""Storage Commitment as a provider (PS3.4 J): a sender asks whether the node keeps its instances, and hears which it does."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from braintumor.domain import BrainTumorError
from braintumor.node.spool import Spool
from braintumor.study.index import MR_IMAGES

log = logging.getLogger("braintumor.node.receive.commitment")

_ATTEMPTS = 5
_ALL_KEPT, _SOME_MISSING = 1, 2
"""Event types (PS3.4 table J.3-2)."""
_REQUEST = 1
"""Action type (PS3.4 table J.3-1)."""
_SUCCESS, _NO_SUCH_ACTION, _INVALID_ARGUMENT, _NO_SUCH_INSTANCE = 0x0000, 0x0123, 0x0115, 0x0112
_PROCESSING_FAILURE, _CLASS_NOT_SUPPORTED, _CLASS_CONFLICT = 0x0110, 0x0122, 0x0119
"""Statuses (PS3.7 C) and failure reasons (PS3.3 C.14.1.1)."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where an application entity listens."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    association: Any
    context_id: int
    calling: str
    transaction: str
    references: tuple[tuple[str, str], ...]
    """SOP Class and Instance UID of each."""


class Commitment:
    """Answers requests in threads of its own, so that a sender's next image does not wait for them.

    The answer goes to the sender's own address, on a new association, if `peers` has it; otherwise, or if nobody listens there,
    on the association of the request if that is still open (PS3.4 J.3.3 allows both). If neither works it is given up, and
    the sender has to ask again; its study counts as complete all the same.

    Parameters
    ----------
    on_committed
        Told the Study Instance UID of each study of which an instance is kept; must neither block nor fail.
    """

    def __init__(
        self,
        spool: Spool,
        ae_title: str,
        on_committed: Callable[[str], None],
        peers: Mapping[str, Peer],
        patience_s: float,
        first_wait_s: float = 5.0,
    ) -> None:
        self._spool, self._title, self._on_committed = spool, ae_title, on_committed
        self._peers, self._patience, self._first_wait = peers, patience_s, first_wait_s
        self._waiting: dict[int, _Request] = {}
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="commitment")

    def requested(self, event: evt.Event) -> tuple[int, None]:
        """An N-ACTION request has come: status of its response. The answer itself is an event of its own, after it."""
        request: Any = event.request
        if request.ActionTypeID != _REQUEST:
            return _NO_SUCH_ACTION, None
        if request.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return _NO_SUCH_INSTANCE, None
        try:
            asked = event.action_information
            references = tuple(
                (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in asked.ReferencedSOPSequence
            )
            transaction = str(asked.TransactionUID)
        except Exception:  # noqa: BLE001  pydicom decodes only now, and has no one class for damage
            return _INVALID_ARGUMENT, None
        calling = str(event.assoc.requestor.ae_title).strip()
        self._waiting[id(event.assoc)] = _Request(event.assoc, event.context.context_id, calling, transaction, references)
        return _SUCCESS, None

    def sent(self, event: evt.Event) -> None:
        """Something was sent on an association: the response to the request, if one waits there."""
        request = self._waiting.pop(id(event.assoc), None)
        if request is not None and not self._stop.is_set():
            self._pool.submit(self._answer, request)

    def closed(self, event: evt.Event) -> None:
        """A connection is gone."""
        self._waiting.pop(id(event.assoc), None)

    def stop(self) -> None:
        """Give up what cannot be answered at once."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, request: _Request) -> None:
        try:
            answer, studies = self._examined(request)
            for study_uid in studies:
                self._on_committed(study_uid)
            failed = len(answer.get("FailedSOPSequence", []))
            told = self._told(request, _SOME_MISSING if failed else _ALL_KEPT, answer)
        except Exception as error:  # a thread has nobody to raise to
            log.exception("commitment-failed", extra={"facts": {"calling": request.calling, "error": type(error).__name__}})
            return
        facts = {"calling": request.calling, "count": len(request.references), "failed": failed, "told": told}
        log.info("commitment-answered", extra={"facts": facts})

    def _examined(self, request: _Request) -> tuple[Dataset, set[str]]:
        """Event information (PS3.4 table J.3-3), and the studies concerned."""
        places = self._spool.find(uid for _, uid in request.references)
        kept: list[Dataset] = []
        failed: list[Dataset] = []
        studies: set[str] = set()
        for class_uid, sop_uid in request.references:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = class_uid, sop_uid
            reason = _NO_SUCH_INSTANCE if class_uid in MR_IMAGES else _CLASS_NOT_SUPPORTED
            if sop_uid in places:
                try:
                    arrival = self._spool.read(places[sop_uid].read_bytes(), request.calling)
                    studies.add(arrival.study_uid)
                    reason = _SUCCESS if arrival.class_uid == class_uid else _CLASS_CONFLICT
                except (BrainTumorError, OSError):
                    reason = _PROCESSING_FAILURE
            if reason != _SUCCESS:
                item.FailureReason = reason
            (failed if reason else kept).append(item)
        answer = Dataset()
        answer.TransactionUID = request.transaction
        if kept:
            answer.ReferencedSOPSequence = kept
        if failed:
            answer.FailedSOPSequence = failed
        return answer, studies

    def _told(self, request: _Request, kind: int, answer: Dataset) -> str:
        """Deliver the answer; says how."""
        peer, wait = self._peers.get(request.calling), self._first_wait
        for attempt in range(_ATTEMPTS if peer is not None else 0):
            if peer is not None and self._reported(request.calling, peer, kind, answer):
                return "new-association"
            if request.association.is_established or attempt == _ATTEMPTS - 1 or self._stop.wait(wait):
                break
            wait *= 2
        if request.association.is_established:
            _send(request, kind, answer)
            return "same-association"
        return "no"

    def _reported(self, calling: str, peer: Peer, kind: int, answer: Dataset) -> bool:
        entity = AE(self._title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._patience
        entity.connection_timeout = min(10.0, self._patience)
        entity.add_requested_context(StorageCommitmentPushModel, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        role = build_role(StorageCommitmentPushModel, scp_role=True)  # PS3.4 J.3.3: the node requests as the provider
        tls = None if peer.tls is None else (peer.tls, peer.host)
        association = entity.associate(peer.host, peer.port, ae_title=calling, ext_neg=[role], tls_args=tls)
        if not association.is_established:
            return False
        try:
            if not association.accepted_contexts:
                return False
            answered, _ = association.send_n_event_report(
                answer, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
            return answered.get("Status") == _SUCCESS
        finally:
            association.release()


def _send(request: _Request, kind: int, answer: Dataset) -> None:
    """Send on the sender's own association, without waiting for the response.

    `send_n_event_report` would wait for the association's thread to pause, for ever if the sender releases at that moment.
    """
    syntax = next(c.transfer_syntax[0] for c in request.association.accepted_contexts if c.context_id == request.context_id)
    report = N_EVENT_REPORT()
    report.MessageID = 1
    report.AffectedSOPClassUID = StorageCommitmentPushModel
    report.AffectedSOPInstanceUID = StorageCommitmentPushModelInstance
    report.EventTypeID = kind
    report.EventInformation = BytesIO(encode(answer, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
    request.association.dimse.send_msg(report, request.context_id)
