"""Whatever is on the disk reaches the database, also past what cannot be entered."""

import time

import pytest

from braintumor.node.registrar import Registrar
from braintumor.node.schema import DatabaseDownError


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'node.db'}"


@pytest.fixture
def registrar(ledger, spool):
    made = []

    def _registrar(on_entered=lambda pseudonym: None):
        made.append(Registrar(ledger, spool, on_entered, rerun_late=True))
        return made[-1]

    yield _registrar
    for one in made:
        one.stop()


def until(condition):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def count(ledger, spool, study):
    found = ledger.find(spool.pseudonym(f"1.2.826.0.1.3680043.10.543.{study}"))
    return 0 if found is None else found.instances


def test_what_lies_on_the_disk_is_entered_at_the_start(registrar, ledger, spool, sender):
    for number in (1, 2, 3):
        spool.keep(sender.file(1, number), "A")
    entered = []
    registrar(entered.append).start()
    assert until(lambda: count(ledger, spool, 1) == 3)
    assert until(lambda: entered == [spool.pseudonym("1.2.826.0.1.3680043.10.543.1")])


def test_what_arrives_before_it_runs_is_not_forgotten(registrar, ledger, spool, sender):
    one = registrar()
    one.put(spool.keep(sender.file(1, 1), "A")[1])
    one.start()
    assert until(lambda: count(ledger, spool, 1) == 1)


def test_a_database_that_is_down_is_waited_for(registrar, ledger, spool, sender, monkeypatch):
    asked = []

    def away(*arguments, **options):
        asked.append(1)
        if len(asked) < 3:
            raise DatabaseDownError("down", remedy="wait")
        return type(ledger).received(ledger, *arguments, **options)

    monkeypatch.setattr(ledger, "received", away)
    one = registrar()
    one.start()
    one.put(spool.keep(sender.file(1, 1), "A")[1])
    assert until(lambda: count(ledger, spool, 1) == 1)


def test_a_study_that_cannot_be_entered_keeps_out_no_other(registrar, ledger, spool, sender, monkeypatch):
    poison = spool.pseudonym("1.2.826.0.1.3680043.10.543.1")

    def picky(pseudonym, arrivals, **options):
        if pseudonym == poison:
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "no such letter")
        return type(ledger).received(ledger, pseudonym, arrivals, **options)

    monkeypatch.setattr(ledger, "received", picky)
    one = registrar()
    for study in (1, 2):
        one.put(spool.keep(sender.file(study, 1), "A")[1])
    one.start()
    assert until(lambda: count(ledger, spool, 2) == 1)
    assert count(ledger, spool, 1) == 0


def test_a_file_that_is_damaged_on_the_disk_keeps_out_no_other(registrar, ledger, spool, sender):
    for number in (1, 2):
        spool.keep(sender.file(1, number), "A")
    sorted(spool.instances(spool.pseudonym("1.2.826.0.1.3680043.10.543.1")).iterdir())[0].write_bytes(b"rubbish")
    registrar().start()
    assert until(lambda: count(ledger, spool, 1) == 1)
