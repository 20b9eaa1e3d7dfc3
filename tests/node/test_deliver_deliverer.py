"""Everything produced arrives at every destination once, whatever is down, killed, full, slow or altered meanwhile."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import evt

from braintumor.node.deliver import Deliverer, Delivery, DeliveryConfirmation, Fault, OutletError
from braintumor.node.deliver.memory import RetryState
from braintumor.node.settings import Deliver
from braintumor.node.states import DeliveryState
from tests.node.delivering import (
    QUICK,
    SOON_S,
    MemoryLedger,
    Peer,
    Scripted,
    copied,
    named,
    parcel_of,
    row,
    uids,
    way,
)

LONG_AGO, FUTURE = "2020-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00"


# Refusals


@pytest.mark.parametrize(("status", "fault"), [(0xC000, "refused"), (0xA900, "refused")])
def test_what_is_refused_is_given_up_at_once(results: Path, deliver: Callable[..., Deliverer], status: int, fault: str) -> None:
    with Peer(status=status).serving() as peer:
        ledger = MemoryLedger(row(1, results))
        deliver(ledger, way(peer.port))
        ledger.wait_all(DeliveryState.FAILED)
        assert ledger.events == [("given-up", 1, fault)]
        assert len(peer.stored) == 1


def test_a_full_archive_is_tried_until_it_has_space(results: Path, deliver: Callable[..., Deliverer]) -> None:
    peer = Peer(status=0xA700)
    with peer.serving():
        ledger = MemoryLedger(row(1, results))
        deliver(ledger, way(peer.port))
        ledger.wait(lambda each: each.count("failed") >= 3)
        peer.status = 0x0000
        ledger.wait_all()
        assert sorted(peer.kept) == sorted(uids(parcel_of(results)))
    assert set(ledger.reasons("failed")) == {"no-space"}


def test_altered_results_are_never_sent(results: Path, tmp_path: Path, deliver: Callable[..., Deliverer]) -> None:
    copy = copied(results, tmp_path / "copy")
    path = copy / "dicom" / "measurements.dcm"
    path.write_bytes(path.read_bytes() + b"\0\0")
    with Peer().serving() as peer:
        ledger = MemoryLedger(row(1, copy), row(2, results))
        deliver(ledger, way(peer.port))
        ledger.wait(lambda each: each.count("acknowledged", 2) and each.count("given-up", 1))
        assert ledger.reasons("given-up") == ["data-missing"]
        assert len(peer.stored) == 2


def test_an_outlet_that_breaks_in_an_unforeseen_way(results: Path, deliver: Callable[..., Deliverer]) -> None:
    class Broken(Scripted):
        def send(self, parcel: Delivery) -> None:
            if parcel.pseudonym == "S-0001":
                raise ZeroDivisionError("Jane Doe")
            super().send(parcel)

    ledger = MemoryLedger(row(1, results), row(2, results))
    deliver(ledger, named("pacs", Broken()))
    ledger.wait(lambda each: each.count("acknowledged", 2) and each.count("failed", 1) >= 2)
    assert set(ledger.reasons("failed")) == {"unexpected"}


# Waiting


def test_one_that_always_fails_holds_up_nothing(results: Path, deliver: Callable[..., Deliverer]) -> None:
    class Choosy(Scripted):
        def send(self, parcel: Delivery) -> None:
            super().send(parcel)
            if int(parcel.pseudonym.removeprefix("S-")) < 30:  # more than the ledger is asked for at once
                raise OutletError(Fault.FAILED, "As the test says", remedy="None")

    outlet, ledger = Choosy(), MemoryLedger(*(row(number, results) for number in range(40)))
    deliver(ledger, named("pacs", outlet), options=Deliver(first_wait_s=1000.0, longest_wait_s=1000.0))
    ledger.wait(lambda each: each.count("acknowledged") == 10)
    assert ledger.count("failed") == 30
    assert len(outlet.sent) == 40


def test_a_destination_that_is_down_is_not_stormed(results: Path, deliver: Callable[..., Deliverer]) -> None:
    outlet = Scripted(*[Fault.UNREACHABLE] * 1000)
    ledger = MemoryLedger(*(row(number, results) for number in range(50)))
    started = time.monotonic()
    deliver(ledger, named("pacs", outlet), options=Deliver(first_wait_s=0.1, longest_wait_s=0.4), poll_s=0.001)
    ledger.wait(lambda each: each.count("failed") >= 5)
    seconds = time.monotonic() - started
    assert seconds >= 0.75 * (0.1 + 0.2 + 0.4 + 0.4)  # one try for all, not one for each of fifty
    assert len(set(outlet.sent[:5])) == 5  # and not always the same


def test_the_database_learns_of_it_when_it_is_back(results: Path, deliver: Callable[..., Deliverer]) -> None:
    outlet = Scripted()
    ledger = MemoryLedger(row(1, results))

    class Cut(Scripted):
        def send(self, parcel: Delivery) -> None:
            outlet.send(parcel)
            ledger.down = True
            threading.Timer(0.2, lambda: setattr(ledger, "down", False)).start()

    deliverer = deliver(ledger, named("pacs", Cut()))
    ledger.wait_all()
    assert outlet.sent == ["S-0001"]  # sent once: it remembered
    assert deliverer.stop()


def test_a_database_that_is_down_at_the_start(results: Path, deliver: Callable[..., Deliverer]) -> None:
    ledger = MemoryLedger(row(1, results))
    ledger.down = True
    deliverer = deliver(ledger, named("pacs", Scripted()))
    deliverer.wake()
    ledger.down = False
    deliverer.wake()
    ledger.wait_all()


# Confirmation


def test_what_is_not_there_is_asked_for_again_and_then_sent_again(results: Path, deliver: Callable[..., Deliverer]) -> None:
    outlet = Scripted(answers=(DeliveryConfirmation.MISSING,) * 5)
    ledger = MemoryLedger(row(1, results))
    deliver(ledger, named("pacs", outlet))
    ledger.wait_all()
    assert (len(outlet.sent), outlet.asked) == (2, 6)
    assert ledger.reasons("failed") == ["not-kept"]


def test_an_answer_that_takes_long_is_waited_for(results: Path, deliver: Callable[..., Deliverer]) -> None:
    outlet = Scripted(answers=(DeliveryConfirmation.WAITING,) * 8)
    ledger = MemoryLedger(row(1, results))
    deliver(ledger, named("pacs", outlet))
    ledger.wait_all()
    assert (len(outlet.sent), outlet.asked) == (1, 9)


def test_an_answer_that_came_is_noticed_at_once(results: Path, deliver: Callable[..., Deliverer]) -> None:
    outlet = Scripted(answers=(DeliveryConfirmation.WAITING,))
    ledger = MemoryLedger(row(1, results))
    deliverer = deliver(ledger, named("pacs", outlet), options=Deliver(first_wait_s=1000.0, longest_wait_s=1000.0))
    ledger.wait(lambda each: each.count("delivered"))
    while outlet.asked < 2:
        deliverer.wake()
        time.sleep(0.01)
    ledger.wait_all()
    assert len(outlet.sent) == 1


def test_what_was_delivered_before_a_restart_is_only_confirmed(results: Path, deliver: Callable[..., Deliverer]) -> None:
    outlet, ledger = Scripted(), MemoryLedger(row(1, results))
    ledger.delivered(ledger.rows[1])
    deliver(ledger, named("pacs", outlet))
    ledger.wait_all()
    assert (outlet.sent, outlet.asked) == ([], 1)


# Giving up


def test_it_is_given_up_after_so_many_days(results: Path, deliver: Callable[..., Deliverer]) -> None:
    outlet = Scripted(*[Fault.UNREACHABLE] * 1000)
    ledger = MemoryLedger(row(1, results, since=LONG_AGO), row(2, results, since=FUTURE))
    deliver(ledger, named("pacs", outlet), options=QUICK.model_copy(update={"give_up_days": 0.3 / 86400}))
    ledger.wait(lambda each: each.count("given-up", 1) and each.count("failed", 2) >= 2)
    assert ledger.count("given-up") == 1
    assert ledger.count("failed", 1) >= 1


def test_a_node_that_was_off_for_days_gives_nothing_up_when_it_starts(results: Path, deliver: Callable[..., Deliverer]) -> None:
    ledger, outlet = MemoryLedger(row(1, results, since=LONG_AGO)), Scripted(*[Fault.UNREACHABLE] * 10)
    deliver(ledger, named("pacs", outlet), options=QUICK.model_copy(update={"give_up_days": 1.0}))
    ledger.wait_all()
    assert ledger.count("failed") == 10


def test_a_word_that_never_comes(results: Path, deliver: Callable[..., Deliverer]) -> None:
    ledger, outlet = MemoryLedger(row(1, results, since=LONG_AGO)), Scripted(answers=(DeliveryConfirmation.WAITING,) * 1000)
    deliver(ledger, named("pacs", outlet), options=QUICK.model_copy(update={"give_up_days": 0.2 / 86400}))
    ledger.wait_all(DeliveryState.FAILED)
    assert ledger.reasons("given-up") == ["not-confirmed"]


# Ending, and what is told


def test_stopping_ends_the_present_transfer_and_begins_no_other(results: Path, deliver: Callable[..., Deliverer]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Scripted):
        def send(self, parcel: Delivery) -> None:
            super().send(parcel)
            begun.set()
            go_on.wait(SOON_S)

    outlet, ledger = Slow(), MemoryLedger(row(1, results), row(2, results))
    deliverer = deliver(ledger, named("pacs", outlet))
    assert begun.wait(SOON_S)
    assert not deliverer.stop(timeout_s=0.05)
    go_on.set()
    assert deliverer.stop()
    assert outlet.sent == ["S-0001"]
    assert ledger.rows[1].state is DeliveryState.ACKNOWLEDGED
    assert ledger.rows[2].state is DeliveryState.PENDING


def test_a_process_ends_although_a_destination_hangs(results: Path) -> None:
    begun, over = threading.Event(), threading.Event()

    def hang(event: Any) -> int:
        begun.set()
        over.wait(2 * SOON_S)
        return 0

    with Peer().on(evt.EVT_C_STORE, hang).serving() as peer:
        command = [sys.executable, "-c", HANGING, str(peer.port), str(results)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, env=ENVIRONMENT)
        try:
            assert begun.wait(SOON_S)
            process.communicate(b"stop\n", timeout=SOON_S)  # much less than an answer is waited for
        finally:
            process.kill()
            over.set()
    assert process.returncode == 0


ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'lib'}{os.pathsep}{ROOT}"}
HANGING = """
import sys, tempfile
from pathlib import Path
from braintumor.node.deliver import Deliverer, open_destination
from braintumor.node.settings import Deliver
from braintumor.node.spool import Spool
from tests.node.delivering import MemoryLedger, destination, row

chosen = destination(int(sys.argv[1]))
ways = [(chosen, open_destination(chosen))]
with tempfile.TemporaryDirectory() as state:
    deliverer = Deliverer(MemoryLedger(row(1, Path(sys.argv[2]))), ways, Deliver(), Spool(Path(state)))
    deliverer.start()
    sys.stdin.readline()
    assert not deliverer.stop(timeout_s=0.5)
"""


def test_logs_and_counts_tell_no_more_than_they_may(
    results: Path, deliver: Callable[..., Deliverer], caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[tuple[str, str]] = []
    seconds: list[float] = []
    ledger = MemoryLedger(row(1, results), row(2, results))
    outlet = Scripted(Fault.FAILED, Fault.REFUSED)
    with caplog.at_level(logging.INFO, "braintumor.node"):
        deliverer = deliver(
            ledger,
            named("pacs", outlet),
            count=lambda name, outcome: counted.append((name, outcome)),
            observe=lambda name, took: seconds.append(took),
        )
        ledger.wait(lambda each: each.count("acknowledged", 1) and each.count("given-up", 2))
        assert deliverer.stop()
    told = [(record.message, record.facts) for record in caplog.records if record.name == "braintumor.node.deliver"]
    assert [event for event, _ in told] == ["delivery-failed", "delivery-given-up", "delivered", "acknowledged"]
    known = {"destination", "study", "code", "wait_s", "files", "seconds"}
    assert all(set(facts) <= known for _, facts in told)
    assert counted == [("pacs", "failed"), ("pacs", "failed"), ("pacs", "delivered"), ("pacs", "acknowledged")]
    assert len(seconds) == 1
    status = deliverer.status()["pacs"]
    assert status.last_success is not None
    assert status.last_failure is not None
    assert (status.fault, status.down) == ("", False)


@given(failures=st.integers(1, 10_000), first=st.floats(0.001, 100), longest=st.floats(0.001, 10_000))
def test_pauses_grow_and_are_bounded(failures: int, first: float, longest: float) -> None:
    pause = RetryState(Deliver(first_wait_s=first, longest_wait_s=longest)).pause(failures)
    whole = min(first * 2.0 ** min(failures - 1, 60), longest)
    assert 0.74 * whole <= pause <= whole
