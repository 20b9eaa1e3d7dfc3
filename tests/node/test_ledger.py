"""The state machine keeps its promises on SQLite and on PostgreSQL alike."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from braintumor.domain import DatabaseError
from braintumor.node.ledger import Ledger
from braintumor.node.schema import VERSION, Database
from braintumor.node.states import DeliveryState, Reason, StudyState

S = StudyState


def complete(ledger, study):
    assert ledger.complete(study)
    return ledger.find(study.pseudonym)


def produce(ledger, study, destinations=("pacs",)):
    claimed = ledger.claim("worker-1", complete(ledger, study).pseudonym)
    assert ledger.produced(claimed, f"studies/{study.pseudonym}/results/{claimed.generation}", destinations, {"seconds": 1})
    return ledger.find(study.pseudonym)


def codes(ledger, study):
    return [code for _, _, code, _ in ledger.events(study.pseudonym)]


class TestReceiving:
    def test_instances_are_entered_once(self, arrive, ledger):
        assert arrive(numbers=(1, 2)).instances == 2
        again = arrive(numbers=(1, 2, 3))
        assert (again.state, again.instances, again.revision, again.generation) == (S.RECEIVED, 3, 3, 1)
        assert [len(series.files) for series in ledger.series(again.id)] == [3]

    def test_two_who_enter_the_same_instances_at_once_enter_them_once(self, ledger, spool, sender):
        arrivals = [spool.keep(sender.file(1, number), "A")[1] for number in range(1, 9)]
        pseudonym = spool.pseudonym(arrivals[0].study_uid)
        ledger.received(pseudonym, arrivals[:1])
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: ledger.received(pseudonym, arrivals), range(8)))
        assert ledger.find(pseudonym).instances == 8

    def test_an_instance_before_the_work_starts_the_waiting_again(self, arrive, ledger):
        complete(ledger, arrive())
        assert arrive(numbers=(2,)).state == S.RECEIVED

    def test_an_instance_during_the_work_sends_its_result_away(self, arrive, ledger):
        claimed = ledger.claim("w", complete(ledger, arrive()).pseudonym)
        assert arrive(numbers=(2,)).state == S.RUNNING
        assert not ledger.produced(claimed, "r", ["pacs"], {})
        assert ledger.find(claimed.pseudonym).state == S.RECEIVED

    def test_an_instance_during_work_that_fails_gives_the_study_another_chance(self, arrive, ledger):
        claimed = ledger.claim("w", complete(ledger, arrive()).pseudonym)
        arrive(numbers=(2,))
        assert ledger.failed(claimed, "missing-sequence", "words")
        assert ledger.find(claimed.pseudonym).state == S.RECEIVED

    def test_late_instances_begin_a_new_generation_and_old_results_are_still_delivered(self, arrive, ledger, outbox):
        first = produce(ledger, arrive())
        late = arrive(numbers=(2,))
        assert (late.state, late.generation, late.results) == (S.RECEIVED, 2, "")
        (waiting,) = outbox.due("pacs")
        assert (waiting.generation, waiting.results) == (1, first.results)
        assert outbox.delivered(waiting)
        assert ledger.find(late.pseudonym).state == S.RECEIVED
        produce(ledger, late)
        assert [delivery.generation for delivery in outbox.due("pacs")] == [1, 2]

    def test_late_instances_may_be_kept_without_new_results(self, arrive, ledger):
        produced = produce(ledger, arrive())
        kept = arrive(numbers=(2,), late=False)
        assert (kept.state, kept.generation, kept.instances) == (S.PRODUCED, produced.generation, 2)
        assert "late-kept" in codes(ledger, kept)

    def test_a_failed_study_is_healed_by_what_comes_late_whatever_the_rule(self, arrive, ledger):
        claimed = ledger.claim("w", complete(ledger, arrive()).pseudonym)
        ledger.failed(claimed, "missing-sequence", "words")
        assert arrive(numbers=(2,), late=False).state == S.RECEIVED


class TestWork:
    def test_a_study_is_given_to_one_worker_only(self, arrive, ledger):
        for number in range(1, 7):
            complete(ledger, arrive(number))
        start = threading.Barrier(6)

        def take(name):
            start.wait()
            return ledger.claim(name).pseudonym

        with ThreadPoolExecutor(6) as threads:
            taken = list(threads.map(take, [f"worker-{n}" for n in range(6)]))
        assert len(set(taken)) == 6
        assert ledger.claim("one-more") is None

    def test_a_claim_whose_answer_got_lost_gives_the_same_study_again(self, arrive, ledger):
        complete(ledger, arrive(1))
        complete(ledger, arrive(2))
        assert ledger.claim("w").pseudonym == ledger.claim("w").pseudonym

    def test_who_failed_often_waits_behind_the_others(self, arrive, ledger):
        poison = ledger.claim("w1", complete(ledger, arrive(1)).pseudonym)
        ledger.lost(poison, 5)
        other = complete(ledger, arrive(2))
        assert ledger.claim("w2").pseudonym == other.pseudonym

    def test_so_many_crashes_fail_a_study_with_its_data_kept(self, arrive, ledger, spool):
        study = complete(ledger, arrive())
        for attempt in range(3):
            assert ledger.lost(ledger.claim(f"w{attempt}"), 3)
        failed = ledger.find(study.pseudonym)
        assert (failed.state, failed.reason) == (S.FAILED, Reason.CRASHED)
        assert len(list(spool.instances(study.pseudonym).iterdir())) == 1

    def test_a_worker_that_lost_its_study_cannot_enter_anything(self, arrive, ledger):
        slow = ledger.claim("slow", complete(ledger, arrive()).pseudonym)
        ledger.lost(slow, 5)
        quick = ledger.claim("quick")
        assert not ledger.beat(slow)
        assert not ledger.produced(slow, "of-slow", [], {})
        assert not ledger.failed(slow, "x", "y")
        assert not ledger.lost(slow, 5)
        assert ledger.beat(quick)
        assert ledger.produced(quick, "of-quick", [], {})
        assert ledger.find(slow.pseudonym).results == "of-quick"

    def test_entering_a_result_twice_changes_nothing(self, arrive, ledger, outbox):
        claimed = ledger.claim("w", complete(ledger, arrive()).pseudonym)
        assert ledger.produced(claimed, "r", ["pacs"], {})
        assert ledger.produced(claimed, "r", ["pacs"], {})
        assert len(outbox.due("pacs")) == 1

    def test_stopping_is_not_counted_against_a_study(self, arrive, ledger):
        claimed = ledger.claim("w", complete(ledger, arrive()).pseudonym)
        assert ledger.released(claimed)
        back = ledger.find(claimed.pseudonym)
        assert (back.state, back.attempts, back.created) == (S.COMPLETE, 0, claimed.created)


class TestDelivery:
    def test_a_study_follows_its_last_destination(self, arrive, ledger, outbox):
        study = produce(ledger, arrive(), ("pacs", "research"))
        (pacs,), (research,) = outbox.due("pacs"), outbox.due("research")
        steps = []
        for step in (outbox.delivered, outbox.acknowledged):
            for delivery in (pacs, research):
                assert step(delivery)
                steps.append(ledger.find(study.pseudonym).state)
        assert steps == [S.PRODUCED, S.DELIVERED, S.DELIVERED, S.ACKNOWLEDGED]
        assert outbox.due("pacs") == []
        assert not outbox.acknowledged(pacs)

    def test_a_destination_that_confirms_at_once_needs_no_step_between(self, arrive, ledger, outbox):
        study = produce(ledger, arrive())
        assert outbox.acknowledged(outbox.due("pacs")[0])
        assert ledger.find(study.pseudonym).state == S.ACKNOWLEDGED

    def test_a_failed_attempt_waits_and_a_given_up_one_fails_the_study_until_it_is_retried(self, arrive, ledger, outbox):
        study = produce(ledger, arrive())
        assert outbox.delivery_failed_once(outbox.due("pacs")[0], "refused")
        (again,) = outbox.due("pacs")
        assert (again.state, again.attempts, again.reason) == (DeliveryState.PENDING, 1, "refused")
        assert outbox.delivery_given_up(again, "refused")
        failed = ledger.find(study.pseudonym)
        assert (failed.state, failed.reason, failed.results) == (S.FAILED, Reason.NOT_DELIVERED, study.results)
        assert ledger.retry(study.pseudonym)
        assert ledger.find(study.pseudonym).state == S.PRODUCED
        assert len(outbox.due("pacs")) == 1

    def test_waiting_is_counted_by_destination(self, arrive, ledger, outbox):
        produce(ledger, arrive(1), ("a", "b"))
        produce(ledger, arrive(2), ("a",))
        assert outbox.waiting() == {"a": 2, "b": 1}


class TestEverything:
    def test_every_step_leaves_an_event_in_order(self, arrive, ledger, outbox):
        study = produce(ledger, arrive())
        outbox.delivered(outbox.due("pacs")[0])
        outbox.acknowledged(outbox.due("pacs")[0])
        expected = ["received", "complete", "running", "produced", "delivered", "study-delivered"]
        assert codes(ledger, study) == [*expected, "acknowledged", "study-acknowledged"]
        assert [code for _, _, code, _ in ledger.news(0)] == codes(ledger, study)
        assert ledger.news(ledger.last_news()) == []

    def test_counts_and_ages(self, arrive, ledger):
        complete(ledger, arrive(1))
        arrive(2)
        counts = ledger.counts()
        assert (counts[S.COMPLETE], counts[S.RECEIVED], counts[S.FAILED]) == (1, 1, 0)
        assert set(ledger.oldest_seconds()) == {S.COMPLETE, S.RECEIVED}

    def test_only_what_is_done_may_be_removed(self, arrive, ledger, outbox):
        produce(ledger, arrive(1))
        done = produce(ledger, arrive(2))
        outbox.acknowledged(outbox.due("pacs")[1])
        (old,) = ledger.removable(datetime.now(UTC) + timedelta(days=1))
        assert old.pseudonym == done.pseudonym
        assert ledger.removable(datetime.now(UTC) - timedelta(days=1)) == []
        ledger.remove(old)
        assert ledger.find(old.pseudonym) is None
        assert ledger.events(old.pseudonym) == []

    def test_a_retry_needs_a_failure(self, arrive, ledger):
        assert not ledger.retry(arrive().pseudonym)
        assert not ledger.retry("S-unknown")


class TestDatabase:
    def test_it_is_opened_again_as_it_was_left(self, database_url, arrive, ledger):
        study = arrive()
        assert Ledger(Database(database_url)).find(study.pseudonym) == study

    def test_tables_of_a_newer_version_are_refused(self, database, database_url):
        with database.writing() as connection:
            connection.execute(text(f"UPDATE node_schema SET version = {VERSION + 1}"))
        with pytest.raises(DatabaseError, match="Start the newer node"):
            Database(database_url)

    @pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "postgresql+nothing://x/y"])
    def test_a_url_of_no_use_is_told(self, url):
        with pytest.raises(DatabaseError, match="URL cannot be used"):
            Database(url)

    def test_a_server_that_is_down_is_a_database_error(self):
        with pytest.raises(DatabaseError, match="does not answer"):
            Database("postgresql+psycopg://postgres@127.0.0.1:1/none")
