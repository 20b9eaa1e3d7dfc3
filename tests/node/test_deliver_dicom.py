"""DICOM archives, real ones and ones that misbehave: what is stored, what is refused, and what is confirmed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt

from braintumor.domain import SettingsError
from braintumor.node.deliver import CommitmentInbox, Delivery, DeliveryConfirmation, Fault, OutletError, open_destination
from braintumor.node.deliver.dicom import DicomOutlet, Patience
from braintumor.node.settings import Tls
from deploy.dev.orthanc import AE_TITLE, Orthanc, missing
from tests.node.delivering import (
    SOON_S,
    Authority,
    Peer,
    another,
    demanding,
    destination,
    free_port,
    parcel_of,
    uids,
)

COMMITMENT = "1.2.840.10008.1.20.1"
ALL = ("segmentation", "measurements", "pictures", "report")


@pytest.fixture
def parcel(results: Path) -> Delivery:
    return parcel_of(results)


@pytest.fixture(scope="module")
def orthanc() -> Iterator[tuple[Orthanc, int]]:
    """A PACS, and the port at which it answers commitment requests of the node."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    answers = free_port()
    with Orthanc(dicom=free_port(), peers={"BRAINTUMOR": ("127.0.0.1", answers)}) as pacs:
        yield pacs, answers


def stored(pacs: Orthanc, uid: str) -> list[bytes]:
    """Every copy of an instance that the PACS has, as files."""
    base = pacs.url.removesuffix("/dicom-web")
    found = requests.post(f"{base}/tools/lookup", data=uid, timeout=10).json()
    return [requests.get(f"{base}/instances/{each['ID']}/file", timeout=10).content for each in found]


def fault_of(port: int, parcel: Delivery, **settings: Any) -> OutletError:
    with pytest.raises(OutletError) as caught:
        open_destination(destination(port, **settings)).send(parcel)
    return caught.value


# A real PACS


def test_everything_arrives_as_it_was_written_and_once(orthanc: tuple[Orthanc, int], results: Path) -> None:
    pacs, _ = orthanc
    everything = parcel_of(results, *ALL)
    outlet = open_destination(destination(pacs.dicom or 0, ae_title=AE_TITLE))
    for _ in range(2):
        outlet.send(everything)
        assert outlet.confirm(everything) is DeliveryConfirmation.KEPT
    for item in everything.items:
        (copy,) = stored(pacs, item.reference().sop_uid)
        kept, sent = (pydicom.dcmread(pydicom.filebase.DicomBytesIO(each)) for each in (copy, item.read()))
        assert kept == sent
        assert copy.endswith(item.read()[-1000:])


def test_what_the_pacs_lacks_is_missing(orthanc: tuple[Orthanc, int], results: Path, tmp_path: Path) -> None:
    pacs, _ = orthanc
    other = parcel_of(another(results, tmp_path / "other"))
    outlet = open_destination(destination(pacs.dicom or 0, ae_title=AE_TITLE))
    assert outlet.confirm(other) is DeliveryConfirmation.MISSING
    outlet.send(Delivery("S-abc", 1, other.items[:1]))
    assert outlet.confirm(other) is DeliveryConfirmation.MISSING
    outlet.send(other)
    assert outlet.confirm(other) is DeliveryConfirmation.KEPT


def test_wrong_ae_title(orthanc: tuple[Orthanc, int], parcel: Delivery) -> None:
    error = fault_of(orthanc[0].dicom or 0, parcel, ae_title="SOMEBODY")
    assert (error.fault, error.permanent, error.down) == (Fault.REJECTED, False, True)


def test_commitment_of_a_pacs_that_answers_by_its_own_call(orthanc: tuple[Orthanc, int], parcel: Delivery) -> None:
    pacs, port = orthanc
    came = threading.Event()
    inbox = CommitmentInbox(came.set)
    settings = destination(pacs.dicom or 0, ae_title=AE_TITLE, verify="commitment")
    with answers_into(inbox, port):
        outlet = DicomOutlet(settings, "BRAINTUMOR", inbox, Patience(commitment_s=0.0))
        outlet.send(parcel)
        answer = outlet.confirm(parcel)
        if answer is DeliveryConfirmation.WAITING:
            assert came.wait(SOON_S)
            answer = outlet.confirm(parcel)
    assert answer is DeliveryConfirmation.KEPT


@contextmanager
def answers_into(inbox: CommitmentInbox, port: int) -> Iterator[None]:
    """The node's DICOM service, as far as commitment needs it."""
    ae = AE("BRAINTUMOR")
    ae.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, inbox.handle_event_report)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield
    finally:
        server.shutdown()


# Peers that do what a test says


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007])
def test_success_and_warnings_count_as_stored(parcel: Delivery, status: int) -> None:
    with Peer(status=status).serving() as peer:
        outlet = open_destination(destination(peer.port))
        outlet.send(parcel)
        assert outlet.confirm(parcel) is DeliveryConfirmation.KEPT
        assert peer.stored == uids(parcel)


def test_duplicate_counts_as_stored(parcel: Delivery) -> None:
    with Peer(status=0x0111).serving() as peer:
        open_destination(destination(peer.port, verify="none")).send(parcel)
        assert peer.stored == uids(parcel)


@pytest.mark.parametrize(
    ("status", "fault", "permanent", "down"),
    [
        (0xA700, Fault.NO_SPACE, False, True),
        (0xA7FF, Fault.NO_SPACE, False, True),
        (0x0110, Fault.FAILED, False, False),
        (0xA900, Fault.REFUSED, True, False),
        (0xC000, Fault.REFUSED, True, False),
        (0xC123, Fault.REFUSED, True, False),
        (0x0122, Fault.REFUSED, True, False),
    ],
)
def test_refusals(parcel: Delivery, status: int, fault: Fault, permanent: bool, down: bool) -> None:
    with Peer(status=status).serving() as peer:
        error = fault_of(peer.port, parcel)
        assert len(peer.stored) == 1  # the first refusal ends it
    assert (error.fault, error.permanent, error.down) == (fault, permanent, down)
    assert error.status == f"0x{status:04X}"


@pytest.mark.parametrize("classes", [("1.2.840.10008.5.1.4.1.1.66.4",), ("1.2.840.10008.5.1.4.1.1.4",)])
def test_where_one_class_is_not_taken_nothing_is_sent(parcel: Delivery, classes: tuple[str, ...]) -> None:
    with Peer().serving(classes, find=False) as peer:
        error = fault_of(peer.port, parcel)
        assert peer.stored == []
    assert error.fault is Fault.NOT_ACCEPTED
    assert error.permanent
    assert "Storage" in str(error)


def test_a_peer_that_knows_the_default_transfer_syntax_only(parcel: Delivery) -> None:
    with Peer().serving(syntax=ImplicitVRLittleEndian) as peer:
        open_destination(destination(peer.port)).send(parcel)
        for item in parcel.items:
            kept, sent = peer.kept[item.reference().sop_uid], pydicom.dcmread(item.path)
            if "PixelData" in sent:  # its VR follows from the transfer syntax (PS3.5 A.1)
                assert kept.PixelData == sent.PixelData
                del kept.PixelData, sent.PixelData
            assert kept == sent


def test_nobody_there(parcel: Delivery) -> None:
    error = fault_of(free_port(), parcel)
    assert (error.fault, error.permanent, error.down) == (Fault.UNREACHABLE, False, True)


def test_a_name_nobody_has(parcel: Delivery) -> None:
    assert fault_of(104, parcel, host="pacs.invalid").fault is Fault.UNREACHABLE


def test_a_peer_that_says_nothing(parcel: Delivery) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = destination(silent.getsockname()[1])
        outlet = DicomOutlet(settings, "BRAINTUMOR", CommitmentInbox(), Patience(connect_s=0.3, answer_s=0.3))
        with pytest.raises(OutletError) as caught:
            outlet.send(parcel)
    assert caught.value.down


def test_a_peer_that_hangs_up(parcel: Delivery) -> None:
    def hang_up(event: Any) -> int:
        event.assoc.abort()
        return 0

    with Peer().on(evt.EVT_C_STORE, hang_up).serving() as peer:
        error = fault_of(peer.port, parcel)
    assert (error.fault, error.down) == (Fault.INTERRUPTED, True)


def test_a_peer_that_cannot_be_asked(parcel: Delivery) -> None:
    with Peer().serving(find=False) as peer:
        outlet = open_destination(destination(peer.port))
        outlet.send(parcel)
        with pytest.raises(OutletError) as caught:
            outlet.confirm(parcel)
    assert (caught.value.fault, caught.value.permanent, caught.value.down) == (Fault.CANNOT_CONFIRM, False, False)


# Storage Commitment


class Archive:
    """Commits on the same association, later on one of its own, or not at all."""

    def __init__(self, answer: str, lost: tuple[str, ...] = (), status: int = 0) -> None:
        self.answer, self.lost, self.status = answer, lost, status
        self.requests: list[Dataset] = []

    def asked(self, event: Any) -> tuple[int, None]:
        request = event.action_information
        self.requests.append(request)
        if self.answer == "same" and self.status == 0:
            threading.Thread(target=self.report, args=(event.assoc, request), daemon=True).start()
        return self.status, None

    def report(self, association: Any, request: Dataset) -> int:
        result = Dataset()
        result.TransactionUID = request.TransactionUID
        items = list(request.ReferencedSOPSequence)
        result.ReferencedSOPSequence = [item for item in items if item.ReferencedSOPInstanceUID not in self.lost]
        failed = [item for item in items if item.ReferencedSOPInstanceUID in self.lost]
        for item in failed:
            item.FailureReason = 0x0112
        if failed:
            result.FailedSOPSequence = failed
        answer, _ = association.send_n_event_report(result, 2 if failed else 1, COMMITMENT, "1.2.840.10008.1.20.1.1")
        return int(answer.Status)

    def call(self, port: int, request: Dataset) -> int:
        """Report on an association of its own (PS3.4 J.3.3): the caller is the SCP."""
        ae = AE("PEER")
        ae.add_requested_context(COMMITMENT)
        association = ae.associate("127.0.0.1", port, ext_neg=[build_role(COMMITMENT, scp_role=True)])
        assert association.is_established
        try:
            return self.report(association, request)
        finally:
            association.release()


def test_commitment_on_the_same_association(parcel: Delivery) -> None:
    archive = Archive("same")
    with Peer().on(evt.EVT_N_ACTION, archive.asked).serving(more=[COMMITMENT]) as peer:
        outlet = open_destination(destination(peer.port, verify="commitment"))
        assert outlet.confirm(parcel) is DeliveryConfirmation.KEPT
    (request,) = archive.requests
    assert [item.ReferencedSOPInstanceUID for item in request.ReferencedSOPSequence] == uids(parcel)


def test_commitment_that_fails_for_one(parcel: Delivery) -> None:
    archive = Archive("same", lost=(uids(parcel)[1],))
    with Peer().on(evt.EVT_N_ACTION, archive.asked).serving(more=[COMMITMENT]) as peer:
        outlet = open_destination(destination(peer.port, verify="commitment"))
        with pytest.raises(OutletError, match="1 of the instances") as caught:
            outlet.confirm(parcel)
    assert (caught.value.fault, caught.value.permanent, caught.value.down) == (Fault.NOT_KEPT, False, False)


def test_commitment_that_comes_much_later(parcel: Delivery) -> None:
    archive, inbox, port, now = Archive("later"), CommitmentInbox(), free_port(), [0.0]
    with Peer().on(evt.EVT_N_ACTION, archive.asked).serving(more=[COMMITMENT]) as peer, answers_into(inbox, port):
        settings = destination(peer.port, verify="commitment")
        patience = Patience(commitment_s=0.0, ask_again_s=100.0)
        outlet = DicomOutlet(settings, "BRAINTUMOR", inbox, patience, clock=lambda: now[0])
        for now[0] in (0.0, 99.0):
            assert outlet.confirm(parcel) is DeliveryConfirmation.WAITING
        assert len(archive.requests) == 1
        now[0] = 101.0
        assert outlet.confirm(parcel) is DeliveryConfirmation.WAITING
        first, second = archive.requests
        assert archive.call(port, first) == 0x0115  # it was asked again: the old request is void
        assert outlet.confirm(parcel) is DeliveryConfirmation.WAITING
        assert archive.call(port, second) == 0x0000
        assert outlet.confirm(parcel) is DeliveryConfirmation.KEPT
        assert len(archive.requests) == 2


def test_a_peer_that_does_not_commit(parcel: Delivery) -> None:
    for archive, more in ((Archive("no", status=0x0110), [COMMITMENT]), (Archive("no"), [])):
        listening = Peer().on(evt.EVT_N_ACTION, archive.asked).serving(more=more)
        with listening as peer, pytest.raises(OutletError) as caught:
            open_destination(destination(peer.port, verify="commitment")).confirm(parcel)
        assert caught.value.fault is Fault.CANNOT_CONFIRM


def test_only_answers_to_own_requests_count() -> None:
    reports: list[int] = []
    inbox = CommitmentInbox(lambda: reports.append(1))
    transaction = inbox.expect(["1.2", "1.3"])
    assert not inbox.report("2.25.1", ["1.2", "1.3"], [])
    assert inbox.report(transaction, ["1.2", "9.9"], ["8.8"])
    answer = inbox.answer(transaction)
    assert answer is not None
    assert (answer.waiting, answer.failed) == ({"1.3"}, set())
    assert not inbox.wait(transaction, 0.0)
    assert inbox.report(transaction, [], ["1.3"])
    assert inbox.wait(transaction, 0.0)
    assert inbox.report(transaction, ["1.3"], [])  # what failed does not come back
    answer = inbox.answer(transaction)
    assert answer is not None
    assert (answer.waiting, answer.failed) == (set(), {"1.3"})
    inbox.forget(transaction)
    assert inbox.answer(transaction) is None
    assert len(reports) == 3


# TLS


def test_tls_with_certificates_on_both_sides(parcel: Delivery, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "hospital"), Authority(tmp_path, "stranger")
    good = Tls(certificate=ours.issue("node")[0], key=tmp_path / "node.key", ca=ours.certificate)
    with Peer().serving(tls=demanding(ours)) as peer:
        outlet = open_destination(destination(peer.port, host="localhost", tls=good))
        outlet.send(parcel)
        assert outlet.confirm(parcel) is DeliveryConfirmation.KEPT
        peer.stored.clear()

        certificate, key = theirs.issue("impostor")
        unknown_node = Tls(certificate=certificate, key=key, ca=ours.certificate)
        unknown_archive = good.model_copy(update={"ca": theirs.certificate})
        for settings in ({"tls": unknown_node}, {"tls": unknown_archive}, {"tls": good, "host": "127.0.0.1"}, {}):
            error = fault_of(peer.port, parcel, **({"host": "localhost"} | settings))
            assert error.down
        assert peer.stored == []


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    tls = Tls(certificate=tmp_path / "none.crt", key=tmp_path / "none.key")
    with pytest.raises(SettingsError, match="certificate"):
        open_destination(destination(104, tls=tls))
