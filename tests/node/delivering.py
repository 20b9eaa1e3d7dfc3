"""What tests of delivery share: real results, copies of them under other UIDs, an in-memory ledger, and DICOM peers."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydicom
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

from braintumor.domain import DatabaseError
from braintumor.node.deliver import Delivery, DeliveryConfirmation, Destination, Fault, OutletError, files_of, open_destination
from braintumor.node.settings import Deliver, DestinationSettings
from braintumor.node.states import DeliveryRecord, DeliveryState

SOON_S = 30.0
"""Longest wait for what must happen; a failing test takes so long, a passing one does not."""


def another(results: Path, target: Path) -> Path:
    """The SEG and SR of a run as those of another study: a copy with other UIDs and a manifest that fits."""
    (target / "dicom").mkdir(parents=True)
    study = generate_uid()
    files = []
    for name in ("segmentation", "measurements"):
        dataset = pydicom.dcmread(results / "dicom" / f"{name}.dcm")
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, generate_uid()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        path = target / "dicom" / f"{name}.dcm"
        dataset.save_as(path)
        files.append({"path": f"dicom/{name}.dcm", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    (target / "result.json").write_text(json.dumps({"outputs": {"dicom": files}}))
    return target


def copied(results: Path, target: Path) -> Path:
    """A copy of a run's folder that a test may damage."""
    return Path(shutil.copytree(results, target))


def parcel_of(results: Path, *send: str, kind: Any = "dicom") -> Delivery:
    return Delivery("S-abc", 1, files_of(results, send or ("segmentation", "measurements"), kind))


def uids(parcel: Delivery) -> list[str]:
    return [item.reference().sop_uid for item in parcel.items]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def destination(port: int, **settings: Any) -> DestinationSettings:
    """A DICOM destination on this machine."""
    return DestinationSettings(
        **{"name": "pacs", "kind": "dicom", "host": "127.0.0.1", "port": port, "ae_title": "PEER"} | settings
    )


@dataclass
class Peer:
    """A DICOM archive in this process that does what a test says.

    Attributes
    ----------
    status
        Answer to each C-STORE; the instance is kept if it is a success or warning.
    """

    port: int = field(default_factory=free_port)
    title: str = "PEER"
    status: int = 0x0000
    kept: dict[str, pydicom.Dataset] = field(default_factory=dict)
    stored: list[str] = field(default_factory=list)
    found: int = 0
    _handlers: list[Any] = field(default_factory=list)

    def on(self, event: Any, handler: Callable[..., Any]) -> Peer:
        self._handlers.append((event, handler))
        return self

    @contextmanager
    def serving(
        self,
        classes: Sequence[str] = (),
        syntax: UID = ExplicitVRLittleEndian,
        tls: Any = None,
        find: bool = True,
        more: Sequence[Any] = (),
    ) -> Iterator[Peer]:
        ae = AE(self.title)
        ae.require_called_aet = True
        for context in classes or _CLASSES:
            ae.add_supported_context(context, syntax)
        if find:
            ae.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
        for context in more:
            ae.add_supported_context(context)
        bound = {event for event, _ in self._handlers}
        own = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        handlers = [*self._handlers, *(each for each in own if each[0] not in bound)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=tls)
        try:
            yield self
        finally:
            server.shutdown()

    def _store(self, event: Any) -> int:
        dataset = event.dataset
        self.stored.append(dataset.SOPInstanceUID)
        if self.status == 0 or self.status >> 12 == 0xB:
            self.kept[dataset.SOPInstanceUID] = dataset
        return self.status

    def _find(self, event: Any) -> Iterator[tuple[int, Any]]:
        """Like archives that ignore the instance's UID, it answers with everything it has."""
        self.found += 1
        for uid in self.kept:
            answer = pydicom.Dataset()
            answer.QueryRetrieveLevel, answer.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, answer


_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
)


class MemoryLedger:
    """`DeliveryLedger` without a database, and what happened to it."""

    def __init__(self, *rows: DeliveryRecord) -> None:
        self.rows = {row.id: row for row in rows}
        self.events: list[tuple[str, int, str]] = []
        self.down = False
        self._changed = threading.Condition()

    def add(self, row: DeliveryRecord) -> None:
        with self._changed:
            self.rows[row.id] = row

    def due(self, destination: str, limit: int) -> list[DeliveryRecord]:
        with self._changed:
            self._check()
            waiting = (DeliveryState.PENDING, DeliveryState.DELIVERED)
            found = [row for row in self.rows.values() if row.destination == destination and row.state in waiting]
            return sorted(found, key=lambda row: row.id)[:limit]

    def delivered(self, delivery: DeliveryRecord) -> bool:
        return self._set(delivery, DeliveryState.DELIVERED, "delivered")

    def acknowledged(self, delivery: DeliveryRecord) -> bool:
        return self._set(delivery, DeliveryState.ACKNOWLEDGED, "acknowledged")

    def delivery_failed_once(self, delivery: DeliveryRecord, reason: str) -> bool:
        return self._set(delivery, self.rows[delivery.id].state, "failed", reason)

    def delivery_given_up(self, delivery: DeliveryRecord, reason: str) -> bool:
        return self._set(delivery, DeliveryState.FAILED, "given-up", reason)

    def wait(self, condition: Callable[[MemoryLedger], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), SOON_S), self.events

    def wait_all(self, state: DeliveryState = DeliveryState.ACKNOWLEDGED) -> None:
        self.wait(lambda ledger: all(row.state is state for row in ledger.rows.values()))

    def count(self, event: str, identity: int | None = None) -> int:
        return sum(what == event and identity in (None, which) for what, which, _ in self.events)

    def reasons(self, event: str) -> list[str]:
        return [reason for what, _, reason in self.events if what == event]

    def _set(self, delivery: DeliveryRecord, state: DeliveryState, event: str, reason: str = "") -> bool:
        with self._changed:
            self._check()
            self.rows[delivery.id] = replace(self.rows[delivery.id], state=state)
            self.events.append((event, delivery.id, reason))
            self._changed.notify_all()
        return True

    def _check(self) -> None:
        if self.down:
            raise DatabaseError("The database does not answer", remedy="Wait")


def row(number: int, results: Path, destination: str = "pacs", since: str = "2026-01-01T00:00:00+00:00") -> DeliveryRecord:
    """A pending delivery; an absolute path of results stays as it is below any state folder."""
    return DeliveryRecord(
        id=number,
        study_id=number,
        pseudonym=f"S-{number:04d}",
        study_uid=f"1.2.{number}",
        generation=1,
        destination=destination,
        state=DeliveryState.PENDING,
        attempts=0,
        reason="",
        results=str(results),
        since=since,
    )


class Authority:
    """A certificate authority of our own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = folder / f"{name}.pem"
        self._write(self.certificate, self._signed(self._name, self._key, authority=True))

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        self._write(certificate, self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key))
        coding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        private.write_bytes(key.private_bytes(*coding))
        return certificate, private

    def _signed(self, name: x509.Name, key: Any, authority: bool = False) -> x509.Certificate:
        start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start)
        builder = builder.not_valid_after(start + dt.timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def demanding(authority: Authority) -> ssl.SSLContext:
    """A server's context that wants a certificate of this authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*authority.issue("archive"))
    return context


QUICK = Deliver(first_wait_s=0.02, longest_wait_s=0.1)
"""Waits that a test has the time for."""


def way(port: int, **settings: Any) -> tuple[DestinationSettings, Destination]:
    chosen = destination(port, **settings)
    return chosen, open_destination(chosen)


class Scripted:
    """An outlet that does what a test says, call by call; then everything goes well."""

    def __init__(self, *sends: Fault | None, answers: tuple[DeliveryConfirmation, ...] = ()) -> None:
        self._sends, self._answers = list(sends), list(answers)
        self.sent: list[str] = []
        self.asked = 0

    def send(self, parcel: Delivery) -> None:
        self.sent.append(parcel.pseudonym)
        fault = self._sends.pop(0) if self._sends else None
        if fault is not None:
            raise OutletError(fault, "As the test says", remedy="None")

    def confirm(self, parcel: Delivery) -> DeliveryConfirmation:
        self.asked += 1
        return self._answers.pop(0) if self._answers else DeliveryConfirmation.KEPT

    def abandon(self) -> None: ...


def named(name: str, outlet: Destination) -> tuple[DestinationSettings, Destination]:
    return destination(1, name=name), outlet
