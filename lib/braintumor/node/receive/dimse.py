"""The DICOM door: C-ECHO, C-STORE and Storage Commitment as a provider (PS3.4 A, B and J)."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from socketserver import BaseServer
from typing import Any

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from braintumor.domain import SettingsError
from braintumor.node.deliver.commitment import CommitmentInbox
from braintumor.node.receive.commitment import Commitment, Peer
from braintumor.node.receive.intake import Count, Intake, log, status_of
from braintumor.node.settings import Dicom
from braintumor.node.spool import LARGEST_INSTANCE, Announced, Arrival, Refusal, Spool
from braintumor.node.tls import server_context
from braintumor.study.index import MR_IMAGES

_config.LOG_HANDLER_LEVEL = "none"  # else it formats each message for a log that nobody reads, with UIDs
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

_KNOWN = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    JPEG2000,
    HTJ2K,
)

ACCEPTED_SYNTAXES: tuple[UID, ...] = tuple(syntax for syntax in _KNOWN if get_decoder(syntax).is_available)
"""PS3.5 A: those that the node's reader decodes, and no other. What needs a decoder that is not installed is refused when an
association is negotiated."""

_MAXIMUM_PDU = 131_072
_LARGEST_PDU = 2**20
"""Bytes. A peer keeps to `_MAXIMUM_PDU` (PS3.8 D.1); one that announces more than this is not a DICOM peer."""
_BACKLOG = 64
_OUTSTANDING = 4
"""Messages that may wait for an answer; one is allowed where nothing else was negotiated (PS3.7 D.3.3.3)."""


class StorageService:
    """Receives instances. An instance whose sender hears 0000 is on the disk; of any other nothing is kept.

    Parameters
    ----------
    on_kept
        See `Intake`.
    on_committed
        Told the Study Instance UID of each study for which a sender asked for Storage Commitment.
    inbox
        Where the answers of destinations to this node's own Storage Commitment requests go.
    peers
        Where an AE title listens for the answers to its Storage Commitment requests; see `Commitment`.
    patience_s
        How long a peer may be silent.
    """

    def __init__(
        self,
        settings: Dicom,
        spool: Spool,
        on_kept: Callable[[Arrival], None],
        on_committed: Callable[[str], None] = lambda study_uid: None,
        count: Count = lambda code: None,
        *,
        inbox: CommitmentInbox | None = None,
        peers: Mapping[str, Peer] | None = None,
        patience_s: float = 60.0,
    ) -> None:
        self._settings, self._count, self._patience = settings, count, patience_s
        self._intake = Intake(spool, on_kept, count)
        self._commitment = Commitment(spool, settings.ae_title, on_committed, peers or {}, patience_s)
        self._inbox = inbox or CommitmentInbox()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._server.server_address[1] if self._server else self._settings.port

    @property
    def running(self) -> bool:
        """Whether it takes associations."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to listen.

        Raises
        ------
        SettingsError
            If the port is taken, or a certificate cannot be used.
        """
        entity = self._entity()
        context = None if self._settings.tls is None else server_context(self._settings.tls)
        try:
            self._server = _Server(entity, self._settings, context, self._patience, self._handlers())
        except OSError as error:
            where = f"{self._settings.host}:{self._settings.port}"
            raise SettingsError(f"The DICOM service cannot listen on {where}", remedy="Choose another dicom.port") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="dicom", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more associations, and abort those that there are: what was not answered will be sent again."""
        if self._server is not None:
            self._server.close_all()
            self._server = None
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None
        self._commitment.stop()

    def __enter__(self) -> StorageService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _entity(self) -> AE:
        entity = AE(self._settings.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(self._settings.calling)
        entity.maximum_associations = self._settings.associations
        entity.maximum_pdu_size = _MAXIMUM_PDU
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._patience
        plain = list(ACCEPTED_SYNTAXES[:2])
        entity.add_supported_context(Verification, plain)
        # both roles: senders ask us to commit, and destinations report what they have committed to
        entity.add_supported_context(StorageCommitmentPushModel, plain, scu_role=True, scp_role=True)
        for image in MR_IMAGES:
            entity.add_supported_context(image, list(ACCEPTED_SYNTAXES))
        return entity

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda event: 0x0000),
            (evt.EVT_N_ACTION, self._commitment.requested),
            (evt.EVT_N_EVENT_REPORT, self._inbox.handle_event_report),
            (evt.EVT_PDU_SENT, self._commitment.sent),
            (evt.EVT_CONN_CLOSE, self._commitment.closed),
            (evt.EVT_CONN_OPEN, _bound_pdus),
            (evt.EVT_PDU_RECV, self._bound_instances),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ACCEPTED, _tell_refused_contexts),
        ]

    def _store(self, event: evt.Event) -> int:
        request: Any = event.request
        announced = Announced(str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        taken = self._intake.take(event.encoded_dataset(), _calling(event), announced)
        return status_of(taken)

    def _bound_instances(self, event: evt.Event) -> None:
        """Drop a peer that would fill the memory; only the end of the connection is heard in the middle of a message."""
        dimse, message = event.assoc.dimse, event.assoc.dimse.message
        size = 0 if message is None or message.data_set is None else message.data_set.tell()
        connection: Any = event.assoc.dul.socket
        if size > LARGEST_INSTANCE:
            self._intake.refuse(Refusal.TOO_LARGE, _calling(event))
        if size > LARGEST_INSTANCE or dimse.msg_queue.qsize() > _OUTSTANDING:
            connection.close()

    def _rejected(self, event: evt.Event) -> None:
        requestor: Any = event.assoc.requestor
        if requestor.primitive.called_ae_title != self._settings.ae_title.strip():
            reason = "called-ae-title"
        elif self._settings.calling and _calling(event) not in [title.strip() for title in self._settings.calling]:
            reason = "calling-ae-title"
        else:
            reason = "too-many-associations"
        self._count(reason)
        log.warning("association-refused", extra={"facts": {"calling": _calling(event), "reason": reason}})


class _Server(ThreadedAssociationServer):
    """Accepts connections so that none can hold up the others: handshakes and reading happen in a peer's own thread."""

    request_queue_size = _BACKLOG

    def __init__(
        self, entity: AE, settings: Dicom, context: ssl.SSLContext | None, patience_s: float, handlers: list[Any]
    ) -> None:
        self._patience, self._most = patience_s, 2 * settings.associations + 8
        super().__init__(
            entity, (settings.host, settings.port), settings.ae_title, entity.supported_contexts, context, handlers
        )

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; with TLS its handshake is done by the first read, not here, where all others would wait."""
        assert self.socket is not None  # noqa: S101  it is bound
        connection, address = self.socket.accept()
        connection.settimeout(self._patience)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, *_: Any) -> bool:
        """Whether to look at a connection at all: those that never ask for an association must not pile up."""
        return len(self.active_associations) < self._most

    def handle_error(self, *_: Any) -> None:
        """The library's own would print to standard error."""
        log.warning("connection-failed", extra={"facts": {}})

    def close_all(self) -> None:
        """End everything; `shutdown` of the library expects to have been started by it."""
        BaseServer.shutdown(self)
        self.server_close()
        for association in self.active_associations:
            association.abort()


def _calling(event: evt.Event) -> str:
    return str(event.assoc.requestor.ae_title).strip()


def _bound_pdus(event: evt.Event) -> None:
    """A PDU's length is read into memory before anybody is asked; up to 4 GiB could be announced."""
    connection: Any = event.assoc.dul.socket
    receive = connection.recv

    def bounded(size: int) -> bytearray:
        if size > _LARGEST_PDU:
            raise OSError("a PDU is too long")
        read: bytearray = receive(size)
        _acknowledge(connection.socket)
        return read

    connection.recv = bounded


def _acknowledge(connection: socket.socket | None) -> None:
    """Have the kernel acknowledge at once what was read: it would wait 40 ms, and a sender with Nagle's algorithm with it."""
    if connection is not None and hasattr(socket, "TCP_QUICKACK"):  # Linux; holds until the next pause only
        with suppress(OSError):  # closed meanwhile
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _tell_refused_contexts(event: evt.Event) -> None:
    """A sender may propose everything it knows; it is told of only where nothing is left that it could send."""
    accepted = {context.abstract_syntax for context in event.assoc.accepted_contexts}
    refused = sorted({UID(context.abstract_syntax or "").name for context in event.assoc.rejected_contexts})
    if refused and not accepted:
        facts = {"calling": _calling(event), "count": len(refused), "classes": refused[:5]}
        log.warning("contexts-refused", extra={"facts": facts})
