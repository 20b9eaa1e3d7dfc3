"""Delivery to real archives and from the real state machine: down, killed in the middle, hanging, refusing."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from pynetdicom import evt

from braintumor.node.deliver import Deliverer, Delivery, Fault, open_destination
from braintumor.node.ledger import Ledger
from braintumor.node.outbox import Outbox
from braintumor.node.settings import DestinationSettings
from braintumor.node.spool import Spool
from braintumor.node.states import Reason, StudyRecord, StudyState
from deploy.dev.orthanc import AE_TITLE, Orthanc, missing
from tests.node.delivering import (
    SOON_S,
    MemoryLedger,
    Peer,
    Scripted,
    another,
    copied,
    free_port,
    named,
    parcel_of,
    row,
    uids,
    way,
)


def orthanc_has(pacs: Orthanc) -> list[bytes]:
    """Every instance, once for each copy."""
    base = pacs.url.removesuffix("/dicom-web")
    found = requests.get(f"{base}/instances", timeout=10).json()
    return [requests.get(f"{base}/instances/{each}/file", timeout=10).content for each in found]


def is_there_once(pacs: Orthanc, *sent: Delivery) -> bool:
    kept = sorted((pydicom.dcmread(io.BytesIO(each)) for each in orthanc_has(pacs)), key=lambda d: str(d.SOPInstanceUID))
    ours = [pydicom.dcmread(item.path) for parcel in sent for item in parcel.items]
    return kept == sorted(ours, key=lambda d: str(d.SOPInstanceUID))


def test_a_pacs_that_is_started_later(results: Path, tmp_path: Path, deliver: Callable[..., Deliverer]) -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    pacs = Orthanc(tmp_path / "storage", dicom=free_port())
    ledger = MemoryLedger(row(1, results), row(2, another(results, tmp_path / "two"), "web"))
    chosen = DestinationSettings(name="web", kind="dicomweb", url=pacs.url)
    deliverer = deliver(ledger, way(pacs.dicom or 0, ae_title=AE_TITLE), (chosen, open_destination(chosen)))
    ledger.wait(lambda each: each.count("failed", 1) >= 2 and each.count("failed", 2) >= 2)
    assert set(ledger.reasons("failed")) == {"unreachable"}
    assert deliverer.status()["pacs"].down
    with pacs:
        ledger.wait_all()
        assert is_there_once(pacs, parcel_of(results), parcel_of(tmp_path / "two"))
    assert not deliverer.status()["pacs"].down
    assert ledger.count("delivered") == ledger.count("acknowledged") == 2


def test_a_pacs_that_is_killed_in_the_middle(results: Path, tmp_path: Path, deliver: Callable[..., Deliverer]) -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    places = [another(results, tmp_path / f"study-{number}") for number in range(8)]
    ledger = MemoryLedger(*(row(number, place) for number, place in enumerate(places)))
    pacs = Orthanc(tmp_path / "storage", dicom=free_port())
    pacs.start()
    try:
        deliver(ledger, way(pacs.dicom or 0, ae_title=AE_TITLE))
        ledger.wait(lambda each: each.count("delivered") >= 3)  # the third is there, and not asked for yet
        pacs.kill()
        ledger.wait(lambda each: each.count("failed") >= 1 or each.count("acknowledged") == len(places))
        assert ledger.count("acknowledged") < len(places)
        pacs.start()
        ledger.wait_all()
        assert is_there_once(pacs, *(parcel_of(place) for place in places))
    finally:
        pacs.stop()


def test_a_node_that_was_killed_before_it_noted_what_it_sent(results: Path, deliver: Callable[..., Deliverer]) -> None:
    with Peer().serving() as peer:
        for _ in range(2):  # two lives of the node, the second with what the first had not written down
            ledger = MemoryLedger(row(1, results))
            deliver(ledger, way(peer.port))
            ledger.wait_all()
        assert sorted(peer.kept) == sorted(uids(parcel_of(results)))


def test_a_destination_that_is_down_holds_up_no_other(results: Path, deliver: Callable[..., Deliverer]) -> None:
    hanging, over = threading.Event(), threading.Event()

    def hang(event: Any) -> int:
        hanging.set()
        over.wait(SOON_S)
        return 0xA700

    stuck = Peer().on(evt.EVT_C_STORE, hang)
    try:
        with stuck.serving(), Peer().serving() as well:
            ledger = MemoryLedger(*(row(n, results, ("stuck", "dead", "well")[n % 3]) for n in range(9)))
            ways = [way(stuck.port, name="stuck"), way(free_port(), name="dead"), way(well.port, name="well")]
            deliver(ledger, *ways)
            assert hanging.wait(SOON_S)
            ledger.wait(lambda each: each.count("acknowledged") == 3)
            assert {which % 3 for what, which, _ in ledger.events if what == "acknowledged"} == {2}
            over.set()
    finally:
        over.set()


def test_a_study_is_acknowledged_when_every_destination_has_it(
    results: Path,
    spool: Spool,
    ledger: Ledger,
    outbox: Outbox,
    arrive: Callable[[], StudyRecord],
    deliver: Callable[..., Deliverer],
) -> None:
    study = arrive()
    assert ledger.complete(study)
    claimed = ledger.claim("worker")
    assert claimed is not None
    place = spool.results(claimed.pseudonym, claimed.generation)
    copied(results, place)
    relative = str(place.relative_to(spool.state))
    assert ledger.produced(claimed, relative, ["pacs", "refusing", "dead"], {})
    with Peer().serving() as peer, Peer(status=0xC000).serving() as refusing:
        deliverer = deliver(
            outbox, way(peer.port), way(refusing.port, name="refusing"), named("dead", Scripted(Fault.UNREACHABLE))
        )
        until(lambda: outbox.waiting() == {})
        assert deliverer.stop()
        assert sorted(peer.kept) == sorted(uids(parcel_of(results)))
    failed = ledger.find(claimed.pseudonym)
    assert failed is not None
    assert (failed.state, failed.reason) == (StudyState.FAILED, Reason.NOT_DELIVERED)
    assert ledger.retry(claimed.pseudonym)
    with Peer(refusing.port).serving() as mended:
        deliver(outbox, way(mended.port, name="refusing"))
        until(lambda: (ledger.find(claimed.pseudonym) or failed).state is StudyState.ACKNOWLEDGED)
        assert sorted(mended.kept) == sorted(uids(parcel_of(results)))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
